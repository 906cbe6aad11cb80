"""Train: start, watch and stop runs."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, ClassVar

from textual import on
from textual.binding import Binding, BindingType
from textual.containers import Container, Vertical
from textual.widget import Widget
from textual.widgets import Static
from textual.worker import Worker

from sao_tui.services.run_history import RunHistory
from sao_tui.tui.screens.train_messages import (
    EventsRead,
    GaugesRead,
    HistoryRead,
    JobAsked,
    JobsRead,
    JobStarted,
)
from sao_tui.tui.screens.train_starts import TrainStarts
from sao_tui.tui.widgets.gpu_gauge import GpuGauge
from sao_tui.tui.widgets.log_view import LogView
from sao_tui.tui.widgets.loss_chart import LossChart
from sao_tui.tui.widgets.run_numbers import RunNumbers
from sao_tui.tui.widgets.run_table import RunTable

if TYPE_CHECKING:
    from sao_tui.services.telemetry import EventTail

NO_STEP_YET = "the chart begins with the first step"
NO_LOSS = "encoding has no loss to draw"


class TrainScreen(TrainStarts):
    """List of runs; loss, numbers and log of the one under the cursor."""

    MODE = "train"
    POLL_GROUPS = frozenset({"jobs", "gauges", "events", "history"})
    CSS_PATH = "train.tcss"
    HELP = """
# Train

Runs go on without the dashboard and without the connection.

- **s** checks data, configs and weights, shows the plan in numbers and starts a run
- **e** encodes the clips once, so that training on latents skips the autoencoder
- **x** stops the run under the cursor: it writes a checkpoint first
- **X** kills it: what came after its last checkpoint is lost
- **R** goes on from its newest checkpoint
- **l** logarithmic loss, **z** the newest half only, **Z** back

The chart shows the smallest and largest loss of each span of steps and, as a line, the smoothed loss.
"""
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("s", "start", "Start", id="train.start", tooltip="Check everything and start a training run"),
        Binding("e", "encode", "Encode", id="train.encode", tooltip="Encode the clips once, to train on latents"),
        Binding("x", "stop", "Stop", id="train.stop", tooltip="Stop the run after it has written a checkpoint"),
        Binding("R", "resume", "Resume", id="train.resume", tooltip="Go on from the run's newest checkpoint"),
        Binding("l", "log_scale", "Log scale", id="train.log-scale", tooltip="Logarithmic or linear loss"),
        Binding("z", "zoom(1)", "Zoom", id="train.zoom-in", tooltip="Show only the newest half of the steps"),
        Binding("Z", "zoom(-1)", "Zoom out", id="train.zoom-out", tooltip="Show twice the steps", show=False),
        Binding("X", "kill", "Kill", id="train.kill", tooltip="End the run now, without a checkpoint", show=False),
    ]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._shown = ""
        """Name of the job that chart, numbers and log are about."""
        self._history = RunHistory()
        self._tail: EventTail | None = None
        self._readers: dict[str, Worker[None]] = {}
        self._target = ""

    def compose_body(self) -> Iterable[Widget]:
        """Runs, numbers and gauges; chart and log."""
        with Container(id="body"):
            with Vertical(id="side"):
                yield RunTable(id="runs")
                yield RunNumbers(id="numbers")
                yield GpuGauge(id="gauge")
            with Vertical(id="main"):
                yield LossChart(id="loss", empty_text=NO_STEP_YET)
                yield LogView(id="log")
            yield Static(
                "No run yet.\n\n[b]s[/b]  check everything and start training\n[b]e[/b]  encode the clips first, "
                "so that training on latents skips the autoencoder",
                id="empty",
            )

    def on_mount(self) -> None:
        """Ask the disk only once the first frame is out."""
        self.query_one(RunTable).focus()
        self._name_chart()
        self.call_after_refresh(self.poll)
        if self.poll_seconds is not None:
            self.set_interval(max(0.5, self.poll_seconds / 2), self._poll_if_shown)

    def poll(self) -> None:
        """Read again what changes by itself, unless the last read of it is still going."""
        self._read_unless_reading("jobs")
        self._read_unless_reading("gauges")
        self._read_unless_reading("events")

    def show_target(self, target: str) -> None:
        """Put the cursor on the job named `target`, now or once it is listed."""
        self._target = "" if self.query_one(RunTable).go_to(target) else target

    def _poll_if_shown(self) -> None:
        if self.is_on_top:
            self.poll()

    def _read_unless_reading(self, what: str) -> None:
        """A slow disk or driver must not queue threads."""
        reader = self._readers.get(what)
        if reader is not None and not reader.is_finished:
            return
        if what == "jobs":
            self._readers[what] = self._read_jobs()
        elif what == "gauges":
            self._readers[what] = self._read_gauges()
        elif self._tail is not None:
            self._readers[what] = self._read_events(self._shown, self._tail)

    # What the workers have told.

    @on(JobsRead)
    def _show_jobs(self, message: JobsRead) -> None:
        before = self._jobs.get(self._shown)
        self._jobs = {job.name: job for job in message.jobs}
        self.set_class(not self._jobs, "-empty")
        self.query_one(RunTable).show(message.jobs)
        if self._target:
            self.show_target(self._target)
        job = self._jobs.get(self._shown)
        if before is not None and job is not None and job.log_tail and not before.log_tail:
            self.query_one(LogView).add(job.log_tail)
        self._show_numbers()

    @on(HistoryRead)
    def _show_history(self, message: HistoryRead) -> None:
        if message.name != self._shown:
            return
        self._history, self._tail = message.history, message.tail
        self.query_one(LossChart).show(message.history.loss)
        job = self._jobs.get(message.name)
        lines = [*message.history.lines, *(job.log_tail if job else ())]
        self.query_one(LogView).show(lines or ["nothing reported yet"])
        self._show_numbers()

    @on(EventsRead)
    def _show_events(self, message: EventsRead) -> None:
        if message.name != self._shown or self._tail is None:
            return
        history = self._history
        num_lines, num_points = history.num_lines, history.loss.raw.num_points
        history.apply(message.events)
        if new_lines := min(len(history.lines), history.num_lines - num_lines):
            log = self.query_one(LogView)
            if num_lines:
                log.add(list(history.lines)[-new_lines:])
            else:
                log.show(history.lines)
        if history.loss.raw.num_points != num_points:
            self.query_one(LossChart).points_added()
        self._show_numbers()

    @on(GaugesRead)
    def _show_gauges(self, message: GaugesRead) -> None:
        self.query_one(GpuGauge).show(message.gpus, message.host)

    @on(JobStarted)
    def _show_started(self, message: JobStarted) -> None:
        self.note(f"{message.job.name} is {message.job.state}")
        self._readers.pop("jobs", None)
        self.poll()

    @on(JobAsked)
    def _show_asked(self, message: JobAsked) -> None:
        self.toast(message.text)
        self.poll()

    @on(RunTable.Highlighted)
    def _show_run(self) -> None:
        name = self.query_one(RunTable).current_key
        job = self._jobs.get(name)
        if job is None or name == self._shown:
            return
        self._shown, self._history, self._tail = name, RunHistory(), None
        chart = self.query_one(LossChart)
        chart.empty_text = NO_STEP_YET if job.kind == "train" else NO_LOSS
        chart.show(self._history.loss)
        self.query_one(LogView).show(["reading what the run has reported…"])
        self._show_numbers()
        self._read_history(job)

    # Actions.

    def action_log_scale(self) -> None:
        """Switch the chart's axis."""
        self.query_one(LossChart).toggle_log()
        self._name_chart()

    def action_zoom(self, by: int) -> None:
        """Show half or twice the steps."""
        chart = self.query_one(LossChart)
        before = chart.zoom
        chart.set_zoom(before + by)
        if chart.zoom == before:
            self.note("all steps are shown" if by < 0 else "every step has its own dot already")
        self._name_chart()

    # What is shown.

    def _show_numbers(self) -> None:
        numbers = self.query_one(RunNumbers)
        if job := self._jobs.get(self._shown):
            numbers.show(job, self._history)
        else:
            numbers.clear()

    def _name_chart(self) -> None:
        chart = self.query_one(LossChart)
        zoom = f", newest 1/{2**chart.zoom} of the steps" if chart.zoom else ""
        chart.border_title = f"loss{', logarithmic' if chart.is_log else ''}{zoom}"
