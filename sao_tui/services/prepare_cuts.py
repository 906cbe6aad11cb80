"""Where a prepare job cuts a long sound: by length, at onsets, or in silence; always at zero crossings.

Shapes: N frames, C channels, F analysis frames.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

from sao_tui.core.preparing import PrepareSettings
from sao_tui.services.prepare_sound import CUT_SECONDS, amplitude, zero_crossing

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from sao_tui.services.prepare_sound import Sound

ONSET_WINDOW_SECONDS = 0.023
ONSET_HOP_SECONDS = 0.0058
"""1024 and 256 samples at 44.1 kHz, as is usual for onset detection by spectral flux."""
ONSET_GAP_SECONDS = 0.08
"""Least time between two onsets."""
ONSET_REACH_SECONDS = 0.1
"""Surroundings that a peak of the flux must stand out from."""
ONSET_FACTOR = 2.5
ONSET_FLOOR = 0.05
"""Share of the strongest flux below which nothing is an onset."""
ATTACK_SECONDS = 0.001
"""Blocks in which the attack of an onset is looked for."""
RMS_SECONDS = 0.01
SILENCE_MARGIN_SECONDS = 0.02
"""Silence that a slice keeps at both ends."""


@dataclass(frozen=True)
class Span:
    """One slice: frames [start, end)."""

    start: int
    end: int
    is_too_short: bool = False
    """It is shorter than the least length and has no neighbour to be joined to."""


def slice_spans(sound_NC: Sound, rate_hz: int, settings: PrepareSettings) -> list[Span]:
    """Return the slices of a sound, in order; one span over everything where nothing is to be cut."""
    num_frames = len(sound_NC)
    longest = int(settings.max_seconds * rate_hz) if settings.max_seconds else 0
    least = round(settings.min_seconds * rate_hz)
    if settings.slicing == "none" or not num_frames:
        return [Span(0, num_frames)]
    if settings.slicing == "auto":
        return _by_length(sound_NC, Span(0, num_frames), longest, rate_hz, least)
    if settings.slicing == "fixed":
        wanted = int(settings.slice_seconds * rate_hz)
        length = min(wanted, longest) if longest else wanted
        return _by_length(sound_NC, Span(0, num_frames), length, rate_hz, least)
    if settings.slicing == "onsets":
        spans = _between(onset_cuts(sound_NC, rate_hz), num_frames, least)
    else:
        spans = silence_spans(sound_NC, rate_hz, settings)
    return [part for span in spans for part in _by_length(sound_NC, span, longest, rate_hz, least)]


def _by_length(sound_NC: Sound, span: Span, length: int, rate_hz: int, least: int) -> list[Span]:
    """Cut a span into parts of at most `length`, each cut moved back to a zero crossing; 0 leaves it whole."""
    if not length or span.end - span.start <= length:
        return [span]
    window = min(2 * round(CUT_SECONDS * rate_hz), length // 4)
    parts, start = [], span.start
    while span.end - start > length:
        cut = zero_crossing(sound_NC, start + length - window, start + length)
        parts.append(Span(start, cut))
        start = cut
    parts.append(_lengthened(sound_NC, parts, Span(start, span.end), least, window))
    return parts


def _lengthened(sound_NC: Sound, parts: list[Span], rest: Span, least: int, window: int) -> Span:
    """Return the last part; one that is too short gets some of the part before, which `parts` then ends earlier."""
    missing = least - (rest.end - rest.start)
    before = parts[-1]
    if missing <= 0 or before.end - before.start < 2 * least + window:
        return rest
    cut = zero_crossing(sound_NC, before.end - missing - window, before.end - missing)
    parts[-1] = Span(before.start, cut)
    return Span(cut, rest.end)


def _between(cuts: list[int], num_frames: int, least: int) -> list[Span]:
    """Return the spans between cuts; what would be too short stays with its neighbour before."""
    kept = [0]
    for cut in cuts:
        if cut - kept[-1] >= least and num_frames - cut >= least:
            kept.append(cut)
    return [Span(start, end) for start, end in pairwise([*kept, num_frames])]


def onset_cuts(sound_NC: Sound, rate_hz: int) -> list[int]:
    """Return the frames just before the onsets, each on a zero crossing.

    Onsets are peaks of the half-wave rectified difference of log magnitudes (spectral flux; Dixon, "Onset
    detection revisited", DAFx 2006) that stand out from their surroundings.
    """
    import numpy as np

    window = max(64, round(ONSET_WINDOW_SECONDS * rate_hz))
    hop = max(16, round(ONSET_HOP_SECONDS * rate_hz))
    flux_F = _flux(sound_NC.mean(axis=1), window, hop)
    if not len(flux_F) or flux_F.max() <= 0:
        return []
    reach = max(1, round(ONSET_REACH_SECONDS / ONSET_HOP_SECONDS))
    gap = max(1, round(ONSET_GAP_SECONDS / ONSET_HOP_SECONDS))
    floor = ONSET_FLOOR * float(flux_F.max())
    onsets: list[int] = []
    for frame in np.argsort(-flux_F, kind="stable"):
        around = flux_F[max(0, frame - reach) : frame + reach + 1]
        if flux_F[frame] < floor:
            break
        if flux_F[frame] < ONSET_FACTOR * np.median(around) or any(abs(frame - known) < gap for known in onsets):
            continue
        onsets.append(int(frame))
    back = round(CUT_SECONDS * rate_hz)
    cuts = []
    for frame in sorted(onsets):
        attack = _attack(sound_NC, max(0, frame * hop - window), frame * hop, max(1, round(ATTACK_SECONDS * rate_hz)))
        cuts.append(zero_crossing(sound_NC, max(1, attack - back), max(2, attack)))
    return cuts


def _attack(sound_NC: Sound, start: int, end: int, block: int) -> int:
    """Return the frame in [start, end) before which the level rises most."""
    import numpy as np

    stretch = np.abs(sound_NC[start:end]).max(axis=1)
    num_blocks = len(stretch) // block
    if num_blocks < 2:
        return start
    levels = stretch[: num_blocks * block].reshape(num_blocks, block).max(axis=1)
    return start + block * (int(np.diff(levels).argmax()) + 1)


def _flux(mono_N: Sound, window: int, hop: int) -> NDArray[np.float64]:
    """Return the spectral flux of each frame, which ends at sample F * hop; blocks bound the memory it takes."""
    import numpy as np

    padded = np.concatenate([np.zeros(window, np.float32), mono_N])
    num = max(0, (len(padded) - window) // hop + 1)
    flux_F = np.zeros(num)
    weights = np.hanning(window).astype(np.float32)
    windows = np.lib.stride_tricks.sliding_window_view(padded, window)[::hop]
    last = None
    for first in range(0, num, 512):
        spectra = np.log1p(100 * np.abs(np.fft.rfft(windows[first : first + 512] * weights, axis=1)))
        before = np.vstack([spectra[:1] if last is None else last, spectra[:-1]])
        flux_F[first : first + 512] = np.maximum(spectra - before, 0).sum(axis=1)
        last = spectra[-1:]
    return flux_F


def silence_spans(sound_NC: Sound, rate_hz: int, settings: PrepareSettings) -> list[Span]:
    """Return the stretches between silences, each with a little of the silence around it."""
    import numpy as np

    block = max(1, round(RMS_SECONDS * rate_hz))
    num_blocks = -(-len(sound_NC) // block)
    squares = np.zeros(num_blocks * block, np.float32)
    squares[: len(sound_NC)] = np.square(sound_NC).max(axis=1)
    is_loud = np.sqrt(squares.reshape(num_blocks, block).mean(axis=1)) >= amplitude(settings.silence_dbfs)
    loud = np.flatnonzero(is_loud)
    if not len(loud):
        return []
    gap = max(1, round(settings.silence_seconds / RMS_SECONDS))
    breaks = np.flatnonzero(np.diff(loud) > gap)
    starts = [loud[0], *loud[breaks + 1]]
    ends = [*loud[breaks], loud[-1]]
    margin, window = round(SILENCE_MARGIN_SECONDS * rate_hz), round(CUT_SECONDS * rate_hz)
    spans = []
    for first, last in zip(starts, ends, strict=True):
        start, end = max(0, int(first) * block - margin), min(len(sound_NC), (int(last) + 1) * block + margin)
        start = zero_crossing(sound_NC, start - window, start) if start else 0
        end = zero_crossing(sound_NC, end, end + window) if end < len(sound_NC) else end
        spans.append(Span(start, end, end - start < round(settings.min_seconds * rate_hz)))
    return spans
