"""A job is a folder: the names inside it, and what job.json and status.json hold.

job.json       what was asked; never changes
status.json    the supervisor's word, replaced atomically
events.jsonl   what happened, append only
worker.log     stdout and stderr of the worker
lock           flock held by the supervisor
requests/      one empty file a request: `stop`, `kill`
demos/ checkpoints/
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from sao_tui.core.errors import SaoError
from sao_tui.core.files import write_json

JobKind = Literal["train", "encode", "suggest"]
JobState = Literal[
    "queued", "starting", "running", "paused", "stopping", "finished", "stopped", "failed", "crashed", "hung", "held"
]
FINAL_STATES: frozenset[str] = frozenset({"finished", "stopped", "failed", "crashed"})


@dataclass(frozen=True)
class JobFolder:
    """Paths inside one job's folder."""

    path: Path

    @property
    def name(self) -> str:
        """The job's name, which is the folder's."""
        return self.path.name

    @property
    def job_file(self) -> Path:
        """What was asked."""
        return self.path / "job.json"

    @property
    def status_file(self) -> Path:
        """The supervisor's word."""
        return self.path / "status.json"

    @property
    def events_file(self) -> Path:
        """What happened."""
        return self.path / "events.jsonl"

    @property
    def log_file(self) -> Path:
        """The worker's stdout and stderr."""
        return self.path / "worker.log"

    @property
    def lock_file(self) -> Path:
        """Locked while a supervisor lives."""
        return self.path / "lock"

    @property
    def requests(self) -> Path:
        """Folder of pending requests."""
        return self.path / "requests"

    @property
    def checkpoints(self) -> Path:
        """Folder of wrapped checkpoints."""
        return self.path / "checkpoints"

    @property
    def demos(self) -> Path:
        """Folder of clips made while training."""
        return self.path / "demos"

    def create(self, spec: JobSpec) -> None:
        """Make the folder and write job.json.

        Raises:
            SaoError: The folder exists or cannot be written.
        """
        try:
            self.path.mkdir(parents=True)
            for folder in (self.requests, self.checkpoints, self.demos):
                folder.mkdir()
            write_json(self.job_file, asdict(spec))
        except OSError as error:
            raise SaoError(
                f"Cannot create the job folder {self.path}: {error.strerror}",
                "Free some space or choose a workspace that you may write to.",
            ) from error

    def read_spec(self) -> JobSpec:
        """Return what was asked.

        Raises:
            SaoError: job.json is missing or not ours.
        """
        try:
            return JobSpec(**json.loads(self.job_file.read_text()))
        except (OSError, ValueError, TypeError) as error:
            raise SaoError(
                f"{self.job_file} is not a job description: {error}",
                "Remove the folder, or start the job again.",
            ) from error

    def read_status(self) -> JobStatus:
        """Return the supervisor's last word; `starting` before it has said anything."""
        try:
            known = json.loads(self.status_file.read_text())
            return JobStatus(**known)
        except FileNotFoundError:
            return JobStatus("starting")
        except (OSError, ValueError, TypeError) as error:
            return JobStatus("crashed", reason=f"status.json is unreadable: {error}")


@dataclass(frozen=True)
class JobSpec:
    """job.json: what was asked, with everything resolved."""

    kind: JobKind
    created: float
    """Unix seconds."""
    settings: dict[str, Any]
    """TrainSettings or EncodeSettings as a dictionary (sao_tui.core.settings)."""
    model_config: dict[str, Any]
    """Upstream's model config as the worker will use it."""
    dataset_config: dict[str, Any]
    """Upstream's dataset config as the worker will use it, with absolute paths."""
    worker_python: str
    """Interpreter that runs the worker."""
    argv: list[str] = field(default_factory=list)
    """Command line that asked for it."""
    versions: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class JobStatus:
    """status.json: the supervisor's word, with what liveness is derived from."""

    state: JobState
    step: int = 0
    steps: int = 0
    """Optimizer steps, or clips to encode, that were asked for; 0 while unknown."""
    reason: str = ""
    """Why it ended or waits, in one sentence."""
    supervisor: ProcessId | None = None
    worker: ProcessId | None = None
    heartbeat: float = 0.0
    """Unix seconds of the supervisor's last sign of life."""
    exit_code: int | None = None
    exit_signal: int | None = None
    log_tail: list[str] = field(default_factory=list)
    """Last lines of worker.log when it ended badly."""
    hint: str = ""
    """What to do about `reason`."""

    def __post_init__(self) -> None:
        """Accept processes as JSON gives them."""
        for name in ("supervisor", "worker"):
            value = getattr(self, name)
            if isinstance(value, dict):
                object.__setattr__(self, name, ProcessId(**value))


@dataclass(frozen=True)
class ProcessId:
    """A process that cannot be mistaken for a later one with the same pid."""

    pid: int
    start_ticks: int
    """Field 22 of /proc/PID/stat: clock ticks since boot."""
    boot_id: str

    @classmethod
    def of(cls, pid: int) -> ProcessId | None:
        """Return the identity of a live process, None if there is none (zombies count as dead)."""
        try:
            fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
            boot_id = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        except (OSError, IndexError):
            return None
        if fields[0] in ("Z", "X"):
            return None
        return cls(pid, int(fields[19]), boot_id)

    def is_alive(self) -> bool:
        """Return whether this very process still runs."""
        return ProcessId.of(self.pid) == self
