"""What a scan writes into the clip index."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from sao_tui.core.errors import SaoError
from sao_tui.services.clip_headers import Header
from sao_tui.services.clip_order import IDS_BY_PATH
from sao_tui.services.clip_texts import folded_path, path_bytes, printable
from sao_tui.services.clip_walk import FoundFile
from sao_tui.services.clips_database import ClipsDatabase

if TYPE_CHECKING:
    import sqlite3


class KnownCaptions(Protocol):
    """Where a scan finds the captions of new clips: a CaptionStore."""

    def load(self) -> None:
        """Read them again if they are not those last read."""

    def get(self, relpath: str) -> str:
        """Return a clip's caption, empty when it has none."""

    def items(self) -> Iterator[tuple[str, str]]:
        """Give relpath and caption of each clip that has one."""


@dataclass(frozen=True)
class FolderNote:
    """What a folder held; an empty digest has it compared again at the next scan."""

    relpath: bytes
    digest: bytes
    num_clips: int


@dataclass(frozen=True)
class FoundClips:
    """Files of one folder that are new or have changed."""

    folder: bytes
    files: Sequence[FoundFile]
    ids: Sequence[int]
    """Rows that they have; 0 for new files."""
    headers: Sequence[Header] | None = None
    """None where they are still to be read."""

    @property
    def prefix(self) -> bytes:
        """What comes before a name in a relpath."""
        return self.folder + b"/" if self.folder else b""


Work = Sequence[tuple[FoundClips | FolderNote, Sequence[Header]]]
"""What was found, clips with their headers."""


class ClipWriter:
    """Writes clips with their captions; all calls come from one thread."""

    def __init__(
        self, database: ClipsDatabase, captions: KnownCaptions | None, signature_of: Callable[[], str], is_first: bool
    ) -> None:
        """Take what is written and where.

        Args:
            captions: None for new clips without a caption.
            signature_of: What differs when the captions do.
            is_first: Nothing is in the index yet: all captions will be needed, and are got in one go.
        """
        self._database = database
        self._captions = captions
        self._signature_of = signature_of
        self._is_first = is_first
        self._has_written = False
        self._has_all = False
        self._last_path: bytes | None = b""
        self.signature = ""
        """Of the captions that were written, empty where there are none."""
        self.problem: SaoError | None = None
        """Why captions cannot be read: that keeps no clips out."""

    @property
    def has_captions(self) -> bool:
        """Whether the rows of a first scan have their captions when they are written."""
        return self._is_first and (self._captions is None or self._has_all)

    def write(self, work: Work) -> int:
        """Write clips and notes of folders in the order given and in one transaction; return the highest id.

        Raises:
            SaoError: The index cannot be written.
        """
        with self._database.writing("clips") as connection:
            first_id = connection.execute("SELECT coalesce(max(id), 0) + 1 FROM clips").fetchone()[0]
            insert = self._stage(connection, work)
            before = connection.total_changes
            num_new = 0
            unusual: list[tuple[str, int]] = []
            ordered: list[tuple[FoundClips, int]] = []
            for found, headers in work:
                if isinstance(found, FoundClips):
                    ordered.append((found, first_id + num_new))
                    rows = _new_rows(found, headers, first_id + num_new, unusual)
                    connection.executemany(insert, rows)
                    num_new += len(rows)
            if connection.total_changes - before != num_new:
                # Another process has scanned the same files: its rows have other ids than those meant here.
                unusual = _unusual_since(connection, first_id)
                self._last_path = None
            for found, start in ordered:
                self._follow_order(connection, found, start)
            connection.execute(_INSERT_TEXTS, [first_id])
            connection.executemany("UPDATE texts SET path = ? WHERE id = ?", unusual)
            connection.executemany(_UPDATE, _changed_rows(work))
            notes = [(each.relpath, each.digest, each.num_clips) for each, _ in work if isinstance(each, FolderNote)]
            connection.executemany("INSERT OR REPLACE INTO folders VALUES (?, ?, ?)", notes)
        self._has_written = True
        return int(first_id) + num_new - 1

    def finish(self) -> None:
        """Write the captions of clips that were written before all captions had been got.

        Raises:
            SaoError: The index cannot be written.
        """
        with self._database.writing("captions") as connection:
            if self._is_first and not self._has_all:
                self._stage_all(connection)

    def close(self) -> None:
        """Drop what was kept of the captions.

        Raises:
            SaoError: The index cannot be written.
        """
        with self._database.writing() as connection:
            connection.execute("DROP TABLE IF EXISTS temp.staged")

    def _stage(self, connection: sqlite3.Connection, work: Work) -> str:
        """Put the captions of new clips where the insert finds them, and return that insert.

        To ask for one after the other costs ten times as much as reading them all, and to write them into rows that
        are there has those grow; but the first rows of a first scan wait for no captions.
        """
        if self._captions is None or (self._is_first and not self._has_written):
            return _INSERT
        if self._is_first:
            if not self._has_all:
                self._stage_all(connection)
        elif self._load():
            connection.execute(_MAKE_STAGE)
            connection.execute("DELETE FROM temp.staged")
            _fill_stage(connection, ((relpath, self._captions.get(relpath)) for relpath in _new_paths(work)))
        return _INSERT if self.problem else _INSERT_STAGED

    def _stage_all(self, connection: sqlite3.Connection) -> None:
        self._has_all = True
        if self._captions is not None and self._load():
            connection.execute(_MAKE_STAGE)
            _fill_stage(connection, self._captions.items())
            connection.execute(_UPDATE_CAPTIONS)
            connection.execute(_UPDATE_TEXTS)

    def _load(self) -> bool:
        if self.problem is None and self._captions is not None:
            try:
                signature = self._signature_of()
                self._captions.load()
                self.signature = self.signature or signature
            except SaoError as error:
                self.problem = error
        return self.problem is None

    def _follow_order(self, connection: sqlite3.Connection, found: FoundClips, first_id: int) -> None:
        """Note up to which id of a first scan the ids are in the order of the paths."""
        if not self._is_first or self._last_path is None or not found.files:
            return
        if found.prefix + found.files[0][0] < self._last_path:
            self._last_path = None
            return
        self._last_path = found.prefix + found.files[-1][0]
        note = "INSERT OR REPLACE INTO facts VALUES (?, CAST(? AS TEXT))"
        connection.execute(note, [IDS_BY_PATH, first_id + len(found.files) - 1])


def remove_clips(database: ClipsDatabase, ids: Iterable[int]) -> None:
    """Remove rows whose files are gone.

    Raises:
        SaoError: The index cannot be written.
    """
    database.write_many("DELETE FROM clips WHERE id = ?", [(each,) for each in ids])


def within(folder: bytes) -> tuple[bytes, bytes]:
    """Return the bounds of relpaths below a folder: above the first and below the second."""
    return (folder + b"/", folder + b"0") if folder else (b"", b"\xff" * 8)


def _new_paths(work: Work) -> Iterator[str]:
    for found, _ in work:
        if isinstance(found, FoundClips):
            for file, known in zip(found.files, found.ids, strict=True):
                if not known:
                    yield os.fsdecode(found.prefix + file[0])


def _new_rows(
    found: FoundClips, headers: Sequence[Header], next_id: int, unusual: list[tuple[str, int]]
) -> list[tuple[Any, ...]]:
    """Return the rows of new files, and add to `unusual` the paths that SQLite cannot make lower case itself."""
    prefix, folder = found.prefix, found.folder
    rows: list[tuple[Any, ...]] = []
    for (name, num_bytes, mtime_ns, inode), known, header in zip(found.files, found.ids, headers, strict=True):
        if known:
            continue
        relpath = prefix + name
        if not relpath.isascii():
            unusual.append((folded_path(relpath), next_id))
        rows.append((next_id, num_bytes, mtime_ns, inode, *header, not header[4], relpath, folder))
        next_id += 1
    return rows


def _unusual_since(connection: sqlite3.Connection, first_id: int) -> list[tuple[str, int]]:
    rows = connection.execute("SELECT id, relpath FROM clips WHERE id >= ?", [first_id])
    return [(folded_path(relpath), clip_id) for clip_id, relpath in rows]


def _changed_rows(work: Work) -> Iterator[tuple[Any, ...]]:
    for found, headers in work:
        if isinstance(found, FoundClips) and any(found.ids):
            for (_, *numbers), known, header in zip(found.files, found.ids, headers, strict=True):
                if known:
                    yield (*numbers, *header, not header[4], known)


def _fill_stage(connection: sqlite3.Connection, pairs: Iterable[tuple[str, str]]) -> None:
    rows = ((path_bytes(relpath), printable(text)) for relpath, text in pairs if text)
    connection.executemany("INSERT OR REPLACE INTO temp.staged VALUES (?, ?)", rows)


_MAKE_STAGE = "CREATE TEMP TABLE IF NOT EXISTS staged (relpath BLOB PRIMARY KEY, caption TEXT NOT NULL) WITHOUT ROWID"
_INSERT_INTO = """
INSERT OR IGNORE INTO clips (id, num_bytes, mtime_ns, inode, seconds, sample_rate_hz, num_channels, format, error,
is_readable, relpath, folder, caption, is_captioned) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, {})
"""
_INSERT = _INSERT_INTO.format("'', 0")
_INSERT_STAGED = _INSERT_INTO.format(
    "coalesce((SELECT caption FROM temp.staged WHERE relpath = ?11), ''), "
    "EXISTS (SELECT 1 FROM temp.staged WHERE relpath = ?11)"
)
_UPDATE_CAPTIONS = """
UPDATE clips SET caption = coalesce((SELECT caption FROM temp.staged WHERE staged.relpath = clips.relpath), ''),
is_captioned = EXISTS (SELECT 1 FROM temp.staged WHERE staged.relpath = clips.relpath)
"""
_FOLDED = "CASE WHEN length(caption) = length(CAST(caption AS BLOB)) THEN lower(caption) ELSE fold(caption) END"
_INSERT_TEXTS = (
    f"INSERT OR REPLACE INTO texts SELECT id, lower(CAST(relpath AS TEXT)), {_FOLDED} FROM clips WHERE id >= ?"  # noqa: S608
)
_UPDATE_TEXTS = f"UPDATE texts SET caption = (SELECT {_FOLDED} FROM clips WHERE clips.id = texts.id)"  # noqa: S608
_UPDATE = """
UPDATE clips SET num_bytes = ?, mtime_ns = ?, inode = ?, seconds = ?, sample_rate_hz = ?, num_channels = ?,
format = ?, error = ?, is_readable = ? WHERE id = ?
"""
