"""One clip of a prepare job: read, channels, resample, trim, slice, loudness, limit; nothing is written here.

Shapes: N frames, C channels.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sao_tui.core.preparing import PrepareSettings
from sao_tui.services.prepare_cuts import Span, slice_spans
from sao_tui.services.prepare_read import OpenClip, open_clip
from sao_tui.services.prepare_sound import SILENCE, level, peak, sounding_span, to_channels

if TYPE_CHECKING:
    from sao_tui.services.prepare_sound import Sound

TOO_SHORT = "shorter than the least length"
SILENT = "silent"


@dataclass(frozen=True)
class Piece:
    """One output before it is written."""

    number: int
    """Of the slice, from 1; 0 for a clip that is not sliced."""
    sound: Sound
    """[N, C]."""
    rate_hz: int
    start_seconds: float
    """In the clip."""
    end_seconds: float
    done: tuple[str, ...]
    """What was done, in words."""
    short_by_lu: float = 0.0
    is_unchanged: bool = False
    """Nothing was done and the clip has the wanted format: its file can be taken as it is."""


@dataclass
class ClipReading:
    """What is learnt about a clip while its pieces are made."""

    source_seconds: float = 0.0
    digest: str = ""
    """BLAKE2b-16 of the decoded samples with their rate and channels: the same for the same sound in any file."""
    lost: list[tuple[float, float, str]] = field(default_factory=list)
    """Stretches that no output holds beside what was trimmed, in seconds, with the reason."""


def clip_pieces(path: Path, settings: PrepareSettings, temporary: Path, reading: ClipReading) -> Iterator[Piece]:
    """Give the outputs of a clip, one after the other; `reading` is complete after the last.

    Args:
        temporary: Folder for what ffmpeg decodes.

    Raises:
        SaoError: The clip cannot be read.
    """
    # A clip that stays whole must be in memory as a whole.
    with open_clip(path, temporary, whole=settings.slicing == "none" or not settings.max_seconds) as clip:
        yield from _Pipeline(clip, settings, reading).pieces()


class _Pipeline:
    """One pass over one clip."""

    def __init__(self, clip: OpenClip, settings: PrepareSettings, reading: ClipReading) -> None:
        self._clip = clip
        self._settings = settings
        self._reading = reading
        self._rate_hz = settings.rate_hz or clip.rate_hz
        self._hash = hashlib.blake2b(f"{clip.rate_hz} {clip.num_channels} ".encode(), digest_size=16)
        self._num_read = 0
        self._offset = 0
        """Output frame at which what is pending begins in the clip."""
        self._has_sounded = not settings.trim
        self._number = 0
        self._common: list[str] = []
        """What was done to every piece."""
        self._is_trimmed = False
        self._resampler: Any = None

    def pieces(self) -> Iterator[Piece]:
        """Give the outputs in order."""
        import numpy as np

        held: Sound | None = None
        for block_NC, is_last in self._clip.sections:
            new_NC = self._converted(block_NC, is_last)
            sound_NC = new_NC if held is None else np.concatenate([held, new_NC])
            sound_NC = self._trimmed(sound_NC, is_last)
            spans = slice_spans(sound_NC, self._rate_hz, self._settings) if len(sound_NC) else []
            if not is_last and spans:
                # The last slice of a section may go on in the next one.
                *spans, open_span = spans
                yield from self._cut(sound_NC, spans, is_whole=False)
                held = sound_NC[open_span.start :]
                self._offset += open_span.start
                continue
            if not is_last:
                self._offset += len(sound_NC)
                held = None
                continue
            is_whole = self._number == 0 and spans == [Span(0, len(sound_NC))]
            yield from self._cut(sound_NC, spans, is_whole=is_whole)
        self._reading.source_seconds = self._num_read / self._clip.rate_hz
        self._reading.digest = self._hash.hexdigest()

    def _converted(self, block_NC: Sound, is_last: bool) -> Sound:
        """Return a section with the wanted channels and rate."""
        import numpy as np

        self._num_read += len(block_NC)
        self._hash.update(np.ascontiguousarray(block_NC).tobytes())
        sound_NC, words = to_channels(block_NC, self._settings.channels)
        self._note(words)
        if self._rate_hz == self._clip.rate_hz:
            return sound_NC
        if self._resampler is None:
            import soxr

            self._note(f"resampled from {self._clip.rate_hz} to {self._rate_hz} Hz")
            self._resampler = soxr.ResampleStream(
                self._clip.rate_hz, self._rate_hz, sound_NC.shape[1], dtype="float32", quality="VHQ"
            )
        resampled: Sound = self._resampler.resample_chunk(np.ascontiguousarray(sound_NC), last=is_last)
        return resampled if resampled.ndim == 2 else resampled[:, None]

    def _note(self, words: str) -> None:
        if words and words not in self._common:
            self._common.append(words)

    def _trimmed(self, sound_NC: Sound, is_last: bool) -> Sound:
        """Return the sound without silence at the clip's ends."""
        settings = self._settings
        if not settings.trim or (self._has_sounded and not is_last):
            return sound_NC
        start, end = sounding_span(sound_NC, self._rate_hz, settings.trim_dbfs, settings.trim_margin_seconds)
        if end == 0:
            # All silence: a section of it at the start goes, one at the end is the tail of what sounded.
            start = end = 0 if self._has_sounded else len(sound_NC)
        if self._has_sounded:
            start = 0
        if not is_last:
            end = len(sound_NC)
        self._is_trimmed = self._is_trimmed or start > 0 or end < len(sound_NC)
        self._has_sounded = self._has_sounded or end > start
        self._offset += start
        return sound_NC[start:end]

    def _cut(self, sound_NC: Sound, spans: list[Span], *, is_whole: bool) -> Iterator[Piece]:
        """Give the pieces of some slices; silent ones and scraps are left out and noted."""
        for span in spans:
            piece_NC = sound_NC[span.start : span.end]
            start, end = (
                min((self._offset + frame) / self._rate_hz, self._num_read / self._clip.rate_hz)
                for frame in (span.start, span.end)
            )
            reason = TOO_SHORT if span.is_too_short else SILENT if peak(piece_NC) < SILENCE else ""
            if reason:
                self._reading.lost.append((round(start, 6), round(end, 6), reason))
                continue
            self._number += 1
            yield self._piece(piece_NC, 0 if is_whole else self._number, (start, end))

    def _piece(self, piece_NC: Sound, number: int, times: tuple[float, float]) -> Piece:
        settings = self._settings
        levelled = level(piece_NC, self._rate_hz, settings.loudness_lufs, settings.peak_dbfs)
        words = list(self._common)
        if self._is_trimmed:
            words.append("trimmed")
        if number:
            words.append(f"slice {number}")
        if levelled.words:
            words.append(levelled.words)
        is_unchanged = not words and self._clip.codec == settings.codec
        if not is_unchanged and self._clip.codec != settings.codec:
            words.append(f"converted from {self._clip.codec} to {settings.codec}")
        return Piece(
            number=number,
            sound=levelled.sound,
            rate_hz=self._rate_hz,
            start_seconds=round(times[0], 6),
            end_seconds=round(times[1], 6),
            done=tuple(words),
            short_by_lu=round(levelled.short_by_lu, 1),
            is_unchanged=is_unchanged,
        )
