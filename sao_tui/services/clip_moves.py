"""Files that were moved or renamed keep their row, and with it their id and analysis."""

from __future__ import annotations

from array import array
from typing import TYPE_CHECKING

from sao_tui.services.clip_order import IDS_BY_PATH
from sao_tui.services.clip_texts import add_words, folded, folded_path, last_indexed
from sao_tui.services.clips_database import ClipsDatabase

if TYPE_CHECKING:
    import sqlite3


def recognise_moves(database: ClipsDatabase, gone: array[int], above: int) -> array[int]:
    """Give rows of files that are gone to files that have come instead, and return those that are left.

    A file is the same when inode, size and time are, and either its name is too or it is the only such one:
    hard links share all three.

    Args:
        above: Ids above this are of files that have come.

    Raises:
        SaoError: The index cannot be written.
    """
    indexed = last_indexed(database)
    with database.writing("clips") as connection:
        _make_tables(connection, gone, above)
        try:
            pairs = connection.execute(_SAME_NAME).fetchall()
            taken = {old for old, _ in pairs} | {new for _, new in pairs}
            pairs += [pair for pair in connection.execute(_ONLY_ONE) if not taken.intersection(pair)]
            # A name that occurs twice on one side says nothing.
            moves = list({new: (old, new) for old, new in {old: (old, new) for old, new in pairs}.values()}.values())
            _move(connection, moves, indexed)
        finally:
            connection.execute("DROP TABLE temp.gone")
            connection.execute("DROP TABLE temp.came")
    moved = {old for old, _ in moves}
    return array("q", (each for each in gone if each not in moved))


def _make_tables(connection: sqlite3.Connection, gone: array[int], above: int) -> None:
    for table in ("gone", "came"):
        connection.execute(
            f"CREATE TEMP TABLE {table} (id INTEGER PRIMARY KEY, inode INT, num_bytes INT, mtime_ns INT, name BLOB)"
        )
    select = (
        "SELECT id, inode, num_bytes, mtime_ns, substr(relpath, length(folder) + 1 + (length(folder) > 0)) FROM clips"
    )
    connection.executemany(f"INSERT INTO gone {select} WHERE id = ?", ((each,) for each in gone))
    connection.execute(f"INSERT INTO came {select} WHERE id > ?", [above])
    connection.execute("CREATE INDEX temp.came_file ON came (inode, num_bytes, mtime_ns, name)")


def _move(connection: sqlite3.Connection, moves: list[tuple[int, int]], indexed: int) -> None:
    entries: list[tuple[int, str]] = []
    for old, new in moves:
        row = connection.execute(_SELECT_TAKEN_OVER, [new]).fetchone()
        path = folded_path(row[0])
        connection.execute("DELETE FROM clips WHERE id = ?", [new])
        connection.execute(_TAKE_OVER, [*row, old])
        caption = folded(row[2])
        connection.execute("UPDATE texts SET path = ?, caption = ? WHERE id = ?", [path, caption, old])
        entries.append((old, f"{path}\n{caption}"))
    if moves:
        add_words(connection, entries, indexed)
        lowest = min(old for old, _ in moves)
        connection.execute(
            "UPDATE facts SET value = CAST(min(CAST(value AS INTEGER), ?) AS TEXT) WHERE name = ?",
            [lowest - 1, IDS_BY_PATH],
        )


_SELECT_TAKEN_OVER = "SELECT relpath, folder, caption, is_captioned, error, is_readable FROM clips WHERE id = ?"
_TAKE_OVER = """
UPDATE clips SET relpath = ?, folder = ?, caption = ?, is_captioned = ?, error = ?, is_readable = ? WHERE id = ?
"""
_SAME_FILE = "came.inode = gone.inode AND came.num_bytes = gone.num_bytes AND came.mtime_ns = gone.mtime_ns"
_SAME_NAME = f"SELECT gone.id, came.id FROM gone JOIN came ON {_SAME_FILE} AND came.name = gone.name"  # noqa: S608
_SINGLE = "SELECT id, inode, num_bytes, mtime_ns FROM {} GROUP BY inode, num_bytes, mtime_ns HAVING count(*) = 1"
_ONLY_ONE = (
    f"SELECT gone.id, came.id FROM ({_SINGLE.format('gone')}) AS gone "  # noqa: S608
    f"JOIN ({_SINGLE.format('came')}) AS came ON {_SAME_FILE}"
)
