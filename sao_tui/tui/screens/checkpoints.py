"""Checkpoints: what each file is, exporting one with proof, and going on to hear it."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from textual import on
from textual.binding import Binding, BindingType
from textual.containers import Container, VerticalScroll
from textual.content import Content
from textual.widget import Widget
from textual.widgets import Static
from textual.worker import Worker

from sao_tui.core.units import format_bytes, format_count, format_duration
from sao_tui.tui.dialogs import Choice, ChoiceDialog, PromptDialog, confirm
from sao_tui.tui.messages import GoTo
from sao_tui.tui.screens.checkpoints_workers import (
    CheckpointsRead,
    CheckpointsWorkers,
    Deleted,
    Exported,
    ExportProgressed,
    FileInspected,
)
from sao_tui.tui.text import one_line
from sao_tui.tui.widgets.checkpoint_table import CheckpointTable
from sao_tui.tui.widgets.text_lines import TextLines, bar

if TYPE_CHECKING:
    from sao_tui.services.checkpoints import CheckpointRow
    from sao_tui.services.models import ModelReport

Weights = Literal["ema", "raw"]


class CheckpointsScreen(CheckpointsWorkers):
    """Table of weights files with what the one under the cursor is."""

    MODE = "checkpoints"
    POLL_GROUPS = frozenset({"checkpoints", "inspect"})
    CSS_PATH = "checkpoints.tcss"
    HELP = """
# Checkpoints

Every weights file of the runs and of models/. What a file is, is told by its tensors, never by its name.

- **enter** generates with the file under the cursor
- **E** exports a training checkpoint to models/ and compares every byte: the result starts runs and generates
- **i** inspects any file by its path
- **d** deletes the file under the cursor, after a question
- **r** reads the folders again
"""
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("E", "export", "Export", id="checkpoints.export", tooltip="Write the model inside as safetensors"),
        Binding("i", "inspect", "Inspect", id="checkpoints.inspect", tooltip="Say what a file is, given its path"),
        Binding("d", "delete", "Delete", id="checkpoints.delete", tooltip="Delete this file, after a question"),
        Binding("r", "reload", "Reload", id="checkpoints.reload", tooltip="Read the folders again", show=False),
    ]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._reading: Worker[None] | None = None
        self._target = ""
        self._inspected_by_hand = False

    def compose_body(self) -> Iterable[Widget]:
        """Table, progress of an export, detail."""
        with Container(id="body"):
            yield CheckpointTable(id="files")
            with VerticalScroll(id="detail", can_focus=False):
                yield Static(id="report")
            yield Static(
                "No checkpoint and no model yet.\n\nTraining (3) writes checkpoints; base weights belong in models/.",
                id="empty",
            )
        yield TextLines(id="progress")

    def on_mount(self) -> None:
        """Ask the disk only once the first frame is out."""
        self.query_one(CheckpointTable).focus()
        self.call_after_refresh(self.poll)
        if self.poll_seconds is not None:
            self.set_interval(self.poll_seconds, self._poll_if_shown)

    def poll(self) -> None:
        """List the files again, unless the last reading is still going: a slow disk must not queue threads."""
        if self._reading is None or self._reading.is_finished:
            self._reading = self._read_checkpoints()

    def on_screen_resume(self) -> None:
        """Catch up with what a run has written meanwhile."""
        super().on_screen_resume()
        if self._reading is not None:
            self.poll()

    def show_target(self, target: str) -> None:
        """Put the cursor on a file or on a run's newest one, now or once it is listed."""
        self._target = target
        self.query_one(CheckpointTable).move_to(target)

    def _poll_if_shown(self) -> None:
        if self.is_on_top:
            self.poll()

    # What the workers have told.

    @on(CheckpointsRead)
    def _show_files(self, message: CheckpointsRead) -> None:
        self.set_class(not message.rows, "-empty")
        table = self.query_one(CheckpointTable)
        table.show(message.rows)
        if self._target:
            table.move_to(self._target)
            self._target = ""

    @on(CheckpointTable.Highlighted)
    def _show_current(self) -> None:
        row = self.query_one(CheckpointTable).current
        if row is not None:
            self.query_one("#report", Static).update(Content(f"{one_line(row.path.name)}\n{row.message}"))
            self._inspect(row.path)

    @on(FileInspected)
    def _show_report(self, message: FileInspected) -> None:
        row = self.query_one(CheckpointTable).current
        if self._inspected_by_hand or (row is not None and row.path == message.report.file):
            self._inspected_by_hand = False
            self.query_one("#report", Static).update(_report_text(message.report, self.services.workspace.root))

    @on(ExportProgressed)
    def _show_progress(self, message: ExportProgressed) -> None:
        share = message.done_bytes / max(1, message.total_bytes)
        # Every byte is counted twice: once written, once read back.
        stage = "writing" if share < 0.5 else "comparing every byte"
        self._show_progress_line([("exporting ", "label"), (bar(share, 30), "bar"), (f" {share:4.0%} {stage}", "")])

    @on(Exported)
    def _show_export(self, message: Exported) -> None:
        self._show_progress_line([])
        self.poll()
        report = message.report
        self._target = str(report.path)

        def settle(answer: str | None) -> None:
            if answer == "generate":
                self.post_message(GoTo("generate", str(report.path)))

        text = (
            f"{report.path}\n\n{report.tensors} tensors, {format_bytes(report.num_bytes)}, "
            f"{'EMA' if report.weights == 'ema' else 'raw'} weights, in {format_duration(report.seconds)}. "
            "Read back: every byte equals the checkpoint's."
        )
        choices = [Choice("g", "generate with it", "generate"), Choice("c", "close", "close")]
        self.app.push_screen(ChoiceDialog("Exported and verified", text, choices), settle)

    @on(Worker.StateChanged)
    def _forget_failed_export(self, event: Worker.StateChanged) -> None:
        if event.worker.group == "export" and event.worker.is_finished:
            self._show_progress_line([])

    @on(Deleted)
    def _show_deleted(self, message: Deleted) -> None:
        self.note(f"{message.file.name} is deleted")
        self._reading = None
        self.poll()

    # Actions.

    @on(CheckpointTable.Selected)
    def action_generate(self) -> None:
        """Go to Generate with the file under the cursor."""
        row = self._current()
        if row is not None and row.kind in ("truncated", "dangerous", "foreign", "adapter", "autoencoder"):
            self.toast(f"{row.path.name} cannot generate: {row.message}", severity="warning")
        elif row is not None:
            self.post_message(GoTo("generate", str(row.path)))

    def action_export(self) -> None:
        """Export the checkpoint under the cursor; with an EMA inside, ask which weights."""
        row = self._current()
        if row is None:
            return
        if not row.has_ema:
            self._begin_export(row.path, None)
            return

        def settle(answer: str | None) -> None:
            if answer in ("ema", "raw"):
                self._begin_export(row.path, "ema" if answer == "ema" else "raw")

        choices = [Choice("e", "EMA (usual)", "ema"), Choice("w", "raw", "raw"), Choice("n", "cancel", "no")]
        text = "The checkpoint holds both: the EMA is the mean over the last steps, raw is the last step itself."
        self.app.push_screen(ChoiceDialog("Export which weights?", text, choices), settle)

    def action_inspect(self) -> None:
        """Ask for a path and say what the file is."""
        row = self.query_one(CheckpointTable).current

        def settle(answer: str | None) -> None:
            if answer:
                self._inspected_by_hand = True
                self._inspect(self.services.workspace.root / Path(answer).expanduser())

        self.app.push_screen(
            PromptDialog("Inspect which file?", str(row.path) if row else "", "Nothing in it is run."), settle
        )

    def action_delete(self) -> None:
        """Delete the file under the cursor, if that is really wanted."""
        row = self._current()
        if row is None:
            return

        def settle(answer: str | None) -> None:
            if answer == "yes":
                self._delete(row.path)

        step = "" if row.step is None else f", step {row.step}"
        text = f"{one_line(str(row.path))}\n{format_bytes(row.num_bytes)}{step}. There is no way back."
        self.app.push_screen(confirm("Delete this file?", text, "delete"), settle)

    def action_reload(self) -> None:
        """Read the folders again."""
        self.poll()

    def _current(self) -> CheckpointRow | None:
        row = self.query_one(CheckpointTable).current
        if row is None and not self.has_class("-empty"):
            self.note("the files are still being read")
        elif row is None:
            self.toast("There is no checkpoint yet.", "Start a run on the Train screen (3).", severity="warning")
        return row

    def _begin_export(self, file: Path, weights: Weights | None) -> None:
        self._show_progress_line([("exporting ", "label"), (bar(0, 30), "bar"), (f" {one_line(file.name)}", "")])
        self._export(file, weights)

    def _show_progress_line(self, line: list[tuple[str, str]]) -> None:
        self.set_class(bool(line), "-exporting")
        self.query_one("#progress", TextLines).set_lines([line])


def _report_text(report: ModelReport, root: Path) -> Content:
    """Return a report as lines of label and value."""
    path = report.file.relative_to(root) if report.file.is_relative_to(root) else report.file
    extras = ["EMA"] * report.has_ema + ["optimizer"] * report.has_optimizer
    values = [
        ("file", one_line(str(path))),
        ("kind", report.kind),
        ("size", format_bytes(report.bytes)),
        ("tensors", str(report.tensors)),
        ("parameters", format_count(report.parameters)),
        ("step", "-" if report.step is None else str(report.step)),
        ("objective", report.objective),
        ("also holds", ", ".join(extras) or "nothing else"),
    ]
    lines = [Content.assemble((f"{label:<11}", "$text-muted"), value) for label, value in values]
    return Content("\n").join([Content.styled(report.message, "bold"), *lines])
