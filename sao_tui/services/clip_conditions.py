"""Conditions on clips, and how they are put to SQLite: clip by clip, or as the set of clips that fulfil them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from sao_tui.services.clips_schema import INDEXED, WORDS_TABLE

Sql = tuple[str, list[object]]
"""Text and its parameters."""

SHORTEST_WORD = 3
"""Letters that the index of words needs; shorter words are looked for in every text."""

_MOST_TRIGRAMS = 24


@dataclass(frozen=True)
class Test:
    """A condition on one row of a table: `clips`, `texts`, `analysis` or `lint`."""

    table: str
    sql: str
    values: tuple[object, ...] = ()
    word: str = ""
    """What the clip's texts must hold at least, so that the index of words can be asked."""
    beginnings: tuple[str, ...] = ()
    """For a shorter word than that index takes: every three letters in it that begin with the word."""

    @property
    def match(self) -> str:
        """What to ask the index of words, empty where it does not help."""
        if self.beginnings:
            return f"({' OR '.join(_quoted(each) for each in self.beginnings)})"
        is_long = len(self.word) >= SHORTEST_WORD
        return f"({trigrams(self.word)})" if is_long and _can_be_asked(self.word) else ""

    def clip_by_clip(self) -> Sql:
        """Return it for a question in which `clips` and `texts` are joined."""
        if self.table == "analysis":
            return f"EXISTS (SELECT 1 FROM analysis WHERE clip_id = clips.id AND {self.sql})", [*self.values]  # noqa: S608
        if self.table == "lint":
            return self.as_set()
        return self.sql, [*self.values]

    def as_set(self) -> Sql:
        """Return it for a question over `clips` alone."""
        values = [*self.values]
        if self.table == "clips":
            return self.sql, values
        if self.table in ("analysis", "lint"):
            return f"clips.id IN (SELECT clip_id FROM {self.table} WHERE {self.sql})", values  # noqa: S608
        if not self.match:
            return f"clips.id IN (SELECT texts.id FROM texts WHERE {self.sql})", values  # noqa: S608
        # Clips that the index of words does not know yet are all looked at.
        text = (
            f"clips.id IN (SELECT texts.id FROM {WORDS_TABLE} CROSS JOIN texts ON texts.id = {WORDS_TABLE}.rowid "  # noqa: S608
            f"WHERE {WORDS_TABLE} MATCH ? AND {self.sql} "
            f"UNION ALL SELECT texts.id FROM texts WHERE texts.id > {INDEXED} AND {self.sql})"
        )
        return text, [self.match, *values, *values]


@dataclass(frozen=True)
class Not:
    """The opposite."""

    part: Node

    def clip_by_clip(self) -> Sql:
        """See Test."""
        text, values = self.part.clip_by_clip()
        return f"NOT coalesce({text}, 0)", values

    def as_set(self) -> Sql:
        """See Test."""
        text, values = self.part.as_set()
        return f"NOT coalesce({text}, 0)", values


@dataclass(frozen=True)
class Joined:
    """Several conditions of which all must hold, or one."""

    operator: str
    """AND or OR."""
    parts: tuple[Node, ...]

    def clip_by_clip(self) -> Sql:
        """See Test."""
        return self._join([part.clip_by_clip() for part in self.parts])

    def as_set(self) -> Sql:
        """See Test."""
        return self._join([part.as_set() for part in self.parts])

    def _join(self, parts: Sequence[Sql]) -> Sql:
        text = f" {self.operator} ".join(part[0] for part in parts)
        return f"({text})" if parts else "1", [value for part in parts for value in part[1]]


Node = Test | Not | Joined

EVERYTHING = Joined("AND", ())


def trigrams(word: str) -> str:
    """Return what to ask the index of words for: every third three letters of a word, and the last three."""
    starts = [*range(0, len(word) - SHORTEST_WORD + 1, SHORTEST_WORD), len(word) - SHORTEST_WORD]
    wanted = dict.fromkeys(word[start : start + SHORTEST_WORD] for start in starts)
    return " AND ".join(_quoted(each) for each in list(wanted)[:_MOST_TRIGRAMS])


def with_beginnings(node: Node, find: Callable[[str], Sequence[str]]) -> Node:
    """Return the condition with what the index of words knows about its short words.

    Args:
        find: Gives every three letters in that index which begin with a word, or nothing where they are too many.
    """
    if isinstance(node, Not):
        return Not(with_beginnings(node.part, find))
    if isinstance(node, Joined):
        return Joined(node.operator, tuple(with_beginnings(part, find) for part in node.parts))
    if 0 < len(node.word) < SHORTEST_WORD and _can_be_asked(node.word):
        return replace(node, beginnings=tuple(each for each in find(node.word) if _can_be_asked(each)))
    return node


def _can_be_asked(word: str) -> bool:
    return "\0" not in word


def _quoted(word: str) -> str:
    doubled = word.replace('"', '""')
    return f'"{doubled}"'


def match_of(node: Node) -> str:
    """Return a question to the index of words that all clips which fulfil a condition answer, empty for none."""
    if isinstance(node, Test):
        return node.match
    if isinstance(node, Not):
        return ""
    matches = [match_of(part) for part in node.parts]
    if node.operator == "OR" and not all(matches):
        return ""
    known = [match for match in matches if match][:_MOST_TRIGRAMS]
    if node.operator == "OR" and len(known) < len(matches):
        return ""
    return f"({f' {node.operator} '.join(known)})" if known else ""


def tables_of(node: Node) -> set[str]:
    """Return the tables that a condition asks about."""
    if isinstance(node, Test):
        return {node.table}
    parts = (node.part,) if isinstance(node, Not) else node.parts
    return {table for part in parts for table in tables_of(part)}
