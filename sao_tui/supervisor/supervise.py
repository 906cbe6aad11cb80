"""The detached parent of a worker: starts it, watches it, passes requests on and records how it ended."""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, Literal

from sao_tui.core.errors import SaoError
from sao_tui.core.events import EventKind, EventWriter
from sao_tui.core.jobs import FINAL_STATES, TASK_KINDS, JobFolder, JobSpec, JobStatus, ProcessId
from sao_tui.services.endings import read_log_tail
from sao_tui.services.telemetry import EventTail
from sao_tui.services.worker_process import JOB_VARIABLE, KILL_GRACE_SECONDS, send_to_group, worker_environment
from sao_tui.supervisor.outcome import Outcome, WorkerExit, decide
from sao_tui.supervisor.readings import Readings
from sao_tui.supervisor.status import StatusFile

POLL_SECONDS = 0.2
LOCK_SECONDS = 3.0
EARLY_STOP_SECONDS = 10.0
"""Time that a worker that has not begun to step gets to notice a stop by itself."""


def supervise(folder: JobFolder, worker_command: Sequence[str] | None = None) -> JobStatus:
    """Run a job's worker to its end and return how it ended.

    Args:
        worker_command: Started in place of `PYTHON -m sao_tui.worker` or `sao_tui.tasks`; the job folder is appended.

    Raises:
        SaoError: The job is described wrongly, has ended, or is supervised already.
    """
    spec = folder.read_spec()
    with _lock(folder):
        before = folder.read_status()
        if before.state in FINAL_STATES:
            raise SaoError(f"{folder.name} has ended already: {before.state}.", "Start another job.")
        if before.worker is not None and before.worker.is_alive():
            raise SaoError(f"The worker of {folder.name} still runs.", "Stop it first.")
        command = list(worker_command or _command(spec))
        return Supervisor(folder, spec, [*command, str(folder.path)]).run()


def _command(spec: JobSpec) -> tuple[str, ...]:
    """Return what does such a job, without the job's folder."""
    if spec.kind in TASK_KINDS:
        return sys.executable, "-m", "sao_tui.tasks"
    return spec.worker_python, "-m", "sao_tui.worker"


def heed_signals(folder: JobFolder) -> None:
    """Take a polite end of this process as a wish to stop the job: a machine that shuts down sends it."""

    def ask_to_stop(_number: int, _frame: object) -> None:
        try:
            (folder.requests / "stop").touch()
        except OSError:
            # The worker got the same signal from whoever shuts the machine down.
            pass

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, ask_to_stop)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)


@contextmanager
def _lock(folder: JobFolder) -> Iterator[None]:
    """Hold the job's lock; it is free again the moment this process ends, however it ends.

    Python's descriptors are closed on exec, so a worker does not keep it held.
    """
    descriptor = os.open(folder.lock_file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    deadline = time.monotonic() + LOCK_SECONDS
    try:
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError as error:
                # Somebody who looks whether it is held holds it for an instant.
                if time.monotonic() >= deadline:
                    raise SaoError(
                        f"{folder.name} is supervised already.", "Watch it with `sao-tui train follow`."
                    ) from error
                time.sleep(0.02)
        yield
    finally:
        os.close(descriptor)


class Supervisor:
    """Watches over one worker."""

    def __init__(
        self,
        folder: JobFolder,
        spec: JobSpec,
        command: list[str],
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Prepare to run `command`; the job's lock is held by the caller."""
        self._folder = folder
        self._spec = spec
        self._command = command
        self._clock = clock
        self._tail = EventTail(folder.events_file)
        self._words: dict[str, Any] | None = None
        self._has_begun = False
        self._request: Literal["stop", "kill"] | None = None
        self._stop_asked_at = 0.0
        self._terminated_at: float | None = None
        steps = int(spec.settings.get("max_steps", 0))
        first = JobStatus("starting", steps=steps, supervisor=ProcessId.of(os.getpid()))
        self._status = StatusFile(folder, first, clock)

    def run(self) -> JobStatus:
        """Start the worker, stay until it has ended and return the last status."""
        self._status.write_if_due()
        try:
            worker = self._start_worker()
        except (OSError, SaoError) as error:
            return self._finish_unstarted(error)
        self._status.change(worker=ProcessId.of(worker.pid))
        self._status.write_if_due()
        readings = Readings(self._folder.path)
        readings.start()
        while not _has_ended(worker):
            self._read_events()
            self._heed_requests(worker)
            reading = readings.take()
            if reading is not None:
                self._emit("gpu", **reading)
            self._status.write_if_due()
            time.sleep(POLL_SECONDS)
        readings.stop()
        return self._finish(worker)

    def _start_worker(self) -> subprocess.Popen[bytes]:
        """Start the worker as the leader of its own session, so that it outlives this process."""
        folder = self._folder
        environment = worker_environment(
            self._spec.worker_python,
            cache_folder=folder.path.parent.parent / ".sao",
            text_encoder_home=self._spec.settings.get("text_encoder_home"),
        )
        environment[JOB_VARIABLE] = str(folder.path.resolve())
        with folder.log_file.open("ab") as log:
            return subprocess.Popen(
                self._command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=folder.path,
                env=environment,
                start_new_session=True,
                close_fds=True,
            )

    def _read_events(self) -> int:
        """Follow what the worker reports; return how many events were new."""
        try:
            events = self._tail.read_new()
        except SaoError:
            # A network disk that is away for a moment; the events are still there afterwards.
            return 0
        for event in events:
            self._heed_event(event)
        return len(events)

    def _heed_event(self, event: dict[str, Any]) -> None:
        """Take state and progress from one event."""
        kind = event.get("kind")
        if kind == "state":
            self._words = event
            state = event.get("state")
            self._has_begun = self._has_begun or state in ("running", "paused")
            if state in ("starting", "running", "paused", "stopping") and self._request is None:
                self._status.change(state=state)
        elif kind in ("metric", "progress"):
            self._has_begun = True
        step, steps = ("done", "total") if kind == "progress" else ("step", "steps")
        if kind in ("state", "metric", "progress"):
            if isinstance(event.get(step), int):
                self._status.change(step=event[step])
            if isinstance(event.get(steps), int) and event[steps] > 0:
                self._status.change(steps=event[steps])

    def _heed_requests(self, worker: subprocess.Popen[bytes]) -> None:
        """Pass requests on: the worker sees `stop` by itself, unless it has not begun; `kill` is up to us."""
        now = time.monotonic()
        if self._request != "kill" and (self._folder.requests / "kill").exists():
            self._request = "kill"
            self._status.change(state="stopping", reason="Killed on request.")
        elif self._request is None and (self._folder.requests / "stop").exists():
            self._request = "stop"
            self._stop_asked_at = now
            what = "this clip" if self._spec.kind in TASK_KINDS else "this step, with a checkpoint"
            self._status.change(state="stopping", reason=f"Stops after {what}.")
        if self._request == "kill":
            self._escalate(worker, now)
        elif self._request == "stop" and not self._has_begun and now - self._stop_asked_at >= EARLY_STOP_SECONDS:
            # It still imports or loads: there is nothing to save, and that may take minutes.
            self._escalate(worker, now)

    def _escalate(self, worker: subprocess.Popen[bytes], now: float) -> None:
        """Send SIGTERM to the worker's group and, when that does not help, SIGKILL."""
        if self._terminated_at is None:
            self._terminated_at = now
            send_to_group(worker.pid, signal.SIGTERM)
        elif now - self._terminated_at >= KILL_GRACE_SECONDS:
            send_to_group(worker.pid, signal.SIGKILL)

    def _finish(self, worker: subprocess.Popen[bytes]) -> JobStatus:
        """Record how the worker ended."""
        # Its loaders or further ranks may live on and keep the GPU. It is not reaped yet, so the group's id is its own.
        send_to_group(worker.pid, signal.SIGKILL)
        end = WorkerExit.of(worker.wait(), read_log_tail(self._folder.log_file))
        while self._read_events():
            pass
        outcome = decide(self._words, end, self._request, self._has_begun)
        if self._spec.kind in TASK_KINDS and outcome.state in ("crashed", "stopped"):
            hint = f"What is done stays done. Go on with `sao-tui dataset prepare --resume {self._folder.name}`."
            outcome = replace(outcome, hint=hint)
        return self._record(outcome, end)

    def _finish_unstarted(self, error: OSError | SaoError) -> JobStatus:
        """Record that the worker could not be started."""
        if isinstance(error, SaoError):
            outcome = Outcome("failed", error.message, error.hint)
        else:
            outcome = Outcome(
                "failed",
                f"The worker cannot be started: {error.strerror}: {self._command[0]}.",
                "Set [worker] python in sao.toml to an interpreter with torch and stable-audio-tools.",
            )
        return self._record(outcome, WorkerExit(None, None))

    def _record(self, outcome: Outcome, end: WorkerExit) -> JobStatus:
        """Write the job's end where everybody looks, and clear its requests."""
        if self._words is None or self._words.get("state") != outcome.state:
            step, steps = self._status.now.step, self._status.now.steps
            self._emit("state", state=outcome.state, step=step, steps=steps, reason=outcome.reason, hint=outcome.hint)
        self._status.change(
            state=outcome.state,
            reason=outcome.reason,
            hint=outcome.hint,
            exit_code=end.code,
            exit_signal=end.signal,
            log_tail=end.log_tail if outcome.state in ("failed", "crashed") else [],
        )
        try:
            self._status.write_last()
        except OSError as error:
            raise SaoError(
                f"Cannot write {self._folder.status_file}: {error.strerror}.", "Free some space on its disk."
            ) from error
        for request in self._folder.requests.glob("*"):
            request.unlink(missing_ok=True)
        return self._status.now

    def _emit(self, kind: EventKind, **fields: Any) -> None:
        """Append an event of ours; opened each time, so that a line the worker left torn is ended first."""
        try:
            writer = EventWriter(self._folder.events_file, self._clock)
            try:
                writer.write(kind, durable=kind == "state", **fields)
            finally:
                writer.close()
        except OSError:
            # A full disk: the job's end still gets its chance in status.json.
            pass


def _has_ended(worker: subprocess.Popen[bytes]) -> bool:
    """Return whether the worker has ended, leaving its entry in the process table for now."""
    return os.waitid(os.P_PID, worker.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
