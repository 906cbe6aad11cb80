"""Length and format of a wav file from its header alone: a few microseconds, nothing imported."""

from __future__ import annotations

import os
import struct
from dataclasses import dataclass

_HEAD_BYTES = 4096
_MAX_CHUNKS = 1000
_UNKNOWN_SIZES = (0, 0x7FFFFFFF, 0x7FFFF000, 0xFFFFFFFF)
"""Sizes that a writer leaves behind who could not go back to the header, such as ffmpeg into a pipe."""

_PCM, _FLOAT, _EXTENSIBLE = 0x0001, 0x0003, 0xFFFE


@dataclass(frozen=True)
class AudioInfo:
    """What a clip's header says."""

    seconds: float
    sample_rate_hz: int
    num_channels: int
    num_frames: int
    codec: str
    """Container and sample format, such as `wav pcm_16`."""


@dataclass(frozen=True)
class _Format:
    tag: int
    num_channels: int
    sample_rate_hz: int
    frame_bytes: int
    sample_bits: int

    @property
    def codec(self) -> str:
        if self.tag == _FLOAT:
            return "wav double" if self.sample_bits == 64 else "wav float"
        return "wav pcm_u8" if self.sample_bits == 8 else f"wav pcm_{self.sample_bits}"


def read_wav_header(path: str | os.PathLike[str]) -> AudioInfo | None:
    """Return what the header of a wav file says; None when it is of a kind that a library must read.

    Raises:
        OSError: The file cannot be opened or read.
        ValueError: It is no sound wav file; the text says why.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        size = os.fstat(descriptor).st_size
        if size == 0:
            raise ValueError("the file is empty")
        head = os.pread(descriptor, _HEAD_BYTES, 0)
        if head[:4] in (b"RF64", b"BW64", b"RIFX"):
            return None
        if head[:4] != b"RIFF" or head[8:12] != b"WAVE":
            raise ValueError("it is no wav file: the RIFF header is missing")
        return _read_chunks(descriptor, head, size)
    finally:
        os.close(descriptor)


def _read_chunks(descriptor: int, head: bytes, size: int) -> AudioInfo | None:
    found: _Format | None = None
    offset = 12
    for _ in range(_MAX_CHUNKS):
        chunk = _at(descriptor, head, offset, 8)
        if len(chunk) < 8:
            break
        name, num_bytes = struct.unpack("<4sI", chunk)
        if name == b"fmt ":
            found = _parse_format(_at(descriptor, head, offset + 8, min(num_bytes, 40)))
            if found.tag not in (_PCM, _FLOAT):
                return None
        elif name == b"data":
            if found is None:
                raise ValueError("it has samples but no format before them")
            return _measure(found, num_bytes, size - offset - 8)
        offset += 8 + num_bytes + (num_bytes & 1)
    raise ValueError("it has no samples" if found else "its header is cut off")


def _at(descriptor: int, head: bytes, offset: int, num_bytes: int) -> bytes:
    if offset + num_bytes <= len(head):
        return head[offset : offset + num_bytes]
    return os.pread(descriptor, num_bytes, offset)


def _parse_format(body: bytes) -> _Format:
    if len(body) < 16:
        raise ValueError("its header is cut off")
    tag, num_channels, rate, _, frame_bytes, bits = struct.unpack("<HHIIHH", body[:16])
    if tag == _EXTENSIBLE and len(body) >= 26:
        tag = struct.unpack("<H", body[24:26])[0]
    if tag in (_PCM, _FLOAT) and not (num_channels and rate and frame_bytes and bits):
        raise ValueError(f"its header says {num_channels} channels at {rate} Hz in frames of {frame_bytes} bytes")
    return _Format(tag, num_channels, rate, frame_bytes, bits)


def _measure(found: _Format, declared_bytes: int, rest_bytes: int) -> AudioInfo:
    if declared_bytes > rest_bytes and declared_bytes not in _UNKNOWN_SIZES:
        wanted = declared_bytes / found.frame_bytes / found.sample_rate_hz
        held = max(rest_bytes, 0) / found.frame_bytes / found.sample_rate_hz
        raise ValueError(f"it is cut off: the header says {wanted:.2f} s, the file holds {held:.2f} s")
    num_bytes = rest_bytes if declared_bytes in _UNKNOWN_SIZES else declared_bytes
    num_frames = num_bytes // found.frame_bytes
    if num_frames == 0:
        raise ValueError("it has no samples")
    seconds = num_frames / found.sample_rate_hz
    return AudioInfo(seconds, found.sample_rate_hz, found.num_channels, num_frames, found.codec)
