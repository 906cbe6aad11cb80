"""Lines of text of which only the changed ones are drawn anew; and bars made of text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from rich.segment import Segment
from textual.geometry import Region
from textual.strip import Strip
from textual.widget import Widget

from sao_tui.tui.text import one_line

Line = Sequence[tuple[str, str]]
"""Pieces of (text, part); part is one of the component classes' last words, or empty."""


class TextLines(Widget):
    """Readings that change often; its height stays, so that a change lays nothing out."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "text-lines--label",
        "text-lines--value",
        "text-lines--bar",
        "text-lines--good",
        "text-lines--bad",
    }
    DEFAULT_CSS = """
    TextLines {
        .text-lines--label { color: $text-muted; }
        .text-lines--value { color: $foreground; text-style: bold; }
        .text-lines--bar { color: $primary; }
        .text-lines--good { color: $success; }
        .text-lines--bad { color: $error; text-style: bold; }
    }
    """

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._lines: list[Line] = []

    def set_lines(self, lines: Sequence[Line]) -> None:
        """Show other lines."""
        new = [[(one_line(text), part) for text, part in line] for line in lines]
        old = self._lines
        self._lines = list(new)
        for y in range(max(len(old), len(new))):
            if y >= len(old) or y >= len(new) or old[y] != new[y]:
                self.refresh(Region(0, y, self.size.width, 1))

    @property
    def text(self) -> str:
        """What is shown, without its colours."""
        return "\n".join("".join(text for text, _ in line) for line in self._lines)

    def render_line(self, y: int) -> Strip:
        """Return one line."""
        base = self.rich_style
        line = self._lines[y] if y < len(self._lines) else ()
        segments = [
            Segment(text, self.get_component_rich_style(f"text-lines--{part}") if part else base) for text, part in line
        ]
        return Strip(segments).adjust_cell_length(self.size.width, base)


def bar(share: float, width: int) -> str:
    """Return a bar that is filled by `share`, between 0 and 1."""
    filled = round(max(0.0, min(1.0, share)) * width)
    return "█" * filled + "░" * (width - filled)
