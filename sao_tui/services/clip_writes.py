"""What a scan writes into the clip index."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from sao_tui.services.clip_headers import Header
from sao_tui.services.clip_texts import folded_path, printable
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

    @property
    def prefix(self) -> bytes:
        """What comes before a name in a relpath."""
        return self.folder + b"/" if self.folder else b""


Work = Sequence[tuple[FoundClips | FolderNote, Sequence[Header]]]
"""What was found, clips with their headers."""


class ClipWriter:
    """Writes clips with their captions; all calls come from one thread."""

    def __init__(self, database: ClipsDatabase, captions: KnownCaptions | None, is_first_scan: bool) -> None:
        """Take what is written and where.

        Args:
            captions: None for new clips without a caption.
            is_first_scan: All captions will be needed, and are got in one go.
        """
        self._database = database
        self._captions = captions
        self._is_first_scan = is_first_scan
        self._has_written = False
        self._has_all = captions is None

    def write(self, work: Work) -> None:
        """Write clips and notes of folders in the order given and in one transaction.

        Raises:
            SaoError: The captions cannot be read, or the index cannot be written.
        """
        with self._database.writing("clips") as connection:
            connection.execute(_MAKE_STAGE)
            self._stage(connection, work)
            first_id = connection.execute("SELECT coalesce(max(id), 0) + 1 FROM clips").fetchone()[0]
            before = connection.total_changes
            num_new = 0
            unusual: list[tuple[str, int]] = []
            for found, headers in work:
                if isinstance(found, FoundClips):
                    rows = _new_rows(found, headers, first_id + num_new, unusual)
                    connection.executemany(_INSERT, rows)
                    num_new += len(rows)
            if connection.total_changes - before != num_new:
                # Another process has scanned the same files: its rows have other ids than those meant here.
                unusual = _unusual_since(connection, first_id)
            connection.execute(_INSERT_TEXTS, [first_id])
            connection.executemany("UPDATE texts SET path = ? WHERE id = ?", unusual)
            connection.executemany(_UPDATE, _changed_rows(work))
            notes = [(each.relpath, each.digest, each.num_clips) for each, _ in work if isinstance(each, FolderNote)]
            connection.executemany("INSERT OR REPLACE INTO folders VALUES (?, ?, ?)", notes)
        self._has_written = True

    def close(self) -> None:
        """Drop what was kept of the captions.

        Raises:
            SaoError: The index cannot be written.
        """
        with self._database.writing() as connection:
            connection.execute("DROP TABLE IF EXISTS temp.staged")

    def _stage(self, connection: sqlite3.Connection, work: Work) -> None:
        """Put the captions of new clips where the insert finds them.

        To ask for one after the other costs ten times as much as reading them all, and to write them into rows that
        are there has those grow; but the first rows are not to wait for all captions.
        """
        if self._captions is None or self._has_all:
            return
        if self._is_first_scan and self._has_written:
            pairs: Iterable[tuple[str, str]] = self._captions.items()
            self._has_all = True
        else:
            connection.execute("DELETE FROM temp.staged")
            pairs = [(relpath, self._captions.get(relpath)) for relpath in _new_paths(work)]
        rows = ((os.fsencode(relpath), printable(text)) for relpath, text in pairs if text)
        connection.executemany("INSERT OR REPLACE INTO temp.staged VALUES (?, ?)", rows)


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


_MAKE_STAGE = "CREATE TEMP TABLE IF NOT EXISTS staged (relpath BLOB PRIMARY KEY, caption TEXT NOT NULL) WITHOUT ROWID"
_INSERT = """
INSERT OR IGNORE INTO clips (id, num_bytes, mtime_ns, inode, seconds, sample_rate_hz, num_channels, format, error,
is_readable, relpath, folder, caption, is_captioned) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12,
coalesce((SELECT caption FROM temp.staged WHERE relpath = ?11), ''),
EXISTS (SELECT 1 FROM temp.staged WHERE relpath = ?11))
"""
_INSERT_TEXTS = """
INSERT OR REPLACE INTO texts SELECT id, lower(CAST(relpath AS TEXT)),
CASE WHEN length(caption) = length(CAST(caption AS BLOB)) THEN lower(caption) ELSE fold(caption) END
FROM clips WHERE id >= ?
"""
_UPDATE = """
UPDATE clips SET num_bytes = ?, mtime_ns = ?, inode = ?, seconds = ?, sample_rate_hz = ?, num_channels = ?,
format = ?, error = ?, is_readable = ? WHERE id = ?
"""
