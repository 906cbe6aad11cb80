"""The clip index: what the headers of all clips say, in SQLite, so that half a million scroll like ten.

It is a cache (`.sao/clips.sqlite`): deleting it costs one scan.
"""

from __future__ import annotations

import array
import os
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sao_tui.core.errors import SaoError
from sao_tui.services.audio import UnreadableClipError, probe
from sao_tui.services.clip_filter import parse_filter, printable, search_text
from sao_tui.services.clip_walk import FoundFile, walk
from sao_tui.services.clips_database import ClipsDatabase
from sao_tui.services.workspace import Workspace

if TYPE_CHECKING:
    from pathlib import Path

    from sao_tui.services.captions import CaptionStore

_BATCH = 1_000
_NUM_READERS = 8
_MAX_PARAMETERS = 500

_SORTS = {
    "relpath": "relpath",
    "folder": "folder",
    "seconds": "seconds",
    "sample_rate_hz": "sample_rate_hz",
    "num_channels": "num_channels",
    "num_bytes": "num_bytes",
    "error": "error",
    "caption": "caption",
}

Progress = Callable[[int, int], None]
"""Called with clips looked at and clips known of; the latter is 0 while nothing is known."""


@dataclass(frozen=True)
class ClipRow:
    """One clip as the table shows it."""

    id: int
    """Stays the same as long as the file keeps its path."""
    relpath: str
    """Relative to the dataset folder; bytes that are not UTF-8 are surrogates, as Python has them."""
    seconds: float
    sample_rate_hz: int
    num_channels: int
    num_bytes: int
    error: str
    """Why it cannot be read, empty when it can."""
    caption: str


@dataclass(frozen=True)
class ScanReport:
    """What a scan found."""

    num_clips: int
    num_unreadable: int
    num_removed: int
    """Rows whose file is gone."""
    seconds: float
    """Time it took."""
    num_examined: int = 0
    """Files that were new or had changed."""
    skipped_folders: tuple[str, ...] = ()
    """Folders that cannot be listed, each with the reason."""
    stopped: bool = False
    """It was stopped half-way; rows that it did not reach are as they were."""


@dataclass(frozen=True)
class ClipCounts:
    """Totals over all clips."""

    num_clips: int
    num_captioned: int
    num_unreadable: int
    total_seconds: float


class ClipIndex:
    """The clips of one workspace. Safe to use from several threads and processes."""

    def __init__(self, workspace: Workspace, clock: Callable[[], float] = time.monotonic) -> None:
        """Open nothing yet: the first question does."""
        self._workspace = workspace
        self._clock = clock
        self._database = ClipsDatabase(workspace.cache_folder)
        self._scanning = threading.Lock()

    @property
    def database(self) -> ClipsDatabase:
        """The SQLite file behind it."""
        return self._database

    def scan(self, progress: Progress | None = None, should_stop: Callable[[], bool] | None = None) -> ScanReport:
        """Bring the index up to date with the dataset folder; files of the same size and time are not read.

        Raises:
            SaoError: The dataset folder is missing, or the index cannot be written.
        """
        folder = self._workspace.dataset_folder
        if not folder.is_dir():
            raise SaoError(
                f"The dataset folder {folder} is missing.",
                "Create it and put your clips there, or set [dataset] folder in sao.toml.",
            )
        with self._scanning:
            scan = _Scan(self._database, folder, progress or _ignore, should_stop or _never)
            started = self._clock()
            scan.run()
            counts = self.counts()
            return ScanReport(
                counts.num_clips,
                counts.num_unreadable,
                scan.num_removed,
                self._clock() - started,
                scan.num_examined,
                tuple(scan.skipped_folders),
                scan.stopped,
            )

    def ids(self, filter_text: str = "", sort: str = "relpath", descending: bool = False) -> array.array[int]:
        """Return the ids of the clips that match, in order.

        Raises:
            SaoError: The filter is not understood, or the index cannot be read.
        """
        if sort not in _SORTS:
            raise SaoError(f"Clips cannot be sorted by {sort}.", f"Sort by one of: {', '.join(_SORTS)}.")
        condition, parameters = parse_filter(filter_text)
        direction = "DESC" if descending else "ASC"
        tie = "" if sort == "relpath" else ", relpath ASC"
        # Only names from our own tables are put into the text; what the user typed is a parameter.
        query = f"SELECT id FROM clips WHERE {condition} ORDER BY {_SORTS[sort]} {direction}{tie}"  # noqa: S608
        return array.array("q", (row[0] for row in self._database.query(query, parameters)))

    def rows(self, ids: Sequence[int]) -> list[ClipRow]:
        """Return the clips of these ids in this order; clips that are gone by now are left out.

        Raises:
            SaoError: The index cannot be read.
        """
        found: dict[int, ClipRow] = {}
        for start in range(0, len(ids), _MAX_PARAMETERS):
            some = [int(each) for each in ids[start : start + _MAX_PARAMETERS]]
            marks = ",".join("?" * len(some))
            for row in self._database.query(f"{_SELECT_ROW} WHERE id IN ({marks})", some):
                found[row[0]] = _to_row(row)
        return [found[each] for each in ids if each in found]

    def row_for(self, relpath: str) -> ClipRow | None:
        """Return the clip at a path relative to the dataset folder, None when the index has none.

        Raises:
            SaoError: The index cannot be read.
        """
        for row in self._database.query(f"{_SELECT_ROW} WHERE relpath = ?", [os.fsencode(relpath)]):
            return _to_row(row)
        return None

    def set_captions(self, captions: Mapping[str, str], *, complete: bool = False) -> None:
        """Mirror captions for filter and sort.

        Args:
            captions: Text by relpath; clips that are not in the index are passed over.
            complete: These are all there are: every other clip loses its caption here.

        Raises:
            SaoError: The index cannot be written.
        """
        if complete:
            rows = self._database.query("SELECT id, relpath, caption FROM clips")
            self._database.write_many(_UPDATE_CAPTION_BY_ID, _differing(rows, captions))
        else:
            self._database.write_many(
                "UPDATE clips SET caption = ?, search = ? WHERE relpath = ?",
                [(text, search_text(relpath, text), os.fsencode(relpath)) for relpath, text in captions.items()],
            )

    def counts(self) -> ClipCounts:
        """Return the totals.

        Raises:
            SaoError: The index cannot be read.
        """
        query = "SELECT count(*), sum(caption <> ''), sum(error <> ''), sum(seconds) FROM clips"
        row = next(iter(self._database.query(query)))
        return ClipCounts(row[0], row[1] or 0, row[2] or 0, row[3] or 0.0)

    def close(self) -> None:
        """Close this thread's connection."""
        self._database.close()


def refresh(
    index: ClipIndex,
    captions: CaptionStore,
    progress: Progress | None = None,
    should_stop: Callable[[], bool] | None = None,
) -> ScanReport:
    """Scan the folder and mirror all captions as they are on the disk now.

    Raises:
        SaoError: See ClipIndex.scan and CaptionStore.load.
    """
    report = index.scan(progress, should_stop)
    captions.load()
    index.set_captions(captions.all(), complete=True)
    return report


class _Scan:
    """One pass over the dataset folder."""

    def __init__(
        self, database: ClipsDatabase, folder: Path, progress: Progress, should_stop: Callable[[], bool]
    ) -> None:
        self._database = database
        self._root = os.fspath(folder)
        self._progress = progress
        self._should_stop = should_stop
        self._num_known: int = next(iter(database.query("SELECT count(*) FROM clips")))[0]
        self._num_seen = 0
        self._pending: list[FoundFile] = []
        self.num_examined = 0
        self.num_removed = 0
        self.skipped_folders: list[str] = []
        self.stopped = False

    def run(self) -> None:
        visited: set[bytes] = set()
        with ThreadPoolExecutor(_NUM_READERS, thread_name_prefix="clip-headers") as readers:
            for found in walk(self._root):
                visited.add(found.relpath)
                if found.error:
                    self.skipped_folders.append(f"{printable(os.fsdecode(found.relpath)) or self._root}: {found.error}")
                self._compare(found.relpath, found.files)
                while len(self._pending) >= _BATCH and not self.stopped:
                    self._flush(readers)
                self.stopped = self.stopped or self._should_stop()
                if self.stopped:
                    return
            while self._pending and not self.stopped:
                self._flush(readers)
        if not self.stopped:
            self._forget_other_folders(visited)

    def _compare(self, folder: bytes, files: list[FoundFile]) -> None:
        """Queue what is new or changed in one folder, and drop the rows of files that are gone."""
        # A row with an error is always read again: a permission can change without size and time.
        query = "SELECT relpath, num_bytes, mtime_ns, id, error FROM clips WHERE folder = ?"
        known = {row[0]: row[1:] for row in self._database.query(query, [folder])}
        for file in files:
            row = known.pop(file.relpath, None)
            if row is None or row[0] != file.num_bytes or row[1] != file.mtime_ns or row[3]:
                self._pending.append(file)
            else:
                self._num_seen += 1
        self._remove([row[2] for row in known.values()])
        self._tell()

    def _flush(self, readers: ThreadPoolExecutor) -> None:
        """Read one batch of headers and write its rows."""
        batch, self._pending = self._pending[:_BATCH], self._pending[_BATCH:]
        shares = [batch[reader::_NUM_READERS] for reader in range(_NUM_READERS)]
        for rows in readers.map(self._examine, shares):
            self._database.write_many(_UPSERT, rows)
        self.num_examined += len(batch)
        self._num_seen += len(batch)
        self._tell()
        self.stopped = self._should_stop()

    def _examine(self, files: list[FoundFile]) -> list[tuple[Any, ...]]:
        from pathlib import Path

        rows: list[tuple[Any, ...]] = []
        for file in files:
            relpath = os.fsdecode(file.relpath)
            seconds, rate, channels, reason = 0.0, 0, 0, ""
            try:
                info = probe(Path(f"{self._root}/{relpath}"))
                seconds, rate, channels = info.seconds, info.sample_rate_hz, info.num_channels
            except UnreadableClipError as error:
                reason = error.reason.encode(errors="replace").decode()
            folder = os.path.dirname(file.relpath)
            found = (file.relpath, folder, file.num_bytes, file.mtime_ns, seconds, rate, channels, reason)
            rows.append((*found, search_text(relpath, "")))
        return rows

    def _forget_other_folders(self, visited: set[bytes]) -> None:
        folders = [row[0] for row in self._database.query("SELECT DISTINCT folder FROM clips")]
        for folder in folders:
            if folder not in visited:
                self._remove([row[0] for row in self._database.query(_IDS_OF_FOLDER, [folder])])

    def _remove(self, ids: list[int]) -> None:
        self._database.write_many("DELETE FROM clips WHERE id = ?", [(each,) for each in ids])
        self.num_removed += len(ids)

    def _tell(self) -> None:
        self._progress(self._num_seen, max(self._num_known, self._num_seen) if self._num_known else 0)


_SELECT_ROW = "SELECT id, relpath, seconds, sample_rate_hz, num_channels, num_bytes, error, caption FROM clips"
_IDS_OF_FOLDER = "SELECT id FROM clips WHERE folder = ?"
_UPDATE_CAPTION_BY_ID = "UPDATE clips SET caption = ?, search = ? WHERE id = ?"
_UPSERT = """
INSERT INTO clips (relpath, folder, num_bytes, mtime_ns, seconds, sample_rate_hz, num_channels, error, search)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (relpath) DO UPDATE SET num_bytes = excluded.num_bytes, mtime_ns = excluded.mtime_ns,
seconds = excluded.seconds, sample_rate_hz = excluded.sample_rate_hz, num_channels = excluded.num_channels,
error = excluded.error
"""


def _to_row(row: Sequence[Any]) -> ClipRow:
    return ClipRow(row[0], os.fsdecode(row[1]), *row[2:])


def _differing(rows: Iterable[Sequence[Any]], captions: Mapping[str, str]) -> list[tuple[Any, ...]]:
    changed: list[tuple[Any, ...]] = []
    for row_id, name, caption in rows:
        relpath = os.fsdecode(name)
        text = captions.get(relpath, "")
        if text != caption:
            changed.append((text, search_text(relpath, text), row_id))
    return changed


def _ignore(_done: int, _total: int) -> None:
    pass


def _never() -> bool:
    return False
