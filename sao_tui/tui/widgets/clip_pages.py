"""The rows that a clip table holds: some pages of a list of ids, the least recently seen forgotten first."""

from __future__ import annotations

from array import array
from collections import OrderedDict
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sao_tui.services.clips import ClipRow

PAGE_ROWS = 128
MAX_PAGES = 24


class ClipPages:
    """All ids in order, and the rows of some of them."""

    def __init__(self) -> None:
        self.ids: array[int] = array("q")
        self.generation = 0
        """Grows when what was asked for is no longer wanted."""
        self._pages: OrderedDict[int, dict[int, ClipRow]] = OrderedDict()
        self._asked: set[int] = set()
        self._stale: set[int] = set()
        """Pages whose rows are shown until newer ones come."""

    def reset(self, ids: array[int]) -> None:
        """Take other ids and forget all rows."""
        self.ids = ids
        self.generation += 1
        self._pages.clear()
        self._asked.clear()
        self._stale.clear()

    def extend(self, ids: array[int]) -> None:
        """Take more ids that begin with those held, and keep the rows."""
        last_page, is_partial = divmod(len(self.ids), PAGE_ROWS)
        self.ids = ids
        self.generation += 1
        self._asked.clear()
        if is_partial:
            self._stale.add(last_page)

    def expire(self) -> None:
        """Keep the rows only until newer ones come."""
        self.generation += 1
        self._asked.clear()
        self._stale = set(self._pages)

    def row(self, position: int) -> ClipRow | None:
        """Return the row at a position, None while its page is not held or when its clip is gone."""
        rows = self._pages.get(position // PAGE_ROWS)
        return rows.get(self.ids[position]) if rows is not None and position < len(self.ids) else None

    def put(self, generation: int, page: int, rows: list[ClipRow]) -> range:
        """Hold the rows of a page and return its positions; none where nothing changes by it."""
        if generation != self.generation:
            return range(0)
        self._asked.discard(page)
        self._stale.discard(page)
        new = {row.id: row for row in rows}
        if new == self._pages.get(page):
            return range(0)
        self._pages[page] = new
        self._pages.move_to_end(page)
        while len(self._pages) > MAX_PAGES:
            self._pages.popitem(last=False)
        return range(page * PAGE_ROWS, min(len(self.ids), (page + 1) * PAGE_ROWS))

    def replace(self, row: ClipRow) -> int | None:
        """Hold a changed row and return its position, None where it is not held."""
        for page, rows in self._pages.items():
            if row.id in rows:
                rows[row.id] = row
                return self.ids.index(row.id, page * PAGE_ROWS)
        return None

    def missing(self, first: int, last: int) -> dict[int, Sequence[int]]:
        """Return the pages from position `first` to `last` that nobody has asked for yet, with their ids."""
        missing: dict[int, Sequence[int]] = {}
        if not self.ids:
            return missing
        for page in range(max(0, first) // PAGE_ROWS, min(last, len(self.ids) - 1) // PAGE_ROWS + 1):
            if page in self._pages:
                self._pages.move_to_end(page)
            if (page not in self._pages or page in self._stale) and page not in self._asked:
                missing[page] = self.ids[page * PAGE_ROWS : (page + 1) * PAGE_ROWS]
        self._asked.update(missing)
        return missing
