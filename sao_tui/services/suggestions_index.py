"""All suggestions of all jobs in one SQLite file, so that a hundred thousand page like ten.

It is a cache (`.sao/suggestions.sqlite`): the truth is in the jobs' suggestions.jsonl and decisions.jsonl, of which
only what was appended since is read. Deleting it costs reading them once.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sao_tui.core.captioners import DECISIONS_NAME, SUGGESTIONS_NAME
from sao_tui.core.errors import SaoError

if TYPE_CHECKING:
    import sqlite3

_VERSION = 1
_BATCH = 2_000
_BUSY_SECONDS = 30.0

_SCHEMA = """
DROP TABLE IF EXISTS sources;
DROP TABLE IF EXISTS suggestions;
CREATE TABLE sources (job TEXT, file TEXT, inode INTEGER, offset INTEGER, PRIMARY KEY (job, file)) WITHOUT ROWID;
CREATE TABLE suggestions (
    id INTEGER PRIMARY KEY,
    job TEXT NOT NULL,
    relpath BLOB NOT NULL,
    text TEXT NOT NULL,
    confidence REAL,
    source TEXT NOT NULL,
    details TEXT NOT NULL,
    created REAL NOT NULL,
    state TEXT NOT NULL DEFAULT 'pending',
    UNIQUE (job, relpath)
);
CREATE INDEX suggestions_relpath ON suggestions (relpath);
CREATE INDEX suggestions_state ON suggestions (state, job);
"""

_INSERT = """
INSERT INTO suggestions (job, relpath, text, confidence, source, details, created) VALUES (?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (job, relpath) DO UPDATE SET text = excluded.text, confidence = excluded.confidence,
source = excluded.source, details = excluded.details, created = excluded.created
"""
_SUPERSEDE = """
UPDATE suggestions SET state = 'superseded'
WHERE relpath = ? AND source = ? AND job <> ? AND created <= ? AND state = 'pending'
"""
_DECIDE = "UPDATE suggestions SET state = ? WHERE job = ? AND relpath = ?"
STATES = ("pending", "accepted", "rejected", "superseded")


class SuggestionIndex:
    """Suggestions by job, clip, state and confidence. Safe to use from several threads and processes."""

    def __init__(self, cache_folder: Path) -> None:
        """Open nothing yet."""
        self._path = cache_folder / "suggestions.sqlite"
        self._lock = threading.Lock()

    def sync(self, jobs: Sequence[Path]) -> int:
        """Read what these job folders have got since the last call and return how many rows changed.

        Args:
            jobs: All folders there are, the oldest first; rows of others are dropped.

        Raises:
            SaoError: The cache cannot be written.
        """
        with self._connected() as connection:
            known = {row[0] for row in connection.execute("SELECT DISTINCT job FROM sources")}
            names = {job.name for job in jobs}
            num_changed = 0
            for gone in known - names:
                num_changed += self._forget(connection, gone)
            for job in jobs:
                num_changed += self._read_job(connection, job)
            return num_changed

    def select(self, columns: str, condition: str, parameters: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        """Return columns of the suggestions that meet a condition, both from our own code.

        Raises:
            SaoError: The cache cannot be read.
        """
        return list(self.stream(columns, condition, parameters))

    def stream(self, columns: str, condition: str, parameters: Sequence[object] = ()) -> Iterator[tuple[Any, ...]]:
        """Yield the same without holding all."""
        with self._connected() as connection:
            # Only names of our own are put into the text; values are parameters.
            query = f"SELECT {columns} FROM suggestions WHERE {condition}"  # noqa: S608
            yield from connection.execute(query, parameters)

    def decide(self, state: str, keys: Iterable[tuple[str, str]]) -> None:
        """Mirror decisions on suggestions given by job and relpath.

        Raises:
            SaoError: The cache cannot be written.
        """
        with self._connected() as connection:
            rows = ((state, job, os.fsencode(relpath)) for job, relpath in keys)
            connection.executemany(_DECIDE, rows)

    def _connected(self) -> _Connection:
        return _Connection(self._path, self._lock)

    def _forget(self, connection: sqlite3.Connection, job: str) -> int:
        connection.execute("DELETE FROM sources WHERE job = ?", [job])
        return connection.execute("DELETE FROM suggestions WHERE job = ?", [job]).rowcount

    def _read_job(self, connection: sqlite3.Connection, job: Path) -> int:
        num_changed = 0
        for name, take in ((SUGGESTIONS_NAME, _take_suggestions), (DECISIONS_NAME, _take_decisions)):
            query = "SELECT inode, offset FROM sources WHERE job = ? AND file = ?"
            inode, offset = connection.execute(query, [job.name, name]).fetchone() or (0, 0)
            try:
                with (job / name).open("rb") as file:
                    status = os.fstat(file.fileno())
                    if status.st_ino != inode or status.st_size < offset:
                        offset = 0
                    if status.st_size == offset:
                        continue
                    file.seek(offset)
                    for batch, end in _batches(file, offset):
                        num_changed += take(connection, job.name, batch)
                        offset = end
            except OSError:
                continue
            row = [job.name, name, status.st_ino, offset]
            connection.execute("INSERT OR REPLACE INTO sources VALUES (?, ?, ?, ?)", row)
        return num_changed


class _Connection:
    """One connection for one use: committed at its end, rolled back on an error, always closed."""

    def __init__(self, path: Path, lock: threading.Lock) -> None:
        self._path = path
        self._lock = lock
        self._connection: sqlite3.Connection | None = None

    def __enter__(self) -> sqlite3.Connection:
        import sqlite3

        self._lock.acquire()
        try:
            try:
                self._connection = self._open()
            except sqlite3.OperationalError:
                raise
            except sqlite3.DatabaseError:
                # Not a database any more: it is a cache, so begin again.
                for suffix in ("", "-wal", "-shm"):
                    self._path.with_name(self._path.name + suffix).unlink(missing_ok=True)
                self._connection = self._open()
        except BaseException as error:
            self._lock.release()
            if isinstance(error, sqlite3.Error | OSError):
                raise self._unusable(error) from error
            raise
        return self._connection

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _trace: object) -> None:
        import sqlite3

        assert self._connection is not None  # noqa: S101
        try:
            if kind is None:
                self._connection.commit()
        except sqlite3.Error as failed:
            raise self._unusable(failed) from failed
        finally:
            self._connection.close()
            self._lock.release()
        if isinstance(error, sqlite3.Error):
            raise self._unusable(error) from error

    def _open(self) -> sqlite3.Connection:
        import sqlite3

        self._path.parent.mkdir(exist_ok=True)
        connection = sqlite3.connect(self._path, timeout=_BUSY_SECONDS)
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = NORMAL")
            if connection.execute("PRAGMA user_version").fetchone()[0] != _VERSION:
                connection.executescript(_SCHEMA)
                connection.execute(f"PRAGMA user_version = {_VERSION}")
        except BaseException:
            connection.close()
            raise
        return connection

    def _unusable(self, error: Exception) -> SaoError:
        return SaoError(
            f"The index of suggestions {self._path} cannot be used: {error}.",
            "It is only a cache: delete it; check the space on its disk.",
        )


def _batches(file: Any, offset: int) -> Iterator[tuple[list[dict[str, Any]], int]]:
    """Yield records of complete lines, with where the last of them ends; a torn last line waits."""
    records: list[dict[str, Any]] = []
    for line in file:
        if not line.endswith(b"\n"):
            break
        offset += len(line)
        try:
            record = json.loads(line)
        except ValueError:
            continue
        if isinstance(record, dict) and isinstance(record.get("relpath"), str):
            records.append(record)
        if len(records) >= _BATCH:
            yield records, offset
            records = []
    yield records, offset


def _take_suggestions(connection: sqlite3.Connection, job: str, records: list[dict[str, Any]]) -> int:
    rows = []
    for record in records:
        text, confidence = record.get("text"), record.get("confidence")
        if not isinstance(text, str) or not text.strip():
            continue  # It had nothing to say.
        number = float(confidence) if isinstance(confidence, int | float) else None
        details = json.dumps(record.get("details") or {})
        source, created = str(record.get("source", "")), float(record.get("t") or 0.0)
        relpath = os.fsencode(record["relpath"])
        rows.append((job, relpath, text.encode(errors="replace").decode(), number, source, details, created))
    connection.executemany(_INSERT, rows)
    connection.executemany(_SUPERSEDE, ((row[1], row[4], job, row[6]) for row in rows))
    return len(rows)


def _take_decisions(connection: sqlite3.Connection, job: str, records: list[dict[str, Any]]) -> int:
    rows = [
        (record["decision"], job, os.fsencode(record["relpath"]))
        for record in records
        if record.get("decision") in STATES
    ]
    connection.executemany(_DECIDE, rows)
    return len(rows)
