"""What the headers of many clips say: the usual wav header is read here, anything else by `audio.probe`."""

from __future__ import annotations

import os
import struct
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from sao_tui.services.audio import UNREADABLE_SUFFIXES, UnreadableClipError, probe
from sao_tui.services.clip_walk import FoundFile

_NUM_THREADS = 8
_SLOW_SECONDS = 60e-6
"""A file that takes longer on average waits for the disk, where threads help; on cached files they hinder."""
_SAMPLE_FILES = 64

_PLAIN = struct.Struct("<4sI12sHHIIHH4sI")
"""RIFF, size, WAVE with the fmt chunk's head, tag, channels, rate, bytes a second, bytes a frame, bits, data, size."""
_PLAIN_BYTES = _PLAIN.size
_WAVE = b"WAVEfmt \x10\0\0\0"
_PLAIN_TAGS = (1, 3)
"""PCM and float."""
_WAV_ENDS = (b".wav", b".WAV")
_OPEN_FLAGS = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK
"""Without waiting: what was a file may have become a pipe."""
_UNSUPPORTED = "stable-audio-tools cannot read"
_UNREADABLE_ENDS = frozenset(suffix[1:] for suffix in UNREADABLE_SUFFIXES)


NamedSize = FoundFile | tuple[bytes, int]
"""A file's name and size; a scan knows more of it."""

Header = tuple[float, int, int, str, str]
"""Seconds, sample rate in Hz, channels, suffix in lower case without its dot, and why it cannot be read or nothing.

A tuple: half a million are made in a scan.
"""


def unsupported_reason(suffix: str) -> str:
    """Return what is said of a file that stable-audio-tools passes over.

    Args:
        suffix: In lower case, without its dot.
    """
    return f"{_UNSUPPORTED} {suffix} files: convert them with `sao-tui dataset prepare`"


def is_unsupported(error: str) -> bool:
    """Return whether a row's error says that its kind of file is passed over."""
    return error.startswith(_UNSUPPORTED)


def suffix_of(name: bytes) -> str:
    """Return what follows the last dot in lower case."""
    return name.rpartition(b".")[2].lower().decode(errors="replace")


class HeaderReader:
    """Reads headers of one folder after the other, in threads while the disk is slow."""

    def __init__(self, root: str) -> None:
        """Take the dataset folder."""
        self._root = os.fsencode(root)
        self._threads: ThreadPoolExecutor | None = None
        self._is_slow = False

    def read(self, prefix: bytes, files: Sequence[NamedSize]) -> list[Header]:
        """Return the headers of files in one folder, in their order.

        Args:
            prefix: What comes before their names in their relpaths.
        """
        folder = os.path.join(self._root, prefix)
        started = time.perf_counter()
        headers = _read_all(folder, files[:_SAMPLE_FILES])
        rest = files[_SAMPLE_FILES:]
        if headers:
            self._is_slow = time.perf_counter() - started > _SLOW_SECONDS * len(headers)
        if not rest:
            return headers
        if not self._is_slow:
            headers.extend(_read_all(folder, rest))
            return headers
        if self._threads is None:
            self._threads = ThreadPoolExecutor(_NUM_THREADS, thread_name_prefix="clip-headers")
        size = -(-len(rest) // _NUM_THREADS)
        shares = [rest[start : start + size] for start in range(0, len(rest), size)]
        for share in self._threads.map(lambda share: _read_all(folder, share), shares):
            headers.extend(share)
        return headers

    def close(self) -> None:
        """End the threads."""
        if self._threads is not None:
            self._threads.shutdown(cancel_futures=True)


def _read_all(folder: bytes, files: Sequence[NamedSize]) -> list[Header]:
    """Return what files in a folder say, with the least done for a plain wav file."""
    headers: list[Header] = []
    add, open_file, read, close, unpack = headers.append, os.open, os.read, os.close, _PLAIN.unpack
    for file in files:
        name = file[0]
        if name[-4:] not in _WAV_ENDS:
            add(_read_any(folder, name))
            continue
        try:
            descriptor = open_file(folder + name, _OPEN_FLAGS)
            try:
                head = read(descriptor, _PLAIN_BYTES)
            finally:
                close(descriptor)
        except OSError:
            head = b""
        if len(head) == _PLAIN_BYTES:
            riff, _, wave, tag, channels, rate, _, frame_bytes, bits, data, num_bytes = unpack(head)
            # A size that the file does not hold is a cut-off file, or its writer could not go back: `probe` says which.
            if (
                riff == b"RIFF"
                and wave == _WAVE
                and data == b"data"
                and tag in _PLAIN_TAGS
                and (channels and rate and bits)
                and 0 < frame_bytes <= num_bytes <= file[1] - _PLAIN_BYTES
            ):
                add((num_bytes // frame_bytes / rate, rate, channels, "wav", ""))
                continue
        add(_read_any(folder, name))
    return headers


def _read_any(folder: bytes, name: bytes) -> Header:
    kind = suffix_of(name)
    if kind in _UNREADABLE_ENDS:
        return 0.0, 0, 0, kind, unsupported_reason(kind)
    try:
        info = probe(Path(os.fsdecode(folder + name)))
    except UnreadableClipError as error:
        return 0.0, 0, 0, kind, error.reason.encode(errors="replace").decode()
    return info.seconds, info.sample_rate_hz, info.num_channels, kind, ""
