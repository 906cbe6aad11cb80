"""The loss on held-out clips: what is kept out, what is measured, and that the run itself does not notice."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from sao_tui.core.split import Split, write_split
from tests.worker.conftest import Nano, of_kind

pytestmark = pytest.mark.worker

HELD_OUT = ("clip1.wav", "clip2.wav", "more/clip0.wav")


@pytest.fixture
def split_file(tmp_path: Path) -> Path:
    file = tmp_path / "chosen.json"
    write_split(file, Split(0, 0.25, "none", HELD_OUT))
    return file


def losses(records: list[dict[str, Any]]) -> list[float]:
    return [record["loss"] for record in of_kind(records, "metric") if "loss" in record]


def held_out(records: list[dict[str, Any]]) -> list[tuple[int, float]]:
    found = of_kind(records, "metric")
    return [(record["step"], record["held_out_loss"]) for record in found if "held_out_loss" in record]


def test_held_out_clips_are_measured_and_not_trained_on(run_job, split_file: Path) -> None:
    folder, code, records = run_job(max_steps=2, held_out=str(split_file), held_out_every=1)
    assert code == 0
    assert [step for step, _ in held_out(records)] == [0, 1, 2]
    assert "9 clips to train on, 3 held out to measure the loss on" in [
        record["message"] for record in of_kind(records, "log")
    ]
    first = next(record for record in of_kind(records, "metric") if "held_out_loss" in record)
    by_time = [first[f"held_out_loss_{time}"] for time in (0.1, 0.3, 0.5, 0.7, 0.9)]
    assert first["held_out_loss"] == pytest.approx(sum(by_time) / 5, abs=1e-5)
    assert json.loads((folder.path / "split.json").read_text())["validation"] == sorted(HELD_OUT)


def test_measuring_changes_nothing_in_the_run_and_repeats_itself(run_job, split_file: Path) -> None:
    _, _, often = run_job(max_steps=3, held_out=str(split_file), held_out_every=1)
    _, _, seldom = run_job(max_steps=3, held_out=str(split_file), held_out_every=100)
    assert losses(often) == losses(seldom)
    assert held_out(often)[0] == held_out(seldom)[0]
    assert held_out(often)[-1] == held_out(seldom)[-1]


def test_latents_of_held_out_clips_are_held_out_too(run_job, make_job, nano: Nano, split_file: Path, tmp_path) -> None:
    _, code, _ = run_job(kind="encode", output=str(tmp_path / "latents"))
    assert code == 0
    _, code, records = run_job(max_steps=1, latents=str(tmp_path / "latents"), held_out=str(split_file))
    assert code == 0
    assert len(held_out(records)) == 2
    assert any("9 clips to train on, 3 held out" in record["message"] for record in of_kind(records, "log"))


def test_a_split_that_leaves_less_than_a_batch_is_refused(run_job, tmp_path: Path) -> None:
    file = tmp_path / "most.json"
    write_split(file, Split(0, 0.9, "none", tuple(f"clip{number}.wav" for number in range(1, 12))))
    _, code, records = run_job(max_steps=1, held_out=str(file))
    assert code == 1
    assert "fewer than one batch" in of_kind(records, "state")[-1]["reason"]


def test_a_missing_split_is_named(run_job, tmp_path: Path) -> None:
    _, code, records = run_job(max_steps=1, held_out=str(tmp_path / "gone.json"))
    assert code == 1
    assert "gone.json does not exist" in of_kind(records, "state")[-1]["reason"]
