"""Say what a clip is from the signal alone: spectral centroid, flatness, onsets, pitch slope.

Written from the definition of the sound classes, with thresholds halfway between them; it knows
nothing of any model. Frames are 512 samples with a hop of 128 at 8 kHz (64 and 16 ms).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FRAME = 512
HOP = 128

SILENCE_RMS = 0.01
TONAL_SHARE = 0.4
"""Share of a frame's energy within 5 bins of its peak above which the frame is a tone."""
LOW_HIGH_SPLIT_HZ = 550.0
SWEEP_OCTAVES_PER_SECOND = 0.6
MIN_REVERSALS = 5
MIN_WARBLE_OCTAVES = 0.8
MIN_CLICKS = 4
MIN_NOISE_FLATNESS = 0.05
"""Geometric over arithmetic mean of the average power spectrum; 1 for white noise, near 0 for chords."""
CLICK_DUTY = 0.45
"""Share of 8 ms frames louder than a quarter of the peak below which a clip is made of clicks."""


@dataclass(frozen=True)
class Heard:
    """What the classifier heard in one clip."""

    kind: str
    """A class name, `silence` or `unclear`."""
    centroid_hz: float
    tonal_share: float
    """Share of the clip's energy that is in tonal frames, 0 to 1."""
    slope_octaves_per_second: float
    pitch_range_octaves: float
    num_reversals: int
    """How often the pitch turns by more than a fifth of an octave."""
    num_onsets: int


def classify(audio: NDArray[np.float32], sample_rate_hz: int) -> Heard:
    """Return what `audio` is; shape (N,) or (C, N), of which channels are averaged."""
    mono = np.asarray(audio, np.float64)
    if mono.ndim == 2:
        mono = mono.mean(axis=0)
    peak = float(np.abs(mono).max(initial=0.0))
    if len(mono) < 4 * FRAME or float(np.sqrt(np.mean(mono**2))) < SILENCE_RMS * max(peak, 0.1):
        return Heard("silence", 0.0, 0.0, 0.0, 0.0, 0, 0)
    spectra = _spectra(mono)
    energy = spectra.sum(axis=1)
    loud = energy > 0.05 * np.quantile(energy, 0.98)
    bin_hz = sample_rate_hz / FRAME
    centroid_hz = float((spectra.sum(axis=0) * np.arange(spectra.shape[1])).sum() / energy.sum()) * bin_hz
    tonal = loud & (_peak_share(spectra) > TONAL_SHARE)
    tonal_share = float(energy[tonal].sum() / energy.sum())
    num_onsets, duty = _onsets(mono, sample_rate_hz)
    slope, pitch_range, reversals = _pitch(spectra, tonal, bin_hz, HOP / sample_rate_hz)
    if num_onsets >= MIN_CLICKS and duty < CLICK_DUTY:
        kind = "click train"
    elif tonal_share < 0.5:
        is_noise = centroid_hz > 900 and _flatness(spectra) > MIN_NOISE_FLATNESS
        kind = "noise burst" if is_noise else "unclear"
    elif reversals >= MIN_REVERSALS and pitch_range > MIN_WARBLE_OCTAVES:
        kind = "warble"
    elif abs(slope) > SWEEP_OCTAVES_PER_SECOND:
        kind = "rising sweep" if slope > 0 else "falling sweep"
    elif pitch_range < 0.8:
        kind = "low tone" if centroid_hz < LOW_HIGH_SPLIT_HZ else "high tone"
    else:
        kind = "unclear"
    return Heard(kind, centroid_hz, tonal_share, slope, pitch_range, reversals, num_onsets)


def _spectra(mono: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return power spectra, shape (frames, bins)."""
    frames = np.lib.stride_tricks.sliding_window_view(mono, FRAME)[::HOP]
    return np.asarray(np.abs(np.fft.rfft(frames * np.hanning(FRAME))) ** 2, np.float64)


def _flatness(spectra: NDArray[np.float64]) -> float:
    average = spectra.mean(axis=0)[1:] + 1e-12
    return float(np.exp(np.log(average).mean()) / average.mean())


def _peak_share(spectra: NDArray[np.float64]) -> NDArray[np.float64]:
    peaks = spectra[:, 1:].argmax(axis=1) + 1
    totals = np.concatenate([np.zeros((len(spectra), 1)), np.cumsum(spectra, axis=1)], axis=1)
    rows = np.arange(len(spectra))
    high = np.minimum(peaks + 6, spectra.shape[1])
    low = np.maximum(peaks - 5, 0)
    return np.asarray((totals[rows, high] - totals[rows, low]) / (totals[:, -1] + 1e-12))


def _onsets(mono: NDArray[np.float64], sample_rate_hz: int) -> tuple[int, float]:
    """Return how many separate loud events there are, and the share of time that is loud."""
    step = sample_rate_hz // 125
    blocks = np.abs(mono[: len(mono) // step * step]).reshape(-1, step).max(axis=1)
    peak = float(np.quantile(blocks, 0.99))
    starts, inside = 0, False
    for block in blocks:
        if not inside and block > 0.35 * peak:
            starts, inside = starts + 1, True
        elif inside and block < 0.12 * peak:
            inside = False
    return starts, float((blocks > 0.25 * peak).mean())


def _pitch(
    spectra: NDArray[np.float64], tonal: NDArray[np.bool_], bin_hz: float, hop_s: float
) -> tuple[float, float, int]:
    """Return slope (octaves per second), range (octaves) and turns of the pitch of tonal frames."""
    indices = np.flatnonzero(tonal)
    if len(indices) < 8:
        return 0.0, 0.0, 0
    octaves = np.log2(_peak_bins(spectra[indices]) * bin_hz)
    octaves = np.array([np.median(octaves[max(0, i - 1) : i + 2]) for i in range(len(octaves))])
    slope = float(np.polyfit(indices * hop_s, octaves, 1)[0])
    pitch_range = float(np.quantile(octaves, 0.95) - np.quantile(octaves, 0.05))
    return slope, pitch_range, _reversals(octaves)


def _peak_bins(spectra: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return where each frame peaks, between bins: the top of a parabola through three log magnitudes."""
    rows, peaks = np.arange(len(spectra)), spectra[:, 1:-1].argmax(axis=1) + 1
    left, top, right = (np.log(spectra[rows, peaks + offset] + 1e-12) for offset in (-1, 0, 1))
    curvature = np.minimum(left - 2 * top + right, -1e-9)
    return np.asarray(peaks + np.clip(0.5 * (left - right) / curvature, -0.5, 0.5))


def _reversals(octaves: NDArray[np.float64], threshold: float = 0.2) -> int:
    """Count turns of more than `threshold` octaves, ignoring smaller wobbles."""
    turns, direction, extreme = 0, 0, octaves[0]
    for value in octaves[1:]:
        if (direction >= 0 and value > extreme) or (direction <= 0 and value < extreme):
            direction = direction or int(np.sign(value - extreme))
            extreme = value
        elif abs(value - extreme) > threshold:
            turns += 1
            direction = int(np.sign(value - extreme))
            extreme = value
    return turns
