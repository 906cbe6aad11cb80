"""The SQLite file behind the clip index: one connection a thread, one writer at a time, made again when gone."""

from __future__ import annotations

import array
import os
import re
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sao_tui.core.errors import SaoError
from sao_tui.services import clips_schema

if TYPE_CHECKING:
    import sqlite3

ShouldStop = Callable[[], bool]

_BUSY_SECONDS = 30.0
_STEPS_BETWEEN_QUESTIONS = 20_000
"""Instructions of SQLite between two looks at whether to stop: about a millisecond."""
_MAX_LOG_BYTES = 64 << 20
_WRITTEN_TABLE = re.compile(r"\s*(?:INSERT(?:\s+OR\s+\w+)?\s+INTO|REPLACE\s+INTO|UPDATE|DELETE\s+FROM)\s+(\w+)", re.I)


class QueryStopped(SaoError):  # noqa: N818 - nothing went wrong
    """A question was given up because its answer is not wanted any more."""

    def __init__(self) -> None:
        """Say so, in case somebody shows it after all."""
        super().__init__("The search was stopped.", "Search again.")


class ClipsDatabase:
    """Queries and writes on `clips.sqlite` in one cache folder."""

    def __init__(self, cache_folder: Path) -> None:
        """Open nothing yet."""
        self._path = cache_folder / "clips.sqlite"
        self._local = threading.local()
        self._write_lock = threading.RLock()
        self._open_lock = threading.Lock()

    def query(
        self, text: str, parameters: Sequence[object] = (), should_stop: ShouldStop | None = None
    ) -> list[Sequence[Any]]:
        """Return all rows of a SELECT; `stream` is for those that may be many.

        Raises:
            QueryStopped: `should_stop` said so.
            SaoError: The index cannot be read.
        """
        return list(self.stream(text, parameters, should_stop))

    def stream(
        self, text: str, parameters: Sequence[object] = (), should_stop: ShouldStop | None = None
    ) -> Iterator[Sequence[Any]]:
        """Give the rows of a SELECT one by one; they are those of the moment of the first.

        Raises:
            QueryStopped: `should_stop` said so.
            SaoError: The index cannot be read.
        """
        import sqlite3

        with _answering_to(self._connection(), should_stop) as connection:
            try:
                yield from connection.execute(text, parameters)
            except sqlite3.Error as error:
                raise self._damaged(error) from error

    def ids(
        self, text: str, parameters: Sequence[object] = (), should_stop: ShouldStop | None = None
    ) -> array.array[int]:
        """Return the column `id` of a SELECT, in its order; a third of the time that single rows take.

        Raises:
            QueryStopped: `should_stop` said so.
            SaoError: The index cannot be read.
        """
        import msgspec

        rows = self.query(f"SELECT json_group_array(id) FROM ({text})", parameters, should_stop)  # noqa: S608
        return array.array("q", msgspec.json.decode(rows[0][0], type=list[int]))

    def write_many(self, text: str, rows: Iterable[Sequence[object]]) -> None:
        """Run one statement for all rows in one transaction.

        Raises:
            SaoError: The index cannot be written.
        """
        if isinstance(rows, Sequence) and not rows:
            return
        table = _WRITTEN_TABLE.match(text)
        with self.writing(table[1].lower() if table else "clips") as connection:
            connection.executemany(text, rows)

    @contextmanager
    def writing(self, *topics: str) -> Iterator[sqlite3.Connection]:
        """Give the connection inside one transaction, which is undone when the body raises.

        Args:
            topics: Tables that change, or `captions`: their versions go up.

        Raises:
            SaoError: The index cannot be written.
        """
        import sqlite3

        with self._write_lock:
            try:
                connection = self._connection()
                connection.execute("BEGIN IMMEDIATE")
                try:
                    yield connection
                    for topic in topics:
                        connection.execute(_BUMP, [f"version-{topic}"])
                    connection.execute("COMMIT")
                except BaseException:
                    if connection.in_transaction:
                        connection.execute("ROLLBACK")
                    raise
            except sqlite3.Error as error:
                raise self._damaged(error) from error

    def versions(self, *topics: str) -> tuple[int, ...]:
        """Return numbers that differ from those before when something was written about the topics.

        The first is of the file itself: a cache that was made anew starts to count again.

        Raises:
            SaoError: The index cannot be read.
        """
        known: dict[str, str] = {
            row[0]: row[1] for row in self.query("SELECT name, value FROM facts WHERE name LIKE 'version-%'")
        }
        return (self._inode(), *(int(known.get(f"version-{topic}", 0)) for topic in topics))

    def fact(self, name: str) -> str:
        """Return what was last noted under a name, empty when nothing was.

        Raises:
            SaoError: The index cannot be read.
        """
        rows = self.query("SELECT value FROM facts WHERE name = ?", [name])
        return str(rows[0][0]) if rows else ""

    def note_fact(self, name: str, value: str) -> None:
        """Note something about the whole index.

        Raises:
            SaoError: The index cannot be written.
        """
        self.write_many("INSERT OR REPLACE INTO facts VALUES (?, ?)", [(name, value)])

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
            with self._opening_alone():
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

    @contextmanager
    def _opening_alone(self) -> Iterator[None]:
        """Keep other processes from taking the log of a database that was made a moment ago for a leftover."""
        import fcntl

        with open(self._path.with_name("clips.lock"), "ab") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def _connect(self) -> sqlite3.Connection:
        import sqlite3

        if sqlite3.sqlite_version_info < clips_schema.OLDEST_SQLITE:
            oldest = ".".join(map(str, clips_schema.OLDEST_SQLITE))
            raise SaoError(
                f"This Python has SQLite {sqlite3.sqlite_version}, and the clip index needs {oldest} or newer.",
                "Use a Python with a newer SQLite; those of conda and of uv have one.",
            )
        # Transactions are begun and ended by `writing` alone.
        connection = sqlite3.connect(self._path, timeout=_BUSY_SECONDS, isolation_level=None)
        try:
            connection.create_function("fold", 1, _fold, deterministic=True)
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = NORMAL")
            connection.execute("PRAGMA secure_delete = OFF")
            connection.execute(f"PRAGMA journal_size_limit = {_MAX_LOG_BYTES}")
            if clips_schema.read_version(connection) != clips_schema.VERSION:
                clips_schema.make_tables(connection)
            connection.execute(clips_schema.MAKE_VOCABULARY)
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


_BUMP = "INSERT INTO facts VALUES (?, '1') ON CONFLICT (name) DO UPDATE SET value = CAST(value + 1 AS TEXT)"


def _fold(value: str | float | bytes | None) -> str | float | bytes | None:
    """Return text with upper and lower case made one, as `texts` has it; SQLite's lower() knows only ASCII."""
    return value.casefold() if isinstance(value, str) else value


@contextmanager
def _answering_to(connection: sqlite3.Connection, should_stop: ShouldStop | None) -> Iterator[sqlite3.Connection]:
    """Let `should_stop` interrupt what runs on the connection."""
    import sqlite3

    if should_stop is None:
        yield connection
        return
    connection.set_progress_handler(should_stop, _STEPS_BETWEEN_QUESTIONS)
    try:
        yield connection
    except SaoError as error:
        if isinstance(error.__cause__, sqlite3.OperationalError) and should_stop():
            raise QueryStopped from error
        raise
    finally:
        connection.set_progress_handler(None, 0)
