"""One pass over the dataset folder, or over some folders in it, that brings the clip index up to date."""

from __future__ import annotations

import os
from array import array
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from typing import Any

from sao_tui.services.clip_headers import Header
from sao_tui.services.clip_moves import recognise_moves
from sao_tui.services.clip_queue import ClipQueue
from sao_tui.services.clip_texts import index_words, printable
from sao_tui.services.clip_walk import FoundFile, FoundFolder, list_folder, walk
from sao_tui.services.clip_writes import ClipWriter, FolderNote, FoundClips, remove_clips, within
from sao_tui.services.clips_database import ClipsDatabase
from sao_tui.services.clips_schema import make_late_indexes

_FOR_A_CHILD = 2_000
"""Files of a first scan that are worth the start of a process."""

_FOR_A_HALF = 50_000
"""Clips of a rescan that are worth the start of a process."""

Progress = Callable[[int, int], None]


class Scan:
    """A pass that is run once."""

    def __init__(
        self,
        database: ClipsDatabase,
        root: str,
        progress: Progress,
        should_stop: Callable[[], bool],
        writer: ClipWriter,
    ) -> None:
        """Take what it reads, writes and tells."""
        self._database = database
        self._root = root
        self._progress = progress
        self._should_stop = should_stop
        self._num_known, self._highest_id = database.query("SELECT count(*), coalesce(max(id), 0) FROM clips")[0]
        self._queue = ClipQueue(database, writer, root)
        self._gone = array("q")
        self._late_notes: list[FolderNote] = []
        self._num_same = 0
        self.num_removed = 0
        self.num_moved = 0
        self.skipped: dict[bytes, str] = {}
        """Folders that cannot be listed, each with the reason."""
        self.stopped = False

    @property
    def num_examined(self) -> int:
        """Files that were new or had changed."""
        return self._queue.num_written

    @property
    def is_first(self) -> bool:
        """Whether nothing was known before."""
        return bool(self._num_known == 0)

    def run(self) -> None:
        """Look at every folder."""
        visited: set[bytes] = set()
        if self._num_known:
            self._make_indexes()
        with self._queue:
            for found, headers in self._found():
                visited.add(found.relpath)
                self._look_at(found, headers)
                if self._stops():
                    return
            self._queue.finish(self._stops)
        if not self.stopped:
            self._forget(each for each in self._known_folders(b"") if each not in visited)
            self._finish()

    def run_folders(self, folders: Collection[bytes]) -> bool:
        """Look at some folders only; return False where that is not enough and all must be looked at."""
        with self._queue:
            for relpath in sorted(folders):
                if not self._look_again(relpath):
                    return False
                if self._stops():
                    return True
            self._queue.finish(self._stops)
        if not self.stopped:
            self._finish()
        return True

    def skipped_in_words(self) -> tuple[str, ...]:
        """Return each folder that cannot be listed with the reason."""
        return tuple(
            f"{printable(os.fsdecode(relpath)) or self._root}: {reason}" for relpath, reason in self.skipped.items()
        )

    def _found(self) -> Iterator[tuple[FoundFolder, list[Header] | None]]:
        """Give every folder; a large first scan has a child process read them, with the headers."""
        given: set[bytes] = set()
        num_files = 0
        if self._num_known == 0:
            for found in walk(self._root):
                given.add(found.relpath)
                num_files += len(found.files)
                yield found, None
                if num_files >= _FOR_A_CHILD:
                    break
            else:
                return
            try:
                yield from ((found, headers) for found, headers in self._queue.walk() if found.relpath not in given)
                return
            except EOFError:
                # A file crashed the child. Folders that come a second time are the same as before.
                pass
        folders = self._second_half()
        lister = self._queue.summarise(folders) if folders else _list_none
        yield from ((found, None) for found in walk(self._root, lister=lister) if found.relpath not in given)

    def _second_half(self) -> list[bytes]:
        """Return folders that a child may list while this process lists those before them; none of a small dataset."""
        if self._num_known < _FOR_A_HALF:
            return []
        query = "SELECT relpath, num_clips FROM folders ORDER BY relpath || CAST('/' AS BLOB)"
        folders = self._database.query(query)
        num_clips = 0
        for place, (_, more) in enumerate(folders):
            num_clips += more
            if 2 * num_clips > self._num_known:
                return [row[0] for row in folders[place + 1 :]]
        return []

    def _look_again(self, relpath: bytes) -> bool:
        """Compare a folder and those in it that are new, and drop those that are gone; False for a new link."""
        if not self._is_folder(relpath):
            self._forget([relpath, *self._known_folders(relpath)])
            return True
        found = list_folder(self._root, relpath)
        known = set(self._known_folders(relpath))
        if any(link not in known for link in found.links):
            return False
        self._look_at(found)
        for child in known:
            if child.rpartition(b"/")[0] == relpath and not self._is_folder(child):
                self._forget(each for each in known if each == child or each.startswith(child + b"/"))
        for child in found.folders:
            if child not in known:
                for inner in walk(self._root, child):
                    self._look_at(inner)
        return True

    def _look_at(self, found: FoundFolder, headers: Sequence[Header] | None = None) -> None:
        """Queue what is new or changed in one folder, and note the rows of files that are gone."""
        if found.error:
            # What it holds may be readable again in a minute: its rows stay.
            self.skipped[found.relpath] = found.error
            return
        digest, num_files = found.summary or (found.digest(), len(found.files))
        known = self._database.query("SELECT digest FROM folders WHERE relpath = ?", [found.relpath])
        if known and known[0][0] == digest:
            self._num_same += num_files
        elif found.summary:
            # Listed by the child, and not as it was: what differs is in the files.
            self._look_at(list_folder(self._root, found.relpath))
        elif self._num_known == 0:
            self._queue.add_new_folder(found, headers, FolderNote(found.relpath, digest, num_files))
        else:
            self._compare(found, FolderNote(found.relpath, digest, num_files))
        self._queue.flush(self._tell, self._stops)
        self._tell()

    def _compare(self, found: FoundFolder, note: FolderNote) -> None:
        changed: list[FoundFile] = []
        ids: list[int] = []
        num_gone = len(self._gone)
        for file, row in self._paired(found):
            if file is None:
                self._gone.append(row[0] if row else 0)
            # A row with an error is read again: a permission can change without size and time.
            elif row is None or row[2:5] != file[1:] or row[5]:
                changed.append(file)
                ids.append(row[0] if row else 0)
            else:
                self._num_same += 1
        self._queue.add(FolderNote(note.relpath, b"", note.num_clips))
        self._queue.add(FoundClips(found.relpath, changed, ids))
        if len(self._gone) > num_gone:
            # Noted when the rows are removed: a scan that is stopped before must look here again.
            self._late_notes.append(note)
        else:
            self._queue.add(note)

    def _paired(self, found: FoundFolder) -> Iterator[tuple[FoundFile | None, Sequence[Any] | None]]:
        """Give the folder's files beside their rows, by name."""
        rows = iter(self._database.query(_ROWS_OF_FOLDER, [found.relpath]))
        start = len(found.prefix)
        row = next(rows, None)
        for file in found.files:
            while row is not None and row[1][start:] < file[0]:
                yield None, row
                row = next(rows, None)
            if row is not None and row[1][start:] == file[0]:
                yield file, row
                row = next(rows, None)
            else:
                yield file, None
        while row is not None:
            yield None, row
            row = next(rows, None)

    def _known_folders(self, below: bytes) -> list[bytes]:
        query = "SELECT relpath FROM folders WHERE relpath > ? AND relpath < ?"
        return [row[0] for row in self._database.query(query, within(below))]

    def _forget(self, folders: Iterable[bytes]) -> None:
        """Note the rows of folders that are gone, except inside folders that could not be listed."""
        unlisted = tuple(relpath + b"/" if relpath else b"" for relpath in self.skipped)
        for folder in folders:
            if folder not in self.skipped and not folder.startswith(unlisted or b"\0"):
                self._gone.extend(row[0] for row in self._database.query(_IDS_OF_FOLDER, [folder]))
                self._late_notes.append(FolderNote(folder, b"", -1))

    def _finish(self) -> None:
        """Remove the rows of files that are gone, and make what speeds up questions."""
        left = self._gone
        if self._gone and self.num_examined:
            left = recognise_moves(self._database, self._gone, self._highest_id)
            self.num_moved = len(self._gone) - len(left)
        remove_clips(self._database, left)
        self.num_removed = len(left)
        notes = [(each.relpath, each.digest, each.num_clips) for each in self._late_notes]
        self._database.write_many("INSERT OR REPLACE INTO folders VALUES (?, ?, ?)", notes)
        if any(each.num_clips < 0 for each in self._late_notes):
            self._database.write_many("DELETE FROM folders WHERE num_clips < ?", [(0,)])
        if self.num_examined or self._num_known == 0:
            index_words(self._database, self._stops)
            self._make_indexes()
        self._tell()

    def _make_indexes(self) -> None:
        with self._database.writing() as connection:
            make_late_indexes(connection)

    def _is_folder(self, relpath: bytes) -> bool:
        return os.path.isdir(os.path.join(os.fsencode(self._root), relpath))

    def _stops(self) -> bool:
        self.stopped = self.stopped or self._should_stop()
        return self.stopped

    def _tell(self) -> None:
        num_seen = self._num_same + self.num_examined
        self._progress(num_seen, max(self._num_known, num_seen) if self._num_known else 0)


def _list_none(_relpath: bytes) -> None:
    return None


_ROWS_OF_FOLDER = """
SELECT id, relpath, num_bytes, mtime_ns, inode, error <> '' AND error NOT LIKE 'stable-audio-tools cannot%'
FROM clips WHERE folder = ? ORDER BY relpath
"""
_IDS_OF_FOLDER = "SELECT id FROM clips WHERE folder = ?"
