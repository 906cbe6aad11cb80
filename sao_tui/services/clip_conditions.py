"""Conditions on clips, and how they are put to SQLite: clip by clip, or as the set of clips that fulfil them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

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

    @property
    def is_indexed(self) -> bool:
        """Whether the index of words helps."""
        return len(self.word) >= SHORTEST_WORD and '"' not in self.word and "\0" not in self.word

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
        if not self.is_indexed:
            return f"clips.id IN (SELECT texts.id FROM texts WHERE {self.sql})", values  # noqa: S608
        # Clips that the index of words does not know yet are all looked at.
        text = (
            f"clips.id IN (SELECT texts.id FROM {WORDS_TABLE} CROSS JOIN texts ON texts.id = {WORDS_TABLE}.rowid "  # noqa: S608
            f"WHERE {WORDS_TABLE} MATCH ? AND {self.sql} "
            f"UNION ALL SELECT texts.id FROM texts WHERE texts.id > {INDEXED} AND {self.sql})"
        )
        return text, [trigrams(self.word), *values, *values]


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


def trigrams(*words: str) -> str:
    """Return what to ask the index of words for: every third three letters of the words, and the last three."""
    wanted: dict[str, None] = {}
    for word in words:
        starts = [*range(0, len(word) - SHORTEST_WORD + 1, SHORTEST_WORD), len(word) - SHORTEST_WORD]
        wanted.update(dict.fromkeys(word[start : start + SHORTEST_WORD] for start in starts))
    return " AND ".join(f'"{each}"' for each in list(wanted)[:_MOST_TRIGRAMS])


def split_words(node: Node) -> tuple[list[Test], Node]:
    """Return the tests on words that must all hold, for the index of words to begin with, and the rest."""
    parts = node.parts if isinstance(node, Joined) and node.operator == "AND" else (node,)
    words = [part for part in parts if isinstance(part, Test) and part.is_indexed]
    rest = tuple(part for part in parts if not (isinstance(part, Test) and part.is_indexed))
    return words, Joined("AND", rest)
