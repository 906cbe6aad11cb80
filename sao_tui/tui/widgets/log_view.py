"""The last lines of a job's log, as many as fit a bound."""

from __future__ import annotations

from collections.abc import Iterable

from rich.text import Text
from textual.widgets import RichLog

from sao_tui.tui.text import one_line

MAX_LINES = 500


class LogView(RichLog, can_focus=True):
    """Plain lines, wrapped, never read as markup."""

    DEFAULT_CSS = """
    LogView { height: 1fr; background: $surface; overflow-y: scroll; scrollbar-size-vertical: 1; }
    """

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(max_lines=MAX_LINES, min_width=0, wrap=True, highlight=False, markup=False, id=id)

    def add(self, lines: Iterable[str]) -> None:
        """Append lines, keeping the end in view."""
        for line in lines:
            self.write(Text(one_line(line)), scroll_end=self.is_vertical_scroll_end, animate=False)

    def show(self, lines: Iterable[str]) -> None:
        """Replace everything."""
        self.clear()
        for line in lines:
            self.write(Text(one_line(line)), scroll_end=True, animate=False)
