"""Pictures of clips, kept in the workspace's cache up to a bounded size."""

from __future__ import annotations

import array
import hashlib
import os
import struct
from collections.abc import Callable
from pathlib import Path

from sao_tui.services.audio import UnreadableClipError
from sao_tui.services.spectrogram import ClipPicture, draw

MAX_CACHE_BYTES = 64 << 20
_NUM_WRITES_PER_LOOK = 100
_HEADER = struct.Struct("<4sqqiiddd")
_MAGIC = b"SAO1"
_WHOLE = (0.0, -1.0)

Draw = Callable[[Path, int, int, "tuple[float, float] | None"], ClipPicture]


class PictureCache:
    """Draws pictures of clips, or finds them drawn."""

    def __init__(self, cache_folder: Path, max_bytes: int = MAX_CACHE_BYTES, draw_picture: Draw = draw) -> None:
        """Make nothing yet."""
        self._folder = cache_folder / "pictures"
        self._max_bytes = max_bytes
        self._draw = draw_picture
        self._num_writes = 0

    def picture(self, path: Path, columns: int, rows: int, span: tuple[float, float] | None = None) -> ClipPicture:
        """Return the picture of a clip; see spectrogram.draw.

        Raises:
            UnreadableClipError: The file is missing or damaged.
        """
        try:
            status = os.stat(path)
        except OSError as error:
            raise UnreadableClipError(path, (error.strerror or str(error)).lower()) from error
        start, end = span or _WHOLE
        version = (status.st_size, status.st_mtime_ns)
        key = f"{columns} {rows} {start} {end} {os.path.abspath(path)}"
        cached = self._folder / hashlib.blake2b(os.fsencode(key), digest_size=16).hexdigest()
        picture = _load(cached, version, columns, rows)
        if picture is None:
            picture = self._draw(path, columns, rows, span)
            self._save(cached, version, picture)
        return picture

    def _save(self, cached: Path, version: tuple[int, int], picture: ClipPicture) -> None:
        from sao_tui.core.files import write_atomically

        numbers = (picture.start_seconds, picture.end_seconds, picture.top_hz)
        header = _HEADER.pack(_MAGIC, *version, picture.num_columns, picture.num_rows, *numbers)
        peaks = array.array("f", [value for pair in picture.peaks for value in pair])
        try:
            cached.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(cached, header + peaks.tobytes() + picture.mel, durable=False)
            self._num_writes += 1
            if self._num_writes % _NUM_WRITES_PER_LOOK == 1:
                self._make_room()
        except OSError:
            # A cache that cannot be written only costs time.
            pass

    def _make_room(self) -> None:
        """Remove the pictures drawn first until half of the allowed size is free."""
        with os.scandir(self._folder) as entries:
            files = sorted((entry.stat().st_mtime_ns, entry.stat().st_size, entry.path) for entry in entries)
        total = sum(size for _, size, _ in files)
        if total <= self._max_bytes:
            return
        for _, size, path in files:
            if total <= self._max_bytes // 2:
                break
            os.unlink(path)
            total -= size


def _load(cached: Path, version: tuple[int, int], columns: int, rows: int) -> ClipPicture | None:
    try:
        data = cached.read_bytes()
        magic, num_bytes, mtime_ns, num_columns, num_rows, start, end, top_hz = _HEADER.unpack_from(data)
    except (OSError, struct.error):
        return None
    is_same = (magic, num_bytes, mtime_ns, num_columns, num_rows) == (_MAGIC, *version, columns, rows)
    num_peak_bytes = 4 * 2 * 2 * columns
    if not is_same or len(data) != _HEADER.size + num_peak_bytes + columns * rows:
        return None
    values = array.array("f")
    values.frombytes(data[_HEADER.size : _HEADER.size + num_peak_bytes])
    peaks = list(zip(values[::2], values[1::2], strict=True))
    return ClipPicture(columns, peaks, data[_HEADER.size + num_peak_bytes :], start, end, top_hz)
