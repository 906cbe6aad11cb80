"""Waveform and mel spectrogram of a clip, or of a part of it, small enough for a terminal; one read gives both.

A mel band is a triangle over the power of a Hann-windowed Fourier transform, its corners equally spaced on the scale
m = 2595 log10(1 + f / 700) (O'Shaughnessy, Speech Communication, 1987).
"""

from __future__ import annotations

import array
import math
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from sao_tui.services.audio import Sound, UnreadableClipError, mix, open_sound

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

NUM_LEVELS = 32
"""Values of a cell, 0 for nothing to be seen."""

RANGE_DB = 70.0
"""From the lowest level to the highest."""

MIN_SPAN_SECONDS = 0.02
"""What is shown is never shorter: a terminal has too few dots to need more."""

_WINDOW_SECONDS = 0.046
_MAX_FRAMES_PER_COLUMN = 4
_QUIETEST_TOP_DB = -50.0
"""Quieter clips are not blown up to full brightness. In dB below a sine at full scale."""

_LOW_HZ = 30.0
_BLOCK_FRAMES = 1 << 20


@dataclass(frozen=True)
class ClipPicture:
    """A waveform and a spectrogram over the same span of a clip."""

    num_columns: int
    """Terminal cells; there are two peaks to each."""
    peaks: list[tuple[float, float]]
    """Lowest and highest sample of the mono mix, 2 * num_columns of them."""
    mel: bytes
    """Levels, row by row from the highest band, num_columns a row; empty when none was asked for."""
    start_seconds: float
    end_seconds: float
    top_hz: float
    """Upper end of the highest band."""

    @property
    def num_rows(self) -> int:
        """Mel bands."""
        return len(self.mel) // max(1, self.num_columns)


def draw(path: Path, columns: int, rows: int, span: tuple[float, float] | None = None) -> ClipPicture:
    """Return the picture of a clip.

    Args:
        columns: Terminal cells in width.
        rows: Mel bands, two to a terminal cell; 0 for the waveform alone.
        span: Part to show, as (start, end) in seconds; None for the whole clip.

    Raises:
        UnreadableClipError: The file is missing or damaged.
    """
    with open_sound(path) as sound:
        if sound.frames <= 0 or sound.sample_rate_hz <= 0:
            raise UnreadableClipError(path, "it has no samples")
        first, last = _frames_of(span, sound)
        drawing = _Drawing(sound.sample_rate_hz, first, last, columns, rows)
        if first:
            sound.seek(first)
        while (num_frames := drawing.wanted_frames()) > 0:
            drawing.feed(mix(sound.read(num_frames), num_frames))
        return drawing.picture()


def _frames_of(span: tuple[float, float] | None, sound: Sound) -> tuple[int, int]:
    if span is None:
        return 0, sound.frames
    shortest = max(1, int(MIN_SPAN_SECONDS * sound.sample_rate_hz))
    first = min(max(0, int(span[0] * sound.sample_rate_hz)), max(0, sound.frames - shortest))
    last = min(max(int(span[1] * sound.sample_rate_hz), first + shortest), sound.frames)
    return first, last


class _Drawing:
    """Fills whole columns, block after block, so that an hour of sound needs no more memory than a minute."""

    def __init__(self, rate: int, first: int, last: int, columns: int, rows: int) -> None:
        import numpy as np

        self._rate = rate
        self._first, self._last = first, last
        self._columns = columns
        self._starts = np.arange(2 * columns + 1, dtype=np.int64) * (last - first) // (2 * columns)
        self._column = 0
        self._peaks = np.zeros((2 * columns, 2), np.float32)
        self._size = 1 << max(5, round(math.log2(_WINDOW_SECONDS * rate)))
        self._bands = mel_bands(rate, self._size, rows) if rows else None
        self._power_CB = np.zeros((columns, rows), np.float32)

    def wanted_frames(self) -> int:
        """Return the length of the next block; 0 at the end."""
        import numpy as np

        if self._column >= self._columns:
            return 0
        begin = self._starts[2 * self._column]
        fitting = (int(np.searchsorted(self._starts, begin + _BLOCK_FRAMES, side="right")) - 1) // 2
        self._end = min(max(fitting, self._column + 1), self._columns)
        # A span of fewer frames than columns: its last columns repeat what is there.
        return max(1, int(self._starts[2 * self._end] - begin))

    def feed(self, mono_N: NDArray[np.float32]) -> None:
        import numpy as np

        columns = slice(2 * self._column, 2 * self._end)
        starts = np.minimum(self._starts[columns] - self._starts[columns.start], len(mono_N) - 1)
        self._peaks[columns, 0] = np.minimum.reduceat(mono_N, starts)
        self._peaks[columns, 1] = np.maximum.reduceat(mono_N, starts)
        if self._bands is not None:
            self._power_CB[self._column : self._end] = self._powers(mono_N, self._end - self._column)
        self._column = self._end

    def picture(self) -> ClipPicture:
        import numpy as np

        flat = array.array("f", np.nan_to_num(self._peaks).tobytes())
        return ClipPicture(
            self._columns,
            list(zip(flat[::2], flat[1::2], strict=True)),
            self._levels(),
            self._first / self._rate,
            self._last / self._rate,
            self._rate / 2,
        )

    def _powers(self, mono_N: NDArray[np.float32], num_columns: int) -> NDArray[np.float32]:
        """Return the mean power of some frames in each column, by bands."""
        import numpy as np

        assert self._bands is not None  # noqa: S101
        if len(mono_N) < self._size:
            mono_N = np.pad(mono_N, (self._size - len(mono_N)) // 2 + 1)
        width = len(mono_N) / num_columns
        per_column = min(_MAX_FRAMES_PER_COLUMN, max(1, math.ceil(2 * width / self._size)))
        centres = (np.arange(num_columns * per_column) + 0.5) * width / per_column
        begins = np.clip(centres - self._size / 2, 0, len(mono_N) - self._size).astype(np.int64)
        frames = np.lib.stride_tricks.sliding_window_view(mono_N, self._size)[begins]
        spectra = np.fft.rfft(frames * _window(self._size), axis=1)
        power = np.square(spectra.real) + np.square(spectra.imag)
        powers: NDArray[np.float32] = (power @ self._bands).reshape(num_columns, per_column, -1).mean(axis=1)
        return powers

    def _levels(self) -> bytes:
        import numpy as np

        if self._bands is None:
            return b""
        # A sine at full scale has the power (size / 4)² in its bin, through a Hann window.
        full_scale_db = 20 * math.log10(self._size / 4)
        levels_db = 10 * np.log10(np.maximum(np.nan_to_num(self._power_CB), 1e-20)) - full_scale_db
        top_db = max(float(levels_db.max()), _QUIETEST_TOP_DB)
        scaled = (levels_db - top_db + RANGE_DB) * (NUM_LEVELS / RANGE_DB)
        levels = np.clip(scaled, 0, NUM_LEVELS - 1).astype(np.uint8)
        return np.ascontiguousarray(levels.T[::-1]).tobytes()


def hz_to_mel(hz: float) -> float:
    """Return a frequency on the mel scale."""
    return 2595 * math.log10(1 + hz / 700)


def mel_to_hz(mel: float) -> float:
    """Return the frequency of a place on the mel scale."""
    return 700 * (10 ** (mel / 2595) - 1)


@lru_cache(maxsize=8)
def mel_bands(sample_rate_hz: int, size: int, num_bands: int) -> NDArray[np.float32]:
    """Return triangular filters [bins, bands] for the power of a transform of `size` samples, the lowest band first."""
    import numpy as np

    low, high = hz_to_mel(_LOW_HZ), hz_to_mel(sample_rate_hz / 2)
    corners = np.array([mel_to_hz(low + (high - low) * at / (num_bands + 1)) for at in range(num_bands + 2)])
    bins = np.arange(size // 2 + 1)[:, None] * (sample_rate_hz / size)
    # A triangle narrower than a bin would miss all of them.
    spacing = sample_rate_hz / size
    left, centre, right = corners[:-2], corners[1:-1], corners[2:]
    rising = (bins - left) / np.maximum(centre - left, spacing)
    falling = (right - bins) / np.maximum(right - centre, spacing)
    triangles = np.maximum(0, np.minimum(1, np.minimum(rising, falling)))
    missed = np.flatnonzero(triangles.sum(axis=0) == 0)
    triangles[np.clip(np.rint(centre[missed] / spacing).astype(int), 0, size // 2), missed] = 1
    bands: NDArray[np.float32] = triangles.astype(np.float32)
    return bands


@lru_cache(maxsize=4)
def _window(size: int) -> NDArray[np.float32]:
    import numpy as np

    window: NDArray[np.float32] = np.hanning(size).astype(np.float32)
    return window
