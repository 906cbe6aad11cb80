"""A prepare job that is killed, stopped or starved: whole files only, and the same job goes on."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import soundfile

from sao_tui.core.errors import SaoError
from sao_tui.services.bundle import Services
from sao_tui.services.clips import refresh
from sao_tui.services.prepare_finish import read_report
from sao_tui.services.prepare_jobs import default_settings, resume_prepare, start_prepare
from tests.fakes.clips import files_below, read_lines, sound_workspace, tone, write_clip, write_lines
from tests.fakes.jobs import wait_until

NUM_CLIPS = 40


@pytest.fixture
def services(tmp_path: Path) -> Iterator[Services]:
    made = sound_workspace(tmp_path / "workspace")
    lines = []
    for number in range(NUM_CLIPS):
        write_clip(
            made.workspace.dataset_folder / f"{number:02}.wav", tone(2.0, hz=200 + number, rate_hz=22_050), 22_050
        )
        lines.append({"audio_path": f"{number:02}.wav", "text": f"tone {number}"})
    write_lines(made.workspace.metadata_file, *lines)
    yield made
    for view in made.jobs.list():
        status = view.folder.read_status()
        for process in (status.worker, status.supervisor):
            if process is not None and process.is_alive():
                os.killpg(process.pid, signal.SIGKILL)


def clips(services: Services) -> list[str]:
    refresh(services.clips, services.captions)
    return [row.relpath for row in services.clips.rows(services.clips.ids())]


def output_of(services: Services) -> Path:
    return services.workspace.root / "dataset-prepared"


def all_whole(folder: Path) -> bool:
    names = [name for name in files_below(folder) if name.endswith(".wav") and not Path(name).name.startswith(".")]
    return all(soundfile.read(folder / name)[0].shape[0] == 88_200 for name in names)


def test_a_job_killed_at_any_moment_leaves_whole_files_and_is_resumed(services: Services) -> None:
    job = start_prepare(services, clips(services), default_settings(services.workspace))
    moment = random.Random(4)
    for _ in range(3):
        wait_until(lambda name=job.name: services.jobs.get(name).pid is not None or services.jobs.get(name).is_final)
        time.sleep(moment.uniform(0.3, 0.9))
        pid = services.jobs.get(job.name).pid
        if pid is None:
            break
        os.kill(pid, signal.SIGKILL)
        ended = services.jobs.wait(job.name, timeout=20)
        assert ended.state in ("crashed", "finished")
        if ended.state == "finished":
            break
        assert "--resume" in ended.hint
        assert all_whole(output_of(services)) if output_of(services).exists() else True
        job = resume_prepare(services, job.name)
    ended = services.jobs.wait(job.name, timeout=60)
    assert ended.state == "finished", ended
    assert (ended.step, ended.steps) == (NUM_CLIPS, NUM_CLIPS)
    records = read_lines(output_of(services) / "metadata.jsonl")
    assert {record["text"] for record in records.values()} == {f"tone {number}" for number in range(NUM_CLIPS)}
    assert all_whole(output_of(services))
    assert not list(output_of(services).rglob("*.part")), "what the killed jobs left is gone"


def test_stopping_leaves_a_folder_that_can_be_used(services: Services) -> None:
    job = start_prepare(services, clips(services), default_settings(services.workspace))
    wait_until(lambda: services.jobs.get(job.name).step >= 2 or services.jobs.get(job.name).is_final)
    if not services.jobs.get(job.name).is_final:
        services.jobs.stop(job.name)
    ended = services.jobs.wait(job.name, timeout=30)
    assert ended.state in ("stopped", "finished")
    names = [name for name in files_below(output_of(services)) if name.endswith(".wav")]
    assert set(read_lines(output_of(services) / "metadata.jsonl")) == set(names)
    report = read_report(job.path)
    assert report is not None and report.num_files == len(names)
    assert not list(output_of(services).rglob("*.part"))


def test_a_job_whose_every_clip_is_bad_says_so_and_goes_through(services: Services) -> None:
    for path in services.workspace.dataset_folder.glob("*.wav"):
        path.write_bytes(path.read_bytes()[:30])
    argv = [
        sys.executable,
        "-m",
        "sao_tui",
        "-w",
        str(services.workspace.root),
        "dataset",
        "prepare",
        "--wait",
        "--json",
    ]
    done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120)
    assert done.returncode == 1, done.stderr
    document = json.loads(done.stdout)
    assert (document["state"], document["ok"], document["num_failed"]) == ("finished", False, NUM_CLIPS)
    assert len(document["findings"]) == NUM_CLIPS
    assert document["findings"][0]["id"] == "clip-unreadable"
    assert "Traceback" not in done.stderr


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes into read-only folders")
def test_a_read_only_output_fails_with_its_name(services: Services) -> None:
    output_of(services).mkdir(mode=0o500)
    job = start_prepare(services, clips(services), default_settings(services.workspace))
    ended = services.jobs.wait(job.name, timeout=30)
    assert ended.state == "failed"
    assert str(output_of(services)) in ended.reason


def test_an_output_that_is_no_folder_fails_before_the_job(services: Services) -> None:
    output_of(services).touch()
    with pytest.raises(SaoError, match="is a file"):
        start_prepare(services, clips(services), default_settings(services.workspace))


def test_a_job_that_runs_or_is_of_another_kind_is_not_resumed(services: Services) -> None:
    with pytest.raises(SaoError, match="no job named"):
        resume_prepare(services, "nothing")
