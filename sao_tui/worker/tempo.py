"""`python -m sao_tui.worker.tempo`: measures tempo and musical key of clips, with librosa.

Requests on stdin, one JSON object a line: {"id", "path"}, the path's bytes as Latin-1 text. Replies on stdout: first
{"event": "ready"} or {"event": "failed", "message", "hint"}, then for each request {"id", "bpm", "bpm_confidence",
"key", "key_confidence"} or {"id", "error"}. Ends when stdin closes. At most the first two minutes of a clip are read.
"""

from __future__ import annotations

import json
import os
import sys
from dataclasses import asdict, dataclass
from typing import Any, TextIO

MAX_SECONDS = 120.0
MIN_SECONDS = 2.0
"""Shorter clips hold too few beats for a tempo."""

_RATE_HZ = 22_050
_HOP = 128
_LOW_BPM, _HIGH_BPM = 40.0, 240.0
_USUAL_BPM, _USUAL_OCTAVES = 120.0, 0.7
"""Centre and width of the tempo that listeners tap: D. Ellis, Beat tracking by dynamic programming, 2007."""

_NUM_MULTIPLES = 4
_MIN_CONTRAST = 0.15
"""Deviation over mean of the twelve pitch classes below which there is no key to speak of: noise, drums."""

PITCHES = ("C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "A#", "B")
MAJOR = (6.35, 2.23, 3.48, 2.33, 4.38, 4.09, 2.52, 5.19, 2.39, 3.66, 2.29, 2.88)
MINOR = (6.33, 2.68, 3.52, 5.38, 2.60, 3.53, 2.54, 4.75, 3.98, 2.69, 3.34, 3.17)
"""How well each pitch class fits a key: C. Krumhansl and E. Kessler, Psychological Review 89, 1982."""


@dataclass(frozen=True)
class Tempo:
    """What was heard; a confidence is between 0 and 1."""

    bpm: float | None
    bpm_confidence: float
    key: str
    """Such as `A minor`, with sharps only; empty when there is none."""
    key_confidence: float


def main() -> int:
    """Answer requests until stdin closes; return the exit code."""
    # What libraries print must not get between the replies.
    replies = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    try:
        import librosa  # noqa: F401
        import soundfile  # noqa: F401
    except ImportError as error:
        hint = f"Install it there: {sys.executable} -m pip install librosa"
        message = f"The worker's Python has no {error.name}"
        _reply(replies, {"event": "failed", "message": message, "hint": hint})
        return 1
    _reply(replies, {"event": "ready"})
    for line in sys.stdin.buffer:
        request = json.loads(line)
        _reply(replies, {"id": request["id"], **_answer(request["path"].encode("latin-1"))})
    return 0


def _answer(path: bytes) -> dict[str, Any]:
    try:
        audio_N = read_mono(path)
    except (OSError, RuntimeError, ValueError) as error:
        # soundfile's own errors are RuntimeErrors.
        return {"error": str(error)}
    return asdict(measure(audio_N))


def read_mono(path: bytes) -> Any:
    """Return the start of a clip as float32 [N] at 22,050 Hz."""
    import librosa
    import soundfile

    with soundfile.SoundFile(path) as file:
        frames_NC = file.read(int(MAX_SECONDS * file.samplerate), dtype="float32", always_2d=True)
        return librosa.resample(frames_NC.mean(axis=1), orig_sr=file.samplerate, target_sr=_RATE_HZ, res_type="soxr_hq")


def measure(audio_N: Any) -> Tempo:
    """Return tempo and key of mono samples at 22,050 Hz."""
    bpm, bpm_confidence = find_tempo(audio_N)
    key, key_confidence = find_key(audio_N)
    return Tempo(bpm, bpm_confidence, key, key_confidence)


def find_tempo(audio_N: Any) -> tuple[float | None, float]:
    """Return beats a minute and how regular they are.

    The autocorrelation of the onset strength is summed at a beat's length and its multiples, and weighted by how usual
    the tempo is, which decides between a tempo, its half and its double. The confidence is the autocorrelation
    at that beat, relative to that of no shift.
    """
    import librosa
    import numpy as np

    if len(audio_N) < MIN_SECONDS * _RATE_HZ or not np.any(audio_N):
        return None, 0.0
    onsets = librosa.onset.onset_strength(y=audio_N, sr=_RATE_HZ, hop_length=_HOP)
    # An onset is a few frames wide, as are the places where the next one may fall.
    smooth = np.convolve(onsets - onsets.mean(), np.hanning(9) / 4, mode="same")
    similarity = librosa.autocorrelate(smooth)
    if similarity[0] <= 0:
        return None, 0.0
    # Fewer frames overlap at longer shifts.
    similarity = similarity / similarity[0] * (len(smooth) / np.arange(len(smooth), 0, -1))
    frame_rate = _RATE_HZ / _HOP
    tempos = np.geomspace(_LOW_BPM, _HIGH_BPM, 4000)
    beats = 60 * frame_rate / tempos
    longest = len(smooth) * 3 // 4
    score = np.zeros_like(tempos)
    counted = np.zeros_like(tempos)
    for multiple in range(1, _NUM_MULTIPLES + 1):
        inside = beats * multiple < longest
        score += np.where(inside, np.interp(beats * multiple, np.arange(len(similarity)), similarity), 0)
        counted += inside
    usual = np.exp(-0.5 * (np.log2(tempos / _USUAL_BPM) / _USUAL_OCTAVES) ** 2)
    best = int(np.argmax(np.where(counted > 0, score / np.maximum(counted, 1), 0) * usual))
    confidence = float(np.clip(score[best] / max(counted[best], 1), 0, 1))
    return round(float(tempos[best]), 1), confidence


def find_key(audio_N: Any) -> tuple[str, float]:
    """Return the key whose profile fits the pitch classes best, and the correlation with it."""
    import librosa
    import numpy as np

    if len(audio_N) < _RATE_HZ // 2 or not np.any(audio_N):
        return "", 0.0
    chroma = librosa.feature.chroma_stft(y=audio_N, sr=_RATE_HZ, n_fft=8192, hop_length=2048, norm=None).mean(axis=1)
    if chroma.mean() <= 0 or chroma.std() / chroma.mean() < _MIN_CONTRAST:
        return "", 0.0
    # Compressed: one loud note must not be the whole key.
    chroma = np.sqrt(chroma)
    fits = {
        f"{name} {mode}": float(np.corrcoef(chroma, np.roll(profile, pitch))[0, 1])
        for mode, profile in (("major", MAJOR), ("minor", MINOR))
        for pitch, name in enumerate(PITCHES)
    }
    best = max(fits, key=lambda name: fits[name])
    return best, max(0.0, fits[best])


def _reply(replies: TextIO, document: dict[str, Any]) -> None:
    replies.write(json.dumps(document) + "\n")
    replies.flush()


if __name__ == "__main__":
    sys.exit(main())
