"""What a prepare job does to samples: channels, silence at the ends, loudness and peaks.

Shapes: N frames, C channels; samples are float32 in [-1, 1] and frames come first (`sound_NC`).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Sound = NDArray[np.float32]

SILENCE = 1e-3
"""-60 dBFS, below which stable-audio-tools takes a clip for silent and trains on another in its place."""
DEAD_CHANNEL = 1e-4
"""-80 dBFS: a channel that stays below it beside one that is heard has no sound of its own."""
CUT_SECONDS = 0.005
"""How far a cut may move to find a zero crossing."""
LOUDNESS_BLOCK_SECONDS = 0.4
"""Gating block of BS.1770: shorter clips have no integrated loudness."""
LIMITER_SECONDS = 0.0015
"""Time in which the limiter's gain falls and rises."""
MAX_LIMITING_DB = 6.0
"""Gain that the limiter may take off a peak before a clip is left quieter than asked instead."""
LOUDNESS_PASSES = 4


def to_channels(sound_NC: Sound, channels: int) -> tuple[Sound, str]:
    """Return the sound with 1 or 2 channels (0 leaves their number), and what was done.

    A dead channel is replaced by the living one before, so that it halves nothing in a mix.
    """
    import numpy as np

    done = ""
    if sound_NC.shape[1] == 2:
        peaks = np.abs(sound_NC).max(axis=0) if len(sound_NC) else np.zeros(2)
        if peaks.min() < DEAD_CHANNEL and peaks.max() >= SILENCE:
            living = int(peaks.argmax())
            sound_NC = np.repeat(sound_NC[:, living : living + 1], 2, axis=1)
            done = f"dead {'right' if living == 0 else 'left'} channel replaced"
    if channels and sound_NC.shape[1] != channels:
        if channels == 1:
            mixed: Sound = sound_NC.mean(axis=1, keepdims=True, dtype=np.float32)
            return mixed, "; ".join(filter(None, (done, "mixed to mono")))
        # More than two channels have no common layout: their mean goes to both sides.
        mono = sound_NC if sound_NC.shape[1] == 1 else sound_NC.mean(axis=1, keepdims=True, dtype=np.float32)
        word = "mono doubled" if sound_NC.shape[1] == 1 else f"{sound_NC.shape[1]} channels mixed to stereo"
        return np.repeat(mono, 2, axis=1), "; ".join(filter(None, (done, word)))
    return sound_NC, done


def peak(sound_NC: Sound) -> float:
    """Return the highest absolute sample."""
    import numpy as np

    return float(np.abs(sound_NC).max()) if sound_NC.size else 0.0


def amplitude(dbfs: float) -> float:
    """Return a level in dBFS as an amplitude."""
    return float(10.0 ** (dbfs / 20))


def sounding_span(sound_NC: Sound, rate_hz: int, threshold_dbfs: float, margin_seconds: float) -> tuple[int, int]:
    """Return first frame and end of what is louder than the threshold, with the margin around it; (0, 0) for silence.

    Both lie on zero crossings where one is near.
    """
    import numpy as np

    if not len(sound_NC):
        return 0, 0
    loud = np.flatnonzero(np.abs(sound_NC).max(axis=1) >= amplitude(threshold_dbfs))
    if not len(loud):
        return 0, 0
    margin = round(margin_seconds * rate_hz)
    window = round(CUT_SECONDS * rate_hz)
    start, end = max(0, int(loud[0]) - margin), min(len(sound_NC), int(loud[-1]) + 1 + margin)
    if start:
        start = zero_crossing(sound_NC, max(0, start - window), start)
    if end < len(sound_NC):
        end = zero_crossing(sound_NC, end, min(len(sound_NC), end + window))
    return start, end


def zero_crossing(sound_NC: Sound, low: int, high: int) -> int:
    """Return the frame in [low, high] at which a cut is heard least.

    That is a zero crossing of the channels' mix, among several the one where the channels are nearest to 0;
    without a crossing the frame nearest to 0.
    """
    import numpy as np

    low, high = max(low, 0), min(high, len(sound_NC))
    if high <= low:
        return low
    if low == 0 or high == len(sound_NC):
        # The file's own ends need no crossing.
        return 0 if low == 0 else len(sound_NC)
    before, after = sound_NC[low - 1 : high], sound_NC[low : high + 1]
    size = np.abs(after).max(axis=1) + np.abs(before).max(axis=1)
    mix = sound_NC[low - 1 : high + 1].mean(axis=1)
    crosses = (mix[:-1] <= 0) != (mix[1:] <= 0)
    if crosses.any():
        size = np.where(crosses, size, np.inf)
    return low + int(size.argmin())


@dataclass(frozen=True)
class Levelled:
    """A sound after its loudness was changed."""

    sound: Sound
    """[N, C]."""
    words: str
    """What was done, empty for nothing."""
    short_by_lu: float = 0.0
    """How much quieter it stayed than was asked, because more would have crushed its peaks."""


def level(sound_NC: Sound, rate_hz: int, target_lufs: float | None, peak_dbfs: float) -> Levelled:
    """Bring a sound to a loudness, and keep its peaks below the ceiling.

    Shorter clips than a gating block have no loudness: their peak is brought to the ceiling. Without a target
    only samples beyond full scale are limited.
    """
    ceiling = amplitude(peak_dbfs)
    if target_lufs is None or peak(sound_NC) < SILENCE:
        if peak(sound_NC) <= 1.0:
            return Levelled(sound_NC, "")
        return Levelled(limit(sound_NC, rate_hz, ceiling), f"peaks limited to {peak_dbfs:g} dBFS")
    loudness = loudness_lufs(sound_NC, rate_hz)
    if loudness is None:
        gain = ceiling / peak(sound_NC)
        return Levelled(sound_NC * gain, f"peak brought to {peak_dbfs:g} dBFS (too short for a loudness)")
    return _to_loudness(sound_NC, rate_hz, target_lufs, loudness, ceiling)


def _to_loudness(sound_NC: Sound, rate_hz: int, target_lufs: float, loudness: float, ceiling: float) -> Levelled:
    """Raise or lower the gain until the limited sound has the loudness."""
    most_db = 20 * math.log10(ceiling / peak(sound_NC)) + MAX_LIMITING_DB
    gain_db = target_lufs - loudness
    louder, reached = sound_NC, loudness
    for _ in range(LOUDNESS_PASSES):
        gain_db = min(gain_db, most_db)
        louder = limit(sound_NC * amplitude(gain_db), rate_hz, ceiling)
        measured = loudness_lufs(louder, rate_hz)
        reached = target_lufs if measured is None else measured
        if abs(target_lufs - reached) < 0.1 or gain_db >= most_db:
            break
        gain_db += target_lufs - reached
    short = max(0.0, target_lufs - reached)
    words = f"loudness {loudness:.1f} to {reached:.1f} LUFS"
    return Levelled(louder, words, short if short >= 0.5 else 0.0)


def loudness_lufs(sound_NC: Sound, rate_hz: int) -> float | None:
    """Return the integrated loudness (ITU-R BS.1770-4), None for what is too short or silent to have one."""
    import pyloudnorm

    if len(sound_NC) < math.ceil(LOUDNESS_BLOCK_SECONDS * rate_hz):
        return None
    value = float(pyloudnorm.Meter(rate_hz, block_size=LOUDNESS_BLOCK_SECONDS).integrated_loudness(sound_NC))
    return value if math.isfinite(value) else None


def limit(sound_NC: Sound, rate_hz: int, ceiling: float) -> Sound:
    """Return the sound with no sample above the ceiling, by a gain that moves smoothly and looks ahead.

    The gain is the mean over a window of the least gain needed in a window around each frame, so that it is
    never more than any frame needs.
    """
    import numpy as np
    from scipy.ndimage import minimum_filter1d, uniform_filter1d

    sizes = np.abs(sound_NC).max(axis=1) if len(sound_NC) else np.zeros(0)
    if not len(sizes) or sizes.max() <= ceiling:
        return sound_NC
    needed = np.minimum(1.0, ceiling / np.maximum(sizes, 1e-12))
    width = 2 * max(1, round(LIMITER_SECONDS * rate_hz)) + 1
    gain = uniform_filter1d(minimum_filter1d(needed, width, mode="nearest"), width, mode="nearest")
    limited: Sound = np.clip(sound_NC * gain[:, None], -ceiling, ceiling).astype(np.float32)
    return limited
