"""Any of our processes killed at any moment: the job goes on or ends, and its state is told as it is."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from sao_tui.core.jobs import JobFolder, JobSpec, ProcessId
from sao_tui.services.jobs import Jobs, JobView
from sao_tui.services.liveness import is_lock_held
from sao_tui.services.telemetry import EventTail
from tests.fakes.jobs import FAKE_WORKER, TestBed, is_running, wait_for_step, wait_until

STARTER = """
import sys, time
from pathlib import Path
from sao_tui.core.settings import TrainSettings
from sao_tui.services.jobs import Jobs
from sao_tui.services.workspace import open_workspace
jobs = Jobs(open_workspace(Path(sys.argv[1])), worker_command=[sys.executable, sys.argv[2]])
print(jobs.start_train(TrainSettings(max_steps=100_000), {}, {}, name="one").name, flush=True)
time.sleep(600)
"""


@pytest.fixture
def bed(tmp_path: Path) -> Iterator[TestBed]:
    bed = TestBed(tmp_path / "workspace")
    yield bed
    bed.clean_up()


def identities(view: JobView) -> tuple[ProcessId, ProcessId]:
    status = view.folder.read_status()
    assert status.supervisor is not None
    assert status.worker is not None
    return status.supervisor, status.worker


def kill_hard(*processes: ProcessId) -> None:
    for process in processes:
        os.kill(process.pid, signal.SIGKILL)
    for process in processes:
        wait_until(lambda process=process: not process.is_alive(), what="the end of a killed process")


def kill_supervisor(view: JobView, supervisor: ProcessId) -> None:
    kill_hard(supervisor)
    # Its main thread is gone before the last of its threads lets go of the lock.
    wait_until(lambda: not is_lock_held(view.folder.lock_file))


def steps_of(folder: JobFolder) -> list[int]:
    return [event["step"] for event in EventTail(folder.events_file).read_new(1_000_000) if event["kind"] == "metric"]


def assert_goes_on(bed: TestBed, jobs: Jobs, name: str) -> None:
    before = jobs.get(name)
    wait_for_step(jobs, name, before.step + 10)
    jobs.stop(name)
    view = jobs.wait(name, timeout=20)
    assert view.state == "stopped"
    assert list(view.folder.checkpoints.iterdir())
    steps = steps_of(view.folder)
    assert steps == list(range(1, view.step + 1)), "the whole history is there"


def assert_is_detached(view: JobView) -> None:
    for process in identities(view):
        assert process.is_alive()
        assert os.getsid(process.pid) == process.pid
        for descriptor in (0, 1, 2):
            target = os.readlink(f"/proc/{process.pid}/fd/{descriptor}")
            assert target == "/dev/null" or target.startswith(str(view.path)), "a pipe or terminal would end it"


def test_a_job_survives_the_hangup_of_the_terminal_that_started_it(bed: TestBed) -> None:
    pid, terminal = pty.fork()
    if pid == 0:
        signal.signal(signal.SIGHUP, signal.SIG_DFL)  # Ignoring is inherited from whoever runs the tests.
        os.execv(sys.executable, [sys.executable, "-c", STARTER, str(bed.workspace.root), str(FAKE_WORKER)])
    jobs = bed.jobs()
    wait_until(lambda: (bed.workspace.runs_folder / "one" / "status.json").exists(), what="a started job")
    wait_for_step(jobs, "one", 3)
    os.close(terminal)  # The kernel sends SIGHUP to everybody in the terminal's session.
    wait_until(lambda: not is_running(pid), what="the end of the starter")
    _, how = os.waitpid(pid, 0)
    assert os.WTERMSIG(how) == signal.SIGHUP
    assert_is_detached(jobs.get("one"))
    assert_goes_on(bed, jobs, "one")


def test_a_job_survives_the_kill_of_the_process_that_started_it(bed: TestBed) -> None:
    starter = subprocess.Popen(
        [sys.executable, "-c", STARTER, str(bed.workspace.root), str(FAKE_WORKER)],
        stdout=subprocess.PIPE,
        start_new_session=True,
    )
    with starter:
        assert starter.stdout is not None
        assert starter.stdout.readline() == b"one\n"
        wait_for_step(bed.jobs(), "one", 3)
        os.killpg(starter.pid, signal.SIGKILL)
    assert_is_detached(bed.jobs().get("one"))
    assert_goes_on(bed, bed.jobs(), "one")


def test_a_worker_goes_on_without_its_supervisor_and_can_be_stopped(bed: TestBed) -> None:
    jobs, view = bed.start(max_steps=100_000)
    wait_for_step(jobs, view.name, 3)
    supervisor, worker = identities(view)
    kill_supervisor(view, supervisor)
    view = jobs.get(view.name)
    assert (view.state, view.pid) == ("running", worker.pid)
    assert "supervisor is gone" in view.reason
    assert jobs.latest_running() == jobs.get(view.name)
    assert_goes_on(bed, jobs, view.name)


def test_a_worker_that_finishes_without_its_supervisor_has_finished(bed: TestBed) -> None:
    jobs, view = bed.start(max_steps=150)
    wait_for_step(jobs, view.name, 3)
    supervisor, _ = identities(view)
    kill_supervisor(view, supervisor)
    view = jobs.wait(view.name, timeout=20)
    assert (view.state, view.step, view.pid) == ("finished", 150, None)


def test_a_worker_without_supervisor_that_heeds_nothing_can_be_killed(bed: TestBed) -> None:
    jobs, view = bed.start("--ignore-stop", max_steps=100_000)
    wait_for_step(jobs, view.name, 3)
    supervisor, worker = identities(view)
    kill_supervisor(view, supervisor)
    jobs.stop(view.name)
    assert jobs.get(view.name).state == "stopping"
    assert jobs.kill(view.name).state == "crashed"
    assert not worker.is_alive()


def test_a_killed_worker_is_told_as_such(bed: TestBed) -> None:
    jobs, view = bed.start(max_steps=100_000)
    wait_for_step(jobs, view.name, 3)
    _, worker = identities(view)
    kill_hard(worker)
    view = jobs.wait(view.name, timeout=20)
    assert (view.state, view.exit_signal) == ("crashed", 9)
    assert "killed by signal 9 (often the kernel's out-of-memory killer)" in view.reason
    assert view.log_tail == ("loading",)


def test_supervisor_and_worker_killed_together_leave_no_zombie_state(bed: TestBed) -> None:
    jobs, view = bed.start("--child", max_steps=100_000)
    wait_for_step(jobs, view.name, 3)
    child = int((view.path / "child.pid").read_text())
    jobs.stop(view.name)
    kill_hard(*identities(view))
    assert is_running(child)
    wait_until(lambda: not is_lock_held(view.folder.lock_file), what="a child of the worker must not hold the lock")
    assert jobs.get(view.name).state in ("crashed", "stopped")
    os.kill(child, signal.SIGKILL)


def test_two_stops_at_once_from_two_processes_are_one(bed: TestBed) -> None:
    jobs, view = bed.start(max_steps=100_000)
    wait_for_step(jobs, view.name, 3)
    code = (
        "import sys\nfrom pathlib import Path\n"
        "from sao_tui.services.jobs import Jobs\nfrom sao_tui.services.workspace import open_workspace\n"
        "Jobs(open_workspace(Path(sys.argv[1]))).stop(sys.argv[2])\n"
    )
    command = [sys.executable, "-c", code, str(bed.workspace.root), view.name]
    stops = [subprocess.Popen(command, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    for stop in stops:
        _, error = stop.communicate(timeout=20)
        assert stop.returncode == 0 or "stopped already" in error
    assert jobs.wait(view.name, timeout=20).state == "stopped"
    assert len(list(view.folder.checkpoints.iterdir())) == 1


def test_a_stuck_supervisor_does_not_keep_its_worker_alive(bed: TestBed) -> None:
    jobs, view = bed.start("--ignore-stop", max_steps=100_000)
    wait_for_step(jobs, view.name, 3)
    supervisor, worker = identities(view)
    os.kill(supervisor.pid, signal.SIGSTOP)
    later = Jobs(bed.workspace, clock=lambda: time.time() + 120)
    assert later.get(view.name).state == "running", "the worker does run"
    later.kill(view.name)
    wait_until(lambda: not supervisor.is_alive() and not worker.is_alive())
    wait_until(lambda: later.get(view.name).state == "crashed")


@pytest.mark.parametrize("delay_seconds", [0.0, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4])
def test_a_supervisor_killed_while_it_starts_leaves_no_worker_unknown(bed: TestBed, delay_seconds: float) -> None:
    folder = JobFolder(bed.workspace.runs_folder / "one")
    folder.create(JobSpec("train", time.time(), {"max_steps": 100_000}, {}, {}, sys.executable))
    command = [sys.executable, "-m", "sao_tui.supervisor", str(folder.path), sys.executable, str(FAKE_WORKER)]
    with subprocess.Popen(command, start_new_session=True, stderr=subprocess.DEVNULL) as supervisor:
        time.sleep(delay_seconds)  # The moment of the kill is what is tried out here.
        supervisor.kill()
    jobs = Jobs(bed.workspace)

    def is_over() -> bool:
        # A worker that was not quite started when its supervisor died shows up an instant later.
        if jobs.get("one").pid is not None:
            jobs.kill("one")
        processes = [entry for entry in Path("/proc").iterdir() if entry.name.isdecimal()]
        return not any(names_job(entry, folder) for entry in processes)

    wait_until(is_over)
    assert Jobs(bed.workspace, clock=lambda: time.time() + 120).get("one").state == "crashed"


def names_job(entry: Path, folder: JobFolder) -> bool:
    try:
        return str(folder.path).encode() in (entry / "cmdline").read_bytes().split(b"\0")
    except OSError:
        return False
