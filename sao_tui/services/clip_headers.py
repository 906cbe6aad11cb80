"""What the headers of many clips say: the usual wav header is read here, anything else by `audio.probe`."""

from __future__ import annotations

import os
import struct
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

from sao_tui.services.audio import UNREADABLE_SUFFIXES, UnreadableClipError, probe
from sao_tui.services.clip_walk import FoundFile

_NUM_THREADS = 8
_SLOW_SECONDS = 60e-6
"""A file that takes longer on average waits for the disk, where threads help; on cached files they hinder."""
_SAMPLE_FILES = 64

_PLAIN = struct.Struct("<4sI4s4sIHHIIHH4sI")
"""RIFF, size, WAVE, fmt, 16, tag, channels, rate, bytes a second, bytes a frame, bits, data, size."""
_PCM, _FLOAT = 1, 3
_UNSUPPORTED = "stable-audio-tools cannot read"
_UNREADABLE_ENDS = frozenset(os.fsencode(suffix[1:]) for suffix in UNREADABLE_SUFFIXES)


class Header(NamedTuple):
    """What is stored of one file."""

    seconds: float
    sample_rate_hz: int
    num_channels: int
    format: str
    """Suffix in lower case, without its dot."""
    error: str
    """Why it cannot be read, empty when it can."""


def unsupported_reason(suffix: str) -> str:
    """Return what is said of a file that stable-audio-tools passes over.

    Args:
        suffix: In lower case, without its dot.
    """
    return f"{_UNSUPPORTED} {suffix} files: convert them with `sao-tui dataset prepare`"


def is_unsupported(error: str) -> bool:
    """Return whether a row's error says that its kind of file is passed over."""
    return error.startswith(_UNSUPPORTED)


class HeaderReader:
    """Reads headers of one folder after the other, in threads while the disk is slow."""

    def __init__(self, root: str) -> None:
        """Take the dataset folder."""
        self._root = os.fsencode(root)
        self._threads: ThreadPoolExecutor | None = None
        self._is_slow = False

    def read(self, prefix: bytes, files: Sequence[FoundFile]) -> list[Header]:
        """Return the headers of files in one folder, in their order.

        Args:
            prefix: What comes before their names in their relpaths.
        """
        folder = os.path.join(self._root, prefix)
        started = time.perf_counter()
        headers = [_read(folder, file) for file in files[:_SAMPLE_FILES]]
        rest = files[_SAMPLE_FILES:]
        if headers:
            self._is_slow = time.perf_counter() - started > _SLOW_SECONDS * len(headers)
        if not rest:
            return headers
        if not self._is_slow:
            headers.extend([_read(folder, file) for file in rest])
            return headers
        if self._threads is None:
            self._threads = ThreadPoolExecutor(_NUM_THREADS, thread_name_prefix="clip-headers")
        size = -(-len(rest) // _NUM_THREADS)
        shares = [rest[start : start + size] for start in range(0, len(rest), size)]
        for share in self._threads.map(lambda some: [_read(folder, file) for file in some], shares):
            headers.extend(share)
        return headers

    def close(self) -> None:
        """End the threads."""
        if self._threads is not None:
            self._threads.shutdown(cancel_futures=True)


def _read(folder: bytes, file: FoundFile) -> Header:
    name, size = file[0], file[1]
    suffix = _suffix(name)
    if suffix == b"wav":
        found = _read_plain_wav(folder + name, size)
        if found is not None:
            return found
    kind = suffix.decode(errors="replace")
    if suffix in _UNREADABLE_ENDS:
        return Header(0.0, 0, 0, kind, unsupported_reason(kind))
    try:
        info = probe(Path(os.fsdecode(folder + name)))
    except UnreadableClipError as error:
        return Header(0.0, 0, 0, kind, error.reason.encode(errors="replace").decode())
    return Header(info.seconds, info.sample_rate_hz, info.num_channels, kind, "")


def _suffix(name: bytes) -> bytes:
    return name.rpartition(b".")[2].lower()


def _read_plain_wav(path: bytes, size: int) -> Header | None:
    """Return what a wav header of the plainest kind says, None for any other and for what looks wrong."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError:
        return None
    try:
        head = os.read(descriptor, _PLAIN.size)
    except OSError:
        return None
    finally:
        os.close(descriptor)
    if len(head) < _PLAIN.size:
        return None
    riff, _, wave, fmt, fmt_bytes, tag, channels, rate, _, frame_bytes, bits, data, num_bytes = _PLAIN.unpack(head)
    is_plain = riff == b"RIFF" and wave == b"WAVE" and fmt == b"fmt " and fmt_bytes == 16 and data == b"data"
    if not is_plain or tag not in (_PCM, _FLOAT) or not (channels and rate and bits):
        return None
    # A size that the file does not hold is a cut-off file or one whose writer could not go back: for `probe` to say.
    if not 0 < frame_bytes <= num_bytes <= size - _PLAIN.size:
        return None
    return Header(num_bytes // frame_bytes / rate, rate, channels, "wav", "")
