"""The two ways in which lines of metadata.jsonl are changed; both are on the disk when they return.

A small file is replaced in one step. In a large one few new lines are appended, and the last line of a
clip wins; many replace it too. It is whole at any moment, but for half a line after a crash while one is
appended, which the next reader leaves out and the next writer cuts off.
"""

from __future__ import annotations

import heapq
import os
from collections.abc import Iterator
from typing import IO

from sao_tui.core.files import sync_folder
from sao_tui.services.captions_file import MetadataFile, StaleFileError, file_signature, signature_of
from sao_tui.services.captions_lines import BYTE_ORDER_MARK, encode_record, parse_line, record_relpath, replace_record
from sao_tui.services.captions_reading import LineReader
from sao_tui.services.new_lines import NewLines
from sao_tui.services.swapping import replace_expected

APPEND_BYTES = 1 << 16
"""More than this is not appended: one replacement costs a second in half a million lines, and is all or nothing."""
_COPY_BYTES = 1 << 20


def write_lines(file: MetadataFile, lines: NewLines) -> None:
    """Put new lines into the file. The caller holds the folder's lock and has read the file.

    Raises:
        StaleFileError: Another program has changed it since; nothing of ours is lost or kept in it.
        OSError: It cannot be written; it is as it was.
    """
    if file.is_large and lines.num_bytes <= APPEND_BYTES:
        _append(file, lines)
    else:
        rewrite(file, lines)


def rewrite(file: MetadataFile, lines: NewLines) -> None:
    """Replace the file in one step; a large one loses the lines whose clip has a later one.

    Raises:
        StaleFileError: Another program has changed it since.
        OSError: It cannot be written; it is as it was.
    """
    path = file.path
    for leftover in path.parent.glob(f".{path.name}.*.part"):
        # Of a process killed while it wrote: nobody else writes while we hold the lock.
        leftover.unlink(missing_ok=True)
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with part.open("wb", buffering=_COPY_BYTES) as target:
            _render(file, lines, target)
            target.flush()
            os.fsync(target.fileno())
        if path.exists():
            os.chmod(part, path.stat().st_mode & 0o7777)
        written = file_signature(part)
        if not replace_expected(part, path, lambda found: file_signature(found) == file.signature):
            raise StaleFileError(os.fspath(path))
    finally:
        part.unlink(missing_ok=True)
    sync_folder(path.parent)
    file.refresh(own=written)


def _append(file: MetadataFile, lines: NewLines) -> None:
    path = file.path
    data = b"".join(_as_last_line(line) or _without_text(file, offset) for offset, line in lines)
    if not file.ends_line:
        data = b"\n" + data
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)
    except FileNotFoundError as error:
        raise StaleFileError(os.fspath(path)) from error
    try:
        if signature_of(os.fstat(descriptor)) != file.signature:
            raise StaleFileError(os.fspath(path))
        if file.torn:
            os.ftruncate(descriptor, file.end)
        try:
            _write_all(descriptor, data)
            _sync(descriptor)
        except BaseException:
            if os.fstat(descriptor).st_size <= file.end + len(data):
                os.ftruncate(descriptor, file.end)
            raise
        written = signature_of(os.fstat(descriptor))
    finally:
        os.close(descriptor)
    if written[1] != file.end + len(data) or file_signature(path) != written:
        raise StaleFileError(os.fspath(path))
    file.refresh(own=written)


def _write_all(descriptor: int, data: bytes) -> None:
    while data:
        data = data[os.write(descriptor, data) :]


def _sync(descriptor: int) -> None:
    getattr(os, "fdatasync", os.fsync)(descriptor)


def _as_last_line(line: bytes) -> bytes:
    """Return a line as it may stand at the end of the file: with a newline, and no byte order mark."""
    line = line.removeprefix(BYTE_ORDER_MARK)
    return line + b"\n" if line and not line.endswith(b"\n") else line


def _without_text(file: MetadataFile, offset: int | None) -> bytes:
    """Return a line that says of a clip what no line would: a line that is there cannot be taken away by appending."""
    record = file.parsed(offset) if offset is not None else {}
    return encode_record({"audio_path": record.get("audio_path"), "text": ""}) + b"\n"


def _render(file: MetadataFile, lines: NewLines, target: IO[bytes]) -> None:
    """Write the file's lines with new ones among them; what is between them is copied as it is."""
    position, last = 0, b""
    source = LineReader(os.open(file.path, os.O_RDONLY | os.O_CLOEXEC), "", "") if file.end else None
    try:
        if source is not None and signature_of(os.fstat(source.descriptor)) != file.signature:
            raise StaleFileError(os.fspath(file.path))
        for offset, length, line in heapq.merge(_earlier_lines(file, lines), lines.in_file_order()):
            last = _copy(source, position, offset, target) or last
            target.write(line)
            last = line or last
            position = offset + length
        last = _copy(source, position, file.end, target) or last
    finally:
        if source is not None:
            source.close()
    for place, line in lines:
        if place is None:
            target.write(line if not last or last.endswith(b"\n") else b"\n" + line)
            last = line


def _copy(source: LineReader | None, start: int, end: int, target: IO[bytes]) -> bytes:
    """Copy a range and return its last bytes.

    Raises:
        StaleFileError: The file ends before.
    """
    block = b""
    while start < end:
        block = source.block(start, min(end, start + _COPY_BYTES)) if source is not None else b""
        if not block:
            raise StaleFileError("")
        target.write(block)
        start += len(block)
    return block


def _earlier_lines(file: MetadataFile, lines: NewLines) -> Iterator[tuple[int, int, bytes]]:
    """Give offset, length and new version of each line whose clip has a later one.

    In a large file they go, unless they hold a key that the later one has not. Where they stay, they get
    the new caption too: programs that read the first line of a clip exist.
    """
    for offset in sorted(file.superseded):
        line, record = file.line(offset), file.parsed(offset)
        relpath = record_relpath(record, file.folder)
        current = file.offset(relpath) if relpath is not None else None
        if current is None:
            raise StaleFileError("")
        new = lines.at(current)
        latest = file.parsed(current) if new is None else parse_line(new) if new else {}
        holds_no_more = record.keys() <= ({"audio_path", "text"} if new == b"" else latest.keys())
        if holds_no_more and (file.is_large or new == b""):
            yield offset, len(line), b""
        elif new is not None:
            yield offset, len(line), replace_record(line, record | {"text": latest.get("text") or ""})
