"""Reading metadata.jsonl in blocks: half a million lines a second, in constant memory, strict about each line."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import accumulate
from typing import Any, Protocol, cast

from sao_tui.core.errors import SaoError
from sao_tui.services.captions_lines import BadLineError, parse_line, record_relpath

_BLOCK_BYTES = 1 << 18
_LINE_BYTES = 1 << 10
"""A line is first read as if it were no longer than this."""


class _Line(Protocol):
    """The two fields of a line that the index needs."""

    audio_path: str | None
    text: str | None


@dataclass(frozen=True)
class LineBatch:
    """Lines that are about clips, in the order of the file."""

    relpaths: list[str]
    offsets: list[int]
    texts: list[str]
    num_bytes: int
    """All lines of the batch, whatever they are about."""
    num_records: int
    """Lines that are not blank, those without a clip among them."""


class LineReader:
    """Reads the lines of one open metadata.jsonl. It owns the descriptor."""

    def __init__(self, descriptor: int, path: str, folder: str) -> None:
        """Read from `descriptor`.

        Args:
            path: For messages.
            folder: The dataset folder, which absolute audio_paths are taken apart by.
        """
        self._descriptor = descriptor
        self._path = path
        self._folder = folder
        self._decoder: Any = None

    @property
    def descriptor(self) -> int:
        """The open file."""
        return self._descriptor

    def close(self) -> None:
        """Close the file."""
        os.close(self._descriptor)

    def block(self, start: int, end: int) -> bytes:
        """Return the bytes from `start` up to `end`, fewer where the file is shorter by now."""
        parts: list[bytes] = []
        while start < end and (part := os.pread(self._descriptor, end - start, start)):
            parts.append(part)
            start += len(part)
        return b"".join(parts)

    def line(self, offset: int, end: int) -> bytes:
        """Return the line that begins at `offset`, with its newline, in a file of `end` bytes."""
        size = _LINE_BYTES
        while True:
            data = self.block(offset, min(end, offset + size))
            newline = data.find(b"\n")
            if newline >= 0:
                return data[: newline + 1]
            if len(data) < size:
                return data
            size *= 8

    def batches(self, start: int, end: int) -> Iterator[LineBatch]:
        """Yield the lines between two offsets.

        Raises:
            SaoError: Names the line that is no JSON object, or whose text is no string.
        """
        position, rest = start, b""
        while position < end:
            block = self.block(position, min(end, position + _BLOCK_BYTES))
            if not block:
                break  # Another program has cut the file meanwhile.
            position += len(block)
            data = rest + block
            cut = data.rfind(b"\n") + 1
            if cut:
                yield self._batch(data[:cut], position - len(data))
            rest = data[cut:]
        if rest:
            yield self._batch(rest, position - len(rest))

    def bad_line(self, offset: int, problem: str) -> SaoError:
        """Return the error that names the line at `offset`."""
        number = 1
        for start in range(0, offset, _BLOCK_BYTES):
            number += self.block(start, min(offset, start + _BLOCK_BYTES)).count(b"\n")
        return SaoError(
            f"Line {number} of {self._path} {problem}.",
            f"Correct line {number} in a text editor; captions are not written before.",
        )

    def _batch(self, data: bytes, start: int) -> LineBatch:
        lines = data.split(b"\n")
        if not lines[-1]:
            lines.pop()
        records = self._decode(data, len(lines))
        if records is None:
            return self._batch_by_line(lines, start, len(data))
        offsets = list(accumulate([len(line) + 1 for line in lines], initial=start))
        offsets.pop()
        relpaths = [record.audio_path or "/" for record in records]
        if b"./" in data or b"//" in data or any(relpath[0] == "/" for relpath in relpaths):
            return self._batch_by_line(lines, start, len(data))
        return LineBatch(relpaths, offsets, [record.text or "" for record in records], len(data), len(lines))

    def _decode(self, data: bytes, num_lines: int) -> list[_Line] | None:
        """Return one record a line, None where they must be looked at one by one."""
        import msgspec

        num_ends = data.count(b"}\n{") + data.count(b"}\r\n{") + 1
        # One object a line is certain only when each begins and ends as one: the decoder takes any white space.
        if num_ends != num_lines or not data.startswith(b"{"):
            return None
        if self._decoder is None:
            fields = [(name, str | None, None) for name in ("audio_path", "text")]
            self._decoder = msgspec.json.Decoder(msgspec.defstruct("Line", fields, gc=False))
        try:
            data.decode()  # The decoder passes over strings that it is not asked for.
            records = cast("list[_Line]", self._decoder.decode_lines(data))
        except (msgspec.MsgspecError, ValueError, RecursionError):
            return None
        return records if len(records) == num_lines else None

    def _batch_by_line(self, lines: list[bytes], offset: int, num_bytes: int) -> LineBatch:
        relpaths: list[str] = []
        offsets: list[int] = []
        texts: list[str] = []
        num_records = 0
        for line in lines:
            if line and not line.isspace():
                num_records += 1
                try:
                    record = parse_line(line)
                except BadLineError as error:
                    raise self.bad_line(offset, str(error)) from error
                relpath = record_relpath(record, self._folder)
                if relpath is not None:
                    relpaths.append(relpath)
                    offsets.append(offset)
                    texts.append(record.get("text") or "")
            offset += len(line) + 1
        return LineBatch(relpaths, offsets, texts, num_bytes, num_records)
