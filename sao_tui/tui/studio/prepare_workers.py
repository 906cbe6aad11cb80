"""What the prepare dialog asks of the services, each in a worker of its own."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from textual import work
from textual.message import Message
from textual.worker import get_current_worker

from sao_tui.tui.studio.base import StudioDialog

if TYPE_CHECKING:
    from sao_tui.core.preparing import PrepareSettings
    from sao_tui.services.clips import ClipRow
    from sao_tui.services.jobs import JobView
    from sao_tui.services.prepare_finish import PrepareReport
    from sao_tui.services.prepare_plan import PreparePlan

MAX_LISTENED = 24
"""Clips that a live dry run listens to."""


@dataclass
class Opened(Message):
    """What the dialog begins with."""

    settings: PrepareSettings
    """Those that suit the model."""
    job: JobView | None
    """A prepare job that runs."""


@dataclass
class Planned(Message):
    """The dry run is done."""

    plan: PreparePlan


@dataclass
class PlanRefused(Message):
    """The options do not go together."""

    message: str
    hint: str


@dataclass
class Listened(Message):
    """How far the dry run is."""

    done: int
    total: int

    def can_replace(self, message: Message) -> bool:
        """Only the newest counts."""
        return isinstance(message, Listened)


@dataclass
class JobRead(Message):
    """The job as it is now."""

    job: JobView
    report: PrepareReport | None


@dataclass
class DatasetUsed(Message):
    """The new folder is the dataset."""

    folder: Path


class PrepareWorkers(StudioDialog):
    """Dry runs and the job."""

    _rows: list[ClipRow] | None = None

    @work(thread=True, group="open", exit_on_error=False)
    def open(self) -> None:
        """Find what suits the model, and a prepare job that runs."""
        from sao_tui.services.prepare_jobs import default_settings

        settings = default_settings(self.services.workspace)
        running = [job for job in self.services.jobs.list() if job.kind == "prepare" and not job.is_final]
        self.post_message(Opened(settings, running[0] if running else None))

    @work(thread=True, group="plan", exclusive=True, exit_on_error=False)
    def plan(self, values: dict[str, Any]) -> None:
        """Find what the options would do with some clips."""
        from sao_tui.core.errors import SaoError
        from sao_tui.services.prepare_jobs import check_folders
        from sao_tui.services.prepare_plan import plan_prepare
        from sao_tui.tui.studio.prepare_options import settings_of

        worker = get_current_worker()
        try:
            settings = settings_of(values, self.services.workspace)
            check_folders(settings)
            plan = plan_prepare(
                self.services,
                self._selected_rows(),
                settings,
                max_listened=MAX_LISTENED,
                progress=lambda done, total: self._tell(worker.is_cancelled, done, total),
                should_stop=lambda: worker.is_cancelled,
            )
        except SaoError as error:
            if not worker.is_cancelled:
                self.post_message(PlanRefused(error.message, error.hint))
            return
        if not worker.is_cancelled:
            self.post_message(Planned(plan))

    @work(thread=True, group="start", exclusive=True, exit_on_error=False)
    def start(self, plan: PreparePlan) -> None:
        """Start the job."""
        from sao_tui.services.prepare_jobs import start_prepare

        job = start_prepare(self.services, [row.relpath for row in self._selected_rows()], plan.settings)
        self.post_message(JobRead(job, None))

    @work(thread=True, group="poll", exit_on_error=False)
    def read_job(self, name: str) -> None:
        """Read how far the job is."""
        from sao_tui.services.prepare_finish import read_report

        job = self.services.jobs.get(name)
        self.post_message(JobRead(job, read_report(job.path) if job.is_final else None))

    @work(thread=True, group="stop", exit_on_error=False)
    def stop_job(self, name: str) -> None:
        """Ask the job to stop after the clips that are in work."""
        self.post_message(JobRead(self.services.jobs.stop(name), None))

    @work(thread=True, group="resume", exit_on_error=False)
    def resume_job(self, name: str) -> None:
        """Go on with a job that ended before its time."""
        from sao_tui.services.prepare_jobs import resume_prepare

        self.post_message(JobRead(resume_prepare(self.services, name), None))

    @work(thread=True, group="use", exit_on_error=False)
    def use_folder(self, folder: Path) -> None:
        """Make the new folder the dataset."""
        self.services.use_dataset(folder)
        self.post_message(DatasetUsed(folder))

    def _selected_rows(self) -> list[ClipRow]:
        if self._rows is None:
            self._rows = self.services.clips.rows(self.selection.ids)
        return self._rows

    def _tell(self, is_cancelled: bool, done: int, total: int) -> None:
        if not is_cancelled:
            self.post_message(Listened(done, total))
