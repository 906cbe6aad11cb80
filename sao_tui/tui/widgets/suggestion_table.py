"""A table of a hundred thousand suggestions: it knows all ids and holds the rows of some pages."""

from __future__ import annotations

from array import array
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from rich.segment import Segment
from textual.message import Message
from textual.strip import Strip

from sao_tui.tui.text import fit
from sao_tui.tui.widgets.cursor_view import CURSOR, CursorView

if TYPE_CHECKING:
    from sao_tui.services.suggestions import SuggestionRow

PAGE_ROWS = 64
MAX_PAGES = 16
WIDE_COLUMNS = 100
"""From this width on there is a column for the captioner."""


class SuggestionTable(CursorView):
    """Suggestions, one a line: clip, caption now, suggestion, confidence, source."""

    DEFAULT_CSS = """
    SuggestionTable {
        & > .suggestion-table--header { background: $panel; text-style: bold; }
        & > .suggestion-table--muted { color: $text-muted; }
    }
    """
    COMPONENT_CLASSES: ClassVar[set[str]] = {"suggestion-table--header", "suggestion-table--muted"}
    NUM_HEADER_LINES = 1

    @dataclass
    class PageWanted(Message):
        """Rows that are in view and not held."""

        page: int
        ids: Sequence[int]

    @dataclass
    class Highlighted(Message):
        """Another suggestion is under the cursor, or its row has arrived."""

        row: SuggestionRow | None

        def can_replace(self, message: Message) -> bool:
            """Only where the cursor ends up counts."""
            return isinstance(message, SuggestionTable.Highlighted)

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.ids: array[int] = array("q")
        """Ids of all rows in order; not to be changed."""
        self._pages: OrderedDict[int, dict[int, SuggestionRow]] = OrderedDict()
        self._asked: set[int] = set()

    @property
    def current_row(self) -> SuggestionRow | None:
        """The suggestion under the cursor, None while its page is not held."""
        return self._row(self.cursor)

    def set_ids(self, ids: array[int], first_page: Sequence[SuggestionRow]) -> None:
        """Show other rows; the cursor stays on its row, or in its place where that is gone."""
        current = self.ids[self.cursor] if self.cursor < len(self.ids) else None
        position = ids.index(current) if current is not None and current in ids else self.cursor
        self.ids = ids
        self._pages.clear()
        self._asked.clear()
        self._pages[0] = {row.id: row for row in first_page}
        self.set_num_rows(len(ids), position)
        self.view_moved()
        self.cursor_moved()

    def put_page(self, page: int, rows: Sequence[SuggestionRow]) -> None:
        """Hold the rows of a page that was asked for; those of other ids do no harm."""
        self._asked.discard(page)
        self._pages[page] = {row.id: row for row in rows}
        self._pages.move_to_end(page)
        while len(self._pages) > MAX_PAGES:
            self._pages.popitem(last=False)
        self.refresh()
        if self.cursor // PAGE_ROWS == page:
            self.cursor_moved()

    def cursor_moved(self) -> None:
        """Tell which suggestion is under the cursor."""
        self.post_message(self.Highlighted(self.current_row))

    def view_moved(self) -> None:
        """Ask for the pages in view that are not held."""
        in_view = self.rows_in_view
        if not len(self.ids):
            return
        for page in range(in_view.start // PAGE_ROWS, max(in_view.start, in_view.stop - 1) // PAGE_ROWS + 1):
            if page not in self._pages and page not in self._asked:
                self._asked.add(page)
                self.post_message(self.PageWanted(page, self.ids[page * PAGE_ROWS : (page + 1) * PAGE_ROWS]))

    def render_line(self, y: int) -> Strip:
        """Draw the header or one suggestion."""
        width = self.scrollable_content_region.width
        if y == 0:
            header = self.get_component_rich_style("suggestion-table--header")
            return Strip([Segment("".join(_cells(width, "clip", "now", "suggested", "conf", "source")), header)], width)
        position = round(self.scroll_y) + y - 1
        if position >= len(self.ids):
            return Strip.blank(width, self.rich_style)
        row, is_here = self._row(position), position == self.cursor
        style = self.get_component_rich_style(self.cursor_class) if is_here else self.rich_style
        if row is None:
            return Strip([Segment(fit((CURSOR if is_here else " ") + "·", width), style)], width)
        confidence = "" if row.confidence is None else f"{row.confidence:.2f}"
        cells = _cells(width, row.relpath, row.caption, row.text, confidence, row.source)
        if is_here:
            return Strip([Segment(CURSOR + "".join(cells)[1:], style)], width)
        muted = self.get_component_rich_style("suggestion-table--muted")
        styles = [style, muted, style, style, muted]
        return Strip([Segment(cell, each) for cell, each in zip(cells, styles, strict=True)], width)

    def _row(self, position: int) -> SuggestionRow | None:
        rows = self._pages.get(position // PAGE_ROWS)
        return rows.get(self.ids[position]) if rows is not None and position < len(self.ids) else None


def _cells(width: int, clip: str, now: str, suggested: str, confidence: str, source: str) -> list[str]:
    source_width = 16 if width >= WIDE_COLUMNS else 0
    rest = max(0, width - 6 - source_width)
    clip_width, now_width = rest * 3 // 10, rest * 3 // 10
    return [
        " " + fit(clip, clip_width - 1, from_end=True),
        " " + fit(now, now_width - 1),
        " " + fit(suggested, rest - clip_width - now_width - 1),
        confidence.rjust(6)[-6:],
        "  " + fit(source, source_width - 2) if source_width else "",
    ]
