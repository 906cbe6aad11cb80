"""Reading a clip for a captioner: mono, at the rate that it listens at, no longer than it hears."""

from __future__ import annotations

from typing import Any

from sao_tui.worker.suggest.base import Clip, ClipError

MIN_SECONDS = 0.01


def read_mono(clip: Clip, sample_rate_hz: int, max_seconds: float) -> Any:
    """Return the beginning of a clip as float32 samples of shape (N,) in [-1, 1].

    Raises:
        ClipError: It cannot be read, or holds no sound.
    """
    import numpy as np

    samples_NC, rate = _read(clip, max_seconds)
    audio = np.nan_to_num(samples_NC.mean(axis=1, dtype=np.float32))
    if len(audio) < MIN_SECONDS * rate:
        raise ClipError(f"{clip.name} holds no sound", "Repair or remove it.")
    if rate != sample_rate_hz:
        audio = _resample(audio, rate, sample_rate_hz)
    return np.clip(audio, -1.0, 1.0).astype(np.float32)


def _read(clip: Clip, max_seconds: float) -> tuple[Any, int]:
    import soundfile

    # Opened here: libsndfile does not find names that are not UTF-8.
    try:
        with clip.path.open("rb") as raw, soundfile.SoundFile(raw) as file:
            frames = int(max_seconds * file.samplerate)
            return file.read(frames, dtype="float32", always_2d=True), int(file.samplerate)
    except (OSError, soundfile.LibsndfileError) as first:
        if not clip.path.exists():
            raise ClipError(f"{clip.name} is gone", "It may have been moved or renamed.") from first
        return _read_with_torchaudio(clip, max_seconds, first)


def _read_with_torchaudio(clip: Clip, max_seconds: float, first: Exception) -> tuple[Any, int]:
    """Read what libsndfile cannot, such as m4a, where torchaudio has a decoder for it."""
    try:
        import torchaudio

        samples_CN, rate = torchaudio.load(str(clip.path))
    except Exception as error:  # whatever the decoders raise, the other clips are captioned
        raise ClipError(f"{clip.name} cannot be read: {_reason(first)}", "Repair, convert or remove it.") from error
    return samples_CN[:, : int(max_seconds * rate)].T.numpy(), int(rate)


def _resample(audio: Any, rate: int, wanted: int) -> Any:
    try:
        import soxr
    except ImportError:
        import torch
        import torchaudio

        return torchaudio.functional.resample(torch.from_numpy(audio), rate, wanted).numpy()
    return soxr.resample(audio, rate, wanted)


def _reason(error: Exception) -> str:
    lines = str(error).splitlines()
    return lines[0] if lines else type(error).__name__
