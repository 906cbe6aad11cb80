"""What the train screen starts, stops and goes on with, each after the question that it needs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from textual import on

from sao_tui.core.findings import Finding
from sao_tui.tui.dialogs import Choice, ChoiceDialog, ErrorDialog, PromptDialog, confirm
from sao_tui.tui.run_text import encode_text, finding_lines, plan_text
from sao_tui.tui.screens.train_messages import EncodePlanned, ResumePointFound, TrainPlanned
from sao_tui.tui.screens.train_workers import TrainWorkers
from sao_tui.tui.text import one_line, unwritten_text
from sao_tui.tui.widgets.run_table import RunTable

if TYPE_CHECKING:
    from sao_tui.services.jobs import JobView


class TrainStarts(TrainWorkers):
    """Actions on jobs; nothing starts that has not been checked and confirmed."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._jobs: dict[str, JobView] = {}

    def action_start(self) -> None:
        """Check everything; the plan then asks for a yes."""
        self.note("checking data, configs and weights…")
        self._plan_train()

    def action_encode(self) -> None:
        """Check everything; the plan then asks for a yes."""
        self.note("checking data, configs and weights…")
        self._plan_encode()

    def action_stop(self) -> None:
        """Stop the job under the cursor after a checkpoint."""
        if job := self._job():
            self._stop(job.name)

    def action_kill(self) -> None:
        """Kill the job under the cursor, if that is really wanted."""
        job = self._job()
        if job is None:
            return

        def settle(answer: str | None) -> None:
            if answer == "yes":
                self._kill(job.name)

        text = "Steps since its last checkpoint are lost. Stopping it with x writes a checkpoint first."
        self.app.push_screen(confirm(f"Kill {job.name}?", text, "kill"), settle)

    def action_resume(self) -> None:
        """Go on from the newest checkpoint of the run under the cursor."""
        job = self._job()
        if job is not None and not job.is_final:
            self.toast(f"{job.name} is {job.state}.", "Stop it with x before it can be resumed.", severity="warning")
        elif job is not None:
            self._find_resume_point(job)

    @on(TrainPlanned)
    def _confirm_train(self, message: TrainPlanned) -> None:
        plan = message.plan
        if not plan.is_ok:
            self._refuse(plan.findings)
            return
        choices = [Choice("y", "start", "start")]
        if plan.num_latents and not plan.settings.latents and not plan.settings.resume_from:
            choices = [Choice("y", "start on raw audio", "start"), Choice("l", "on latents", "latents")]
        title = "Go on with this run?" if plan.settings.resume_from else "Start this run?"

        def settle(answer: str | None) -> None:
            if answer == "start":
                self._start_train(plan)
            elif answer == "latents":
                self._start_on_latents()

        self.app.push_screen(
            ChoiceDialog(title, plan_text(plan) + self._notes(), [*choices, Choice("n", "cancel", "no")]), settle
        )

    @on(EncodePlanned)
    def _confirm_encode(self, message: EncodePlanned) -> None:
        plan = message.plan
        if not plan.is_ok:
            self._refuse(plan.findings)
            return

        def settle(answer: str | None) -> None:
            if answer == "yes":
                self._start_encode(plan)

        self.app.push_screen(confirm("Encode the clips?", encode_text(plan) + self._notes(), "encode"), settle)

    @on(ResumePointFound)
    def _ask_for_steps(self, message: ResumePointFound) -> None:
        step, steps = message.step, message.job.steps
        proposed = steps if steps > step else step + max(steps, 1)

        def check(text: str) -> str:
            if text.isdecimal() and int(text) > step:
                return ""
            return f"A whole number above {step}, where the checkpoint stands."

        def settle(answer: str | None) -> None:
            if answer is not None:
                self._plan_resume(message.job, message.checkpoint, int(answer))

        title = f"Go on from step {step} ({one_line(message.checkpoint.name)}) to step:"
        self.app.push_screen(
            PromptDialog(title, str(proposed), "Steps in all, those before included.", check=check), settle
        )

    def _job(self) -> JobView | None:
        """Return the job under the cursor, saying so when there is none."""
        job = self._jobs.get(self.query_one(RunTable).current_key)
        if job is None:
            self.toast("There is no run yet.", "Start one with s.", severity="warning")
        return job

    def _notes(self) -> str:
        """Return what should be known before anything starts."""
        notes = []
        if self.sao.num_unwritten:
            notes.append(f"! {unwritten_text(self.sao.num_unwritten)} What starts now is without it.")
        running = [job.name for job in self._jobs.values() if not job.is_final]
        if running:
            notes.append(f"{', '.join(running)} still runs: both will share this machine.")
        return "".join(f"\n\n{note}" for note in notes)

    def _refuse(self, findings: Sequence[Finding]) -> None:
        num_errors = sum(finding.severity == "error" for finding in findings)
        problems = "1 problem stands" if num_errors == 1 else f"{num_errors} problems stand"
        self.app.push_screen(ErrorDialog(f"Nothing was started: {problems} in the way.", "", finding_lines(findings)))
