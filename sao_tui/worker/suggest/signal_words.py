"""The captioner that measures: tempo, key, brightness, percussive or tonal, attack and loopability, as words.

Each word has a threshold, given beside its constant, and a strength from 0 (just past the threshold) to 1;
the confidence of a suggestion is the mean strength of its words. The thresholds are our own choice for short
samples, except for the key, which is Krumhansl and Schmuckler's (Krumhansl, Cognitive Foundations of Musical
Pitch, 1990): the major or minor profile that correlates best with the pitch classes.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from sao_tui.core.captioners import CAPTIONERS, CaptionerInfo
from sao_tui.worker.suggest.audio import read_mono
from sao_tui.worker.suggest.base import Clip, Context, Suggestion
from sao_tui.worker.suggest.words import format_bpm

RATE_HZ = 22_050
HOP = 256
"""Samples between two looks for onsets."""
SPECTRUM_HOP = 512
HPSS_FRAMES = 17
"""Length of the median filters of the separation; librosa's 31 costs twice as much."""
SILENT_PEAK = 0.001
"""-60 dBFS: below it there is nothing to describe."""
SHORT_SECONDS = 1.0
"""Up to here a sound with one onset is a one-shot."""

PERCUSSIVE_SHARE = 0.6
TONAL_SHARE = 0.25
"""Share of the percussive part in the energy after harmonic-percussive separation: above is percussive, below tonal."""
NOISY_FLATNESS = 0.4
"""Energy-weighted spectral flatness below the frequency that holds 99 % of the energy: white noise has about 0.56, a
short click 0.25, a tone less than 0.01. Above it is noisy."""
PERCUSSIVE_FLATNESS = 0.02
"""A steady glide or vibrato also ends in the percussive part of the separation; but its spectra are peaks."""
BRIGHTNESS_HZ = ((350.0, "deep"), (900.0, "dark"), (2_000.0, "warm"), (4_000.0, "bright"), (1e9, "very bright"))
"""Energy-weighted spectral centroid up to which a word holds; warm, in the middle, is left unsaid."""
SHARP_ATTACK_SECONDS = 0.01
SLOW_ATTACK_SECONDS = 0.25
"""Time that the envelope takes from a tenth to nine tenths of its first peak."""
MIN_ONSETS = 4
"""Fewer onsets have no tempo."""
MIN_RISE_DB = 1.5
"""Mean rise over all bands at an onset: two tones that beat rise less."""
MIN_PULSE = 0.3
"""Autocorrelation of the onset strength at the beat: below it there is no steady pulse."""
MIN_KEY_CORRELATION = 0.6
MIN_KEY_MARGIN = 0.05
"""A key must fit that well, and that much better than any other."""
BEATS_A_BAR = 4
LOOP_TOLERANCE = 0.03
"""Share of a beat-grid's length that a loop may be off a whole number of bars."""
LOOP_MATCH = 0.7
"""Cosine between the mel spectra of the first and last tenth of a second."""
QUIET_TAIL = 0.1
"""Level of the last tenth of a second, against the whole, at which nothing rings across the seam."""
QUIET_TAIL_MATCH = 0.9

_MAJOR = (6.35, 2.23, 3.48, 2.33, 4.38, 4.09, 2.52, 5.19, 2.39, 3.66, 2.29, 2.88)
_MINOR = (6.33, 2.68, 3.52, 5.38, 2.60, 3.53, 2.54, 4.75, 3.98, 2.69, 3.34, 3.17)
_NOTES = ("C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "A#", "B")


@dataclass
class Features:
    """What is measured; None where the sound has no such thing."""

    seconds: float
    percussive_share: float = 0.0
    flatness: float = 0.0
    centroid_hz: float = 0.0
    attack_seconds: float = 0.0
    num_onsets: int = 0
    bpm: float | None = None
    pulse: float = 0.0
    key: str = ""
    key_correlation: float = 0.0
    num_bars: int = 0
    loop_match: float = 0.0
    words: list[tuple[str, float]] = field(default_factory=list)
    """With the strength of each."""

    @property
    def is_percussive(self) -> bool:
        """Whether it is struck more than it sounds."""
        return self.percussive_share >= PERCUSSIVE_SHARE and self.flatness >= PERCUSSIVE_FLATNESS

    def say(self, word: str, strength: float) -> None:
        """Add a word."""
        self.words.append((word, min(1.0, max(0.0, strength))))


class SignalCaptioner:
    """Signal analysis by librosa."""

    def __init__(self) -> None:
        self._max_seconds = 30.0

    def describe(self) -> CaptionerInfo:
        """Return what it is."""
        return CAPTIONERS["signal"]

    def prepare(self, context: Context) -> None:
        """Import librosa."""
        import librosa  # noqa: F401 - so that it is missed before the first clip
        import soundfile  # noqa: F401

        self._max_seconds = float(context.options["seconds"])

    def suggest(self, clip: Clip) -> Suggestion:
        """Measure a clip and put it into words."""
        audio = read_mono(clip, RATE_HZ, self._max_seconds)
        if abs(audio).max() < SILENT_PEAK:
            return Suggestion("", 0.0, "signal", {"silent": True})
        features = measure(audio)
        put_into_words(features)
        confidence = sum(strength for _, strength in features.words) / max(1, len(features.words))
        details = {name: value for name, value in vars(features).items() if name != "words" and value is not None}
        rounded = {name: round(value, 4) if isinstance(value, float) else value for name, value in details.items()}
        rounded["strengths"] = {word: round(strength, 2) for word, strength in features.words}
        return Suggestion(", ".join(word for word, _ in features.words), confidence, "signal", rounded)


def measure(audio_N: Any) -> Features:
    """Return the features of mono samples at RATE_HZ, at least a few of them not silent."""
    import librosa
    import numpy as np

    # A frame must not be longer than the sound.
    num_fft = min(2_048, 1 << (max(64, len(audio_N)).bit_length() - 1))
    spectrum_FT = np.abs(librosa.stft(audio_N, n_fft=num_fft, hop_length=SPECTRUM_HOP))
    harmonic_FT, percussive_FT = librosa.decompose.hpss(spectrum_FT, kernel_size=HPSS_FRAMES)
    energy_T = (spectrum_FT**2).sum(axis=0)
    weights_T = energy_T / max(float(energy_T.sum()), 1e-12)
    found = Features(len(audio_N) / RATE_HZ)
    percussive = float((percussive_FT**2).sum())
    found.percussive_share = percussive / max(percussive + float((harmonic_FT**2).sum()), 1e-12)
    heard_F = np.cumsum((spectrum_FT**2).sum(axis=1))
    top = int(np.searchsorted(heard_F, 0.99 * heard_F[-1])) + 1
    flatness_T = librosa.feature.spectral_flatness(S=spectrum_FT[: max(2, top)])[0]
    found.flatness = float((flatness_T * weights_T).sum())
    centroid_T = librosa.feature.spectral_centroid(S=spectrum_FT, sr=RATE_HZ, n_fft=num_fft)[0]
    found.centroid_hz = float((centroid_T * weights_T).sum())
    found.attack_seconds = attack_seconds(audio_N)
    _measure_tempo(audio_N, found)
    chroma_C = librosa.feature.chroma_stft(S=harmonic_FT**2, sr=RATE_HZ, n_fft=num_fft, norm=None, tuning=0.0).sum(
        axis=1
    )
    found.key, found.key_correlation = find_key(chroma_C)
    if found.bpm:
        found.loop_match = loop_match(audio_N, 60 / found.bpm)
        bars = found.seconds * found.bpm / 60 / BEATS_A_BAR
        if round(bars) >= 1 and abs(bars - round(bars)) <= LOOP_TOLERANCE * bars:
            found.num_bars = round(bars)
    return found


def put_into_words(found: Features) -> None:
    """Add the words that the features earn, the most telling first."""
    is_noisy = found.flatness >= NOISY_FLATNESS
    if is_noisy:
        found.say("noisy", found.flatness / 0.56)
    if found.is_percussive:
        found.say("percussive", (found.percussive_share - 0.4) / 0.6)
    elif found.percussive_share <= TONAL_SHARE and not is_noisy:
        found.say("tonal", 1 - found.percussive_share / (2 * TONAL_SHARE))
    _say_colour(found)
    if found.seconds <= SHORT_SECONDS and found.num_onsets <= 1:
        found.say("one-shot", 0.8)
    if found.num_bars and found.loop_match >= LOOP_MATCH:
        found.say(f"{found.num_bars}-bar loop", found.loop_match)
    if found.bpm:
        found.say(format_bpm(round(found.bpm)), found.pulse)
    if found.key and not is_noisy and not found.is_percussive:
        found.say(found.key, found.key_correlation)


def _say_colour(found: Features) -> None:
    word = next(word for limit, word in BRIGHTNESS_HZ if found.centroid_hz <= limit)
    if word != "warm":
        found.say(word, 0.7)
    if found.attack_seconds <= SHARP_ATTACK_SECONDS:
        found.say("sharp attack", 1 - found.attack_seconds / (2 * SHARP_ATTACK_SECONDS))
    elif found.attack_seconds >= SLOW_ATTACK_SECONDS:
        found.say("slow attack", found.attack_seconds / (2 * SLOW_ATTACK_SECONDS))


def attack_seconds(audio_N: Any) -> float:
    """Return the time from a tenth to nine tenths of the loudest moment, in the sound's first rise."""
    import numpy as np

    step = max(1, RATE_HZ // 1_000)
    usable = len(audio_N) // step * step
    # Peaks of 1 ms, the highest of 5 of them: an oscillation must not look like a series of attacks.
    peaks_T = np.abs(audio_N[:usable]).reshape(-1, step).max(axis=1)
    width = min(5, len(peaks_T))
    envelope_T = np.lib.stride_tricks.sliding_window_view(peaks_T, width).max(axis=1)
    top = float(envelope_T.max())
    end = int(np.argmax(envelope_T >= 0.9 * top))
    below = np.nonzero(envelope_T[: end + 1] <= 0.1 * top)[0]
    start = int(below[-1]) if len(below) else 0
    return (end - start) * step / RATE_HZ


def find_key(chroma_C: Any) -> tuple[str, float]:
    """Return the key that fits pitch-class energies of shape (12,), with its correlation; empty when none does."""
    import numpy as np

    if float(np.std(chroma_C)) <= 1e-9 * max(1.0, float(np.max(chroma_C))):
        return "", 0.0
    fits = [
        (float(np.corrcoef(chroma_C, np.roll(profile, tonic))[0, 1]), f"{_NOTES[tonic]} {mode}")
        for profile, mode in ((_MAJOR, "major"), (_MINOR, "minor"))
        for tonic in range(12)
    ]
    fits.sort(reverse=True)
    best, second = fits[0], fits[1]
    if best[0] < MIN_KEY_CORRELATION or best[0] - second[0] < MIN_KEY_MARGIN:
        return "", best[0]
    return best[1], best[0]


def loop_match(audio_N: Any, beat_seconds: float) -> float:
    """Return how well the end leads into the beginning: 1 when the two sound alike, 0 when nothing is in common.

    An end that has died away leads into anything, as long as the silence is shorter than a beat.
    """
    import librosa
    import numpy as np

    length = RATE_HZ // 10
    if len(audio_N) < 4 * length:
        return 0.0
    level = float(np.sqrt(np.mean(audio_N**2)))
    if float(np.sqrt(np.mean(audio_N[-length:] ** 2))) <= QUIET_TAIL * level:
        last_beat_N = audio_N[-round(beat_seconds * RATE_HZ) :]
        return QUIET_TAIL_MATCH if float(np.abs(last_beat_N).max()) > level else 0.0
    ends = []
    for part_N in (audio_N[:length], audio_N[-length:]):
        mel = librosa.feature.melspectrogram(y=part_N, sr=RATE_HZ, n_fft=1_024, hop_length=512, n_mels=40)
        ends.append(np.log1p(1e4 * mel.mean(axis=1)))
    norms = float(np.linalg.norm(ends[0]) * np.linalg.norm(ends[1]))
    return float(ends[0] @ ends[1]) / norms if norms > 1e-9 else 0.0


def _measure_tempo(audio_N: Any, found: Features) -> None:
    """Count onsets, and find a tempo where they keep a steady pulse."""
    import librosa
    import numpy as np

    if len(audio_N) < 8 * HOP:
        found.num_onsets = 1
        return
    rise_T = librosa.onset.onset_strength(y=audio_N, sr=RATE_HZ, hop_length=HOP)
    onsets = librosa.onset.onset_detect(onset_envelope=rise_T, sr=RATE_HZ, hop_length=HOP)
    onsets = onsets[rise_T[onsets] >= MIN_RISE_DB] if len(onsets) else onsets
    found.num_onsets = len(onsets)
    if found.num_onsets < MIN_ONSETS:
        return
    bpm = float(np.atleast_1d(librosa.feature.tempo(onset_envelope=rise_T, sr=RATE_HZ, hop_length=HOP))[0])
    if bpm > 0:
        found.pulse, period_frames = _pulse(rise_T - rise_T.mean(), 60 / bpm * RATE_HZ / HOP)
        if found.pulse >= MIN_PULSE:
            found.bpm = 60 * RATE_HZ / (HOP * period_frames)


def _pulse(centred_T: Any, period_frames: float) -> tuple[float, float]:
    """Return how steady a pulse near a period is, from 0 to 1, with the period made more exact.

    The tempo of an autocorrelation at one beat is coarse, a few BPM; a peak many beats away divides the error.
    """
    import numpy as np

    num_frames = len(centred_T)
    norm = float(centred_T @ centred_T)
    best = 0.0
    beats = 1
    while norm > 0 and (beats + 0.25) * period_frames < 0.75 * num_frames:
        middle, reach = round(beats * period_frames), max(1, round(0.1 * period_frames / beats) + 1)
        lags = np.arange(max(1, middle - reach), middle + reach + 1)
        # Fewer pairs overlap at a long lag; scaled as if all did.
        values = [float(centred_T[:-k] @ centred_T[k:]) / norm * num_frames / (num_frames - k) for k in lags]
        top = int(np.argmax(values))
        if beats == 1:
            best = values[top]
        elif values[top] < 0.5 * best:
            break
        period_frames = float(lags[top] + _between(values, top)) / beats
        beats *= 2
    return min(1.0, best), period_frames


def _between(values: list[float], top: int) -> float:
    """Return where the peak of a parabola through three values lies, from the middle one."""
    if not 0 < top < len(values) - 1:
        return 0.0
    left, middle, right = values[top - 1 : top + 2]
    bend = left - 2 * middle + right
    return 0.5 * (left - right) / bend if bend else 0.0
