"""The dataset screen's calls to the services: each runs in a thread and posts a message."""

from __future__ import annotations

import time
from array import array
from collections.abc import Callable, Sequence
from typing import Any

from textual import work
from textual.worker import Worker, get_current_worker

from sao_tui.core.errors import SaoError
from sao_tui.tui.base import BaseScreen
from sao_tui.tui.screens.dataset_messages import (
    AnalysisProgressed,
    CaptionConflicted,
    CaptionsChanged,
    ClipFound,
    FilterRefused,
    FirstRead,
    FolderChanged,
    IdsRead,
    MarksOutdated,
    PageRead,
    ScanEnded,
    ScanProgressed,
    SettingsSaved,
)
from sao_tui.tui.screens.dataset_text import analysis_text
from sao_tui.tui.widgets.clip_marks import Marks
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
        report = refresh(clips, captions, self._progress_sender(), should_stop=lambda: worker.is_cancelled)
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
    def _read_ids(self, number: int, filter_text: str, order: tuple[str, bool], first: bool) -> None:
        """Read the clips that a filter leaves; with `first`, those of the first page are told before all others."""
        clips, worker = self.services.clips, get_current_worker()
        try:
            stop = _stop_of(worker)
            ids = clips.first_ids(filter_text, *order, PAGE_ROWS, should_stop=stop) if first else None
            page = clips.rows(ids) if ids is not None else []
            if worker.is_cancelled:
                return
            is_told = ids is not None and len(ids) == PAGE_ROWS
            if ids is not None and is_told:
                self.post_message(FirstRead(number, ids, page))
                ids = None
            if ids is None:
                ids = clips.ids(filter_text, *order, should_stop=stop)
                # The first page comes along: the table is drawn once, not first without and then with its rows.
                page = page or clips.rows(ids[:PAGE_ROWS])
            message: IdsRead | FilterRefused = IdsRead(number, ids, page, clips.counts(), first and not is_told)
        except SaoError as error:
            message = FilterRefused(number, error)
        if not worker.is_cancelled:
            self.post_message(message)

    @work(thread=True, group="settings", exit_on_error=False)
    def _save_settings(self, changes: dict[str, str]) -> None:
        self.services.save_settings(**changes)
        self.post_message(SettingsSaved())

    @work(thread=True, group="marks", exit_on_error=False)
    def _look_for_clips(self) -> None:
        self.post_message(MarksOutdated(self.services.clips.ids()))

    @work(thread=True, group="rows", exit_on_error=False)
    def _read_pages(self, generation: int, pages: dict[int, Sequence[int]]) -> None:
        for page, ids in pages.items():
            self.post_message(PageRead(generation, page, self.services.clips.rows(ids)))

    @work(thread=True, group="captions", exit_on_error=False)
    def _save_caption(self, relpath: str, text: str, before: str) -> None:
        from sao_tui.services import captioning
        from sao_tui.services.captions import CaptionConflict

        clips = self.services.clips
        try:
            captioning.write(self.services, {relpath: text}, expected={relpath: before})
        except CaptionConflict as conflict:
            self.post_message(CaptionConflicted(conflict.relpath, conflict.mine, conflict.theirs))
            return
        self.post_message(CaptionsChanged("saved", clips.row_for(relpath), clips.counts()))

    @work(thread=True, group="captions", exit_on_error=False)
    def _take_theirs(self, relpath: str, theirs: str) -> None:
        clips = self.services.clips
        clips.set_captions({relpath: theirs})
        self.post_message(CaptionsChanged("kept as the other program wrote it", clips.row_for(relpath), clips.counts()))

    @work(thread=True, group="captions", exit_on_error=False)
    def _move_in_history(self, verb: str) -> None:
        from sao_tui.services import captioning

        move = captioning.undo if verb == "undone" else captioning.redo
        moved = move(self.services)
        if moved is None:
            self.post_message(ClipFound(None, f"nothing to be {verb}"))
            return
        clips = self.services.clips
        row = clips.row_for(moved.relpath) if moved.relpath else None
        self.post_message(CaptionsChanged(f"{verb}: {moved.description}", row, clips.counts(), move=True))

    @work(thread=True, group="watch", exit_on_error=False)
    def _watch_captions(self) -> None:
        from sao_tui.services import captioning

        if captioning.take_in(self.services):
            counts = self.services.clips.counts()
            self.post_message(CaptionsChanged("captions read again: another program wrote them", None, counts))

    @work(thread=True, group="folder", exit_on_error=False)
    def _watch_folder(self) -> None:
        from sao_tui.services.watching import watch_folder

        worker = get_current_worker()

        def tell() -> None:
            self.post_message(FolderChanged())

        watch_folder(self.services.workspace.dataset_folder, tell, lambda: worker.is_cancelled)

    @work(thread=True, group="analysis", exit_on_error=False)
    def _ask_analyser(self, question: str, ids: Sequence[int] = ()) -> None:
        """Start the analysis, turn it on or off, have clips preferred, and tell how far it is."""
        analyser = getattr(self.services, "analyser", None)
        if analyser is None:
            return
        if question == "start":
            analyser.start()
        elif question == "prefer":
            analyser.prefer(ids)
        elif question == "turn":
            (analyser.pause if analyser.progress().state in ("running", "idle") else analyser.resume)()
        self.post_message(AnalysisProgressed(analysis_text(analyser.progress())))

    @work(thread=True, group="find", exclusive=True, exit_on_error=False)
    def _find_uncaptioned(self, ids: array[int], cursor: int) -> None:
        wanted = Marks()
        wanted.set(self.services.clips.ids("uncaptioned:yes"), True)
        after, before = ids[cursor + 1 :], ids[: cursor + 1]
        found = next((each for part in (after, before) for each in part if each in wanted), None)
        self.post_message(ClipFound(found, "every clip shown has a caption"))

    @work(thread=True, group="find", exclusive=True, exit_on_error=False)
    def _find_path(self, relpath: str) -> None:
        row = self.services.clips.row_for(relpath)
        self.post_message(ClipFound(row.id if row else None, f"{relpath} is not in the dataset"))


def _stop_of(worker: Worker[Any]) -> Callable[[], bool]:
    return lambda: worker.is_cancelled
