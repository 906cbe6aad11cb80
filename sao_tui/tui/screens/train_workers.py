"""The train screen's calls to the services: each runs in a thread and posts a message."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual import work
from textual.worker import get_current_worker

from sao_tui.services.run_history import read_history
from sao_tui.services.telemetry import EventTail
from sao_tui.tui.base import BaseScreen
from sao_tui.tui.screens.train_messages import (
    EncodePlanned,
    EventsRead,
    GaugesRead,
    HistoryRead,
    JobAsked,
    JobsRead,
    JobStarted,
    ResumePointFound,
    TrainPlanned,
)

if TYPE_CHECKING:
    from pathlib import Path

    from sao_tui.services.jobs import JobView
    from sao_tui.services.start_plan import EncodePlan, TrainPlan


class TrainWorkers(BaseScreen):
    """Workers of the train screen; none of them touches a widget."""

    @work(thread=True, group="jobs", exit_on_error=False)
    def _read_jobs(self) -> None:
        self.post_message(JobsRead(self.services.jobs.list()))

    @work(thread=True, group="gauges", exit_on_error=False)
    def _read_gauges(self) -> None:
        self.post_message(GaugesRead(self.services.read_gpus(), self.services.read_host()))

    @work(thread=True, group="history", exclusive=True, exit_on_error=False)
    def _read_history(self, job: JobView) -> None:
        worker = get_current_worker()
        tail = EventTail(job.folder.events_file)
        history = read_history(tail, should_stop=lambda: worker.is_cancelled)
        if not worker.is_cancelled:
            self.post_message(HistoryRead(job.name, history, tail))

    @work(thread=True, group="events", exit_on_error=False)
    def _read_events(self, name: str, tail: EventTail) -> None:
        if events := tail.read_new():
            self.post_message(EventsRead(name, events))

    @work(thread=True, group="plan", exclusive=True, exit_on_error=False)
    def _plan_train(self) -> None:
        from sao_tui.services import start_plan

        plan = start_plan.plan_train(self.services)
        if not get_current_worker().is_cancelled:
            self.post_message(TrainPlanned(plan))

    @work(thread=True, group="plan", exclusive=True, exit_on_error=False)
    def _plan_resume(self, job: JobView, checkpoint: Path, max_steps: int) -> None:
        from sao_tui.services import start_plan

        plan = start_plan.plan_resume(self.services, job, checkpoint, max_steps)
        if not get_current_worker().is_cancelled:
            self.post_message(TrainPlanned(plan))

    @work(thread=True, group="plan", exclusive=True, exit_on_error=False)
    def _plan_encode(self) -> None:
        from sao_tui.services import start_plan

        plan = start_plan.plan_encode(self.services)
        if not get_current_worker().is_cancelled:
            self.post_message(EncodePlanned(plan))

    @work(thread=True, group="plan", exclusive=True, exit_on_error=False)
    def _find_resume_point(self, job: JobView) -> None:
        from sao_tui.services import start_plan

        checkpoint, step = start_plan.newest_checkpoint(self.services, job.name)
        if not get_current_worker().is_cancelled:
            self.post_message(ResumePointFound(job, checkpoint, step))

    @work(thread=True, group="start", exit_on_error=False)
    def _start_train(self, plan: TrainPlan) -> None:
        view = self.services.jobs.start_train(plan.settings, plan.model_config, plan.dataset_config)
        self.post_message(JobStarted(view))

    @work(thread=True, group="start", exit_on_error=False)
    def _start_on_latents(self) -> None:
        from sao_tui.services import start_plan

        # Checked anew: the latents may be incomplete or of other clips.
        plan = start_plan.plan_train(self.services, {"latents": str(self.services.workspace.latents_folder)})
        if not plan.is_ok:
            self.post_message(TrainPlanned(plan))
            return
        view = self.services.jobs.start_train(plan.settings, plan.model_config, plan.dataset_config)
        self.post_message(JobStarted(view))

    @work(thread=True, group="start", exit_on_error=False)
    def _start_encode(self, plan: EncodePlan) -> None:
        view = self.services.jobs.start_encode(plan.settings, plan.model_config, plan.dataset_config)
        self.post_message(JobStarted(view))

    @work(thread=True, group="ask", exit_on_error=False)
    def _stop(self, name: str) -> None:
        view = self.services.jobs.stop(name)
        first = "writes a checkpoint first" if view.kind == "train" else "finishes its clip first"
        self.post_message(JobAsked(f"Stopping {name}:\nit {first}, then ends."))

    @work(thread=True, group="ask", exit_on_error=False)
    def _kill(self, name: str) -> None:
        self.services.jobs.kill(name)
        self.post_message(JobAsked(f"{name} is being killed."))
