"""The real dashboard in a real terminal, keys only: from a folder of clips to a generated one."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from sao_tui.services.jobs import Jobs, JobView
from sao_tui.services.workspace import open_workspace
from tests.e2e.tmux import Tmux, needs_tmux

pytestmark = [pytest.mark.e2e, pytest.mark.worker, pytest.mark.system, needs_tmux]

TRAINED = "step=00000004.ckpt"


@pytest.fixture(scope="session")
def prepared_demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("prepared") / "demo"
    argv = [sys.executable, "-m", "sao_tui", "demo", str(root), "--prepare-only"]
    subprocess.run(argv, stdin=subprocess.DEVNULL, check=True, timeout=120)
    return root


@pytest.fixture
def workspace(prepared_demo: Path, tmp_path: Path) -> Path:
    """Return a demo workspace of one's own, for a run of four steps."""
    root = shutil.copytree(prepared_demo, tmp_path / "demo")
    settings = root / "configs" / "train.toml"
    settings.write_text(settings.read_text().replace("batch_size = 16", "batch_size = 4"))
    config = root / "configs" / "dataset_config.json"
    config.write_text(config.read_text().replace(str(prepared_demo), str(root)))
    return root


def dashboard(workspace: Path, columns: int, rows: int) -> Tmux:
    argv = [sys.executable, "-m", "sao_tui", str(workspace)]
    return Tmux(argv, columns=columns, rows=rows, cwd=workspace.parent)


def set_steps(terminal: Tmux, workspace: Path, steps: int) -> None:
    """Change the number of steps on the config screen and write it."""
    terminal.keys("2")
    terminal.wait_for("[2 Config]", "base weights")
    terminal.press("/")
    terminal.type("max_steps")
    terminal.press("Enter")
    terminal.press("Enter")
    terminal.press("C-u")
    terminal.type(str(steps))
    terminal.press("Enter")
    terminal.keys("w")
    settings = workspace / "configs" / "train.toml"
    terminal.wait_until(lambda _: f"max_steps = {steps}\n" in settings.read_text(), "the written setting")


def start_training(terminal: Tmux) -> None:
    terminal.keys("3")
    terminal.wait_for("No run yet")
    terminal.keys("s")
    terminal.wait_for("Start this run?", seconds=60)
    terminal.keys("y")


def only_job(workspace: Path) -> JobView:
    (job,) = Jobs(open_workspace(workspace)).list()
    return job


def step(workspace: Path) -> int:
    """Return the step of the only job, 0 before there is one."""
    return max((job.step for job in Jobs(open_workspace(workspace)).list()), default=0)


@pytest.mark.parametrize(("columns", "rows"), [(120, 36), (80, 24)])
def test_from_a_caption_to_a_generated_clip_with_keys_alone(workspace: Path, columns: int, rows: int) -> None:
    with dashboard(workspace, columns, rows) as terminal:
        terminal.wait_for("1 Dataset", ".wav")
        terminal.press("Enter")
        terminal.press("C-u")
        terminal.type("a caption typed by hand")
        terminal.keys("Enter")
        metadata = workspace / "dataset" / "metadata.jsonl"
        terminal.wait_until(lambda _: "a caption typed by hand" in metadata.read_text(), "the saved caption")
        assert all(json.loads(line)["text"] for line in metadata.read_text().splitlines())

        set_steps(terminal, workspace, 4)
        start_training(terminal)
        terminal.wait_for("finished", "4/4", seconds=240)
        assert (only_job(workspace).path / "checkpoints" / TRAINED).is_file()

        terminal.keys("4")
        terminal.wait_for("training", "resume from it")
        terminal.keys("E")
        terminal.wait_for("Export which weights?")
        terminal.keys("e")
        terminal.wait_for("Exported and verified")
        (export,) = (workspace / "models").glob("*-step4.safetensors")

        terminal.keys("g")
        terminal.wait_for("[5 Generate]", export.stem[:20])
        terminal.type("a slow warble")
        terminal.keys("Enter")
        generations = workspace / "generations"
        terminal.wait_until(lambda _: any(generations.glob("*.wav")), "a generated clip", seconds=180)
        (clip,) = generations.glob("*.wav")
        terminal.wait_for("✓", clip.name[:20])
        assert clip.stat().st_size > 8000
        made = json.loads(clip.with_suffix(".json").read_text())
        assert made["prompt"] == "a slow warble"
        assert made["model"].endswith(export.name)

        terminal.keys("q")
        terminal.wait_for("exited 0")


def test_training_goes_on_when_the_terminal_is_killed_and_a_new_dashboard_shows_it_whole(workspace: Path) -> None:
    with dashboard(workspace, 120, 36) as terminal:
        terminal.wait_for("1 Dataset", ".wav")
        set_steps(terminal, workspace, 40)
        start_training(terminal)
        terminal.wait_until(lambda _: step(workspace) >= 2, "the second step", seconds=240)
    job = only_job(workspace)  # Leaving the block has hung up on the dashboard.
    assert job.state in ("running", "stopping")

    with dashboard(workspace, 80, 24) as terminal:
        terminal.keys("3")
        terminal.wait_for("finished", "40/40", seconds=240)
    events = [json.loads(line) for line in job.folder.events_file.read_text().splitlines()]
    assert [event["step"] for event in events if event["kind"] == "metric"] == list(range(1, 41))
