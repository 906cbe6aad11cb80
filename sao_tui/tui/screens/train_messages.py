"""What the train screen's workers have to tell."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from textual.message import Message

if TYPE_CHECKING:
    from pathlib import Path

    from sao_tui.services.gpu import GpuReading, HostSample
    from sao_tui.services.jobs import JobView
    from sao_tui.services.run_history import RunHistory
    from sao_tui.services.start_plan import EncodePlan, TrainPlan
    from sao_tui.services.telemetry import EventTail


@dataclass
class JobsRead(Message):
    """The jobs as they are now; a newer list replaces one that still waits."""

    jobs: list[JobView]

    def can_replace(self, message: Message) -> bool:
        """Only the newest level counts."""
        return isinstance(message, JobsRead)


@dataclass
class HistoryRead(Message):
    """Everything a run has reported until now, and the tail that goes on from there."""

    name: str
    history: RunHistory
    tail: EventTail


@dataclass
class EventsRead(Message):
    """A run has reported more."""

    name: str
    events: list[dict[str, Any]]


@dataclass
class GaugesRead(Message):
    """GPU and host as they are now; a newer reading replaces one that still waits."""

    gpus: GpuReading
    host: HostSample

    def can_replace(self, message: Message) -> bool:
        """Only the newest level counts."""
        return isinstance(message, GaugesRead)


@dataclass
class TrainPlanned(Message):
    """A training run has been checked and waits for a yes."""

    plan: TrainPlan


@dataclass
class EncodePlanned(Message):
    """A pre-encoding job has been checked and waits for a yes."""

    plan: EncodePlan


@dataclass
class ResumePointFound(Message):
    """A run's newest checkpoint has been found."""

    job: JobView
    checkpoint: Path
    step: int


@dataclass
class JobStarted(Message):
    """A job has been launched."""

    job: JobView


@dataclass
class JobAsked(Message):
    """A job has been asked for something."""

    text: str
