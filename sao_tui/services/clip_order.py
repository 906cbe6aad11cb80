"""Columns that clips can be sorted by, and the order of all clips kept from one question to the next."""

from __future__ import annotations

import array
import heapq
import threading
from collections import OrderedDict
from itertools import compress
from typing import TYPE_CHECKING

from sao_tui.core.errors import SaoError

if TYPE_CHECKING:
    from sao_tui.services.clips_database import ClipsDatabase, ShouldStop

IDS_BY_PATH = "ids-by-path"
"""Fact: ids up to this one are in the order of their paths, so that going through them is going by path."""

_MAX_KEPT = 2
"""Orders kept: 6 MB each for half a million clips."""

_FEW = 100_000
"""Ids that are sorted by their places sooner than all clips are gone through."""

_CLIP_SORTS = {
    "relpath": "clips.relpath",
    "folder": "clips.relpath",
    "seconds": "clips.seconds",
    "sample_rate_hz": "clips.sample_rate_hz",
    "num_channels": "clips.num_channels",
    "num_bytes": "clips.num_bytes",
    "format": "clips.format",
    "mtime_ns": "clips.mtime_ns",
    "error": "clips.error",
    "caption": "clips.caption",
}
_ANALYSIS_SORTS = {
    "peak_dbfs": "analysis.peak_dbfs",
    "loudness_lufs": "analysis.loudness_lufs",
    "silence": "max(analysis.head_silence_seconds, analysis.tail_silence_seconds)",
    "bpm": "analysis.bpm",
    "musical_key": "nullif(analysis.musical_key, '')",
}
SORTS = (*_CLIP_SORTS, *_ANALYSIS_SORTS)
"""Names of the columns to sort by; clips without an analysis come last either way."""


def ordering(sort: str, descending: bool) -> tuple[str, str]:
    """Return what to join to `clips`, and the ORDER BY; clips that are the same there come by path.

    Raises:
        SaoError: There is no such column.
    """
    direction = "DESC" if descending else "ASC"
    if sort in _ANALYSIS_SORTS:
        join = "LEFT JOIN analysis ON analysis.clip_id = clips.id"
        return join, f"{_ANALYSIS_SORTS[sort]} {direction} NULLS LAST, clips.relpath"
    if sort not in _CLIP_SORTS:
        raise SaoError(f"Clips cannot be sorted by {sort}.", f"Sort by one of: {', '.join(SORTS)}.")
    column = _CLIP_SORTS[sort]
    return "", f"{column} {direction}" if column == "clips.relpath" else f"{column} {direction}, clips.relpath"


class Order:
    """All clips in one order."""

    def __init__(self, ids: array.array[int]) -> None:
        """Take the ids; whoever has the order must not change them."""
        self.ids = ids
        self._places = array.array("i", bytes(4 * (max(ids, default=0) + 1)))
        places = self._places
        for place, each in enumerate(ids):
            places[each] = place

    def arrange(self, ids: array.array[int]) -> array.array[int]:
        """Return some ids in this order; those that it does not know come last."""
        if len(ids) == len(self.ids):
            return self.ids[:]
        if len(ids) < _FEW:
            return array.array("q", sorted(ids, key=self._place))
        return array.array("q", compress(self.ids, map(self._flags(ids).__getitem__, self.ids)))

    def without(self, ids: array.array[int]) -> array.array[int]:
        """Return all but some ids in this order."""
        if not ids:
            return self.ids[:]
        unwanted = self._flags(ids)
        return array.array("q", (each for each in self.ids if not unwanted[each]))

    def first(self, ids: array.array[int], limit: int) -> array.array[int]:
        """Return the first of what `arrange` returns."""
        return array.array("q", heapq.nsmallest(limit, ids, key=self._place))

    def _flags(self, ids: array.array[int]) -> bytearray:
        """Return 1 at each of the ids and 0 elsewhere."""
        flags = bytearray(max(len(self._places), max(ids, default=0) + 1))
        for each in ids:
            flags[each] = 1
        return flags

    def _place(self, clip_id: int) -> int:
        return self._places[clip_id] if clip_id < len(self._places) else len(self.ids)


class ClipOrders:
    """The order of all clips by the columns asked for last."""

    def __init__(self, database: ClipsDatabase) -> None:
        """Keep nothing yet."""
        self._database = database
        self._lock = threading.Lock()
        self._kept: OrderedDict[tuple[str, bool], tuple[tuple[int, ...], Order]] = OrderedDict()

    def known(self, sort: str, descending: bool) -> Order | None:
        """Return the order of all clips, None when it is not known as it is now."""
        with self._lock:
            kept = self._kept.get((sort, descending))
        return kept[1] if kept and kept[0] == self._versions(sort) else None

    def all(self, sort: str, descending: bool, should_stop: ShouldStop | None = None) -> Order:
        """Return the order of all clips.

        Raises:
            QueryStopped: `should_stop` said so.
            SaoError: There is no such column, or the index cannot be read.
        """
        known = self.known(sort, descending)
        if known is not None:
            return known
        versions = self._versions(sort)
        join, order = ordering(sort, descending)
        query = f"SELECT clips.id FROM clips {join} ORDER BY {order}"  # noqa: S608
        made = Order(self._database.ids(query, (), should_stop))
        with self._lock:
            self._kept[sort, descending] = versions, made
            self._kept.move_to_end((sort, descending))
            while len(self._kept) > _MAX_KEPT:
                self._kept.popitem(last=False)
        return made

    def _versions(self, sort: str) -> tuple[int, ...]:
        topics = ("clips", "captions") if sort == "caption" else ("clips",)
        return self._database.versions(*topics, *(("analysis",) if sort in _ANALYSIS_SORTS else ()))
