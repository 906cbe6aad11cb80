"""Which clips a filter leaves, and in which order: the first page at once, all of them a moment later."""

from __future__ import annotations

import time
from array import array
from typing import TYPE_CHECKING

from sao_tui.services.clip_conditions import EVERYTHING, Node, Not, Sql, match_of, tables_of, with_beginnings
from sao_tui.services.clip_filter import parse_filter
from sao_tui.services.clip_order import IDS_BY_PATH, ClipOrders, Order, ordering
from sao_tui.services.clip_texts import last_indexed
from sao_tui.services.clips_database import QueryStopped
from sao_tui.services.clips_schema import INDEXED, VOCABULARY_TABLE, WORDS_TABLE

if TYPE_CHECKING:
    from sao_tui.services.clips_database import ClipsDatabase, ShouldStop

_TRY_SECONDS = 0.015
"""How long the first page is looked for along the order: long enough where many clips match."""
_MOST_BEGINNINGS = 100
"""Entries of the index of words that are worth asking for in place of looking at every text."""
_CHUNK = 500
"""Clips of an order that are looked at in one question."""


class ClipSearch:
    """Answers filters."""

    def __init__(self, database: ClipsDatabase) -> None:
        """Ask nothing yet."""
        self._database = database
        self._orders = ClipOrders(database)

    def ids(self, filter_text: str, sort: str, descending: bool, should_stop: ShouldStop | None) -> array[int]:
        """Return the ids of all clips that match, in order; see ClipIndex.ids."""
        ordering(sort, descending)
        node = self._parse(filter_text)
        if node == EVERYTHING:
            return self._orders.all(sort, descending, should_stop).ids[:]
        order = self._orders.known(sort, descending)
        if order is None:
            return self._sorted(node, sort, descending, -1, should_stop)
        if isinstance(node, Not):
            # Mostly the larger part: quicker to leave out the others.
            return order.without(self._ask(self._unsorted(node.part), should_stop))
        return order.arrange(self._ask(self._unsorted(node), should_stop))

    def first_ids(
        self, filter_text: str, sort: str, descending: bool, limit: int, should_stop: ShouldStop | None
    ) -> array[int]:
        """Return the first of what `ids` returns; see ClipIndex.first_ids."""
        _, order_by = ordering(sort, descending)
        node = self._parse(filter_text)
        order = self._orders.known(sort, descending)
        if node == EVERYTHING:
            return order.ids[:limit] if order else self._sorted(node, sort, descending, limit, should_stop)
        found = None
        if order_by.startswith("clips.relpath"):
            found = self._first_by_path(node, descending, limit, should_stop)
        elif order is not None:
            found = self._first_along(order, node, limit, should_stop)
        if found is not None:
            return found
        if order is None:
            return self._sorted(node, sort, descending, limit, should_stop)
        if isinstance(node, Not):
            return order.without(self._ask(self._unsorted(node.part), should_stop))[:limit]
        return order.first(self._ask(self._unsorted(node), should_stop), limit)

    def _parse(self, filter_text: str) -> Node:
        def beginnings(word: str) -> list[str]:
            found = [row[0] for row in self._database.query(_BEGINNINGS, [word, f"{word}\U0010ffff", _MOST_BEGINNINGS])]
            return found if len(found) < _MOST_BEGINNINGS else []

        node = parse_filter(filter_text)
        # A longer word leads better than a short one.
        return node if match_of(node) else with_beginnings(node, beginnings)

    def _unsorted(self, node: Node) -> Sql:
        """Return the question for all clips that match, put in the way that is quickest for this filter."""
        condition, values = node.clip_by_clip()
        if match_of(node):
            text, match = _by_words(node)
            # Clips that the index of words does not know yet are all looked at.
            late = f"{_each(condition)} WHERE clips.id > {INDEXED} AND {condition}"
            return f"{text} UNION ALL {late}", [*match, *values]
        if tables_of(node) == {"texts"}:
            return f"SELECT texts.id FROM texts WHERE {condition}", values  # noqa: S608
        condition, values = node.as_set()
        return f"SELECT clips.id FROM clips WHERE {condition}", values  # noqa: S608

    def _sorted(
        self, node: Node, sort: str, descending: bool, limit: int, should_stop: ShouldStop | None
    ) -> array[int]:
        """Return ids as SQLite sorts them: what is done while the order of all clips is not known."""
        join, order_by = ordering(sort, descending)
        if node == EVERYTHING:
            query = f"SELECT clips.id FROM clips {join} ORDER BY {order_by} LIMIT ?"  # noqa: S608
            return self._ask((query, [limit]), should_stop)
        text, values = self._unsorted(node)
        # The plus keeps SQLite from going through all clips in order to spare itself the sorting.
        order_by = order_by.replace("clips.", "+clips.")
        query = f"SELECT clips.id FROM clips {join} WHERE clips.id IN ({text}) ORDER BY {order_by} LIMIT ?"  # noqa: S608
        return self._ask((query, [*values, limit]), should_stop)

    def _first_by_path(
        self, node: Node, descending: bool, limit: int, should_stop: ShouldStop | None
    ) -> array[int] | None:
        """Return the first by path by going along the ids, which are in that order but for clips that came later."""
        direction = "DESC" if descending else "ASC"
        condition, values = node.clip_by_clip()
        start = _each(condition)
        is_indexed = bool(match_of(node))
        last = int(self._database.fact(IDS_BY_PATH) or 0)
        if is_indexed:
            last = min(last, last_indexed(self._database))
        if not last:
            query = f"{start} WHERE {condition} ORDER BY clips.relpath {direction} LIMIT ?"
            return self._try((query, [*values, limit]), should_stop)
        if is_indexed:
            text, match = _by_words(node)
            query = f"{text} AND {WORDS_TABLE}.rowid <= ? ORDER BY {WORDS_TABLE}.rowid {direction} LIMIT ?"
            early = self._try((query, [*match, last, limit]), should_stop)
        else:
            query = f"{start} WHERE {condition} AND clips.id <= ? ORDER BY clips.id {direction} LIMIT ?"
            early = self._try((query, [*values, last, limit]), should_stop)
        if early is None:
            return None
        query = f"{start} WHERE {condition} AND clips.id > ? ORDER BY +clips.relpath {direction} LIMIT ?"
        late = self._ask((query, [*values, last, limit]), should_stop)
        return self._by_path(early + late, direction)[:limit] if late else early

    def _by_path(self, ids: array[int], direction: str) -> array[int]:
        query = f"SELECT id FROM clips WHERE id IN ({_marks(ids)}) ORDER BY relpath {direction}"  # noqa: S608
        return self._ask((query, list(ids)), None)

    def _first_along(self, order: Order, node: Node, limit: int, should_stop: ShouldStop | None) -> array[int] | None:
        """Return the first by looking at one clip after the other, None when that takes too long."""
        condition, values = node.clip_by_clip()
        deadline = time.perf_counter() + _TRY_SECONDS
        found = array("q")
        for start in range(0, len(order.ids), _CHUNK):
            chunk = order.ids[start : start + _CHUNK]
            query = f"{_each(condition)} WHERE clips.id IN ({_marks(chunk)}) AND {condition}"
            wanted = set(self._ask((query, [*chunk, *values]), should_stop))
            found.extend(each for each in chunk if each in wanted)
            if len(found) >= limit:
                return found[:limit]
            if time.perf_counter() > deadline:
                return None
        return found

    def _try(self, question: Sql, should_stop: ShouldStop | None) -> array[int] | None:
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

    def _ask(self, question: Sql, should_stop: ShouldStop | None) -> array[int]:
        return self._database.ids(*question, should_stop)


_BEGINNINGS = f"SELECT term FROM {VOCABULARY_TABLE} WHERE term >= ? AND term < ? LIMIT ?"  # noqa: S608


def _by_words(node: Node) -> Sql:
    """Return a question that the index of words leads through, as far as that index goes."""
    condition, values = node.clip_by_clip()
    # Without the join to clips where nothing of them is asked: it costs as much as the rest.
    clips = "" if tables_of(node) <= {"texts"} else "CROSS JOIN clips ON clips.id = texts.id"
    query = (
        f"SELECT texts.id FROM {WORDS_TABLE} CROSS JOIN texts ON texts.id = {WORDS_TABLE}.rowid {clips} "  # noqa: S608
        f"WHERE {WORDS_TABLE} MATCH ? AND {condition}"
    )
    return query, [match_of(node), *values]


def _each(condition: str) -> str:
    """Return what a question that looks at clip after clip begins with."""
    texts = " CROSS JOIN texts ON texts.id = clips.id" if "texts." in condition else ""
    return f"SELECT clips.id FROM clips{texts}"  # noqa: S608


def _marks(values: array[int]) -> str:
    return ",".join("?" * len(values))
