"""Any sound file as 16-bit samples, which every sound system takes."""

from __future__ import annotations

import os
import wave
from dataclasses import dataclass
from pathlib import Path

from sao_tui.services.audio import read_audio


@dataclass(frozen=True)
class Pcm:
    """Interleaved 16-bit little-endian samples of one or two channels."""

    data: bytes
    sample_rate_hz: int
    num_channels: int


def load_pcm(path: Path) -> Pcm:
    """Return a file's sound; 16-bit wav files keep their samples bit by bit.

    Raises:
        SaoError: The file cannot be read.
    """
    return _load_plain_wav(path) or _load_any(path)


def write_wav(pcm: Pcm, path: Path) -> None:
    """Write samples as a wav file.

    Raises:
        OSError: It cannot be written.
    """
    with wave.open(str(path), "wb") as file:
        file.setnchannels(pcm.num_channels)
        file.setsampwidth(2)
        file.setframerate(pcm.sample_rate_hz)
        file.writeframes(pcm.data)


def _load_plain_wav(path: Path) -> Pcm | None:
    """Read without numpy, so that the usual clip is heard a quarter of a second earlier."""
    try:
        with open(path, "rb") as raw, wave.open(raw, "rb") as file:
            if file.getsampwidth() != 2 or file.getnchannels() > 2:
                return None
            return Pcm(file.readframes(file.getnframes()), file.getframerate(), file.getnchannels())
    except (wave.Error, EOFError, OSError):
        return None


def _load_any(path: Path) -> Pcm:
    import numpy as np

    audio_CN, rate = read_audio(path)
    audio_CN = audio_CN[:2]
    scaled = np.clip(np.rint(audio_CN * 32768.0), -32768, 32767).astype("<i2")
    return Pcm(scaled.T.tobytes(), rate, len(audio_CN))


def is_plain_wav(path: Path) -> bool:
    """Return whether a file is a 16-bit wav, which needs no conversion for any player."""
    from sao_tui.services.riff import read_wav_header

    if os.path.splitext(path)[1].lower() != ".wav":
        return False
    try:
        info = read_wav_header(path)
    except (OSError, ValueError):
        return False
    return info is not None and info.codec == "wav pcm_16"
