"""Short synthetic sounds of a few classes, each with a caption; the nano model's whole world.

Shapes: N samples of one channel. Frequencies in Hz, times in seconds.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

SAMPLE_RATE_HZ = 8_000
SAMPLE_SIZE = 16_384
"""Samples the nano model hears: 2.048 s."""

Audio = NDArray[np.float32]

BASE_CLASSES = (
    "low tone",
    "high tone",
    "noise burst",
    "click train",
    "rising sweep",
    "falling sweep",
)
"""What the nano base has heard."""

NEW_CLASS = "warble"
"""What the nano base has never heard: the class of the demo's fine-tune."""

CAPTIONS: dict[str, tuple[str, ...]] = {
    "low tone": ("a low tone", "low steady tone", "deep low hum", "a deep steady bass tone"),
    "high tone": ("a high tone", "high steady tone", "bright high beep", "a high pitched whistle"),
    "noise burst": ("a noise burst", "burst of noise", "white noise hiss", "a noisy hiss"),
    "click train": ("a click train", "train of clicks", "regular ticking clicks", "clicks ticking"),
    "rising sweep": ("a rising sweep", "rising tone sweep", "sweep going up", "upward sweep"),
    "falling sweep": ("a falling sweep", "falling tone sweep", "sweep going down", "downward sweep"),
    "warble": ("a warble", "warbling siren", "a wobbling siren", "warble up and down"),
}


@dataclass(frozen=True)
class SynthClip:
    """One synthesised clip."""

    kind: str
    """Class name, one of BASE_CLASSES or NEW_CLASS."""
    caption: str
    """What a user would write about it."""
    audio: Audio
    """Mono samples in [-1, 1], shape (N,)."""


def make_clip(kind: str, rng: np.random.Generator) -> SynthClip:
    """Return one clip of `kind`, 1.4 to 2 s long, drawn from `rng`.

    Raises:
        KeyError: `kind` is not a class.
    """
    num_samples = int(rng.uniform(1.4, 2.0) * SAMPLE_RATE_HZ)
    audio = _SYNTHS[kind](num_samples, rng)
    audio = _fade(audio) * rng.uniform(0.45, 0.8)
    caption = CAPTIONS[kind][int(rng.integers(len(CAPTIONS[kind])))]
    return SynthClip(kind, caption, audio.astype(np.float32))


def pad(audio: Audio) -> Audio:
    """Return `audio` cut or padded with silence to SAMPLE_SIZE."""
    padded = np.zeros(SAMPLE_SIZE, np.float32)
    padded[: min(len(audio), SAMPLE_SIZE)] = audio[:SAMPLE_SIZE]
    return padded


def _oscillator(frequency_hz: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.float64]:
    """Return a sine with one quieter overtone whose frequency follows `frequency_hz`."""
    phase = 2 * np.pi * np.cumsum(frequency_hz) / SAMPLE_RATE_HZ + rng.uniform(0, 2 * np.pi)
    overtone = rng.uniform(0.0, 0.25)
    return np.asarray((np.sin(phase) + overtone * np.sin(2 * phase)) / (1 + overtone))


def _steady(low_hz: float, high_hz: float, n: int, rng: np.random.Generator) -> NDArray[np.float64]:
    frequency = np.exp(rng.uniform(np.log(low_hz), np.log(high_hz)))
    return _oscillator(np.full(n, frequency), rng)


def _sweep(start_hz: float, end_hz: float, n: int, rng: np.random.Generator) -> NDArray[np.float64]:
    return _oscillator(np.geomspace(start_hz, end_hz, n), rng)


def _low_tone(n: int, rng: np.random.Generator) -> NDArray[np.float64]:
    return _steady(110, 260, n, rng)


def _high_tone(n: int, rng: np.random.Generator) -> NDArray[np.float64]:
    return _steady(1000, 1700, n, rng)


def _noise_burst(n: int, rng: np.random.Generator) -> NDArray[np.float64]:
    decay_s = rng.uniform(0.6, 1.6)
    seconds = np.arange(n) / SAMPLE_RATE_HZ
    return np.asarray(np.clip(rng.normal(0, 0.3, n), -1, 1) * np.exp(-seconds / decay_s))


def _click_train(n: int, rng: np.random.Generator) -> NDArray[np.float64]:
    rate_hz = rng.uniform(4, 9)
    decay_s = rng.uniform(0.003, 0.006)
    period = int(SAMPLE_RATE_HZ / rate_hz)
    length = int(decay_s * 6 * SAMPLE_RATE_HZ)
    seconds = np.arange(length) / SAMPLE_RATE_HZ
    click = np.sin(2 * np.pi * rng.uniform(600, 1500) * seconds) * np.exp(-seconds / decay_s)
    audio = np.zeros(n + length)
    for start in range(int(rng.integers(period // 2)) + 80, n - length, period):
        audio[start : start + length] += click
    return audio[:n]


def _rising_sweep(n: int, rng: np.random.Generator) -> NDArray[np.float64]:
    return _sweep(rng.uniform(150, 300), rng.uniform(1200, 1800), n, rng)


def _falling_sweep(n: int, rng: np.random.Generator) -> NDArray[np.float64]:
    return _sweep(rng.uniform(1200, 1800), rng.uniform(150, 300), n, rng)


def _warble(n: int, rng: np.random.Generator) -> NDArray[np.float64]:
    rate_hz = rng.uniform(2.5, 4.0)
    center_hz = rng.uniform(500, 800)
    octaves = rng.uniform(0.5, 0.75)
    seconds = np.arange(n) / SAMPLE_RATE_HZ
    swing = np.sin(2 * np.pi * rate_hz * seconds + rng.uniform(0, 2 * np.pi))
    return _oscillator(center_hz * 2 ** (octaves * swing), rng)


def _fade(audio: NDArray[np.float64], seconds: float = 0.02) -> NDArray[np.float64]:
    length = int(seconds * SAMPLE_RATE_HZ)
    ramp = np.linspace(0, 1, length)
    faded = audio.copy()
    faded[:length] *= ramp
    faded[-length:] *= ramp[::-1]
    return faded


_SYNTHS: dict[str, Callable[[int, np.random.Generator], NDArray[np.float64]]] = {
    "low tone": _low_tone,
    "high tone": _high_tone,
    "noise burst": _noise_burst,
    "click train": _click_train,
    "rising sweep": _rising_sweep,
    "falling sweep": _falling_sweep,
    "warble": _warble,
}
