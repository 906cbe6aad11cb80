"""Which columns the table has, in which order, and by which it is sorted."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, ClassVar

from rich.segment import Segment
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.strip import Strip
from textual.widget import Widget
from textual.widgets import Static

from sao_tui.tui.base import WIDE_COLUMNS
from sao_tui.tui.studio.base import Selection, StudioDialog, StudioResult, key_line
from sao_tui.tui.text import fit
from sao_tui.tui.widgets.clip_columns import COLUMNS, DETAIL_COLUMNS, USUAL, Column, TableLayout, lay_out
from sao_tui.tui.widgets.cursor_view import CURSOR, CursorView

if TYPE_CHECKING:
    from sao_tui.services.bundle import Services


@dataclass(frozen=True)
class ColumnsChosen(StudioResult):
    """The table is to look like this."""

    table_layout: TableLayout = field(default_factory=TableLayout)


class ColumnList(CursorView, inherit_bindings=False):
    """All columns: those that are shown, in their order, above those that are not."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "move(-1)", "Up", id="columns.up", tooltip="Move up", show=False),
        Binding("down,j", "move(1)", "Down", id="columns.down", tooltip="Move down", show=False),
        Binding("home,g", "end(0)", "First", id="columns.first", tooltip="Move to the first column", show=False),
        Binding("end,G", "end(1)", "Last", id="columns.last", tooltip="Move to the last column", show=False),
    ]

    def __init__(self, layout: TableLayout) -> None:
        super().__init__()
        self.table_layout = layout
        self._columns: list[Column] = []

    def on_mount(self) -> None:
        """Begin with the columns as they are."""
        self.show_layout(self.table_layout)

    @property
    def current(self) -> Column:
        """Column under the cursor."""
        return self._columns[self.cursor]

    def show_layout(self, layout: TableLayout, cursor: Column | None = None) -> None:
        """Show a choice of columns, with the cursor on one of them."""
        self.table_layout = layout
        self._columns = [*layout.columns, *(column for column in COLUMNS if column not in layout.columns)]
        place = self.cursor if cursor is None else self._columns.index(cursor)
        self.set_num_rows(len(self._columns), place)

    def render_line(self, y: int) -> Strip:
        """Draw one column."""
        width, index = self.line_width, y + round(self.scroll_y)
        if index >= len(self._columns):
            return Strip.blank(width, self.rich_style)
        column, layout = self._columns[index], self.table_layout
        is_here = index == self.cursor
        box = "[x]" if column in layout.columns else "[ ]"
        arrow = ("↓" if layout.descending else "↑") if column == layout.sort else " "
        text = f"{CURSOR if is_here else ' '} {box} {arrow} {column.name:<9} {column.meaning}"
        style = self.get_component_rich_style(self.cursor_class) if is_here else self.rich_style
        return Strip([Segment(fit(text, width), style)], width)


class ColumnsDialog(StudioDialog):
    """Chooses, orders and sorts."""

    TITLE_TEXT = "Columns"
    DEFAULT_CSS = """
    ColumnsDialog {
        ColumnList { background: $surface; }
        #fit { height: 2; color: $text-muted; }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("space", "show", "Show", id="columns.toggle", tooltip="Show the column, or not"),
        Binding("J,shift+down", "shift(1)", "Later", id="columns.later", tooltip="Put the column further right"),
        Binding("K,shift+up", "shift(-1)", "Earlier", id="columns.earlier", tooltip="Put it further left"),
        Binding("s", "sort", "Sort", id="columns.sort", tooltip="Sort by the column"),
        Binding("S", "reverse", "Reverse", id="columns.reverse", tooltip="Sort the other way round"),
        Binding("d", "usual", "Usual", id="columns.usual", tooltip="Take the usual columns"),
        Binding("enter", "accept", "Done", id="columns.accept", tooltip="Show the table like this"),
    ]

    def __init__(self, services: Services, selection: Selection, layout: TableLayout | None = None) -> None:
        super().__init__(services, selection)
        self._table_layout = layout or TableLayout()

    def compose_body(self) -> Iterable[Widget]:
        """List, what fits, keys."""
        yield ColumnList(self._table_layout)
        yield Static(id="fit")
        yield key_line(
            [("space", "show"), ("J K", "order"), ("s S", "sort"), ("d", "usual"), ("enter", "done"), ("esc", "cancel")]
        )

    def on_mount(self) -> None:
        """Say what fits."""
        self._show_fit()

    def _change(self, layout: TableLayout, cursor: Column | None = None) -> None:
        self.query_one(ColumnList).show_layout(layout, cursor)
        self._show_fit()

    def _show_fit(self) -> None:
        width = self.app.size.width
        if width >= WIDE_COLUMNS:
            width -= DETAIL_COLUMNS
        columns = self.query_one(ColumnList).table_layout.columns
        shown = [column for column, _ in lay_out(columns, width - 1)]
        left_out = [column.name for column in columns if column not in shown]
        text = f"{len(columns)} columns, all of which fit into this terminal."
        if left_out:
            text = f"{len(columns)} columns; too narrow here for: {', '.join(left_out)}."
        self.query_one("#fit", Static).update(Content(text), layout=False)

    def action_show(self) -> None:
        """Show the column under the cursor, or not; one always stays."""
        columns = self.query_one(ColumnList)
        layout, column = columns.table_layout, columns.current
        if column not in layout.columns:
            self._change(replace(layout, columns=(*layout.columns, column)), column)
        elif len(layout.columns) > 1:
            self._change(replace(layout, columns=tuple(each for each in layout.columns if each != column)), column)

    def action_shift(self, step: int) -> None:
        """Move the column under the cursor among those that are shown."""
        columns = self.query_one(ColumnList)
        shown, column = list(columns.table_layout.columns), columns.current
        if column in shown:
            place = shown.index(column)
            shown.insert(min(max(0, place + step), len(shown) - 1), shown.pop(place))
            self._change(replace(columns.table_layout, columns=tuple(shown)), column)

    def action_sort(self) -> None:
        """Sort by the column under the cursor."""
        columns = self.query_one(ColumnList)
        self._change(replace(columns.table_layout, sort=columns.current, descending=False))

    def action_reverse(self) -> None:
        """Sort by the column under the cursor, the other way round than now."""
        columns = self.query_one(ColumnList)
        layout, column = columns.table_layout, columns.current
        self._change(replace(layout, sort=column, descending=column != layout.sort or not layout.descending))

    def action_usual(self) -> None:
        """Take the usual columns."""
        self._change(replace(self.query_one(ColumnList).table_layout, columns=USUAL))

    def action_accept(self) -> None:
        """Show the table like this."""
        self.dismiss(ColumnsChosen(table_layout=self.query_one(ColumnList).table_layout))
