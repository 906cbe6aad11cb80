"""What words are looked up in: the paths and captions of clips with upper and lower case made one."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from sao_tui.services.clips_schema import WORDS_TABLE

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable

    from sao_tui.services.clips_database import ClipsDatabase

_INDEXED = "words-indexed"
_ENTRIES = "words-entries"
_BATCH = 20_000
_END = "\n\n"
"""Has three letters begin at each of the last ones too."""
_MOST_STALE = 3
"""Entries a clip, stale ones included, before the index of words is made anew."""


def printable(text: str) -> str:
    """Return text that any terminal and SQLite can hold: what is not Unicode becomes question marks."""
    return text if text.isascii() else text.encode(errors="replace").decode()


def path_bytes(relpath: str) -> bytes:
    """Return a path as the index has it; one that no file can have becomes one that none has."""
    try:
        return os.fsencode(relpath)
    except UnicodeEncodeError:
        return relpath.encode(errors="surrogatepass")


def folded(text: str) -> str:
    """Return text as it is looked up."""
    return printable(text).casefold()


def folded_path(relpath: bytes) -> str:
    """Return a clip's path as it is looked up."""
    return relpath.lower().decode() if relpath.isascii() else folded(os.fsdecode(relpath))


def last_indexed(database: ClipsDatabase) -> int:
    """Return the highest id whose texts are in the index of words."""
    return int(database.fact(_INDEXED) or 0)


def add_words(connection: sqlite3.Connection, entries: list[tuple[int, str]], indexed: int) -> None:
    """Note words of clips whose texts were in the index before; clips above `indexed` come with their turn."""
    known = [(clip_id, text + _END) for clip_id, text in entries if clip_id <= indexed]
    connection.executemany(f"INSERT INTO {WORDS_TABLE} (rowid, words) VALUES (?, ?)", known)  # noqa: S608
    _count(connection, len(known))


def index_words(database: ClipsDatabase, should_stop: Callable[[], bool]) -> None:
    """Bring the words of new clips into the index; make it anew when most of it is stale.

    Raises:
        SaoError: The index cannot be written.
    """
    highest, num_clips = database.query("SELECT coalesce(max(id), 0), count(*) FROM texts")[0]
    if int(database.fact(_ENTRIES) or 0) > _MOST_STALE * num_clips + _BATCH:
        with database.writing("words") as connection:
            connection.execute(f"INSERT INTO {WORDS_TABLE} ({WORDS_TABLE}) VALUES ('delete-all')")  # noqa: S608
            connection.execute("DELETE FROM facts WHERE name = ?", [_ENTRIES])
            connection.execute(_NOTE, [_INDEXED, 0])
    index_words_until(database, highest, should_stop)


def index_words_until(database: ClipsDatabase, last: int, should_stop: Callable[[], bool]) -> None:
    """Bring the words of clips up to an id into the index.

    Raises:
        SaoError: The index cannot be written.
    """
    indexed = last_indexed(database)
    while indexed < last and not should_stop():
        upper = min(indexed + _BATCH, last)
        with database.writing("words") as connection:
            added = connection.execute(_INDEX_SOME, [indexed, upper]).rowcount
            _count(connection, added)
            connection.execute(_NOTE, [_INDEXED, upper])
        indexed = upper


def _count(connection: sqlite3.Connection, num_entries: int) -> None:
    text = (
        "INSERT INTO facts VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = CAST(value + excluded.value AS TEXT)"
    )
    connection.execute(text, [_ENTRIES, num_entries])


_NOTE = "INSERT OR REPLACE INTO facts VALUES (?, CAST(? AS TEXT))"
_INDEX_SOME = (
    f"INSERT INTO {WORDS_TABLE} (rowid, words) "  # noqa: S608
    "SELECT id, path || char(10) || caption || char(10, 10) FROM texts WHERE id > ? AND id <= ?"
)
