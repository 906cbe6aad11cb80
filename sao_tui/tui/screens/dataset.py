"""Dataset: browse, hear and caption the clips."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import ClassVar

from textual import on
from textual.binding import Binding, BindingType
from textual.containers import Container, Vertical
from textual.timer import Timer
from textual.widget import Widget
from textual.widgets import Static
from textual.worker import Worker

from sao_tui.tui.screens.dataset_detail import DatasetDetail
from sao_tui.tui.screens.dataset_messages import (
    FolderChanged,
    ScanEnded,
    ScanProgressed,
)
from sao_tui.tui.studio.base import StudioResult
from sao_tui.tui.studio.columns import ColumnsChosen
from sao_tui.tui.widgets.clip_detail import ClipDetail
from sao_tui.tui.widgets.clip_table import ClipTable

REST_SECONDS = 0.12
"""How long the cursor must rest until the clip under it is shown in detail: longer than a held key takes to repeat."""
RESCAN_SECONDS = 2.0
"""Between two readings of the table while a scan goes on."""
HELP = """
Every clip below the dataset folder, with the caption that the model is trained on. A caption shown as *saved*
is on the disk. Clips that other programs add or remove are noticed; `r` reads the folder again where they are not.

The tools (`b` bulk, `l` lint, `t` suggest, `p` prepare, `x` split, `v` prompts, `E` export) work on the marked clips,
or on all that the filter leaves where none is marked.

Filter (`/`) by words, `caption:`, `tag:`, `folder:drums`, `dur<2`, `uncaptioned:yes`, `unreadable:yes`, with `and`,
`or`, `not` and parentheses. Tab completes, enter keeps the filter, escape goes back to the one before.
"""


class DatasetScreen(DatasetDetail):
    """Table of clips with their captions."""

    MODE = "dataset"
    POLL_GROUPS = frozenset({"watch", "analysis"})
    CSS_PATH = "dataset.tcss"
    AUTO_FOCUS = "ClipTable"
    HELP = HELP
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("r", "rescan", "Rescan", id="dataset.rescan", tooltip="Read the dataset folder again", show=False),
    ]

    _scanning: Worker[None] | None = None
    _watching: Worker[None] | None = None
    _folder_watch: Worker[None] | None = None
    _rest_timer: Timer | None = None
    _next_reading = 0.0
    """When the table is read again while a scan goes on."""

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
        self.read_settings()
        self.show_summary()
        self.call_after_refresh(self.start)

    def start(self) -> None:
        """Show what the index knows; the folder is read once that is on the screen."""
        self.refresh_ids(first=True)
        if self.poll_seconds is not None:
            self.set_interval(self.poll_seconds, self.poll)

    def poll(self) -> None:
        """Look whether another program has changed captions, unless the last look still goes on."""
        if self.is_on_top and _is_idle(self._watching) and _is_idle(self._scanning):
            self._watching = self._watch_captions()
        self.follow_analysis()

    def show_target(self, target: str) -> None:
        """Move to the clip with the relative path `target`."""
        self._find_path(target)

    def tool_closed(self, result: StudioResult | None) -> None:
        """Show what a tool has done."""
        if result is None:
            return
        if result.note:
            self.note(result.note)
        if isinstance(result, ColumnsChosen):
            self.set_table_layout(result.table_layout)
            return
        if result.filter_text is not None:
            self.set_filter(result.filter_text)
        else:
            self.refresh_ids()
        if result.clips_changed:
            self.action_rescan()
        if result.target:
            self._find_path(result.target)

    # The scan.

    def rows_shown(self) -> None:
        """Read the folder once what the index knows is on the screen."""
        if self._scanning is None:
            self.call_after_refresh(self.action_rescan)

    @on(FolderChanged)
    def action_rescan(self) -> None:
        """Read the folder again, unless that still goes on."""
        if _is_idle(self._scanning):
            self._progress = "reading the clips…"
            self.show_summary()
            self._scanning = self._scan()

    @on(ScanProgressed)
    def _scan_goes_on(self, message: ScanProgressed) -> None:
        done, total = f"{message.done:,}", f"/{message.total:,}" if message.total else ""
        self._progress = f"reading {done}{total}…"
        self.show_summary()
        is_due = time.monotonic() >= self._next_reading or not self.query_one(ClipTable).ids
        if is_due and _is_idle(self._reading_ids):
            self._next_reading = time.monotonic() + RESCAN_SECONDS
            self.refresh_ids()

    @on(ScanEnded)
    def _scan_ended(self, message: ScanEnded) -> None:
        self._progress = ""
        self.refresh_ids()
        if message.report.num_removed and len(self.query_one(ClipTable).marks):
            self._look_for_clips()
        if self._folder_watch is None and self.poll_seconds is not None:
            self._folder_watch = self._watch_folder()
        self.start_analysis()

    # The clip under the cursor.

    @on(ClipTable.Highlighted)
    def _cursor_moved(self) -> None:
        """Wait until the cursor rests: while it moves, only two rows of the table are drawn."""
        if self._rest_timer is not None:
            self._rest_timer.stop()
        self._rest_timer = self.set_timer(REST_SECONDS, self.show_current_clip)

    def show_current_clip(self) -> None:
        """Show the clip under the cursor in detail."""
        if self.query_one(ClipDetail).show(self.query_one(ClipTable).current_row):
            self.bring_facts()
            self.prefer_clips_in_view()

    def action_play(self) -> None:
        """Play the clip under the cursor."""
        row = self.query_one(ClipTable).current_row
        if row is not None:
            self.play_file(self.services.workspace.dataset_folder / row.relpath)


def _is_idle(worker: Worker[None] | None) -> bool:
    return worker is None or worker.is_finished
