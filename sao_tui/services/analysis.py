"""What the samples of one clip say about it, read once and in blocks.

Formulas (x is a sample, full scale is 1; a frame holds one sample of each channel):

- peak: 20 log10 max |x| in dBFS over all channels, of the samples themselves, not of the curve between them.
- loudness: integrated loudness in LUFS after ITU-R BS.1770-4 (K-weighting, 400 ms blocks every 100 ms, gates at
  -70 LUFS and 10 LU below). It is not defined below 0.4 s: short clips have none. They are not padded with
  silence, which would make the number depend on the padding.
- silence: frames before the first, and after the last, in which any channel is above -60 dBFS.
- DC offset: the mean of x over the clip, of the channel where it is farthest from 0.
- clipped: samples in runs of at least 3 that stay at full scale (-0.001 dBFS; the largest value of 8 bit files).
- mono in stereo: the channels differ nowhere by more than a ten thousandth of the peak. Dead channel: one channel
  of a stereo clip never rises above -60 dBFS, the other does.
- content hash: BLAKE2b over sample rate, channels and the decoded samples as 32 bit floats. Names, tags and lossless
  containers do not change it.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from sao_tui.services.audio import Sound, UnreadableClipError, open_sound

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

SILENCE_DBFS = -60.0
"""What stays below counts as silence."""

MONO_IN_STEREO, DEAD_LEFT, DEAD_RIGHT = "mono-in-stereo", "dead-left", "dead-right"
"""Values of Analysis.channel_fault."""

_SILENCE = 10 ** (SILENCE_DBFS / 20)
_BLOCK_FRAMES = 1 << 18
_MIN_CLIPPED_RUN = 3
_FULL_SCALE = 10 ** (-0.001 / 20)
_FULL_SCALE_8_BIT = 127 / 128
_SAME_CHANNELS = 1e-4


@dataclass(frozen=True)
class Analysis:
    """What one clip's samples and tags say; the columns of the table `analysis`."""

    peak_dbfs: float | None = None
    """Largest sample; None where all are 0."""
    loudness_lufs: float | None = None
    """Integrated loudness; None below 0.4 s and where nothing is louder than -70 LUFS."""
    head_silence_seconds: float = 0.0
    """Until the first frame above -60 dBFS; the whole length of a silent clip."""
    tail_silence_seconds: float = 0.0
    """After the last frame above -60 dBFS; 0 for a silent clip, which has it all at the head."""
    dc_offset: float = 0.0
    """Mean of the channel that is farthest from 0, as a part of full scale."""
    num_clipped: int = 0
    """Samples in runs of at least 3 at full scale."""
    is_silent: bool = False
    """Nothing is above -60 dBFS."""
    channel_fault: str = ""
    """Empty, `mono-in-stereo`, `dead-left` or `dead-right`."""
    content_hash: bytes = b""
    """16 bytes that two clips share when their samples are the same; empty where they could not be read."""
    fingerprint: bytes = b""
    """For analysis_fingerprint.distance_db; empty for a clip without sound."""
    bpm: float | None = None
    """Tempo, where it has been asked for and was clear."""
    musical_key: str = ""
    """Such as `F# minor`, where it has been asked for and was clear."""
    tags: Mapping[str, str] = field(default_factory=dict)
    """See tags.read_tags."""
    error: str = ""
    """Why the samples could not be read; the rest, but the tags, says nothing then."""


def analyse(path: Path) -> Analysis:
    """Measure one clip.

    Raises:
        UnreadableClipError: It is missing or damaged, or holds values that are no numbers.
    """
    from sao_tui.services.tags import read_tags

    with open_sound(path) as sound:
        measured = _Measurement(path, sound)
        while len(frames_NC := sound.read(_BLOCK_FRAMES)):
            measured.feed(frames_NC)
    return measured.result(read_tags(path))


class _Measurement:
    """The state between two blocks of one clip."""

    def __init__(self, path: Path, sound: Sound) -> None:
        import numpy as np

        from sao_tui.services.analysis_fingerprint import Fingerprinter
        from sao_tui.services.analysis_loudness import LoudnessMeter

        self._path = path
        self._rate = sound.sample_rate_hz
        self._full_scale = _FULL_SCALE_8_BIT if sound.codec.endswith(("pcm_u8", "pcm_s8")) else _FULL_SCALE
        self._num_frames = 0
        self._peaks = np.zeros(sound.num_channels)
        self._sums = np.zeros(sound.num_channels)
        self._apart = 0.0
        self._first_loud = self._last_loud = -1
        self._runs = [0] * sound.num_channels
        """Samples at full scale with which each channel's last block ended."""
        self._num_clipped = 0
        self._hash = hashlib.blake2b(f"{sound.sample_rate_hz} {sound.num_channels}\n".encode(), digest_size=16)
        self._loudness = LoudnessMeter(sound.sample_rate_hz, sound.num_channels)
        self._fingerprinter = Fingerprinter(sound.sample_rate_hz)

    def feed(self, frames_NC: NDArray[np.float32]) -> None:
        import numpy as np

        # Channel by channel: what walks over interleaved samples is several times slower.
        block_CN = np.ascontiguousarray(frames_NC.T)
        peaks = np.maximum(block_CN.max(axis=1), -block_CN.min(axis=1)).astype(float)
        if not np.isfinite(peaks).all():
            raise UnreadableClipError(self._path, "it holds samples that are no numbers (NaN or infinite)")
        self._hash.update(np.ascontiguousarray(frames_NC).data)
        self._sums += block_CN.sum(axis=1, dtype=np.float64)
        self._find_sound(block_CN, float(peaks.max()))
        self._count_clipped(block_CN, peaks)
        self._peaks = np.maximum(self._peaks, peaks)
        if len(block_CN) == 2:
            apart = block_CN[0] - block_CN[1]
            self._apart = max(self._apart, float(apart.max()), -float(apart.min()))
        self._loudness.feed(block_CN)
        self._fingerprinter.feed(block_CN[0] if len(block_CN) == 1 else block_CN.mean(axis=0))
        self._num_frames += block_CN.shape[1]

    def result(self, tags: Mapping[str, str]) -> Analysis:
        if self._num_frames == 0:
            raise UnreadableClipError(self._path, "it has no samples")
        peak = float(self._peaks.max())
        is_silent = self._first_loud < 0
        head = self._num_frames if is_silent else self._first_loud
        tail = 0 if is_silent else self._num_frames - 1 - self._last_loud
        offsets = self._sums / self._num_frames
        return Analysis(
            peak_dbfs=20 * math.log10(peak) if peak > 0 else None,
            loudness_lufs=self._loudness.integrated_lufs(),
            head_silence_seconds=head / self._rate,
            tail_silence_seconds=tail / self._rate,
            dc_offset=float(offsets[abs(offsets).argmax()]),
            num_clipped=self._num_clipped,
            is_silent=is_silent,
            channel_fault=self._channel_fault(peak),
            content_hash=self._hash.digest(),
            fingerprint=b"" if is_silent else self._fingerprinter.finish(),
            tags=tags,
        )

    def _find_sound(self, block_CN: NDArray[np.float32], peak: float) -> None:
        import numpy as np

        if peak <= _SILENCE:
            return
        loud = np.flatnonzero((block_CN > _SILENCE).any(axis=0) | (block_CN < -_SILENCE).any(axis=0))
        if self._first_loud < 0:
            self._first_loud = self._num_frames + int(loud[0])
        self._last_loud = self._num_frames + int(loud[-1])

    def _count_clipped(self, block_CN: NDArray[np.float32], peaks: NDArray[np.float64]) -> None:
        import numpy as np

        for channel, samples in enumerate(block_CN):
            before = self._runs[channel]
            if peaks[channel] < self._full_scale:
                self._runs[channel] = 0
                continue
            # A run that an earlier block began is continued in front; up to 3 of it are all that matters here.
            carried = min(before, _MIN_CLIPPED_RUN)
            full = np.concatenate([np.ones(carried, bool), np.abs(samples) >= self._full_scale, [False]])
            edges = np.flatnonzero(np.diff(full.astype(np.int8), prepend=np.int8(0)))
            starts, ends = edges[0::2], edges[1::2]
            lengths = ends - starts
            clipped = int(lengths[lengths >= _MIN_CLIPPED_RUN].sum())
            if carried and lengths[0] >= _MIN_CLIPPED_RUN and before >= _MIN_CLIPPED_RUN:
                clipped -= carried  # They were counted with their own block.
            self._num_clipped += clipped
            reaches_end = len(ends) and ends[-1] == len(full) - 1
            self._runs[channel] = int(lengths[-1]) if reaches_end else 0

    def _channel_fault(self, peak: float) -> str:
        if len(self._peaks) != 2 or peak <= _SILENCE:
            return ""
        if self._peaks[0] <= _SILENCE:
            return DEAD_LEFT
        if self._peaks[1] <= _SILENCE:
            return DEAD_RIGHT
        return MONO_IN_STEREO if self._apart <= peak * _SAME_CHANNELS else ""
