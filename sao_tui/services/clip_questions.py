"""Questions to the clip index: which clips, in which order, and what is known of them."""

from __future__ import annotations

import array
import os
from collections.abc import Iterator, Sequence
from typing import Any

from sao_tui.services.clip_captions import Pair
from sao_tui.services.clip_filter import Completion, filter_completions
from sao_tui.services.clip_rows import ClipCounts, ClipRow, FolderCount
from sao_tui.services.clip_search import ClipSearch
from sao_tui.services.clip_texts import path_bytes, printable
from sao_tui.services.clips_database import ClipsDatabase, ShouldStop

_MAX_PARAMETERS = 400
_MAX_COMPLETED_FOLDERS = 2_000


class ClipQuestions:
    """What can be asked. Safe to use from several threads and processes."""

    def __init__(self, database: ClipsDatabase) -> None:
        """Ask nothing yet."""
        self.database = database
        self._search = ClipSearch(database)
        self._counted: tuple[tuple[int, ...], ClipCounts] | None = None

    def ids(
        self,
        filter_text: str = "",
        sort: str = "relpath",
        descending: bool = False,
        should_stop: ShouldStop | None = None,
    ) -> array.array[int]:
        """Return the ids of the clips that match, in order.

        Args:
            should_stop: Asked now and then; once it says so the search is given up.

        Raises:
            FilterError: The filter is not understood.
            QueryStopped: `should_stop` said so.
            SaoError: There is no such column to sort by, or the index cannot be read.
        """
        return self._search.ids(filter_text, sort, descending, should_stop)

    def first_ids(
        self,
        filter_text: str = "",
        sort: str = "relpath",
        descending: bool = False,
        limit: int = 100,
        should_stop: ShouldStop | None = None,
    ) -> array.array[int]:
        """Return the first of what `ids` returns, sooner.

        Raises:
            FilterError: The filter is not understood.
            QueryStopped: `should_stop` said so.
            SaoError: There is no such column to sort by, or the index cannot be read.
        """
        return self._search.first_ids(filter_text, sort, descending, limit, should_stop)

    def rows(self, ids: Sequence[int]) -> list[ClipRow]:
        """Return the clips of these ids in this order; clips that are gone by now are left out.

        Raises:
            SaoError: The index cannot be read.
        """
        found: dict[int, ClipRow] = {}
        for row in self._of_ids(_COLUMNS, ids):
            found[row[0]] = _to_row(row)
        return [found[each] for each in ids if each in found]

    def row_for(self, relpath: str) -> ClipRow | None:
        """Return the clip at a path relative to the dataset folder, None when the index has none.

        Raises:
            SaoError: The index cannot be read.
        """
        for row in self.database.query(f"SELECT {_COLUMNS} FROM clips WHERE relpath = ?", [path_bytes(relpath)]):  # noqa: S608
            return _to_row(row)
        return None

    def relpaths(self, ids: Sequence[int]) -> list[str]:
        """Return the paths of these ids in this order; clips that are gone by now are left out.

        Raises:
            SaoError: The index cannot be read.
        """
        found = {row[0]: row[1] for row in self._of_ids("id, relpath", ids)}
        return [os.fsdecode(found[each]) for each in ids if each in found]

    def captions_of(self, ids: Sequence[int]) -> list[Pair]:
        """Return relpath and caption of these ids in this order; clips that are gone by now are left out.

        Raises:
            SaoError: The index cannot be read.
        """
        found = {row[0]: row[1:] for row in self._of_ids("id, relpath, caption", ids)}
        return [(os.fsdecode(found[each][0]), found[each][1]) for each in ids if each in found]

    def folders(self) -> list[FolderCount]:
        """Return every folder that has clips right in it, by path.

        Raises:
            SaoError: The index cannot be read.
        """
        query = "SELECT folder, count(*), sum(is_captioned) FROM clips GROUP BY folder ORDER BY folder"
        return [FolderCount(os.fsdecode(row[0]), row[1], row[2]) for row in self.database.query(query)]

    def completions(self, text: str, cursor: int) -> list[Completion]:
        """Return how the word under the cursor of a filter may go on, with the folders there are.

        Raises:
            SaoError: The index cannot be read.
        """
        rows = self.database.query(
            "SELECT relpath FROM folders WHERE length(relpath) > 0 LIMIT ?", [_MAX_COMPLETED_FOLDERS]
        )
        return filter_completions(text, cursor, {"folder": [printable(os.fsdecode(row[0])) for row in rows]})

    def counts(self) -> ClipCounts:
        """Return the totals.

        Raises:
            SaoError: The index cannot be read.
        """
        versions = self.database.versions("clips", "captions")
        counted = self._counted
        if counted is None or counted[0] != versions:
            query = "SELECT count(*), sum(is_captioned), sum(1 - is_readable), sum(seconds) FROM clips"
            row = self.database.query(query)[0]
            counted = self._counted = versions, ClipCounts(row[0], row[1] or 0, row[2] or 0, row[3] or 0.0)
        return counted[1]

    def _of_ids(self, columns: str, ids: Sequence[int]) -> Iterator[Sequence[Any]]:
        for start in range(0, len(ids), _MAX_PARAMETERS):
            some = [int(each) for each in ids[start : start + _MAX_PARAMETERS]]
            marks = ",".join("?" * len(some))
            yield from self.database.query(f"SELECT {columns} FROM clips WHERE id IN ({marks})", some)  # noqa: S608


_COLUMNS = "id, relpath, seconds, sample_rate_hz, num_channels, num_bytes, error, caption"


def _to_row(row: Sequence[Any]) -> ClipRow:
    return ClipRow(row[0], os.fsdecode(row[1]), *row[2:])
