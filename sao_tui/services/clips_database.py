"""The SQLite file behind the clip index: one connection a thread, one writer at a time, made again when gone."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sao_tui.core.errors import SaoError

if TYPE_CHECKING:
    import sqlite3

_VERSION = 2
_BUSY_SECONDS = 30.0

_SCHEMA = """
CREATE TABLE clips (
    id INTEGER PRIMARY KEY,
    relpath BLOB NOT NULL UNIQUE,
    folder BLOB NOT NULL,
    num_bytes INTEGER NOT NULL,
    mtime_ns INTEGER NOT NULL,
    seconds REAL NOT NULL,
    sample_rate_hz INTEGER NOT NULL,
    num_channels INTEGER NOT NULL,
    error TEXT NOT NULL,
    caption TEXT NOT NULL DEFAULT '',
    search TEXT NOT NULL
);
CREATE INDEX clips_folder ON clips (folder);
CREATE TABLE analysis (
    clip_id INTEGER PRIMARY KEY,
    num_bytes INTEGER NOT NULL,
    mtime_ns INTEGER NOT NULL,
    peak_dbfs REAL,
    loudness_lufs REAL,
    head_silence_seconds REAL,
    tail_silence_seconds REAL,
    dc_offset REAL,
    num_clipped INTEGER,
    is_silent INTEGER,
    channel_fault TEXT NOT NULL DEFAULT '',
    content_hash BLOB,
    fingerprint BLOB,
    bpm REAL,
    musical_key TEXT NOT NULL DEFAULT '',
    tags TEXT NOT NULL DEFAULT '{}',
    error TEXT NOT NULL DEFAULT ''
);
CREATE INDEX analysis_hash ON analysis (content_hash);
CREATE TABLE lint (
    clip_id INTEGER NOT NULL,
    rule TEXT NOT NULL,
    PRIMARY KEY (rule, clip_id)
) WITHOUT ROWID;
CREATE TABLE facts (
    name TEXT PRIMARY KEY,
    value TEXT NOT NULL
) WITHOUT ROWID;
"""

_TABLES = ("clips", "analysis", "lint", "facts")


class ClipsDatabase:
    """Queries and writes on `clips.sqlite` in one cache folder."""

    def __init__(self, cache_folder: Path) -> None:
        """Open nothing yet."""
        self._path = cache_folder / "clips.sqlite"
        self._local = threading.local()
        self._write_lock = threading.Lock()
        self._open_lock = threading.Lock()

    def query(self, text: str, parameters: Sequence[object] = ()) -> Iterable[Sequence[Any]]:
        """Return the rows of a SELECT.

        Raises:
            SaoError: The index cannot be read.
        """
        import sqlite3

        try:
            rows: list[Sequence[Any]] = self._connection().execute(text, parameters).fetchall()
        except sqlite3.Error as error:
            raise self._damaged(error) from error
        return rows

    def write_many(self, text: str, rows: Sequence[Sequence[object]]) -> None:
        """Run one statement for all rows in one transaction.

        Raises:
            SaoError: The index cannot be written.
        """
        import sqlite3

        if not rows:
            return
        with self._write_lock:
            try:
                with self._connection() as connection:
                    connection.executemany(text, rows)
            except sqlite3.Error as error:
                raise self._damaged(error) from error

    def close(self) -> None:
        """Close this thread's connection."""
        connection = self._local.__dict__.pop("connection", None)
        if connection is not None:
            connection.close()

    def _connection(self) -> sqlite3.Connection:
        known: sqlite3.Connection | None = getattr(self._local, "connection", None)
        if known is not None and self._local.inode == self._inode():
            return known
        # First use in this thread, or the cache was deleted under us.
        self.close()
        with self._open_lock:
            connection = self._open()
        self._local.connection, self._local.inode = connection, self._inode()
        return connection

    def _inode(self) -> int:
        try:
            return os.stat(self._path).st_ino
        except OSError:
            return 0

    def _open(self) -> sqlite3.Connection:
        import sqlite3

        try:
            self._path.parent.mkdir(exist_ok=True)
            if not self._path.exists():
                self._remove_files()  # A log that outlived its database would be played into the new one.
            try:
                return self._connect()
            except sqlite3.OperationalError:
                raise
            except sqlite3.DatabaseError:
                # Not a database any more: it is a cache, so begin again.
                self._remove_files()
                return self._connect()
        except (OSError, sqlite3.Error) as error:
            raise self._damaged(error) from error

    def _connect(self) -> sqlite3.Connection:
        import sqlite3

        connection = sqlite3.connect(self._path, timeout=_BUSY_SECONDS)
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = NORMAL")
            if _version(connection) != _VERSION:
                _make_tables(connection)
        except BaseException:
            connection.close()
            raise
        return connection

    def _remove_files(self) -> None:
        for suffix in ("", "-wal", "-shm"):
            self._path.with_name(self._path.name + suffix).unlink(missing_ok=True)

    def _damaged(self, error: Exception) -> SaoError:
        return SaoError(
            f"The clip index {self._path} cannot be used: {error}.",
            f"It is only a cache: delete {self._path.parent} and scan again; check the space on its disk.",
        )


def _version(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def _make_tables(connection: sqlite3.Connection) -> None:
    """Make the tables unless another process has done so since we looked."""
    with connection:
        connection.execute("BEGIN IMMEDIATE")
        if _version(connection) != _VERSION:
            for table in _TABLES:
                connection.execute(f"DROP TABLE IF EXISTS {table}")
            for statement in _SCHEMA.split(";"):
                connection.execute(statement)
            connection.execute(f"PRAGMA user_version = {_VERSION}")
