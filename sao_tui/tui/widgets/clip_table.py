"""A table of half a million clips that scrolls like one of ten.

It knows the ids of all rows and holds only some pages of them. Pages that it lacks are asked for with
PagesWanted and drawn as dots until `put_page` brings them, so that no key waits for the disk.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from rich.segment import Segment
from textual.binding import Binding, BindingType
from textual.events import Key
from textual.message import Message
from textual.strip import Strip

from sao_tui.tui.text import fit
from sao_tui.tui.widgets.clip_pages import ClipPages
from sao_tui.tui.widgets.cursor_view import CURSOR, CursorView
from sao_tui.tui.widgets.typed_ahead import as_typed

if TYPE_CHECKING:
    from sao_tui.services.clips import ClipRow

NARROW_COLUMNS = 90
"""Narrower than this, the column of problems gives way to names and captions."""


class ClipTable(CursorView):
    """The clips, one a line: name, length, rate, channels, caption, problem."""

    DEFAULT_CSS = """
    ClipTable {
        & > .clip-table--header { color: $foreground; background: $panel; text-style: bold; }
        & > .clip-table--problem { color: $error; }
        & > .clip-table--muted { color: $text-muted; }
    }
    """
    COMPONENT_CLASSES: ClassVar[set[str]] = {"clip-table--header", "clip-table--problem", "clip-table--muted"}
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "open", "Caption", id="clips.open", tooltip="Edit the caption of the clip under the cursor"),
    ]
    NUM_HEADER_LINES = 1

    @dataclass
    class PagesWanted(Message):
        """Rows that are about to be seen and are not held."""

        generation: int
        """Number of the id list that the pages belong to."""
        pages: dict[int, Sequence[int]]
        """Page number to the ids of its rows."""

    @dataclass
    class Highlighted(Message):
        """The cursor is on another clip, or the clip under it has arrived; None while it is not held."""

        row: ClipRow | None

        def can_replace(self, message: Message) -> bool:
            """Only where the cursor ends up counts."""
            return isinstance(message, ClipTable.Highlighted)

    @dataclass
    class Opened(Message):
        """Enter was pressed on a clip."""

        row: ClipRow

    class FilterWanted(Message):
        """Slash was pressed."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._pages = ClipPages()
        self._typed_ahead: str | None = None
        self._type_in: Callable[[str], None] | None = None

    @property
    def ids(self) -> array[int]:
        """Ids of all rows in order; not to be changed."""
        return self._pages.ids

    @property
    def current_id(self) -> int | None:
        """Id of the clip under the cursor."""
        return self.ids[self.cursor] if self.cursor < len(self.ids) else None

    @property
    def current_row(self) -> ClipRow | None:
        """The clip under the cursor, None while its page is not held."""
        return self._pages.row(self.cursor)

    def set_ids(self, ids: array[int], first_page: list[ClipRow]) -> None:
        """Show other rows; the cursor stays on its clip where that is still among them."""
        position = _index(ids, self.current_id)
        self._pages.reset(ids)
        self._pages.put(self._pages.generation, 0, first_page)
        self.set_num_rows(len(ids), self.cursor if position is None else position)
        self.view_moved()
        self.cursor_moved()

    def put_page(self, generation: int, page: int, rows: list[ClipRow]) -> None:
        """Hold the rows of a page that was asked for; those of an older id list are dropped."""
        filled = self._pages.put(generation, page, rows)
        in_view = self.rows_in_view
        if filled.start < in_view.stop and filled.stop > in_view.start:
            self.refresh()
        if self.cursor in filled:
            self.cursor_moved()

    def replace_row(self, row: ClipRow) -> None:
        """Show a clip that has changed; its line alone is redrawn."""
        position = self._pages.replace(row)
        if position is not None:
            self.refresh_row(position)
            if position == self.cursor:
                self.cursor_moved()

    def read_again(self) -> None:
        """Ask again for every row: many may have changed."""
        self._pages.expire()
        self.view_moved()

    def move_to_id(self, clip_id: int) -> bool:
        """Put the cursor on a clip and return whether it is among the rows."""
        position = _index(self.ids, clip_id)
        if position is not None:
            self.go(position)
        return position is not None

    def cursor_moved(self) -> None:
        """Tell which clip is under the cursor now."""
        self.post_message(self.Highlighted(self.current_row))

    def view_moved(self) -> None:
        """Ask for the rows in view, and one view before and after, as far as they lack."""
        in_view = self.rows_in_view
        missing = self._pages.missing(in_view.start - self.num_visible, in_view.stop + self.num_visible)
        if missing:
            self.post_message(self.PagesWanted(self._pages.generation, missing))

    def action_open(self) -> None:
        """Open the clip under the cursor."""
        row = self.current_row
        if row is not None:
            self.post_message(self.Opened(row))

    def on_key(self, event: Key) -> None:
        """Open at enter or slash itself and keep what is typed right behind it.

        Over a slow line keys come in bursts: waiting for the binding would give the first letters of a caption or
        filter to the bindings of the screen, such as `u`.
        """
        if self._typed_ahead is not None and (typed := as_typed(event)):
            self._keep(typed)
        elif self._typed_ahead is not None:
            return
        elif event.key == "enter" and self.current_row is not None:
            self._typed_ahead = ""
            self.action_open()
        elif event.key == "slash" and self._slash_filters():
            self._typed_ahead = ""
            self.post_message(self.FilterWanted())
        else:
            return
        event.stop()
        event.prevent_default()

    def _slash_filters(self) -> bool:
        """Return whether the filter's key is still what it is by default."""
        known = self.screen.active_bindings.get("slash")
        return known is not None and known.enabled and known.binding.action == "filter"

    def hand_over(self, type_in: Callable[[str], None] | None) -> None:
        """Give what was typed ahead, and what still comes, to the line that is open; None when it is closed."""
        typed, self._typed_ahead, self._type_in = self._typed_ahead, None if type_in is None else "", type_in
        if type_in is not None and typed:
            type_in(typed)

    def _keep(self, character: str) -> None:
        """Keep one key for the line that opens, or give it to the one that is open."""
        if self._type_in is not None:
            self._type_in(character)
        else:
            self._typed_ahead = (self._typed_ahead or "") + character

    def render_line(self, y: int) -> Strip:
        """Draw the header or one clip."""
        width = self.size.width
        if y == 0:
            text = _columns(width, "name", "seconds", "rate", "ch", "caption", "problem")
            return Strip([Segment("".join(text), self.get_component_rich_style("clip-table--header"))], width)
        position = round(self.scroll_y) + y - 1
        if position >= len(self.ids):
            return Strip.blank(width, self.rich_style)
        return Strip(self._segments(position, width), width)

    def _segments(self, position: int, width: int) -> list[Segment]:
        row = self._pages.row(position)
        here = position == self.cursor
        style = self.get_component_rich_style(self.cursor_class) if here else self.rich_style
        if row is None:
            return [Segment(fit((CURSOR if here else " ") + "·", width), style)]
        seconds = "" if row.error else f"{row.seconds:.2f}"
        rate = "" if row.error else f"{row.sample_rate_hz / 1000:g}k"
        channels = "" if row.error else str(row.num_channels)
        problem = row.error or ("" if row.caption else "no caption")
        caption = row.caption if width >= NARROW_COLUMNS else problem or row.caption
        cells = _columns(width, row.relpath, seconds, rate, channels, caption, problem)
        if here:
            return [Segment(CURSOR + "".join(cells)[1:], style)]
        muted = self.get_component_rich_style("clip-table--muted")
        marked = self.get_component_rich_style("clip-table--problem")
        styles = [style, muted, muted, muted, style, marked if row.error else muted]
        if problem and not cells[5]:
            styles[4] = marked if row.error else muted
        return [Segment(cell, each) for cell, each in zip(cells, styles, strict=True)]


def _index(ids: array[int], clip_id: int | None) -> int | None:
    try:
        return None if clip_id is None else ids.index(clip_id)
    except ValueError:
        return None


def _columns(width: int, name: str, seconds: str, rate: str, channels: str, caption: str, problem: str) -> list[str]:
    """Return the cells of one line, `width` wide in all; a narrow one has no column for the problem."""
    problem_width = 0 if width < NARROW_COLUMNS else 22
    rest = max(0, width - 17 - problem_width)
    name_width = min(max(12, rest * 9 // 20), 48)
    return [
        " " + fit(name, name_width - 1, from_end=True),
        seconds.rjust(8)[-8:],
        rate.rjust(6)[-6:],
        channels.rjust(3)[-3:],
        "  " + fit(caption, rest - name_width - 2),
        " " + fit(problem, problem_width - 1) if problem_width else "",
    ]
