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
    pass

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
    caption_of: CaptionOf,
) -> None:
    """Write clips with their headers, and notes of folders, in the order given and in one transaction.

    Raises:
        SaoError: The index cannot be written.
    """
    with database.writing("clips") as connection:
        first_id = connection.execute("SELECT coalesce(max(id), 0) + 1 FROM clips").fetchone()[0]
        new = list(_new_rows(work, first_id, caption_of))
        before = connection.total_changes
        connection.executemany(_INSERT, (row for row, _ in new))
        is_whole = connection.total_changes - before == len(new)
        connection.executemany("INSERT OR REPLACE INTO texts VALUES (?, ?, ?)", (text for _, text in new))
        if not is_whole:
            # Another process has scanned the same files.
            connection.execute("DELETE FROM texts WHERE id >= ? AND id NOT IN (SELECT id FROM clips)", [first_id])
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
    work: Sequence[tuple[FoundClips | FolderNote, Sequence[Header]]], first_id: int, caption_of: CaptionOf
) -> Iterator[tuple[tuple[Any, ...], tuple[int, str, str]]]:
    """Give the row of each new file in `clips` with its row in `texts`."""
    next_id = first_id
    for found, headers in work:
        if isinstance(found, FolderNote):
            continue
        prefix, folder = found.prefix, found.folder
        for (name, num_bytes, mtime_ns, inode), known, header in zip(found.files, found.ids, headers, strict=True):
            if known:
                continue
            relpath = prefix + name
            caption = caption_of(os.fsdecode(relpath))
            row = (next_id, num_bytes, mtime_ns, inode, *header[:4], relpath, folder, header[4], printable(caption))
            yield row, (next_id, folded_path(relpath), folded(caption))
            next_id += 1


def _changed_rows(work: Sequence[tuple[FoundClips | FolderNote, Sequence[Header]]]) -> Iterator[tuple[Any, ...]]:
    for found, headers in work:
        if isinstance(found, FoundClips):
            for (_, *numbers), known, header in zip(found.files, found.ids, headers, strict=True):
                if known:
                    yield (*numbers, *header, known)


_INSERT = """
INSERT OR IGNORE INTO clips (id, num_bytes, mtime_ns, inode, seconds, sample_rate_hz, num_channels, format,
relpath, folder, error, caption) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""
_UPDATE = """
UPDATE clips SET num_bytes = ?, mtime_ns = ?, inode = ?, seconds = ?, sample_rate_hz = ?, num_channels = ?,
format = ?, error = ? WHERE id = ?
"""
