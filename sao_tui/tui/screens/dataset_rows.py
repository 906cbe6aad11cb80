"""Which clips the dataset screen shows and in which order: filter, sort, columns, marks."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual import on
from textual.binding import Binding, BindingType
from textual.widgets import Static
from textual.worker import Worker

from sao_tui.tui.screens.dataset_messages import (
    FilterRefused,
    FirstRead,
    IdsRead,
    MarksOutdated,
    PageRead,
    SettingsSaved,
)
from sao_tui.tui.screens.dataset_text import Shown, empty_text, summary_text
from sao_tui.tui.screens.dataset_tools import DatasetTools
from sao_tui.tui.studio.base import Selection
from sao_tui.tui.widgets.clip_columns import TableLayout, read_layout
from sao_tui.tui.widgets.clip_table import ClipTable

if TYPE_CHECKING:
    from sao_tui.services.clips import ClipCounts
    from sao_tui.tui.widgets.filter_line import FilterLine


class DatasetRows(DatasetTools):
    """Reads what the filter leaves, shows the first page as soon as it is known, and all once they are."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("s", "sort", "Sort", id="dataset.sort", tooltip="Sort by the next column", show=False),
        Binding("S", "reverse", "Reverse", id="dataset.reverse", tooltip="Sort the other way round", show=False),
    ]

    _filter_text = ""
    _filter_before = ""
    """Filter to go back to when the line is left with escape."""
    _table_layout = TableLayout()
    _counts: ClipCounts | None = None
    _progress = ""
    """What is going on, in words."""
    _analysis = ""
    """How far the analysis is, in words."""
    _asked = 0
    """Number of the newest reading of the table; answers to older ones are dropped."""
    _is_whole = False
    _reading_ids: Worker[None] | None = None
    _saving_settings: Worker[None] | None = None
    _unsaved_settings: dict[str, str] | None = None

    @property
    def knows_all_shown(self) -> bool:
        """Whether the table holds all clips that the filter leaves."""
        return self._is_whole

    def selection(self) -> Selection:
        """Return the marked clips, those that the filter hides too, or all that are shown."""
        table = self.query_one(ClipTable)
        if len(table.marks):
            return Selection(table.marks.all(table.ids), True, table.current_row)
        return Selection(table.ids, False, table.current_row)

    def tool_arguments(self, name: str) -> tuple[object, ...]:
        """Tell the dialogs that change the table how it is now."""
        return {"columns": (self._table_layout,), "views": (self._filter_text,)}.get(name, ())

    def read_settings(self) -> None:
        """Take the columns and the order that sao.toml asks for."""
        settings = self.services.workspace.settings
        self._table_layout, problem = read_layout(settings.columns, settings.sort)
        self.query_one(ClipTable).set_layout(self._table_layout)
        if problem:
            self.note(problem)

    def refresh_ids(self, *, first: bool = False) -> None:
        """Read again which clips to show; `first` as soon as possible the first page of them, as for a key."""
        self._asked += 1
        self._is_whole = self._is_whole and not first
        order = (self._table_layout.sort.sort, self._table_layout.descending)
        self._reading_ids = self._read_ids(self._asked, self._filter_text, order, first)

    @on(FirstRead)
    def _show_first(self, message: FirstRead) -> None:
        if message.number == self._asked:
            self.query_one(ClipTable).set_ids(message.ids, message.first_page, from_top=True)
            self.remove_class("-empty")

    @on(IdsRead)
    def _show_ids(self, message: IdsRead) -> None:
        if message.number != self._asked:
            return
        self._counts, self._is_whole = message.counts, True
        table = self.query_one(ClipTable)
        if message.ids != table.ids:
            table.set_ids(message.ids, message.first_page, from_top=message.from_top)
        if not message.from_top:
            table.read_again()
        self.set_class(not message.ids and not self._progress, "-empty")
        if self.has_class("-empty"):
            empty = empty_text(message.counts.num_clips, self.services.workspace.dataset_folder)
            self.query_one("#empty", Static).update(empty)
        self.show_summary()
        self.rows_shown()
        self.open_waiting_tool()

    def rows_shown(self) -> None:
        """React to the table being up to date."""

    @on(FilterRefused)
    def _show_refusal(self, message: FilterRefused) -> None:
        if message.number != self._asked:
            return
        self._is_whole = True  # As far as can be: the rows before stay.
        for line in self._filter_lines():
            line.show_error(message.error)
            return
        self.toast(message.error.message, message.error.hint, severity="error")

    @on(PageRead)
    def _show_page(self, message: PageRead) -> None:
        self.query_one(ClipTable).put_page(message.generation, message.page, message.rows)

    @on(ClipTable.PagesWanted)
    def _bring_pages(self, message: ClipTable.PagesWanted) -> None:
        self._read_pages(message.generation, message.pages)

    def show_summary(self) -> None:
        """Say how many clips there are, match and are marked."""
        table = self.query_one(ClipTable)
        shown = Shown(len(table.ids), self._is_whole, self._filter_text, len(table.marks))
        text = summary_text(self._counts, shown, " · ".join(filter(None, (self._progress, self._analysis))))
        self.query_one("#summary", Static).update(text, layout=False)
        for line in self._filter_lines():
            line.show_state(text)

    # The filter.

    def set_filter(self, text: str, *, first: bool = True) -> None:
        """Show what another filter leaves."""
        self._filter_text = text
        self.refresh_ids(first=first)

    async def action_filter(self) -> None:
        """Open the filter."""
        from sao_tui.services.clip_filter import filter_completions
        from sao_tui.tui.widgets.filter_line import FilterLine

        if not self.has_class("-filtering"):
            self._filter_before = self._filter_text
            self.add_class("-filtering")
            await self.query_one("#list").mount(FilterLine(self._filter_text, filter_completions), before=0)
            self.show_summary()

    async def on_filter_line_changed(self, event: FilterLine.Changed) -> None:
        """Apply the filter at once: a newer key supersedes what the last one asked for."""
        self.set_filter(event.text)

    async def on_filter_line_accepted(self) -> None:
        """Keep the filter and go back to the table; one that is not understood stays in its line."""
        from sao_tui.core.errors import SaoError
        from sao_tui.services.clip_filter import parse_filter

        try:
            parse_filter(self._filter_text)
        except SaoError as error:
            for line in self._filter_lines():
                line.show_error(error)
            return
        await self._close_filter()

    async def action_leave(self) -> None:
        """Go back to the filter before, or take the filter away."""
        wanted = self._filter_before if self.has_class("-filtering") else ""
        if self._filter_text != wanted:
            self.set_filter(wanted, first=False)
        await self._close_filter()

    async def _close_filter(self) -> None:
        self.remove_class("-filtering")
        await self.query("FilterLine").remove()
        self.show_summary()
        self.query_one(ClipTable).focus()

    def _filter_lines(self) -> list[FilterLine]:
        if not self.has_class("-filtering"):
            return []
        from sao_tui.tui.widgets.filter_line import FilterLine

        return list(self.query(FilterLine))

    # Order and columns.

    def action_sort(self) -> None:
        """Sort by the next column."""
        layout = self._table_layout
        columns = layout.columns
        place = columns.index(layout.sort) if layout.sort in columns else -1
        self.set_table_layout(TableLayout(columns, columns[(place + 1) % len(columns)]))

    def action_reverse(self) -> None:
        """Sort the other way round."""
        layout = self._table_layout
        self.set_table_layout(TableLayout(layout.columns, layout.sort, not layout.descending))

    def set_table_layout(self, layout: TableLayout) -> None:
        """Show other columns or another order, and keep the choice."""
        before, self._table_layout = self._table_layout, layout
        self.query_one(ClipTable).set_layout(layout)
        if (layout.sort, layout.descending) != (before.sort, before.descending):
            self.note(f"sorted by {layout.sort.meaning}{', the other way round' * layout.descending}")
            self.refresh_ids(first=True)
        if layout != before:
            self.keep_settings(layout.in_settings())

    def keep_settings(self, changes: dict[str, str]) -> None:
        """Write settings to sao.toml, one write after the other: the newest must be the last."""
        self._unsaved_settings = {**(self._unsaved_settings or {}), **changes}
        if self._saving_settings is None or self._saving_settings.is_finished:
            self._save_next()

    @on(SettingsSaved)
    def _save_next(self) -> None:
        changes, self._unsaved_settings = self._unsaved_settings, None
        if changes:
            self._saving_settings = self._save_settings(changes)

    # Marks.

    @on(ClipTable.MarksChanged)
    def _marks_changed(self, message: ClipTable.MarksChanged) -> None:
        if message.problem:
            self.note(message.problem)
        self.show_summary()

    @on(MarksOutdated)
    def _forget_marks(self, message: MarksOutdated) -> None:
        self.query_one(ClipTable).marks.keep_only(message.ids)
        self.show_summary()
