"""New versions of lines on their way into metadata.jsonl, in a temporary file once they are many."""

from __future__ import annotations

import tempfile
from array import array
from bisect import bisect_left
from collections.abc import Iterator
from pathlib import Path

_MEMORY_BYTES = 1 << 20
_NEW = -1


class NewLines:
    """The lines that one edit writes: 30 bytes of memory each, however long they are."""

    def __init__(self, folder: Path) -> None:
        """Begin with none.

        Args:
            folder: Where the temporary file goes, which nothing ever sees.
        """
        self._file = tempfile.SpooledTemporaryFile(max_size=_MEMORY_BYTES, dir=str(folder))  # noqa: SIM115
        self._offsets = array("q")
        self._lengths = array("Q")
        self._starts = array("Q", [0])
        self._order: list[int] | None = None

    def __len__(self) -> int:
        return len(self._offsets)

    @property
    def num_bytes(self) -> int:
        """Bytes of all lines."""
        return self._starts[-1]

    def add(self, line: bytes, offset: int | None = None, length: int = 0) -> None:
        """Note a new line with its newline.

        Args:
            line: Empty to take the line away.
            offset: Where the line that it takes the place of begins; None for a clip that has none.
            length: Bytes of the line that it takes the place of.
        """
        self._file.write(line)
        self._offsets.append(_NEW if offset is None else offset)
        self._lengths.append(length)
        self._starts.append(self._starts[-1] + len(line))

    def __iter__(self) -> Iterator[tuple[int | None, bytes]]:
        """Give the lines in the order in which they were added, each with the offset that it is for."""
        for number, offset in enumerate(self._offsets):
            yield (None if offset == _NEW else offset), self._read(number)

    def in_file_order(self) -> Iterator[tuple[int, int, bytes]]:
        """Give offset and length of each line that another takes the place of, and that one, in file order."""
        for number in self._sorted():
            if self._offsets[number] != _NEW:
                yield self._offsets[number], self._lengths[number], self._read(number)

    def at(self, offset: int | None) -> bytes | None:
        """Return the line that takes the place of the one at `offset`, None when it stays."""
        if offset is None:
            return None
        order = self._sorted()
        found = bisect_left(order, offset, key=self._offsets.__getitem__)
        if found < len(order) and self._offsets[order[found]] == offset:
            return self._read(order[found])
        return None

    def close(self) -> None:
        """Drop the temporary file."""
        self._file.close()

    def _sorted(self) -> list[int]:
        if self._order is None:
            self._order = sorted(range(len(self._offsets)), key=self._offsets.__getitem__)
        return self._order

    def _read(self, number: int) -> bytes:
        start, end = self._starts[number], self._starts[number + 1]
        self._file.seek(start)
        return bytes(self._file.read(end - start))
