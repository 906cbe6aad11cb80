"""`sao-tui demo DIR --headless --json`: the whole path, unattended, on the model that everybody gets."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytestmark = [pytest.mark.e2e, pytest.mark.worker, pytest.mark.timeout(900)]


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """Return the demo's workspace and its report; stdout held nothing else."""
    root = tmp_path_factory.mktemp("headless") / "demo"
    argv = [sys.executable, "-m", "sao_tui", "demo", str(root), "--headless", "--json"]
    done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=850)
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert isinstance(report, dict)
    return root, report


def test_the_fine_tune_teaches_the_new_class(demo: tuple[Path, dict[str, Any]]) -> None:
    _, report = demo
    assert report["ok"] is True
    assert report["adherence"]["before"] <= 0.2
    assert report["adherence"]["after"] >= 0.8


def test_the_report_names_files_that_are_there(demo: tuple[Path, dict[str, Any]]) -> None:
    root, report = demo
    assert report["seconds"] > 0
    assert (root / "runs" / report["job"] / "job.json").is_file()
    assert (root / report["checkpoint"]).is_file()
    assert (root / report["export"]).is_file()
    assert report["clips"]
    for clip in report["clips"]:
        assert (root / clip).stat().st_size > 44


def test_the_export_is_what_generation_can_use(demo: tuple[Path, dict[str, Any]]) -> None:
    root, report = demo
    argv = [
        sys.executable,
        "-m",
        "sao_tui",
        "-w",
        str(root),
        "model",
        "inspect",
        str(root / report["export"]),
        "--json",
    ]
    found = json.loads(subprocess.run(argv, capture_output=True, text=True, check=True, timeout=60).stdout)
    assert found["kind"] == "exported"
    assert found["objective"] == "rectified_flow"


def test_the_job_is_listed_as_finished(demo: tuple[Path, dict[str, Any]]) -> None:
    root, report = demo
    argv = [sys.executable, "-m", "sao_tui", "train", "show", report["job"], "-w", str(root), "--json"]
    found = json.loads(subprocess.run(argv, capture_output=True, text=True, check=True, timeout=60).stdout)
    assert found["state"] == "finished"
    assert found["step"] == found["steps"] > 0
