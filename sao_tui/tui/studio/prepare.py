"""Resample, trim, slice, level and convert clips, in a job."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from textual import on
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.timer import Timer
from textual.widget import Widget
from textual.widgets import Static
from textual.worker import Worker

from sao_tui.tui.base import toast
from sao_tui.tui.dialogs import PromptDialog, confirm
from sao_tui.tui.studio.base import StudioResult, key_line, keys_text
from sao_tui.tui.studio.prepare_options import prepare_options
from sao_tui.tui.studio.prepare_text import ENDED_EARLY, example_lines, job_keys, job_text, plan_text, report_text
from sao_tui.tui.studio.prepare_workers import (
    DatasetUsed,
    JobRead,
    Listened,
    Opened,
    Planned,
    PlanRefused,
    PrepareWorkers,
)
from sao_tui.tui.text import one_line
from sao_tui.tui.widgets.option_form import OptionForm

if TYPE_CHECKING:
    from sao_tui.services.jobs import JobView
    from sao_tui.services.prepare_finish import PrepareReport
    from sao_tui.services.prepare_plan import PreparePlan

SETTLE_SECONDS = 0.3
"""How long keys must rest before the dry run begins."""
POLL_SECONDS = 0.5


class PrepareDialog(PrepareWorkers):
    """The options with a live dry run; then the job, which goes on when the dialog is closed."""

    TITLE_TEXT = "Prepare"
    POLL_GROUPS = frozenset({"poll"})
    AUTO_FOCUS = "OptionForm"
    DEFAULT_CSS = """
    PrepareDialog {
        OptionForm { height: 10; background: $surface; }
        #help { height: 1; color: $text-muted; }
        #totals { height: 3; border-top: solid $panel; }
        #examples, #findings { height: 1fr; }
        #report { height: auto; }
        #job { height: 5; }
        #keys { height: 1; dock: bottom; }
        #running { display: none; height: 1fr; }
        &.-running { #options { display: none; } #running { display: block; } }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("s", "start", "Start", id="prepare.start", tooltip="Start the job with these options"),
        Binding("x", "stop", "Stop", id="prepare.stop", tooltip="Stop the job after the clips that are in work"),
        Binding("R", "resume", "Resume", id="prepare.resume", tooltip="Go on with the job that ended early"),
        Binding("u", "use", "Use", id="prepare.use", tooltip="Make the new folder the workspace's dataset"),
    ]

    _plan: PreparePlan | None = None
    _job: JobView | None = None
    _report: PrepareReport | None = None
    _timer: Timer | None = None
    _polling: Worker[None] | None = None
    _used: Path | None = None

    def compose_body(self) -> Iterable[Widget]:
        """The options above what they would do; or the job."""
        with Vertical(id="options"):
            yield OptionForm(id="form")
            yield Static(id="help")
            yield Static(id="totals")
            yield Static(id="examples")
            yield key_line([("← →", "change"), ("enter", "type"), ("s", "start"), ("esc", "cancel")])
        with Vertical(id="running"):
            yield Static(id="job")
            with VerticalScroll(id="findings"):
                yield Static(id="report")
            yield Static(id="keys")

    def on_mount(self) -> None:
        """Look for a job that runs, and begin the dry run."""
        self._say("reading…")
        self.open()
        if getattr(self.app, "poll_seconds", None) is not None:
            self.set_interval(POLL_SECONDS, self.poll)

    def poll(self) -> None:
        """Read how far the job is, unless the last look still goes on."""
        if self._job is not None and not self._job.is_final and (self._polling is None or self._polling.is_finished):
            self._polling = self.read_job(self._job.name)

    # The options.

    @on(Opened)
    def _begin(self, message: Opened) -> None:
        self.query_one(OptionForm).show_options(prepare_options(message.settings))
        if message.job is None:
            self._say("listening…")
            self._plan_now()
        else:
            self._show_job(JobRead(message.job, None))

    @on(OptionForm.Moved)
    def _show_option(self, message: OptionForm.Moved) -> None:
        self._show_help(message.option.help)

    @on(OptionForm.Changed)
    def _plan_soon(self) -> None:
        self._plan = None
        self._say("listening…")
        if self._timer is not None:
            self._timer.stop()
        self._timer = self.set_timer(SETTLE_SECONDS, self._plan_now)

    def _plan_now(self) -> None:
        self.plan(self.query_one(OptionForm).values)

    @on(OptionForm.TypeWanted)
    def _ask_for_value(self, message: OptionForm.TypeWanted) -> None:
        option = message.option
        parse = option.parse
        assert parse is not None  # noqa: S101

        def check(text: str) -> str:
            try:
                parse(text)
            except ValueError as error:
                return str(error)
            return ""

        def take(text: str | None) -> None:
            if text is not None:
                self.query_one(OptionForm).set_value(option, *parse(text))

        self.app.push_screen(PromptDialog(option.typed, hint=option.help, check=check), take)

    @on(Listened)
    def _show_listening(self, message: Listened) -> None:
        if self._plan is None:
            self._say(f"listening… {message.done}/{message.total}")

    @on(PlanRefused)
    def _show_refusal(self, message: PlanRefused) -> None:
        text = Content.assemble((one_line(message.message), "$text-error"), "\n", one_line(message.hint))
        self.query_one("#totals", Static).update(text)
        self.query_one("#examples", Static).update("")

    @on(Planned)
    def _show_plan(self, message: Planned) -> None:
        self._plan = message.plan
        self.query_one("#totals", Static).update(plan_text(message.plan))
        examples = self.query_one("#examples", Static)
        examples.update(example_lines(message.plan, examples.size.width, examples.size.height))

    def _show_help(self, text: str) -> None:
        self.query_one("#help", Static).update(Content(text))

    def _say(self, text: str) -> None:
        self.query_one("#totals", Static).update(Content(text))

    # The job.

    @on(JobRead)
    def _show_job(self, message: JobRead) -> None:
        self._job = message.job
        self._report = message.report
        self.add_class("-running")
        self.query_one("#findings").focus()
        self.query_one("#job", Static).update(job_text(message.job))
        self.query_one("#keys", Static).update(keys_text(job_keys(message.job)))
        self.refresh_bindings()
        report = message.report
        self.query_one("#report", Static).update("" if report is None else report_text(report))

    @on(DatasetUsed)
    def _show_use(self, message: DatasetUsed) -> None:
        self._used = message.folder
        self.action_close()

    # What the keys do.

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Offer only what can be done now."""
        job = self._job
        if action == "start":
            return job is None
        if action == "stop":
            return job is not None and not job.is_final
        if action == "resume":
            return job is not None and job.state in ENDED_EARLY
        if action == "use":
            return job is not None and job.state == "finished"
        return True

    def action_start(self) -> None:
        """Start the job, after a question where originals are moved."""
        plan = self._plan
        if plan is None:
            toast(self.app, "One moment: the dry run is not done.")
        elif not plan.fits:
            toast(self.app, plan.findings[0].message, plan.findings[0].fix, severity="error")
        elif not plan.settings.is_in_place:
            self.start(plan)
        else:
            text = f"Originals move to {one_line(plan.settings.originals)} first; captions follow. Undo does not."

            def settle(answer: str | None) -> None:
                if answer == "yes":
                    self.start(plan)

            title = f"Change {plan.num_clips:,} clips in place?"
            self.app.push_screen(confirm(title, text, "change them"), settle)

    def action_stop(self) -> None:
        """Stop the job."""
        if self._job is not None:
            self.stop_job(self._job.name)

    def action_resume(self) -> None:
        """Go on with the job."""
        if self._job is not None:
            self.resume_job(self._job.name)

    def action_use(self) -> None:
        """Make the output the dataset."""
        report = self._report
        if report is None or Path(report.output) == self.services.workspace.dataset_folder:
            toast(self.app, "The dataset itself was prepared: there is no new folder to use.")
        else:
            self.use_folder(Path(report.output))

    def action_close(self) -> None:
        """Close, and say what has become of the job."""
        job = self._job
        if job is None:
            self.dismiss(None)
        elif self._used is not None:
            self.dismiss(StudioResult(f"{one_line(self._used.name)} is the dataset now", clips_changed=True))
        elif job.is_final:
            self.dismiss(StudioResult(one_line(job.reason) or f"{job.name} {job.state}", clips_changed=True))
        else:
            self.dismiss(StudioResult(f"{job.name} goes on; see it among the runs", clips_changed=False))
