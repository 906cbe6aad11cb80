"""A short table with a cursor: a row that changes is drawn anew alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from rich.segment import Segment
from textual.binding import Binding, BindingType
from textual.message import Message
from textual.strip import Strip

from sao_tui.tui.text import fit
from sao_tui.tui.widgets.cursor_view import CURSOR, CursorView


@dataclass(frozen=True)
class Row:
    """One line of the table."""

    key: str
    """Unique in the table; the cursor stays on it when other rows come and go."""
    cells: tuple[str, ...]
    is_bad: bool = False
    """Drawn as an error."""


class RowTable(CursorView, inherit_bindings=False):
    """Rows below a header."""

    DEFAULT_CSS = """
    RowTable {
        & > .row-table--header { background: $panel; text-style: bold; }
        & > .row-table--bad { color: $error; }
    }
    """
    COMPONENT_CLASSES: ClassVar[set[str]] = {"row-table--header", "row-table--bad"}
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "move(-1)", "Up", id="rows.up", tooltip="Move to the row above", show=False),
        Binding("down,j", "move(1)", "Down", id="rows.down", tooltip="Move to the row below", show=False),
        Binding("pageup", "page(-1)", "Page up", id="rows.page-up", tooltip="Move one page up", show=False),
        Binding("pagedown", "page(1)", "Page down", id="rows.page-down", tooltip="Move one page down", show=False),
        Binding("home", "end(0)", "First", id="rows.first", tooltip="Move to the first row", show=False),
        Binding("end", "end(1)", "Last", id="rows.last", tooltip="Move to the last row", show=False),
    ]
    NUM_HEADER_LINES: ClassVar[int] = 1
    COLUMNS: ClassVar[tuple[tuple[str, int], ...]] = ()
    """Title and width; the column of width 0 takes what the others leave."""

    class Highlighted(Message):
        """The cursor is on another row, or on none any more."""

    class Selected(Message):
        """Enter was pressed on a row."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._rows: list[Row] = []

    @property
    def current_key(self) -> str:
        """Key of the row under the cursor, empty for none."""
        return self._rows[self.cursor].key if self.cursor < len(self._rows) else ""

    def set_rows(self, rows: Sequence[Row], cursor_key: str = "") -> None:
        """Show these rows, with the cursor on `cursor_key`, by default where it is."""
        old, before = self._rows, self.current_key
        self._rows = list(rows)
        keys = [row.key for row in rows]
        if keys != [row.key for row in old]:
            wanted = cursor_key or before
            self.set_num_rows(len(rows), keys.index(wanted) if wanted in keys else 0)
        else:
            for index, (was, now) in enumerate(zip(old, rows, strict=True)):
                if was != now:
                    self.refresh_row(index)
            if cursor_key:
                self.go_to(cursor_key)
        if self.current_key != before:
            self.post_message(self.Highlighted())

    def go_to(self, key: str) -> bool:
        """Put the cursor on the row with that key; return whether there is one."""
        keys = [row.key for row in self._rows]
        if key in keys:
            self.go(keys.index(key))
        return key in keys

    def cursor_moved(self) -> None:
        """Tell of another row under the cursor."""
        self.post_message(self.Highlighted())

    def action_select(self) -> None:
        """Tell of enter."""
        if self._rows:
            self.post_message(self.Selected())

    def render_line(self, y: int) -> Strip:
        """Return the header or one row."""
        width = self.scrollable_content_region.width
        if y == 0:
            titles = tuple(title for title, _ in self.COLUMNS)
            header = self.get_component_rich_style("row-table--header")
            return Strip([Segment(self._line(" ", titles, width), header)], width)
        index = y - 1 + round(self.scroll_y)
        if index >= len(self._rows):
            return Strip.blank(width, self.rich_style)
        row = self._rows[index]
        style = self.get_component_rich_style("row-table--bad") if row.is_bad else self.rich_style
        if index == self.cursor:
            style = self.get_component_rich_style(self.cursor_class)
        return Strip([Segment(self._line(CURSOR if index == self.cursor else " ", row.cells, width), style)], width)

    def _line(self, mark: str, cells: Sequence[str], width: int) -> str:
        taken = sum(column + 1 for _, column in self.COLUMNS) + 1
        free = max(8, width - taken)
        texts = (fit(cell, column or free) for cell, (_, column) in zip(cells, self.COLUMNS, strict=True))
        return fit(mark + " ".join(texts), width)
