"""The clip index: what the headers of all clips say, in SQLite, so that half a million scroll like ten.

It is a cache (`.sao/clips.sqlite`): deleting it costs one scan.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import TYPE_CHECKING

from sao_tui.core.errors import SaoError
from sao_tui.services.clip_captions import CaptionMirror, Pair
from sao_tui.services.clip_questions import ClipQuestions
from sao_tui.services.clip_rows import ClipCounts, ClipRow, FolderCount, ScanReport
from sao_tui.services.clip_scan import Scan
from sao_tui.services.clip_texts import path_bytes
from sao_tui.services.clip_writes import ClipWriter, KnownCaptions
from sao_tui.services.clips_database import ClipsDatabase, ShouldStop
from sao_tui.services.workspace import Workspace

if TYPE_CHECKING:
    from pathlib import Path

    from sao_tui.services.captions import CaptionStore

__all__ = ["ClipCounts", "ClipIndex", "ClipRow", "FolderCount", "ScanReport", "refresh"]

_MIRRORED = "captions-mirrored"
_MOST_MIRRORED = 3
"""Times that captions are mirrored when others write all the time."""

Progress = Callable[[int, int], None]
"""Called with clips looked at and clips known of; the latter is 0 while nothing is known."""


class ClipIndex(ClipQuestions):
    """The clips of one workspace. Safe to use from several threads and processes."""

    def __init__(self, workspace: Workspace, clock: Callable[[], float] = time.monotonic) -> None:
        """Open nothing yet: the first question does."""
        super().__init__(ClipsDatabase(workspace.cache_folder))
        self._workspace = workspace
        self._clock = clock
        self._scanning = threading.Lock()

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
        return self._scan([path_bytes(each) for each in relpaths], progress, should_stop, captions)

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


def _ignore(_done: int, _total: int) -> None:
    pass


def _never() -> bool:
    return False
