"""Many lines with a cursor on one of them: what the clip table and the config form share.

A cursor step redraws two lines. Where it leaves the view, the view jumps by half of its height, which sends
an eighth of the bytes of a scroll by a line.
"""

from __future__ import annotations

from typing import ClassVar

from textual import events
from textual.binding import Binding, BindingType
from textual.geometry import Region, Size
from textual.scroll_view import ScrollView

CURSOR = ">"
"""Marks the cursor's line, for terminals without colour."""


class CursorView(ScrollView, can_focus=True, inherit_bindings=False):
    """Draws lines by `render_line`; subclasses say how many there are with `set_num_rows`."""

    DEFAULT_CSS = """
    CursorView {
        height: 1fr; overflow-x: hidden; overflow-y: auto; scrollbar-size-vertical: 1; background: $background;
        & > .cursor-view--cursor { color: $background; background: $primary; text-style: bold; }
        & > .cursor-view--cursor-unfocused { background: $panel; text-style: bold; }
    }
    """
    COMPONENT_CLASSES: ClassVar[set[str]] = {"cursor-view--cursor", "cursor-view--cursor-unfocused"}
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "move(-1)", "Up", id="cursor.up", tooltip="Move up", show=False),
        Binding("down,j", "move(1)", "Down", id="cursor.down", tooltip="Move down", show=False),
        Binding("pageup", "page(-1)", "Page up", id="cursor.page-up", tooltip="Move one page up", show=False),
        Binding("pagedown", "page(1)", "Page down", id="cursor.page-down", tooltip="Move one page down", show=False),
        Binding("home,g", "end(0)", "First", id="cursor.first", tooltip="Move to the first line", show=False),
        Binding("end,G", "end(1)", "Last", id="cursor.last", tooltip="Move to the last line", show=False),
    ]
    NUM_HEADER_LINES: ClassVar[int] = 0
    """Lines at the top that do not scroll."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.cursor = 0
        """Row of the cursor."""
        self._num_rows = 0

    def set_num_rows(self, num_rows: int, cursor: int) -> None:
        """Show other rows, with the cursor on one of them."""
        self._num_rows = num_rows
        self.virtual_size = Size(0, num_rows + self.NUM_HEADER_LINES)
        self._place_cursor(min(max(0, cursor), max(0, num_rows - 1)))
        self.refresh()

    def add_rows(self, num_rows: int) -> None:
        """Show more rows below those that there are: where they fill the view already, only the bar changes."""
        if self._num_rows < self.num_visible or not self.show_vertical_scrollbar:
            self.set_num_rows(num_rows, self.cursor)
            return
        self._num_rows = num_rows
        # Not by assignment: that would lay the whole screen out anew.
        self.set_reactive(CursorView.virtual_size, Size(0, num_rows + self.NUM_HEADER_LINES))
        self.vertical_scrollbar.window_virtual_size = self.virtual_size.height

    def cursor_moved(self) -> None:
        """React to another row under the cursor."""

    def view_moved(self) -> None:
        """React to other rows in view."""

    @property
    def num_visible(self) -> int:
        """Rows that the view has room for."""
        return max(1, self.size.height - self.NUM_HEADER_LINES)

    @property
    def line_width(self) -> int:
        """Cells of a line beside the scroll bar."""
        return self.size.width - self.scrollbar_size_vertical

    @property
    def rows_in_view(self) -> range:
        """Rows in view."""
        top = round(self.scroll_y)
        return range(top, min(self._num_rows, top + self.num_visible))

    @property
    def cursor_class(self) -> str:
        """Component class of the cursor's line."""
        return "cursor-view--cursor" if self.has_focus else "cursor-view--cursor-unfocused"

    def go(self, row: int) -> None:
        """Move the cursor to a row, or the nearest that there is."""
        if not self._num_rows:
            return
        old = self.cursor
        self._place_cursor(min(max(0, row), self._num_rows - 1))
        if old != self.cursor:
            self.refresh_row(old)
            self.refresh_row(self.cursor)
            self.cursor_moved()

    def refresh_row(self, row: int) -> None:
        """Draw one row anew."""
        y = row - round(self.scroll_y) + self.NUM_HEADER_LINES
        if self.NUM_HEADER_LINES <= y < self.size.height:
            self.refresh(Region(0, y, self.line_width, 1))

    def _place_cursor(self, row: int) -> None:
        self.cursor = row
        top, height = round(self.scroll_y), self.num_visible
        if top <= row < top + height:
            return
        half = max(1, height // 2)
        wanted = row - half
        if row >= top + height and row < top + 2 * height:
            wanted = row - height + half
        last_top = max(0, self._num_rows - height)
        self.scroll_to(y=min(max(0, wanted), last_top), animate=False, force=True, immediate=True)

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        """Draw the lines anew, and the bar where it looks different; tell of other rows in view."""
        # Not ScrollView's own: that has the header drawn again too, and the bar for every row of half a million.
        if self.show_vertical_scrollbar:
            self.vertical_scrollbar.position = self._bar_position(new_value)
        if round(old_value) != round(new_value):
            header = self.NUM_HEADER_LINES
            self.refresh(Region(0, header, self.line_width, self.size.height - header))
        self.view_moved()

    def _bar_position(self, scroll_y: float) -> float:
        """Return the position rounded to what the bar can show, eighths of a cell."""
        height, num_lines = self.size.height, self.virtual_size.height
        hidden = num_lines - height
        if hidden <= 0 or scroll_y >= hidden:
            return scroll_y
        step = hidden / (8 * (height - max(1, height * height / num_lines)))
        return scroll_y // step * step

    def on_resize(self, _event: events.Resize) -> None:
        """Keep the cursor in view."""
        self._place_cursor(self.cursor)
        self.view_moved()

    def on_focus(self) -> None:
        """The cursor looks different with the focus."""
        self.refresh_row(self.cursor)

    def on_blur(self) -> None:
        """The cursor looks different without the focus."""
        self.refresh_row(self.cursor)

    def action_move(self, rows: int) -> None:
        """Move the cursor by rows."""
        self.go(self.cursor + rows)

    def action_page(self, pages: int) -> None:
        """Move the cursor by views."""
        self.go(self.cursor + pages * self.num_visible)

    def action_end(self, last: int) -> None:
        """Move the cursor to the first or last row."""
        self.go(self._num_rows - 1 if last else 0)
