"""Which clips a filter leaves, and in which order: the first page at once, all of them a moment later."""

from __future__ import annotations

import array
import time
from itertools import chain
from typing import TYPE_CHECKING

from sao_tui.services.clip_conditions import EVERYTHING, Node, Sql, Test, split_words, trigrams
from sao_tui.services.clip_filter import parse_filter
from sao_tui.services.clip_order import IDS_BY_PATH, ClipOrders, ordering, pick
from sao_tui.services.clip_texts import last_indexed
from sao_tui.services.clips_database import QueryStopped
from sao_tui.services.clips_schema import WORDS_TABLE

if TYPE_CHECKING:
    from sao_tui.services.clips_database import ClipsDatabase, ShouldStop

Ids = array.array

_TRY_SECONDS = 0.015
"""How long the first page is looked for along the order: long enough where many clips match."""


class ClipSearch:
    """Answers filters."""

    def __init__(self, database: ClipsDatabase) -> None:
        """Ask nothing yet."""
        self._database = database
        self._orders = ClipOrders(database)

    def ids(self, filter_text: str, sort: str, descending: bool, should_stop: ShouldStop | None) -> Ids[int]:
        """Return the ids of all clips that match, in order; see ClipIndex.ids."""
        join, order_by = ordering(sort, descending)
        node = parse_filter(filter_text)
        if node == EVERYTHING:
            return self._orders.all(sort, descending, should_stop)[:]
        condition, values = node.as_set()
        order = self._orders.known(sort, descending)
        if order is None:
            query = f"SELECT clips.id FROM clips {join} WHERE {condition} ORDER BY {order_by}"  # noqa: S608
            return self._ask((query, values), should_stop)
        wanted = bytearray(max(order, default=0) + 1)
        for each in self._ask((f"SELECT clips.id FROM clips WHERE {condition}", values), should_stop):  # noqa: S608
            if each < len(wanted):
                wanted[each] = 1
        return pick(order, wanted)

    def first_ids(
        self, filter_text: str, sort: str, descending: bool, limit: int, should_stop: ShouldStop | None
    ) -> Ids[int]:
        """Return the first of what `ids` returns; see ClipIndex.first_ids."""
        join, order_by = ordering(sort, descending)
        node = parse_filter(filter_text)
        if node == EVERYTHING:
            order = self._orders.known(sort, descending)
            if order is not None:
                return order[:limit]
            return self._ask((f"SELECT clips.id FROM clips {join} ORDER BY {order_by} LIMIT ?", [limit]), should_stop)  # noqa: S608
        if order_by.startswith("clips.relpath"):
            found = self._first_by_path(node, descending, limit, should_stop)
        else:
            condition, values = node.clip_by_clip()
            query = f"{_each(condition, join)} WHERE {condition} ORDER BY {order_by} LIMIT ?"
            found = self._try((query, [*values, limit]), should_stop)
        if found is not None:
            return found
        condition, values = node.as_set()
        query = f"SELECT clips.id FROM clips {join} WHERE {condition} ORDER BY {order_by} LIMIT ?"  # noqa: S608
        return self._ask((query, [*values, limit]), should_stop)

    def _first_by_path(
        self, node: Node, descending: bool, limit: int, should_stop: ShouldStop | None
    ) -> Ids[int] | None:
        """Return the first by path by going along the ids, which are in that order but for clips that came later."""
        direction = "DESC" if descending else "ASC"
        condition, values = node.clip_by_clip()
        start = _each(condition)
        words, rest = split_words(node)
        last = int(self._database.fact(IDS_BY_PATH) or 0)
        if words:
            last = min(last, last_indexed(self._database))
        if not last:
            query = f"{start} WHERE {condition} ORDER BY clips.relpath {direction} LIMIT ?"
            return self._try((query, [*values, limit]), should_stop)
        if words:
            early = self._try(_by_words(words, rest, last, direction, limit), should_stop)
        else:
            query = f"{start} WHERE {condition} AND clips.id <= ? ORDER BY clips.id {direction} LIMIT ?"
            early = self._try((query, [*values, last, limit]), should_stop)
        if early is None:
            return None
        # The plus keeps SQLite from going through all paths.
        query = f"{start} WHERE {condition} AND clips.id > ? ORDER BY +clips.relpath {direction} LIMIT ?"
        late = self._ask((query, [*values, last, limit]), should_stop)
        return self._by_path(early + late, descending)[:limit] if late else early

    def _by_path(self, ids: Ids[int], descending: bool) -> Ids[int]:
        marks = ",".join("?" * len(ids))
        query = f"SELECT id FROM clips WHERE id IN ({marks}) ORDER BY relpath {'DESC' if descending else 'ASC'}"  # noqa: S608
        return self._ask((query, list(ids)), None)

    def _try(self, question: Sql, should_stop: ShouldStop | None) -> Ids[int] | None:
        """Return the answer, None when it takes too long."""
        deadline = time.perf_counter() + _TRY_SECONDS

        def is_late() -> bool:
            return time.perf_counter() > deadline or (should_stop is not None and should_stop())

        try:
            return self._ask(question, is_late)
        except QueryStopped:
            if should_stop is not None and should_stop():
                raise
            return None

    def _ask(self, question: Sql, should_stop: ShouldStop | None) -> Ids[int]:
        return array.array("q", chain.from_iterable(self._database.stream(*question, should_stop)))


def _each(condition: str, join: str = "") -> str:
    """Return what a question that looks at clip after clip begins with."""
    texts = "CROSS JOIN texts ON texts.id = clips.id" if "texts." in condition else ""
    return f"SELECT clips.id FROM clips {texts} {join}"  # noqa: S608


def _by_words(words: list[Test], rest: Node, last: int, direction: str, limit: int) -> Sql:
    """Return a question that the index of words leads through, in the order of ids."""
    tests = " AND ".join(word.sql for word in words)
    condition, values = rest.clip_by_clip()
    query = (
        f"SELECT clips.id FROM {WORDS_TABLE} CROSS JOIN texts ON texts.id = {WORDS_TABLE}.rowid "  # noqa: S608
        f"CROSS JOIN clips ON clips.id = texts.id WHERE {WORDS_TABLE} MATCH ? AND {WORDS_TABLE}.rowid <= ? "
        f"AND {tests} AND {condition} ORDER BY {WORDS_TABLE}.rowid {direction} LIMIT ?"
    )
    match = trigrams(*(word.word for word in words))
    return query, [match, last, *(value for word in words for value in word.values), *values, limit]
