"""The dataset screen's calls to the services: each runs in a thread and posts a message."""

from __future__ import annotations

import time
from array import array
from collections.abc import Callable, Sequence

from textual import work
from textual.worker import get_current_worker

from sao_tui.core.errors import SaoError
from sao_tui.tui.base import BaseScreen
from sao_tui.tui.screens.dataset_messages import (
    CaptionConflicted,
    CaptionNotSaved,
    CaptionsChanged,
    ClipFound,
    FilterRefused,
    FolderChanged,
    IdsRead,
    PageRead,
    PeaksRead,
    ScanEnded,
    ScanProgressed,
)
from sao_tui.tui.widgets.clip_pages import PAGE_ROWS

PROGRESS_SECONDS = 0.5
"""Between two progress messages of a scan: each costs a redraw over the wire."""


class DatasetWorkers(BaseScreen):
    """Workers of the dataset screen; none of them touches a widget."""

    @work(thread=True, group="scan", exit_on_error=False)
    def _scan(self) -> None:
        from sao_tui.services.clips import refresh

        worker = get_current_worker()
        clips, captions = self.services.clips, self.services.captions
        try:
            report = refresh(clips, captions, self._progress_sender(), should_stop=lambda: worker.is_cancelled)
        except SaoError:
            self.post_message(ScanEnded(None))
            raise
        self.post_message(ScanEnded(report))

    def _progress_sender(self) -> Callable[[int, int], None]:
        last = 0.0

        def send(done: int, total: int) -> None:
            nonlocal last
            now = time.monotonic()
            if now - last >= PROGRESS_SECONDS:
                last = now
                self.post_message(ScanProgressed(done, total))

        return send

    @work(thread=True, group="ids", exclusive=True, exit_on_error=False)
    def _read_ids(self, filter_text: str, sort: str) -> None:
        clips = self.services.clips
        try:
            ids = clips.ids(filter_text, sort)
            # The first page comes along: the table is drawn once, not first without and then with its rows.
            message: IdsRead | FilterRefused = IdsRead(ids, clips.rows(ids[:PAGE_ROWS]), clips.counts())
        except SaoError as error:
            message = FilterRefused(error)
        if not get_current_worker().is_cancelled:
            self.post_message(message)

    @work(thread=True, group="rows", exit_on_error=False)
    def _read_pages(self, generation: int, pages: dict[int, Sequence[int]]) -> None:
        for page, ids in pages.items():
            self.post_message(PageRead(generation, page, self.services.clips.rows(ids)))

    @work(thread=True, group="peaks", exclusive=True, exit_on_error=False)
    def _read_peaks(self, relpath: str, columns: int) -> None:
        peaks = self.services.peaks(self.services.workspace.dataset_folder / relpath, columns)
        if not get_current_worker().is_cancelled:
            self.post_message(PeaksRead(relpath, peaks))

    @work(thread=True, group="captions", exit_on_error=False)
    def _save_caption(self, relpath: str, text: str, before: str) -> None:
        from sao_tui.services.captions import CaptionConflict

        clips, captions = self.services.clips, self.services.captions
        try:
            captions.set(relpath, text, expected=before)
        except CaptionConflict as conflict:
            self.post_message(CaptionConflicted(conflict.relpath, conflict.mine, conflict.theirs))
            return
        except SaoError:
            self.post_message(CaptionNotSaved(relpath, text))
            raise
        clips.set_captions({relpath: text})
        self.post_message(CaptionsChanged("saved", clips.row_for(relpath), clips.counts()))

    @work(thread=True, group="captions", exit_on_error=False)
    def _take_theirs(self, relpath: str, theirs: str) -> None:
        clips = self.services.clips
        clips.set_captions({relpath: theirs})
        self.post_message(CaptionsChanged("kept as the other program wrote it", clips.row_for(relpath), clips.counts()))

    @work(thread=True, group="captions", exit_on_error=False)
    def _move_in_history(self, verb: str) -> None:
        clips, captions = self.services.clips, self.services.captions
        before = captions.all()
        done = captions.undo() if verb == "undone" else captions.redo()
        if done is None:
            self.post_message(ClipFound(None, f"nothing to be {verb}"))
            return
        after = captions.all()
        paths = before.keys() | after.keys()
        changed = {path: after.get(path, "") for path in paths if before.get(path) != after.get(path)}
        clips.set_captions(changed)
        row = clips.row_for(next(iter(changed))) if len(changed) == 1 else None
        self.post_message(CaptionsChanged(f"{verb}: {done}", row, clips.counts(), move=True))

    @work(thread=True, group="watch", exit_on_error=False)
    def _watch_captions(self) -> None:
        clips, captions = self.services.clips, self.services.captions
        if captions.changed_on_disk():
            captions.load()
            clips.set_captions(captions.all(), complete=True)
            self.post_message(CaptionsChanged("captions read again: another program wrote them", None, clips.counts()))

    @work(thread=True, group="folder", exit_on_error=False)
    def _watch_folder(self) -> None:
        from sao_tui.services.watching import watch_folder

        worker = get_current_worker()

        def tell() -> None:
            self.post_message(FolderChanged())

        watch_folder(self.services.workspace.dataset_folder, tell, lambda: worker.is_cancelled)

    @work(thread=True, group="find", exclusive=True, exit_on_error=False)
    def _find_uncaptioned(self, ids: array[int], cursor: int) -> None:
        wanted = set(self.services.clips.ids("uncaptioned:yes"))
        turns = (*range(cursor + 1, len(ids)), *range(min(cursor + 1, len(ids))))
        found = next((ids[position] for position in turns if ids[position] in wanted), None)
        self.post_message(ClipFound(found, "every clip shown has a caption"))

    @work(thread=True, group="find", exclusive=True, exit_on_error=False)
    def _find_path(self, relpath: str) -> None:
        row = self.services.clips.row_for(relpath)
        self.post_message(ClipFound(row.id if row else None, f"{relpath} is not in the dataset"))
