"""Jobs whose worker is the fake one."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

from sao_tui.core.jobs import FINAL_STATES, JobFolder
from sao_tui.core.settings import TrainSettings
from sao_tui.services.jobs import Jobs, JobView
from sao_tui.services.workspace import Workspace, init_workspace

FAKE_WORKER = Path(__file__).with_name("fake_worker.py")


def fake_jobs(workspace: Workspace, *options: str) -> Jobs:
    return Jobs(workspace, worker_command=[sys.executable, str(FAKE_WORKER), *options])


def settings(max_steps: int = 5) -> TrainSettings:
    return TrainSettings(max_steps=max_steps)


def wait_until(is_so: Callable[[], bool], seconds: float = 20.0, what: str = "") -> None:
    deadline = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < deadline, f"not so after {seconds} s: {what or is_so}"
        time.sleep(0.02)


def wait_for_state(jobs: Jobs, name: str, *states: str, seconds: float = 20.0) -> JobView:
    deadline = time.monotonic() + seconds
    while (view := jobs.get(name)).state not in states:
        assert time.monotonic() < deadline, f"{view} never became {states}"
        assert view.state not in FINAL_STATES, f"{view} ended instead of becoming {states}"
        time.sleep(0.02)
    return view


def wait_for_step(jobs: Jobs, name: str, step: int) -> JobView:
    wait_until(lambda: jobs.get(name).step >= step, what=f"step {step} of {name}")
    return jobs.get(name)


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] not in ("Z", "X")
    except OSError:
        return False


class TestBed:
    """A workspace and the jobs started in it; whatever still runs at the end is killed."""

    __test__ = False

    def __init__(self, root: Path) -> None:
        self.workspace = init_workspace(root)

    def jobs(self, *options: str) -> Jobs:
        return fake_jobs(self.workspace, *options)

    def start(self, *options: str, max_steps: int = 5) -> tuple[Jobs, JobView]:
        jobs = self.jobs(*options)
        return jobs, jobs.start_train(settings(max_steps), {}, {})

    def clean_up(self) -> None:
        for view in self.jobs().list():
            if view.pid is not None:  # Also a worker that nobody wrote down.
                with contextlib.suppress(OSError):
                    os.killpg(view.pid, signal.SIGKILL)
        for job in self.workspace.runs_folder.glob("*"):
            status = JobFolder(job).read_status()
            for process in (status.supervisor, status.worker):
                if process is not None and process.is_alive():
                    with contextlib.suppress(OSError):
                        os.killpg(process.pid, signal.SIGKILL)
