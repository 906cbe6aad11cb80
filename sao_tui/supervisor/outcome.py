"""How a job ended, from the worker's last words, its exit and what was asked of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from signal import SIGKILL, SIGTERM
from typing import Any, Literal

from sao_tui.core.jobs import FINAL_STATES, JobState
from sao_tui.services.endings import explain_ending


@dataclass(frozen=True)
class WorkerExit:
    """How the worker's process ended."""

    code: int | None
    """Exit code; None when a signal ended it."""
    signal: int | None
    """Signal that ended it."""
    log_tail: list[str] = field(default_factory=list)
    """Last lines of worker.log."""

    @classmethod
    def of(cls, returncode: int, log_tail: list[str]) -> WorkerExit:
        """Read `subprocess.Popen.returncode`."""
        return cls(None, -returncode, log_tail) if returncode < 0 else cls(returncode, None, log_tail)


@dataclass(frozen=True)
class Outcome:
    """The end of a job."""

    state: JobState
    reason: str = ""
    hint: str = ""


def decide(
    words: dict[str, Any] | None, end: WorkerExit, request: Literal["stop", "kill"] | None, has_begun: bool
) -> Outcome:
    """Return how the job ended.

    A final state that the worker wrote is believed whatever its exit code, since it was written when the work was
    done; an exit code alone never is, since a terminated trainer exits with 0.

    Args:
        words: The worker's last state event.
        request: What was asked of the job.
        has_begun: The worker had loaded everything and was at work.
    """
    if words is not None and words.get("state") in FINAL_STATES:
        return Outcome(words["state"], str(words.get("reason") or ""), str(words.get("hint") or ""))
    if request == "kill":
        return Outcome("stopped", "Killed on request; steps since the last checkpoint are lost.")
    if request == "stop" and not has_begun and (end.code == 0 or end.signal in (SIGTERM, SIGKILL)):
        return Outcome("stopped", "Stopped on request before the first step.")
    ending = explain_ending(end.code, end.signal, end.log_tail)
    return Outcome("crashed", ending.reason, ending.hint)
