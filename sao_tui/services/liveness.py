"""What a job is doing, derived from what can be seen now and never from a stored word alone.

The lock says whether a supervisor lives, pid with start time whether the worker does, the heartbeat
whether the supervisor still moves, and events.jsonl what the worker said last.
"""

from __future__ import annotations

import fcntl
import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from sao_tui.core.jobs import FINAL_STATES, JobFolder, JobState, JobStatus, ProcessId
from sao_tui.services.endings import explain_ending, read_log_tail
from sao_tui.services.telemetry import read_last_events
from sao_tui.services.worker_process import JOB_VARIABLE

STALE_SECONDS = 60.0
"""Age of a heartbeat after which the supervisor is no longer believed."""
START_SECONDS = 20.0
"""Time that a supervisor gets from the creation of its job to its first sign of life."""
SUPERVISOR_LOG_NAME = "supervisor.log"


@dataclass(frozen=True)
class Life:
    """A job as it is now."""

    status: JobStatus
    """The supervisor's word, corrected by what can be seen."""
    is_supervised: bool
    """A supervisor lives and moves."""
    worker: ProcessId | None
    """The live worker."""


def look(folder: JobFolder, created: float, now: float) -> Life:
    """Return what the job is doing.

    Args:
        created: Unix seconds of the job's creation.
        now: Unix seconds.
    """
    # The lock comes first: a status read after the lock was seen free is the supervisor's very last.
    is_locked = is_lock_held(folder.lock_file)
    status = folder.read_status()
    if status.state in FINAL_STATES or status.state == "queued":
        return Life(status, is_locked, None)
    worker = _live_worker(folder, status, is_locked)
    is_fresh = now - status.heartbeat < STALE_SECONDS
    if is_locked:
        if is_fresh or (status.heartbeat == 0 and now - created < STALE_SECONDS):
            return Life(status, True, worker)
        if worker is None:
            silent = round(now - (status.heartbeat or created))
            status = replace(
                status,
                state="hung",
                reason=f"The supervisor has been silent for {silent} s and the worker is gone.",
                hint="Kill the job, then resume from its last checkpoint.",
            )
            return Life(status, False, None)
        return Life(_from_events(folder, status), False, worker)
    if worker is not None:
        return Life(_from_events(folder, status), False, worker)
    if status.supervisor is None and now - created < START_SECONDS:
        return Life(status, True, None)
    if is_fresh and _is_elsewhere(status):
        return Life(status, True, None)
    return Life(_ended_unseen(folder, status), False, None)


def is_lock_held(path: Path) -> bool:
    """Return whether a live process holds the lock; asking does not create the file."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        # A file system without locks: pid and heartbeat have to do.
        return False
    finally:
        os.close(descriptor)
    return False


def _live_worker(folder: JobFolder, status: JobStatus, is_locked: bool) -> ProcessId | None:
    """Return the worker if it runs, also when its supervisor died before it could write the pid down."""
    if status.worker is not None:
        return status.worker if status.worker.is_alive() else None
    return None if is_locked else _find_worker(folder.path)


def _find_worker(path: Path) -> ProcessId | None:
    """Return the process group leader whose environment names the job."""
    wanted = f"{JOB_VARIABLE}={path.resolve()}".encode()
    for entry in Path("/proc").iterdir():
        if not entry.name.isdecimal():
            continue
        try:
            if wanted in (entry / "environ").read_bytes().split(b"\0") and os.getpgid(int(entry.name)) == int(
                entry.name
            ):
                return ProcessId.of(int(entry.name))
        except OSError:
            # Another user's process, or one that ended meanwhile.
            continue
    return None


def _is_elsewhere(status: JobStatus) -> bool:
    """Return whether the supervisor runs on another machine that shares the disk but not its locks."""
    here = ProcessId.of(os.getpid())
    return bool(here and status.supervisor and status.supervisor.boot_id != here.boot_id)


def last_words(events: list[dict[str, Any]]) -> dict[str, Any] | None:
    """Return the last state event."""
    return next((event for event in reversed(events) if event.get("kind") == "state"), None)


def last_step(events: list[dict[str, Any]]) -> int | None:
    """Return the last step that an event tells of."""
    for event in reversed(events):
        value = event.get("done" if event.get("kind") == "progress" else "step")
        if isinstance(value, int):
            return value
    return None


def _from_events(folder: JobFolder, status: JobStatus) -> JobStatus:
    """Return the status of a worker that runs without a supervisor who could tell of it."""
    events = read_last_events(folder.events_file)
    words = last_words(events)
    step = last_step(events)
    state: JobState = status.state
    if words is not None and words.get("state") in ("starting", "running", "paused", "stopping"):
        state = words["state"]
    elif step is not None and state == "starting":
        state = "running"
    if (folder.requests / "stop").exists():
        state = "stopping"
    return replace(
        status,
        state=state,
        step=max(status.step, step or 0),
        reason="The supervisor is gone; the worker goes on without it.",
    )


def _ended_unseen(folder: JobFolder, status: JobStatus) -> JobStatus:
    """Return the status of a worker that ended when no supervisor was there to see it."""
    events = read_last_events(folder.events_file)
    words = last_words(events) or {}
    step = max(status.step, last_step(events) or 0)
    if words.get("state") in FINAL_STATES:
        return replace(
            status,
            state=words["state"],
            step=step,
            reason=str(words.get("reason") or ""),
            hint=str(words.get("hint") or ""),
        )
    log_tail = read_log_tail(folder.log_file)
    if status.supervisor is None and not events:
        return replace(
            status,
            state="crashed",
            reason="The supervisor never started.",
            hint=f"Read {SUPERVISOR_LOG_NAME} in the job's folder.",
            log_tail=read_log_tail(folder.path / SUPERVISOR_LOG_NAME),
        )
    ending = explain_ending(None, None, log_tail)
    return replace(status, state="crashed", step=step, reason=ending.reason, hint=ending.hint, log_tail=log_tail)
