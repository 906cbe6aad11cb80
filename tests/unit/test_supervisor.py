from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from sao_tui.core.errors import SaoError
from sao_tui.core.jobs import JobFolder, JobSpec, JobStatus, ProcessId
from sao_tui.services.jobs import Jobs
from sao_tui.services.telemetry import EventTail
from sao_tui.supervisor.outcome import WorkerExit, decide
from sao_tui.supervisor.status import StatusFile
from sao_tui.supervisor.supervise import supervise
from tests.fakes.jobs import TestBed, is_running, wait_for_step, wait_until


@pytest.fixture
def bed(tmp_path: Path) -> Iterator[TestBed]:
    bed = TestBed(tmp_path / "workspace")
    yield bed
    bed.clean_up()


def events_of(folder: JobFolder, kind: str) -> list[dict[str, object]]:
    return [event for event in EventTail(folder.events_file).read_new() if event["kind"] == kind]


@pytest.mark.parametrize(
    ("how", "state", "reason"),
    [
        ("failed", "failed", "The dataset is gone."),
        ("exception", "crashed", "RuntimeError: shapes do not match"),
        ("cuda", "crashed", "The GPU ran out of memory."),
        ("disk", "crashed", "The disk is full."),
        ("module", "crashed", "does not have the module no_such_torch"),
        ("segfault", "crashed", "killed by signal 11 (SIGSEGV)"),
        ("torn", "crashed", "killed by signal 9 (often the kernel's out-of-memory killer)"),
        ("exit-0", "crashed", "without saying that it had finished (exit code 0)"),
        ("exit-3", "crashed", "exit code 3"),
        ("finished-then-segfault", "finished", ""),
    ],
)
def test_each_ending_is_told_in_a_sentence(bed: TestBed, how: str, state: str, reason: str) -> None:
    jobs, view = bed.start("--end", how, max_steps=2)
    view = jobs.wait(view.name, timeout=30)
    assert (view.state, view.step) == (state, 2)
    assert reason in view.reason
    if state != "finished":
        assert view.hint
        assert view.log_tail
    last = events_of(view.folder, "state")[-1]
    assert (last["state"], last.get("reason", "")) == (view.state, view.reason)


def test_a_stop_while_the_worker_loads_does_not_wait_for_it(bed: TestBed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sao_tui.supervisor.supervise.EARLY_STOP_SECONDS", 0.3)
    jobs = bed.jobs()
    folder = JobFolder(bed.workspace.runs_folder / "one")
    folder.create(JobSpec("train", 1.0, {"max_steps": 5}, {}, {}, sys.executable))
    (folder.requests / "stop").touch()
    status = supervise(folder, [*jobs._worker_command, "--load-seconds", "60"])
    assert (status.state, status.exit_signal) == ("stopped", 15)
    assert "before the first step" in status.reason


def test_what_the_worker_leaves_behind_is_ended_with_it(bed: TestBed) -> None:
    jobs, view = bed.start("--child", "--end", "exception", max_steps=2)
    view = jobs.wait(view.name, timeout=20)
    child = int((view.path / "child.pid").read_text())
    wait_until(lambda: not is_running(child))


def test_readings_are_written_while_nobody_watches(bed: TestBed) -> None:
    jobs, view = bed.start(max_steps=100_000)
    wait_until(lambda: bool(events_of(view.folder, "gpu")))
    jobs.stop(view.name)
    jobs.wait(view.name, timeout=20)
    reading = events_of(view.folder, "gpu")[0]
    assert isinstance(reading["gpus"], list)
    assert reading["ram_total_bytes"] > reading["ram_used_bytes"] > 0  # type: ignore[operator]
    assert reading["disk_free_bytes"]


def test_the_status_follows_the_steps(bed: TestBed) -> None:
    jobs, view = bed.start(max_steps=100_000)
    first = wait_for_step(jobs, view.name, 1).step
    assert wait_for_step(jobs, view.name, first + 20).state == "running"
    status = view.folder.read_status()
    assert status.supervisor is not None
    assert status.worker is not None
    assert status.supervisor.pid != status.worker.pid


def test_a_job_has_one_supervisor_at_a_time(bed: TestBed) -> None:
    jobs, view = bed.start(max_steps=100_000)
    wait_for_step(jobs, view.name, 1)
    worker = view.folder.read_status().worker
    with pytest.raises(SaoError, match="supervised already"):
        supervise(view.folder, jobs._worker_command)
    assert view.folder.read_status().worker == worker


def test_a_job_that_has_ended_is_not_run_again(bed: TestBed) -> None:
    jobs, view = bed.start(max_steps=1)
    jobs.wait(view.name, timeout=20)
    with pytest.raises(SaoError, match="ended already"):
        supervise(view.folder, jobs._worker_command)


def test_a_folder_that_is_no_job_is_refused_in_words(tmp_path: Path) -> None:
    # A process of its own: the supervisor changes how signals are taken.
    (tmp_path / "job.json").write_text("{}")
    command = [sys.executable, "-m", "sao_tui.supervisor"]
    for arguments, words in (([], "sao_tui.supervisor JOB"), ([str(tmp_path)], "is not a job description")):
        ended = subprocess.run([*command, *arguments], capture_output=True, text=True, check=False)
        assert ended.returncode == 2
        assert words in ended.stderr
        assert "Traceback" not in ended.stderr


def test_a_terminated_supervisor_stops_the_job_with_a_checkpoint(bed: TestBed) -> None:
    jobs, view = bed.start(max_steps=100_000)
    wait_for_step(jobs, view.name, 2)
    supervisor = view.folder.read_status().supervisor
    assert supervisor is not None
    os.kill(supervisor.pid, signal.SIGTERM)
    view = jobs.wait(view.name, timeout=20)
    assert view.state == "stopped"
    assert list(view.folder.checkpoints.iterdir())


class Clock:
    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


def test_progress_is_written_at_most_once_a_second_and_a_state_at_once(tmp_path: Path) -> None:
    folder, clock = JobFolder(tmp_path), Clock()
    status = StatusFile(folder, JobStatus("starting"), clock)
    status.write_if_due()
    clock.now += 0.2
    status.change(step=1)
    status.write_if_due()
    assert folder.read_status().step == 0
    status.change(state="running")
    status.write_if_due()
    assert (folder.read_status().state, folder.read_status().step) == ("running", 1)
    status.change(step=2)
    clock.now += 1.0
    status.write_if_due()
    assert folder.read_status().step == 2


def test_the_heart_beats_without_news_and_when_the_clock_is_set_back(tmp_path: Path) -> None:
    folder, clock = JobFolder(tmp_path), Clock()
    status = StatusFile(folder, JobStatus("running"), clock)
    status.write_if_due()
    clock.now += 5.0
    status.write_if_due()
    assert folder.read_status().heartbeat == clock.now
    clock.now -= 3_600
    status.write_if_due()
    assert folder.read_status().heartbeat == clock.now


def test_a_full_disk_does_not_end_the_supervisor_and_the_end_is_written_when_there_is_space(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = JobFolder(tmp_path)
    status = StatusFile(folder, JobStatus("running"), Clock())
    failures = [OSError(28, "No space left on device")] * 2

    def write(path: Path, value: object, *, durable: bool) -> None:
        if failures:
            raise failures.pop()
        path.write_text(json.dumps(value))

    monkeypatch.setattr("sao_tui.supervisor.status.write_json", write)
    monkeypatch.setattr("time.sleep", lambda _seconds: None)
    status.write_if_due()
    status.change(state="finished")
    status.write_last()
    assert folder.read_status().state == "finished"


def test_a_final_word_is_believed_whatever_the_exit_code() -> None:
    words = {"state": "finished", "reason": None}
    assert decide(words, WorkerExit(1, None), None, True).state == "finished"
    assert decide({"state": "running"}, WorkerExit(0, None), None, True).state == "crashed"


def test_a_crash_while_loading_is_a_crash_also_when_a_stop_was_asked() -> None:
    end = WorkerExit(1, None, ["ModuleNotFoundError: No module named 'torch'"])
    outcome = decide({"state": "starting"}, end, "stop", False)
    assert outcome.state == "crashed"
    assert "torch" in outcome.reason


def test_a_worker_killed_by_its_user_was_stopped() -> None:
    outcome = decide({"state": "running"}, WorkerExit(None, 9), "kill", True)
    assert outcome.state == "stopped"


def test_a_status_round_trips_with_its_processes(tmp_path: Path) -> None:
    folder = JobFolder(tmp_path)
    process = ProcessId(1, 2, "boot")
    status = StatusFile(folder, JobStatus("running", supervisor=process, worker=process), Clock())
    status.write_if_due()
    assert folder.read_status() == status.now


def test_the_list_of_jobs_shows_what_the_supervisor_recorded(bed: TestBed) -> None:
    jobs, view = bed.start("--end", "exit-3", max_steps=1)
    jobs.wait(view.name, timeout=20)
    assert [(each.name, each.exit_code) for each in Jobs(bed.workspace).list()] == [(view.name, 3)]
