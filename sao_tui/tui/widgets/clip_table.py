"""A table of half a million clips that scrolls like one of ten.

It knows the ids of all rows and holds only some pages of them. Pages that it lacks are asked for with
PagesWanted and drawn as dots until `put_page` brings them, so that no key waits for the disk.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from textual.binding import Binding, BindingType
from textual.events import Key
from textual.message import Message
from textual.strip import Strip

from sao_tui.tui.widgets.clip_columns import TableLayout
from sao_tui.tui.widgets.clip_line import LineStyles, clip_strip, header_strip, missing_strip
from sao_tui.tui.widgets.clip_marks import Marks
from sao_tui.tui.widgets.clip_pages import ClipPages
from sao_tui.tui.widgets.cursor_view import CursorView

if TYPE_CHECKING:
    from sao_tui.services.clips import ClipRow


class ClipTable(CursorView):
    """The clips, one a line, with the columns that its layout names."""

    DEFAULT_CSS = """
    ClipTable {
        & > .clip-table--header { color: $foreground; background: $panel; text-style: bold; }
        & > .clip-table--problem { color: $error; }
        & > .clip-table--muted { color: $text-muted; }
        & > .clip-table--mark { color: $accent; text-style: bold; }
    }
    """
    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "clip-table--header",
        "clip-table--problem",
        "clip-table--muted",
        "clip-table--mark",
    }
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "open", "Caption", id="clips.open", tooltip="Edit the caption of the clip under the cursor"),
        Binding("m", "mark", "Mark", id="clips.mark", tooltip="Mark the clip, or not, and move down"),
        Binding(
            "M",
            "mark_range",
            "Mark to here",
            id="clips.mark-range",
            tooltip="Mark all from the last m to here",
            show=False,
        ),
        Binding("a", "mark_all", "Mark all", id="clips.mark-all", tooltip="Mark all clips shown, or none", show=False),
        Binding(
            "i",
            "invert_marks",
            "Invert marks",
            id="clips.invert",
            tooltip="Mark what is not, of those shown",
            show=False,
        ),
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

    @dataclass
    class MarksChanged(Message):
        """Other clips are marked."""

        problem: str = ""
        """Why nothing has changed after all."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.marks = Marks()
        self.table_layout = TableLayout()
        self._pages = ClipPages()
        self._anchor_id: int | None = None
        self._typed_ahead: str | None = None
        self._type_in: Callable[[str], None] | None = None
        self._styles: LineStyles | None = None

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

    def set_layout(self, layout: TableLayout) -> None:
        """Show other columns."""
        if layout != self.table_layout:
            self.table_layout = layout
            self.refresh()

    def set_ids(self, ids: array[int], first_page: list[ClipRow], *, from_top: bool = False) -> None:
        """Show other rows; the cursor stays on its clip where that is among them, otherwise at its place.

        Args:
            ids: All rows in order.
            first_page: The first of them, as far as they have been read.
            from_top: The cursor goes to the top.
        """
        held = len(self.ids)
        if held and len(ids) > held and ids[:held] == self.ids:
            self._pages.extend(ids)
            self.add_rows(len(ids))
            self.view_moved()
            if from_top:
                self.go(0)
            return
        position = 0 if from_top else _index(ids, self.current_id)
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
        """Show a clip that has changed."""
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

    # Marks.

    def action_mark(self) -> None:
        """Mark the clip under the cursor, or take its mark away, and move down."""
        clip_id = self.current_id
        if clip_id is None:
            return
        self.marks.toggle(clip_id)
        self._anchor_id = clip_id
        self.refresh_row(self.cursor)
        self.go(self.cursor + 1)
        self.post_message(self.MarksChanged())

    def action_mark_range(self) -> None:
        """Mark all clips from the last one that `m` was pressed on to the cursor."""
        anchor = _index(self.ids, self._anchor_id)
        if anchor is None:
            self.post_message(self.MarksChanged("M marks from the last m to here: press m on the first clip"))
            return
        first, last = sorted((anchor, self.cursor))
        self._change_marks(lambda: self.marks.set(self.ids[first : last + 1], True))

    def action_mark_all(self) -> None:
        """Mark all clips shown; where they are, none."""
        are_marked = len(self.marks.among(self.ids)) == len(self.ids)
        self._change_marks(lambda: self.marks.set(self.ids, not are_marked))

    def action_invert_marks(self) -> None:
        """Mark those clips shown that are not marked, and the other way round."""
        self._change_marks(lambda: self.marks.invert(self.ids))

    def _change_marks(self, change: Callable[[], None]) -> None:
        change()
        self.refresh()
        self.post_message(self.MarksChanged())

    # Keys that come faster than the caption's line opens.

    def on_key(self, event: Key) -> None:
        """Open at enter itself and keep what is typed right behind it.

        Over a slow line keys come in bursts: waiting for the binding would give the caption's first letters to
        the bindings of the screen, such as `u`.
        """
        if self._typed_ahead is not None:
            event.stop()
            event.prevent_default()
            if event.is_printable and event.character:
                self._keep(event.character)
        elif event.key == "enter" and self.current_row is not None:
            event.stop()
            event.prevent_default()
            self._typed_ahead = ""
            self.action_open()

    def hand_over(self, type_in: Callable[[str], None] | None) -> None:
        """Give what was typed ahead, and what still comes, to the caption's line; None when that is closed."""
        typed, self._typed_ahead, self._type_in = self._typed_ahead, None if type_in is None else "", type_in
        if type_in is not None and typed:
            type_in(typed)

    def _keep(self, character: str) -> None:
        if self._type_in is not None:
            self._type_in(character)
        else:
            self._typed_ahead = (self._typed_ahead or "") + character

    # Drawing.

    def notify_style_update(self) -> None:
        """Forget the colours that are no more."""
        super().notify_style_update()
        self._styles = None

    def render_line(self, y: int) -> Strip:
        """Draw the header or one clip."""
        width = self.line_width
        if y == 0:
            return header_strip(self.table_layout, width, self.get_component_rich_style("clip-table--header"))
        position = round(self.scroll_y) + y - 1
        if position >= len(self.ids):
            return Strip.blank(width, self.rich_style)
        row = self._pages.row(position)
        cursor = self.get_component_rich_style(self.cursor_class) if position == self.cursor else None
        if row is None:
            return missing_strip(width, is_here=cursor is not None, style=cursor or self.rich_style)
        is_marked = self.ids[position] in self.marks
        return clip_strip(row, self.table_layout, width, self._line_styles(), is_marked=is_marked, cursor=cursor)

    def _line_styles(self) -> LineStyles:
        if self._styles is None:
            muted, problem, mark = (
                self.get_component_rich_style(f"clip-table--{part}") for part in ("muted", "problem", "mark")
            )
            self._styles = LineStyles(self.rich_style, muted, problem, mark)
        return self._styles


def _index(ids: array[int], clip_id: int | None) -> int | None:
    try:
        return None if clip_id is None else ids.index(clip_id)
    except ValueError:
        return None
