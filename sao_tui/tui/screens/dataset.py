"""Dataset: browse, hear and caption the clips."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from textual import on
from textual.binding import Binding, BindingType
from textual.containers import Container, Vertical
from textual.content import Content
from textual.timer import Timer
from textual.widget import Widget
from textual.widgets import Static
from textual.worker import Worker

from sao_tui.core.units import format_duration
from sao_tui.tui.screens.dataset_captions import DatasetCaptions
from sao_tui.tui.screens.dataset_messages import (
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
from sao_tui.tui.text import one_line
from sao_tui.tui.widgets.clip_detail import ClipDetail
from sao_tui.tui.widgets.clip_table import ClipTable
from sao_tui.tui.widgets.typed_ahead import type_into
from sao_tui.tui.widgets.waveform import Waveform

if TYPE_CHECKING:
    from textual.widgets import Input

    from sao_tui.services.clips import ClipCounts

SETTLE_SECONDS = 0.15
"""How long keys must rest before a filter is applied or a waveform read."""
FILTER_HINT = "words, uncaptioned:yes, unreadable:yes, folder:x, dur<2"
SORTS = ("relpath", "seconds", "caption")
HELP = """
Every clip below the dataset folder, with the caption that the model is trained on. A caption shown as *saved*
is on the disk. Clips that other programs add or remove are noticed; `r` reads the folder again where they are not.

Filter by words, `uncaptioned:yes`, `unreadable:yes`, `folder:drums`, `dur<2`, `dur>5`.
"""


class DatasetScreen(DatasetCaptions):
    """Table of clips with their captions."""

    MODE = "dataset"
    POLL_GROUPS = frozenset({"watch"})
    CSS_PATH = "dataset.tcss"
    AUTO_FOCUS = "ClipTable"
    HELP = HELP
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("n", "next_uncaptioned", "Next uncaptioned", id="dataset.next", tooltip="Go to the next empty caption"),
        Binding("u", "history('undone')", "Undo", id="dataset.undo", tooltip="Take the last caption edit back"),
        Binding("U", "history('redone')", "Redo", id="dataset.redo", tooltip="Make the undone edit again", show=False),
        Binding("r", "rescan", "Rescan", id="dataset.rescan", tooltip="Read the dataset folder again"),
        Binding("s", "sort", "Sort", id="dataset.sort", tooltip="Sort by name, length or caption", show=False),
    ]

    _filter_text = ""
    _refusal = ""
    """What is wrong with the filter, so that it is not applied."""
    _sort = SORTS[0]
    _counts: ClipCounts | None = None
    _progress = ""
    _scanning: Worker[None] | None = None
    _watching: Worker[None] | None = None
    _folder_watch: Worker[None] | None = None
    _reading_ids: Worker[None] | None = None
    _filter_timer: Timer | None = None
    _peaks_timer: Timer | None = None

    def compose_body(self) -> Iterable[Widget]:
        """Table with its filter, and the clip under the cursor."""
        with Container(id="body"):
            with Vertical(id="list"):
                yield Static(id="summary")
                yield ClipTable(id="clips")
                yield Static(id="empty")
            yield ClipDetail(id="detail")

    def on_mount(self) -> None:
        """Ask the disk only once the first frame is out."""
        self._progress = "reading the clips…"
        self._show_summary()
        self.call_after_refresh(self.start)

    def start(self) -> None:
        """Show what the index knows; the folder is read once that is on the screen."""
        self._refresh_ids()
        if self.poll_seconds is not None:
            self.set_interval(self.poll_seconds, self.poll)

    def poll(self) -> None:
        """Look whether another program has changed captions, unless the last look still goes on."""
        if self.is_on_top and _is_idle(self._watching) and _is_idle(self._scanning):
            self._watching = self._watch_captions()

    def show_target(self, target: str) -> None:
        """Move to the clip with the relative path `target`."""
        self._find_path(target)

    def _refresh_ids(self) -> None:
        self._reading_ids = self._read_ids(self._filter_text, self._sort)

    @on(ScanProgressed)
    def _scan_goes_on(self, message: ScanProgressed) -> None:
        self._progress = f"reading {message.done}/{message.total}…" if message.total else f"reading {message.done}…"
        self._show_summary()
        if _is_idle(self._reading_ids):
            self._refresh_ids()

    @on(ScanEnded)
    def _scan_ended(self, message: ScanEnded) -> None:
        self._progress = ""
        self._refresh_ids()
        if message.report and self._folder_watch is None and self.poll_seconds is not None:
            self._folder_watch = self._watch_folder()

    @on(IdsRead)
    def _show_ids(self, message: IdsRead) -> None:
        self._counts, self._refusal = message.counts, ""
        table = self.query_one(ClipTable)
        if message.ids == table.ids:
            table.read_again()
        else:
            table.set_ids(message.ids, message.first_page)
        self.set_class(not message.ids and not self._progress, "-empty")
        if self.has_class("-empty"):
            empty = empty_text(message.counts.num_clips, self.services.workspace.dataset_folder)
            self.query_one("#empty", Static).update(empty)
        self._show_summary()
        if self._scanning is None:
            self.call_after_refresh(self.action_rescan)

    @on(FilterRefused)
    def _show_refusal(self, message: FilterRefused) -> None:
        self._refusal = message.error.message
        self.note(message.error.message)
        self._show_summary()

    @on(PageRead)
    def _show_page(self, message: PageRead) -> None:
        self.query_one(ClipTable).put_page(message.generation, message.page, message.rows)

    @on(CaptionsChanged)
    def _show_captions(self, message: CaptionsChanged) -> None:
        self._counts = message.counts
        table = self.query_one(ClipTable)
        self.note(message.text)
        if message.row is None:
            table.read_again()
        else:
            if message.move:
                table.move_to_id(message.row.id)
            table.replace_row(message.row)
            detail = self.query_one(ClipDetail)
            if detail.row is not None and detail.row.relpath == message.row.relpath:
                detail.show(message.row)
        self._show_summary()

    @on(PeaksRead)
    def _show_peaks(self, message: PeaksRead) -> None:
        detail = self.query_one(ClipDetail)
        if detail.row is not None and detail.row.relpath == message.relpath:
            detail.show_peaks(message.peaks)

    @on(ClipFound)
    def _move_to_clip(self, message: ClipFound) -> None:
        if message.clip_id is None or not self.query_one(ClipTable).move_to_id(message.clip_id):
            self.note(message.otherwise)

    # What the widgets have told.

    @on(ClipTable.PagesWanted)
    def _bring_pages(self, message: ClipTable.PagesWanted) -> None:
        self._read_pages(message.generation, message.pages)

    @on(ClipTable.Highlighted)
    def _show_clip(self, message: ClipTable.Highlighted) -> None:
        if self.query_one(ClipDetail).show(message.row):
            self._want_peaks()

    @on(Waveform.Resized)
    def _want_peaks(self) -> None:
        """Read the waveform once the cursor rests."""
        if self._peaks_timer is not None:
            self._peaks_timer.stop()
        self._peaks_timer = self.set_timer(SETTLE_SECONDS, self._bring_peaks)

    def _bring_peaks(self) -> None:
        detail = self.query_one(ClipDetail)
        if detail.row is not None and not detail.row.error and detail.num_columns:
            self._read_peaks(detail.row.relpath, detail.num_columns)

    def on_input_changed(self, event: Input.Changed) -> None:
        """Apply the filter once the keys rest."""
        if event.input.id == "filter":
            self._filter_text = event.value
            if self._filter_timer is not None:
                self._filter_timer.stop()
            self._filter_timer = self.set_timer(SETTLE_SECONDS, self._refresh_ids)

    async def on_input_submitted(self, event: Input.Submitted) -> None:
        """Keep the filter and go back to the table."""
        if event.input.id == "filter":
            await self._close_filter()

    async def _close_filter(self) -> None:
        await self.query("#filter").remove()
        self.remove_class("-filtering")
        self.query_one(ClipTable).hand_over(None)
        self._show_summary()
        self.query_one(ClipTable).focus()

    # What the keys do.

    def action_play(self) -> None:
        """Play the clip under the cursor."""
        row = self.query_one(ClipTable).current_row
        if row is not None:
            self.play_file(self.services.workspace.dataset_folder / row.relpath)

    def _type_filter(self, text: str) -> None:
        from textual.widgets import Input

        for line in self.query("#filter").results(Input):
            type_into(line, text, self.action_leave)

    @on(ClipTable.FilterWanted)
    async def action_filter(self) -> None:
        """Open the filter."""
        from textual.widgets import Input

        if not self.has_class("-filtering"):
            self.add_class("-filtering")
            line = Input(self._filter_text, placeholder=FILTER_HINT, compact=True, select_on_focus=False, id="filter")
            await self.query_one("#list").mount(line, before=0)
            line.focus()
        self.query_one(ClipTable).hand_over(self._type_filter)

    async def action_leave(self) -> None:
        """Take the filter away."""
        if self._filter_text:
            self._filter_text = ""
            self._refresh_ids()
        await self._close_filter()

    @on(FolderChanged)
    def action_rescan(self) -> None:
        """Read the folder again, unless that still goes on."""
        if _is_idle(self._scanning):
            self._progress = "reading the clips…"
            self._show_summary()
            self._scanning = self._scan()

    def action_next_uncaptioned(self) -> None:
        """Move to the next clip without a caption."""
        table = self.query_one(ClipTable)
        self._find_uncaptioned(table.ids, table.cursor)

    def action_history(self, verb: str) -> None:
        """Take the last caption edit back ("undone"), or make it again ("redone")."""
        self._move_in_history(verb)

    def action_sort(self) -> None:
        """Sort by the next column."""
        self._sort = SORTS[(SORTS.index(self._sort) + 1) % len(SORTS)]
        self.note(f"sorted by {'name' if self._sort == 'relpath' else self._sort}")
        self._refresh_ids()

    def _show_summary(self) -> None:
        num_shown = len(self.query_one(ClipTable).ids)
        text = summary_text(self._counts, num_shown, self._filter_text, self._refusal, self._progress)
        self.query_one("#summary", Static).update(text, layout=False)


def _is_idle(worker: Worker[None] | None) -> bool:
    return worker is None or worker.is_finished


def summary_text(counts: ClipCounts | None, num_shown: int, filter_text: str, refusal: str, progress: str) -> Content:
    """Return the line above the table."""
    parts: list[str] = []
    if refusal:
        parts.append(f"not filtered: {one_line(refusal)}")
    elif filter_text:
        parts.append(f"{num_shown} match {one_line(filter_text)!r}")
    if counts is not None and counts.num_clips:
        parts.append(f"{counts.num_clips} clip{'s' * (counts.num_clips != 1)}")
        parts.append(f"{counts.num_captioned} captioned")
        if counts.num_unreadable:
            parts.append(f"{counts.num_unreadable} unreadable")
        parts.append(f"{format_duration(counts.total_seconds)} in all")
    if progress:
        parts.append(progress)
    return Content(" · ".join(parts))


def empty_text(num_clips: int, folder: Path) -> Content:
    """Return what stands in the place of a table without rows."""
    if num_clips:
        return Content("No clip matches this filter.\n\nescape shows all clips again.")
    return Content(
        f"There are no clips in {folder} yet.\n\n"
        "Copy audio files there (wav, flac, mp3, ogg), folders and all, and press r to read it again.\n"
        "`sao-tui demo DIR` makes a workspace with sounds to try things on."
    )
