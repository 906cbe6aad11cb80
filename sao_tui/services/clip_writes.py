"""What a scan writes into the clip index."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sao_tui.services.clip_headers import Header
from sao_tui.services.clip_texts import folded, folded_path, printable
from sao_tui.services.clip_walk import FoundFile
from sao_tui.services.clips_database import ClipsDatabase

if TYPE_CHECKING:
    import sqlite3

CaptionOf = Callable[[str], str]


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


def write_clips(
    database: ClipsDatabase,
    work: Sequence[tuple[FoundClips | FolderNote, Sequence[Header]]],
    caption_of: CaptionOf | None,
) -> None:
    """Write clips with their headers, and notes of folders, in the order given and in one transaction.

    Raises:
        SaoError: The index cannot be written.
    """
    with database.writing("clips") as connection:
        first_id = connection.execute("SELECT coalesce(max(id), 0) + 1 FROM clips").fetchone()[0]
        before = connection.total_changes
        num_new = 0
        unusual: list[tuple[str, str, int]] = []
        for found, headers in work:
            if isinstance(found, FoundClips):
                rows = _new_rows(found, headers, first_id + num_new, caption_of, unusual)
                connection.executemany(_INSERT, rows)
                num_new += len(rows)
        if connection.total_changes - before != num_new:
            # Another process has scanned the same files: its rows have other ids than those meant here.
            unusual = _unusual_since(connection, first_id)
        connection.execute(_INSERT_TEXTS, [first_id])
        connection.executemany("UPDATE texts SET path = ?, caption = ? WHERE id = ?", unusual)
        connection.executemany(_UPDATE, _changed_rows(work))
        notes = [(each.relpath, each.digest, each.num_clips) for each, _ in work if isinstance(each, FolderNote)]
        connection.executemany("INSERT OR REPLACE INTO folders VALUES (?, ?, ?)", notes)


def remove_clips(database: ClipsDatabase, ids: Iterable[int]) -> None:
    """Remove rows whose files are gone.

    Raises:
        SaoError: The index cannot be written.
    """
    database.write_many("DELETE FROM clips WHERE id = ?", [(each,) for each in ids])


def within(folder: bytes) -> tuple[bytes, bytes]:
    """Return the bounds of relpaths below a folder: above the first and below the second."""
    return (folder + b"/", folder + b"0") if folder else (b"", b"\xff" * 8)


def _new_rows(
    found: FoundClips,
    headers: Sequence[Header],
    next_id: int,
    caption_of: CaptionOf | None,
    unusual: list[tuple[str, str, int]],
) -> list[tuple[Any, ...]]:
    """Return the rows of new files, and add to `unusual` the texts that SQLite cannot make lower case itself."""
    prefix, folder = found.prefix, found.folder
    rows: list[tuple[Any, ...]] = []
    caption = ""
    for (name, num_bytes, mtime_ns, inode), known, header in zip(found.files, found.ids, headers, strict=True):
        if known:
            continue
        relpath = prefix + name
        if caption_of is not None:
            caption = printable(caption_of(os.fsdecode(relpath)))
        if not (relpath.isascii() and caption.isascii()):
            unusual.append((folded_path(relpath), folded(caption), next_id))
        rows.append(
            (next_id, num_bytes, mtime_ns, inode, *header, relpath, folder, caption, not header[4], caption != "")
        )
        next_id += 1
    return rows


def _unusual_since(connection: sqlite3.Connection, first_id: int) -> list[tuple[str, str, int]]:
    rows = connection.execute("SELECT id, relpath, caption FROM clips WHERE id >= ?", [first_id])
    return [(folded_path(relpath), folded(caption), clip_id) for clip_id, relpath, caption in rows]


def _changed_rows(work: Sequence[tuple[FoundClips | FolderNote, Sequence[Header]]]) -> Iterator[tuple[Any, ...]]:
    for found, headers in work:
        if isinstance(found, FoundClips) and any(found.ids):
            for (_, *numbers), known, header in zip(found.files, found.ids, headers, strict=True):
                if known:
                    yield (*numbers, *header, not header[4], known)


_INSERT = """
INSERT OR IGNORE INTO clips (id, num_bytes, mtime_ns, inode, seconds, sample_rate_hz, num_channels, format, error,
relpath, folder, caption, is_readable, is_captioned) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""
_INSERT_TEXTS = """
INSERT OR REPLACE INTO texts SELECT id, lower(CAST(relpath AS TEXT)), lower(caption) FROM clips WHERE id >= ?
"""
_UPDATE = """
UPDATE clips SET num_bytes = ?, mtime_ns = ?, inode = ?, seconds = ?, sample_rate_hz = ?, num_channels = ?,
format = ?, error = ?, is_readable = ? WHERE id = ?
"""
