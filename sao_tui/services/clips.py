"""The clip index: what the headers of all clips say, in SQLite, so that half a million scroll like ten.

It is a cache (`.sao/clips.sqlite`): deleting it costs one scan.
"""

from __future__ import annotations

import array
import os
import threading
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from sao_tui.core.errors import SaoError
from sao_tui.services.clip_captions import CaptionMirror, Pair
from sao_tui.services.clip_filter import Completion, filter_completions
from sao_tui.services.clip_rows import ClipCounts, ClipRow, FolderCount, ScanReport
from sao_tui.services.clip_scan import Scan
from sao_tui.services.clip_search import ClipSearch
from sao_tui.services.clip_texts import printable
from sao_tui.services.clip_writes import ClipWriter, KnownCaptions
from sao_tui.services.clips_database import ClipsDatabase, ShouldStop
from sao_tui.services.workspace import Workspace

if TYPE_CHECKING:
    from pathlib import Path

    from sao_tui.services.captions import CaptionStore

__all__ = ["ClipCounts", "ClipIndex", "ClipRow", "FolderCount", "ScanReport", "refresh"]

_MAX_PARAMETERS = 400
_MIRRORED = "captions-mirrored"
_MOST_MIRRORED = 3
"""Times that captions are mirrored when others write all the time."""
_MAX_COMPLETED_FOLDERS = 2_000

Progress = Callable[[int, int], None]
"""Called with clips looked at and clips known of; the latter is 0 while nothing is known."""


class ClipIndex:
    """The clips of one workspace. Safe to use from several threads and processes."""

    def __init__(self, workspace: Workspace, clock: Callable[[], float] = time.monotonic) -> None:
        """Open nothing yet: the first question does."""
        self._workspace = workspace
        self._clock = clock
        self.database = ClipsDatabase(workspace.cache_folder)
        self._search = ClipSearch(self.database)
        self._scanning = threading.Lock()
        self._counted: tuple[tuple[int, ...], ClipCounts] | None = None

    def scan(
        self,
        progress: Progress | None = None,
        should_stop: ShouldStop | None = None,
        captions: KnownCaptions | None = None,
    ) -> ScanReport:
        """Bring the index up to date with the dataset folder; files of the same size and time are not read.

        Args:
            captions: Where new clips find theirs; without it they have none until set_captions.

        Raises:
            SaoError: The dataset folder is missing, the index cannot be written, or, after all clips are in it, the
                captions cannot be read.
        """
        return self._scan(None, progress, should_stop, captions)

    def scan_folders(
        self,
        relpaths: Collection[str],
        progress: Progress | None = None,
        should_stop: ShouldStop | None = None,
        captions: KnownCaptions | None = None,
    ) -> ScanReport:
        """Bring the index up to date with some folders, and with those inside them that have come or gone.

        Args:
            relpaths: Relative to the dataset folder, which is "" itself.
            captions: See scan.

        Raises:
            SaoError: The dataset folder is missing, or the index cannot be written.
        """
        return self._scan([os.fsencode(each) for each in relpaths], progress, should_stop, captions)

    def ids(
        self,
        filter_text: str = "",
        sort: str = "relpath",
        descending: bool = False,
        should_stop: ShouldStop | None = None,
    ) -> array.array[int]:
        """Return the ids of the clips that match, in order.

        Args:
            should_stop: Asked now and then; once it says so the search is given up.

        Raises:
            FilterError: The filter is not understood.
            QueryStopped: `should_stop` said so.
            SaoError: There is no such column to sort by, or the index cannot be read.
        """
        return self._search.ids(filter_text, sort, descending, should_stop)

    def first_ids(
        self,
        filter_text: str = "",
        sort: str = "relpath",
        descending: bool = False,
        limit: int = 100,
        should_stop: ShouldStop | None = None,
    ) -> array.array[int]:
        """Return the first of what `ids` returns, sooner.

        Raises:
            FilterError: The filter is not understood.
            QueryStopped: `should_stop` said so.
            SaoError: There is no such column to sort by, or the index cannot be read.
        """
        return self._search.first_ids(filter_text, sort, descending, limit, should_stop)

    def rows(self, ids: Sequence[int]) -> list[ClipRow]:
        """Return the clips of these ids in this order; clips that are gone by now are left out.

        Raises:
            SaoError: The index cannot be read.
        """
        found: dict[int, ClipRow] = {}
        for row in self._of_ids(_COLUMNS, ids):
            found[row[0]] = _to_row(row)
        return [found[each] for each in ids if each in found]

    def row_for(self, relpath: str) -> ClipRow | None:
        """Return the clip at a path relative to the dataset folder, None when the index has none.

        Raises:
            SaoError: The index cannot be read.
        """
        for row in self.database.query(f"SELECT {_COLUMNS} FROM clips WHERE relpath = ?", [os.fsencode(relpath)]):  # noqa: S608
            return _to_row(row)
        return None

    def relpaths(self, ids: Sequence[int]) -> list[str]:
        """Return the paths of these ids in this order; clips that are gone by now are left out.

        Raises:
            SaoError: The index cannot be read.
        """
        found = {row[0]: row[1] for row in self._of_ids("id, relpath", ids)}
        return [os.fsdecode(found[each]) for each in ids if each in found]

    def captions_of(self, ids: Sequence[int]) -> list[Pair]:
        """Return relpath and caption of these ids in this order; clips that are gone by now are left out.

        Raises:
            SaoError: The index cannot be read.
        """
        found = {row[0]: row[1:] for row in self._of_ids("id, relpath, caption", ids)}
        return [(os.fsdecode(found[each][0]), found[each][1]) for each in ids if each in found]

    def folders(self) -> list[FolderCount]:
        """Return every folder that has clips right in it, by path.

        Raises:
            SaoError: The index cannot be read.
        """
        query = "SELECT folder, count(*), sum(is_captioned) FROM clips GROUP BY folder ORDER BY folder"
        return [FolderCount(os.fsdecode(row[0]), row[1], row[2]) for row in self.database.query(query)]

    def completions(self, text: str, cursor: int) -> list[Completion]:
        """Return how the word under the cursor of a filter may go on, with the folders there are.

        Raises:
            SaoError: The index cannot be read.
        """
        rows = self.database.query(
            "SELECT relpath FROM folders WHERE length(relpath) > 0 LIMIT ?", [_MAX_COMPLETED_FOLDERS]
        )
        return filter_completions(text, cursor, {"folder": [printable(os.fsdecode(row[0])) for row in rows]})

    def set_captions(
        self,
        captions: Mapping[str, str] | Iterable[Pair],
        *,
        complete: bool = False,
        signature: str = "",
        should_stop: ShouldStop | None = None,
    ) -> int:
        """Mirror captions for filter and sort; return how many differ from before.

        Args:
            captions: Text by relpath, or pairs of both; clips that are not in the index are passed over.
            complete: These are all there are: every other clip loses its caption here.
            signature: What captions_signature said before they were read, for mirrored_signature.
            should_stop: Asked now and then; once it says so the rest is left.

        Raises:
            SaoError: The index cannot be written.
        """
        mirror = CaptionMirror(self.database, should_stop or _never)
        pairs = captions.items() if isinstance(captions, Mapping) else captions
        if mirror.run(pairs, complete) and complete:
            self.database.note_fact(_MIRRORED, signature)
        return mirror.num_changed

    def captions_signature(self) -> str:
        """Return what differs when metadata.jsonl is written by anybody."""
        try:
            status = os.stat(self._workspace.metadata_file)
        except OSError:
            return "none"
        return f"{status.st_mtime_ns} {status.st_size} {status.st_ino}"

    def mirrored_signature(self) -> str:
        """Return what captions_signature was when all captions were last mirrored, empty where that is unknown.

        Raises:
            SaoError: The index cannot be read.
        """
        return self.database.fact(_MIRRORED)

    def counts(self) -> ClipCounts:
        """Return the totals.

        Raises:
            SaoError: The index cannot be read.
        """
        versions = self.database.versions("clips", "captions")
        counted = self._counted
        if counted is None or counted[0] != versions:
            query = "SELECT count(*), sum(is_captioned), sum(1 - is_readable), sum(seconds) FROM clips"
            row = self.database.query(query)[0]
            counted = self._counted = versions, ClipCounts(row[0], row[1] or 0, row[2] or 0, row[3] or 0.0)
        return counted[1]

    def close(self) -> None:
        """Close this thread's connection."""
        self.database.close()

    def _scan(
        self,
        folders: Collection[bytes] | None,
        progress: Progress | None,
        should_stop: ShouldStop | None,
        captions: KnownCaptions | None,
    ) -> ScanReport:
        folder = self._workspace.dataset_folder
        if not folder.is_dir():
            raise SaoError(
                f"The dataset folder {folder} is missing.",
                "Create it and put your clips there, or set [dataset] folder in sao.toml.",
            )
        with self._scanning:
            started = self._clock()
            scan, writer = self._make_scan(folder, progress, should_stop, captions)
            if folders is None or not scan.run_folders(folders):
                scan, writer = self._make_scan(folder, progress, should_stop, captions)
                scan.run()
            if scan.num_examined and (captions is None or scan.is_first):
                # What was looked up while rows were written need not be mirrored once more.
                self.database.note_fact(_MIRRORED, "" if scan.stopped or writer.problem else writer.signature)
            if writer.problem is not None:
                raise writer.problem
            counts = self.counts()
            return ScanReport(
                counts.num_clips,
                counts.num_unreadable,
                scan.num_removed,
                self._clock() - started,
                scan.num_examined,
                scan.skipped_in_words(),
                scan.stopped,
                scan.num_moved,
            )

    def _make_scan(
        self,
        folder: Path,
        progress: Progress | None,
        should_stop: ShouldStop | None,
        captions: KnownCaptions | None,
    ) -> tuple[Scan, ClipWriter]:
        is_first = not self.database.query("SELECT 1 FROM clips LIMIT 1")
        writer = ClipWriter(self.database, captions, self.captions_signature, is_first)
        return Scan(self.database, os.fspath(folder), progress or _ignore, should_stop or _never, writer), writer

    def _of_ids(self, columns: str, ids: Sequence[int]) -> Iterator[Sequence[Any]]:
        for start in range(0, len(ids), _MAX_PARAMETERS):
            some = [int(each) for each in ids[start : start + _MAX_PARAMETERS]]
            marks = ",".join("?" * len(some))
            yield from self.database.query(f"SELECT {columns} FROM clips WHERE id IN ({marks})", some)  # noqa: S608


def refresh(
    index: ClipIndex,
    captions: CaptionStore,
    progress: Progress | None = None,
    should_stop: ShouldStop | None = None,
    folders: Collection[str] | None = None,
) -> ScanReport:
    """Scan the folder and mirror all captions as they are on the disk now.

    Args:
        folders: Look at these alone, as ClipIndex.scan_folders does.

    Raises:
        SaoError: See ClipIndex.scan and CaptionStore.load; captions that cannot be read do not keep clips out.
    """
    if folders is None:
        report = index.scan(progress, should_stop, captions)
    else:
        report = index.scan_folders(folders, progress, should_stop, captions)
    for _ in range(_MOST_MIRRORED):
        # Written meanwhile, older captions may have gone over newer ones: then once more.
        signature = index.captions_signature()
        if signature == index.mirrored_signature():
            break
        captions.load()
        index.set_captions(captions.items(), complete=True, signature=signature, should_stop=should_stop)
    return report


_COLUMNS = "id, relpath, seconds, sample_rate_hz, num_channels, num_bytes, error, caption"


def _to_row(row: Sequence[Any]) -> ClipRow:
    return ClipRow(row[0], os.fsdecode(row[1]), *row[2:])


def _ignore(_done: int, _total: int) -> None:
    pass


def _never() -> bool:
    return False
