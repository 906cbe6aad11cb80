from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from sao_tui.core.errors import SaoError
from sao_tui.core.events import EventWriter
from sao_tui.core.files import write_json
from sao_tui.core.jobs import JobFolder, JobSpec, ProcessId
from sao_tui.core.settings import EncodeSettings, TrainSettings
from sao_tui.services.jobs import Jobs
from sao_tui.services.worker_process import JOB_VARIABLE, end_group
from sao_tui.services.workspace import init_workspace, save_settings
from tests.fakes.jobs import TestBed, is_running, wait_for_state, wait_for_step, wait_until


@pytest.fixture
def bed(tmp_path: Path) -> Iterator[TestBed]:
    bed = TestBed(tmp_path / "workspace")
    yield bed
    bed.clean_up()


def make_job(runs: Path, name: str = "one", created: float = 1_000.0) -> JobFolder:
    folder = JobFolder(runs / name)
    folder.create(JobSpec("train", created, {"max_steps": 10}, {}, {}, sys.executable))
    return folder


def test_a_job_runs_to_its_end(bed: TestBed) -> None:
    jobs, view = bed.start()
    assert view.state in ("starting", "running", "finished")
    polled: list[str] = []
    view = jobs.wait(view.name, timeout=20, on_poll=lambda each: polled.append(each.state))
    assert (view.state, view.step, view.steps, view.reason) == ("finished", 5, 5, "")
    assert view.pid is None
    assert polled[-1] == "finished"


def test_an_encode_job_counts_clips(bed: TestBed) -> None:
    jobs = bed.jobs("--kind", "encode")
    view = jobs.start_encode(EncodeSettings("models/base.ckpt", "latents"), {}, {})
    view = jobs.wait(view.name, timeout=20)
    assert (view.kind, view.state, view.step, view.steps) == ("encode", "finished", 5, 5)


def test_a_stop_saves_first_and_two_stops_at_once_are_one(bed: TestBed) -> None:
    jobs, view = bed.start(max_steps=100_000)
    wait_for_step(jobs, view.name, 3)
    assert jobs.get(view.name).pid is not None
    jobs.stop(view.name)
    jobs.stop(view.name)
    view = jobs.wait(view.name, timeout=20)
    assert view.state == "stopped"
    assert list(view.folder.checkpoints.iterdir()) == [view.folder.checkpoints / f"step={view.step:08d}.ckpt"]
    wait_until(lambda: not list(view.folder.requests.iterdir()), what="requests are cleared")


def test_a_kill_ends_a_worker_that_heeds_neither_stop_nor_sigterm(bed: TestBed) -> None:
    jobs, view = bed.start("--ignore-stop", "--ignore-term", max_steps=100_000)
    wait_for_step(jobs, view.name, 1)
    assert jobs.stop(view.name).state in ("running", "stopping")
    wait_for_state(jobs, view.name, "stopping")
    jobs.kill(view.name)
    view = jobs.wait(view.name, timeout=20)
    assert (view.state, view.exit_signal) == ("stopped", 9)
    assert "Killed on request" in view.reason


def test_what_has_ended_can_be_neither_stopped_nor_killed(bed: TestBed) -> None:
    jobs, view = bed.start()
    jobs.wait(view.name, timeout=20)
    for ask in (jobs.stop, jobs.kill):
        with pytest.raises(SaoError, match="it is finished already"):
            ask(view.name)


def test_jobs_are_listed_newest_first_and_the_running_one_is_found(tmp_path: Path) -> None:
    workspace = init_workspace(tmp_path)
    for name, created in (("old", 10.0), ("new", 30.0), ("middle", 20.0)):
        folder = make_job(workspace.runs_folder, name, created)
        write_json(folder.status_file, {"state": "finished"})
    (workspace.runs_folder / "not a job").mkdir()
    jobs = Jobs(workspace)
    assert [view.name for view in jobs.list()] == ["new", "middle", "old"]
    assert jobs.latest_running() is None


def test_a_workspace_without_runs_has_no_jobs(tmp_path: Path) -> None:
    workspace = init_workspace(tmp_path)
    workspace.runs_folder.rmdir()
    assert Jobs(workspace).list() == []


def test_an_unknown_job_is_an_error_with_a_way_out(tmp_path: Path) -> None:
    for name in ("nope", "../dataset", ""):
        with pytest.raises(SaoError) as caught:
            Jobs(init_workspace(tmp_path)).get(name)
        assert caught.value.hint


def test_a_job_with_a_broken_description_is_listed_as_such(tmp_path: Path) -> None:
    workspace = init_workspace(tmp_path)
    folder = make_job(workspace.runs_folder)
    folder.job_file.write_text("{")
    (view,) = Jobs(workspace).list()
    assert view.state == "crashed"
    assert "job.json" in view.reason


@pytest.mark.parametrize("name", ["a/b", "..", ".hidden", "", "x" * 200])
def test_a_name_that_cannot_be_a_folder_is_refused(tmp_path: Path, name: str) -> None:
    workspace = init_workspace(tmp_path)
    with pytest.raises(SaoError, match="cannot name a job"):
        Jobs(workspace).start_train(TrainSettings(), {}, {}, name=name)
    assert list(workspace.runs_folder.iterdir()) == []


def test_a_name_in_use_is_refused(bed: TestBed) -> None:
    jobs = bed.jobs()
    assert jobs.start_train(TrainSettings(max_steps=1), {}, {}, name="kick-1").name == "kick-1"
    with pytest.raises(SaoError, match="already"):
        jobs.start_train(TrainSettings(max_steps=1), {}, {}, name="kick-1")


def test_two_jobs_in_one_second_get_names_of_their_own(bed: TestBed) -> None:
    jobs = Jobs(bed.workspace, clock=lambda: 1_700_000_000.0, worker_command=bed.jobs()._worker_command)
    names = {jobs.start_train(TrainSettings(max_steps=1), {}, {}).name for _ in range(2)}
    assert len(names) == 2


def test_what_was_asked_is_kept_with_absolute_paths(bed: TestBed) -> None:
    settings = TrainSettings(base_weights="models/base.ckpt", latents="latents", max_steps=1)
    dataset = {"datasets": [{"id": "a", "path": "dataset", "custom_metadata_module": "/elsewhere/module.py"}]}
    view = bed.jobs().start_train(settings, {"model_type": "x"}, dataset)
    root = bed.workspace.root
    spec = view.folder.read_spec()
    assert spec.settings["base_weights"] == str(root / "models/base.ckpt")
    assert spec.settings["latents"] == str(root / "latents")
    assert spec.settings["resume_from"] is None
    assert spec.dataset_config["datasets"][0]["path"] == str(root / "dataset")
    assert spec.dataset_config["datasets"][0]["custom_metadata_module"] == "/elsewhere/module.py"
    assert dataset["datasets"][0]["path"] == "dataset"


def test_the_worker_finds_the_text_encoder_offline_and_no_wandb(bed: TestBed) -> None:
    save_settings(bed.workspace, **{"model.text_encoder_home": "models/huggingface"})
    jobs, view = bed.start(max_steps=1)
    jobs.wait(view.name, timeout=20)
    environment = json.loads((view.path / "environment.json").read_text())
    assert environment["HF_HOME"] == str(bed.workspace.root / "models/huggingface")
    assert environment["HF_HUB_OFFLINE"] == "1"
    assert environment["WANDB_MODE"] == "disabled"
    assert environment["PYTHONUNBUFFERED"] == "1"


def test_another_interpreter_sees_our_package_and_nothing_else_of_our_environment(bed: TestBed) -> None:
    other = bed.workspace.root / "other-python"
    other.symlink_to(sys.executable)
    save_settings(bed.workspace, **{"worker.python": str(other)})
    jobs, view = bed.start(max_steps=1)
    assert jobs.wait(view.name, timeout=20).state == "finished"
    folder = json.loads((view.path / "environment.json").read_text())["PYTHONPATH"].split(os.pathsep)[0]
    assert os.listdir(folder) == ["sao_tui"]


def test_a_worker_python_that_is_not_there_is_named(bed: TestBed) -> None:
    save_settings(bed.workspace, **{"worker.python": "/nowhere/python"})
    jobs = Jobs(bed.workspace)
    view = jobs.wait(jobs.start_train(TrainSettings(), {}, {}).name, timeout=20)
    assert view.state == "failed"
    assert "/nowhere/python" in view.reason
    assert "[worker] python" in view.hint


def test_a_job_whose_supervisor_never_came_is_crashed_after_a_while(tmp_path: Path) -> None:
    workspace = init_workspace(tmp_path)
    folder = make_job(workspace.runs_folder, created=1_000.0)
    (folder.path / "supervisor.log").write_text("Segmentation fault\n")
    assert Jobs(workspace, clock=lambda: 1_001.0).get("one").state == "starting"
    view = Jobs(workspace, clock=lambda: 1_100.0).get("one")
    assert (view.state, view.log_tail) == ("crashed", ("Segmentation fault",))


def record(folder: JobFolder, **status: object) -> None:
    write_json(folder.status_file, {"state": "running", "step": 3, "heartbeat": 1_000.0, **status})


def identity(pid: int, **changes: object) -> dict[str, object]:
    process = ProcessId.of(pid)
    assert process is not None
    return {"pid": pid, "start_ticks": process.start_ticks, "boot_id": process.boot_id, **changes}


def test_a_recycled_pid_is_nobody_we_know_and_is_left_alone(tmp_path: Path) -> None:
    workspace = init_workspace(tmp_path)
    folder = make_job(workspace.runs_folder)
    with subprocess.Popen(["sleep", "60"], start_new_session=True) as stranger:
        try:
            recycled = identity(stranger.pid, start_ticks=1)
            record(folder, worker=recycled, supervisor=recycled)
            view = Jobs(workspace, clock=lambda: 1_001.0).get("one")
            assert (view.state, view.pid) == ("crashed", None)
            end_group(ProcessId(stranger.pid, 1, str(recycled["boot_id"])))
            with pytest.raises(subprocess.TimeoutExpired):
                stranger.wait(timeout=0.5)
        finally:
            stranger.kill()


def test_a_worker_that_ended_unseen_has_the_state_that_it_wrote(tmp_path: Path) -> None:
    workspace = init_workspace(tmp_path)
    folder = make_job(workspace.runs_folder)
    record(folder, supervisor={"pid": 4_000_000, "start_ticks": 1, "boot_id": "gone"})
    events = EventWriter(folder.events_file)
    events.write("metric", step=9)
    events.write("state", state="failed", step=9, reason="The dataset is gone.", hint="Bring it back.")
    events.close()
    view = Jobs(workspace, clock=lambda: 2_000.0).get("one")
    assert (view.state, view.step, view.reason, view.hint) == ("failed", 9, "The dataset is gone.", "Bring it back.")


def test_a_worker_that_ended_unseen_without_a_word_has_crashed(tmp_path: Path) -> None:
    workspace = init_workspace(tmp_path)
    folder = make_job(workspace.runs_folder)
    record(folder, supervisor={"pid": 4_000_000, "start_ticks": 1, "boot_id": "gone"})
    folder.log_file.write_text("Traceback (most recent call last):\nRuntimeError: shapes do not match\n")
    view = Jobs(workspace, clock=lambda: 2_000.0).get("one")
    assert view.state == "crashed"
    assert "RuntimeError: shapes do not match" in view.reason


def test_a_silent_supervisor_without_a_worker_hangs_and_a_kill_frees_the_job(tmp_path: Path) -> None:
    workspace = init_workspace(tmp_path)
    folder = make_job(workspace.runs_folder)
    code = (
        "import fcntl, sys, time\n"
        "file = open(sys.argv[1], 'w')\n"
        "fcntl.flock(file, fcntl.LOCK_EX)\n"
        "print('held', flush=True)\n"
        "time.sleep(60)\n"
    )
    holder = subprocess.Popen(
        [sys.executable, "-c", code, str(folder.lock_file)], stdout=subprocess.PIPE, start_new_session=True
    )
    with holder:
        try:
            assert holder.stdout is not None
            assert holder.stdout.readline() == b"held\n"
            record(folder, supervisor=identity(holder.pid))
            assert Jobs(workspace, clock=lambda: 1_030.0).get("one").state == "running"
            jobs = Jobs(workspace, clock=lambda: 1_070.0)
            assert jobs.get("one").state == "hung"
            assert jobs.wait("one", timeout=5).state == "hung"
            assert jobs.latest_running() is None
            assert jobs.stop("one").state == "crashed"
            assert not is_running(holder.pid)
        finally:
            holder.kill()


def test_a_worker_that_nobody_wrote_down_is_found_by_its_environment(tmp_path: Path) -> None:
    """The supervisor was killed in the instant between starting it and recording its pid."""
    workspace = init_workspace(tmp_path)
    folder = make_job(workspace.runs_folder)
    record(folder, state="starting", step=0)
    environment = {**os.environ, JOB_VARIABLE: str(folder.path.resolve())}
    with subprocess.Popen(["sleep", "60"], start_new_session=True, env=environment) as worker:
        try:
            jobs = Jobs(workspace, clock=lambda: 2_000.0)
            assert (jobs.get("one").state, jobs.get("one").pid) == ("starting", worker.pid)
            jobs.kill("one")
            assert worker.wait(timeout=10) == -15
        finally:
            worker.kill()
    assert jobs.get("one").state == "crashed"


def test_a_job_on_another_machine_is_believed_while_its_heart_beats(tmp_path: Path) -> None:
    workspace = init_workspace(tmp_path)
    folder = make_job(workspace.runs_folder)
    record(folder, supervisor={"pid": 12, "start_ticks": 1, "boot_id": "another machine"})
    assert Jobs(workspace, clock=lambda: 1_010.0).get("one").state == "running"
    assert Jobs(workspace, clock=lambda: 1_100.0).get("one").state == "crashed"


def test_looking_at_a_job_changes_nothing_on_disk(tmp_path: Path) -> None:
    workspace = init_workspace(tmp_path)
    folder = make_job(workspace.runs_folder)
    record(folder)
    before = sorted(path for path in tmp_path.rglob("*"))
    Jobs(workspace).list()
    assert sorted(path for path in tmp_path.rglob("*")) == before


def test_starting_waits_only_for_the_first_word_of_the_supervisor(bed: TestBed) -> None:
    started = time.monotonic()
    bed.start("--load-seconds", "30")
    assert time.monotonic() - started < 10


def test_the_services_of_jobs_import_neither_torch_nor_numpy_nor_textual() -> None:
    code = (
        "import sys, sao_tui.services.jobs, sao_tui.services.gpu, sao_tui.services.generation\n"
        "import sao_tui.supervisor.supervise, sao_tui.services.telemetry\n"
        "print([m for m in ('torch', 'numpy', 'textual', 'pydantic', 'pynvml', 'soundfile') if m in sys.modules])"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"


def test_a_supervisor_that_does_not_start_is_told_with_its_last_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = tmp_path / "broken-python"
    broken.write_text("#!/bin/sh\necho it is broken >&2\nexit 1\n")
    broken.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(broken))
    with pytest.raises(SaoError, match="it is broken"):
        Jobs(init_workspace(tmp_path / "workspace")).start_train(TrainSettings(), {}, {})
