"""A grid of braille cells, two dots wide and four high, in two layers: the front one hides the back one."""

from __future__ import annotations

from rich.segment import Segment
from rich.style import Style

_DOT_BITS = ((0x01, 0x02, 0x04, 0x40), (0x08, 0x10, 0x20, 0x80))
_BARS = tuple(
    tuple(tuple(sum(bits[top : bottom + 1]) for bottom in range(4)) for top in range(4)) for bits in _DOT_BITS
)
"""Bits of a vertical bar, by dot column, top and bottom dot of the cell."""
_CHARACTERS = " " + "".join(chr(0x2800 + bits) for bits in range(1, 256))


class BrailleGrid:
    """Dots of a picture `num_columns` by `num_rows` cells large."""

    def __init__(self, num_columns: int, num_rows: int) -> None:
        self.num_columns = num_columns
        self.num_rows = num_rows
        self.back = [bytearray(num_columns) for _ in range(num_rows)]
        self.front = [bytearray(num_columns) for _ in range(num_rows)]

    def clear_columns(self, first: int, last: int) -> None:
        """Empty the cell columns first to last, both included."""
        blank = bytes(last + 1 - first)
        for rows in (self.back, self.front):
            for row in rows:
                row[first : last + 1] = blank

    def bar(self, rows: list[bytearray], x: int, top: int, bottom: int) -> None:
        """Set the dots top to bottom, both included, of dot column `x` in one layer."""
        column, masks = x >> 1, _BARS[x & 1]
        for cell in range(top >> 2, (bottom >> 2) + 1):
            base = cell << 2
            rows[cell][column] |= masks[max(0, top - base)][min(3, bottom - base)]

    def columns(self, first: int, last: int) -> list[tuple[bytes, bytes]]:
        """Return both layers of the cell columns first to last, row by row, to compare with later."""
        span = slice(first, last + 1)
        return [(bytes(back[span]), bytes(front[span])) for back, front in zip(self.back, self.front, strict=True)]

    def segments(self, row: int, first: int, width: int, back_style: Style, front_style: Style) -> list[Segment]:
        """Return part of one line, in as few segments as its colours allow."""
        found: list[Segment] = []
        text: list[str] = []
        in_front = False
        span = slice(first, first + width)
        for back, front in zip(self.back[row][span], self.front[row][span], strict=True):
            # A blank takes whatever colour comes before it.
            if (back or front) and bool(front) != in_front:
                if text:
                    found.append(Segment("".join(text), front_style if in_front else back_style))
                text, in_front = [], bool(front)
            text.append(_CHARACTERS[front or back])
        found.append(Segment("".join(text), front_style if in_front else back_style))
        return found


def changed_spans(old: list[tuple[bytes, bytes]], new: list[tuple[bytes, bytes]]) -> list[tuple[int, int, int]]:
    """Return (row, first column, last column) of what differs, one span a row."""
    spans = []
    for row, (before, after) in enumerate(zip(old, new, strict=True)):
        if before != after:
            pairs = zip(zip(*before, strict=True), zip(*after, strict=True), strict=True)
            differing = [column for column, (was, now) in enumerate(pairs) if was != now]
            spans.append((row, differing[0], differing[-1]))
    return spans
