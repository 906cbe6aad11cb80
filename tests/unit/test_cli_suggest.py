"""dataset suggest, suggestions, accept, reject from the command line, with the real worker."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from sao_tui.cli import main
from sao_tui.services.workspace import init_workspace


@pytest.fixture
def root(tmp_path: Path) -> Path:
    workspace = init_workspace(tmp_path / "w")
    for name in ("drums/01_DeepKick.wav", "drums/02_Snare.wav", "pads/Choir_90bpm.wav"):
        path = workspace.dataset_folder / name
        path.parent.mkdir(exist_ok=True)
        soundfile.write(path, np.zeros(8_000), 8_000)
    return workspace.root


def run(capsys: pytest.CaptureFixture[str], root: Path, *arguments: str) -> tuple[int, Any, str]:
    status = main(["dataset", *arguments, "-w", str(root), "--json"])
    captured = capsys.readouterr()
    return status, json.loads(captured.out) if captured.out else None, captured.err


def captions(root: Path) -> dict[str, str]:
    file = root / "dataset" / "metadata.jsonl"
    lines = file.read_text().splitlines() if file.exists() else []
    return {record["audio_path"]: record["text"] for record in map(json.loads, lines)}


def test_from_a_captioner_to_captions(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, document, _ = run(capsys, root, "suggest", "tags", "--option", "use=name", "--wait")
    assert (status, document["state"], document["num_suggestions"]) == (0, "finished", 3)
    assert captions(root) == {}
    status, document, _ = run(capsys, root, "suggestions", "--limit", "1")
    assert document["num_suggestions"] == 3
    first = document["suggestions"][0]
    assert (first["clip"], first["suggested"], first["confidence"]) == ("drums/01_DeepKick.wav", "deep kick", 0.6)
    status, document, _ = run(capsys, root, "accept", "folder:drums")
    assert (status, document["num_changed"]) == (0, 2)
    assert captions(root) == {"drums/01_DeepKick.wav": "deep kick", "drums/02_Snare.wav": "snare"}
    assert run(capsys, root, "reject", "folder:pads")[1]["num_decided"] == 1
    status, document, _ = run(capsys, root, "suggestions", "--state", "all")
    assert document["counts"] == {"accepted": 2, "rejected": 1}
    assert run(capsys, root, "accept", "--all")[0] == 1


def test_an_own_text_is_for_one_suggestion(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(capsys, root, "suggest", "tags", "--wait")
    status, _, err = run(capsys, root, "accept", "--text", "x", "--all")
    assert status == 2 and "one suggestion; 3 match" in err
    assert run(capsys, root, "accept", "DeepKick", "--text", "boom")[0] == 0
    assert captions(root) == {"drums/01_DeepKick.wav": "boom"}


def test_deciding_on_everything_must_be_said(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, _, err = run(capsys, root, "reject")
    assert status == 2 and "--all" in err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("suggest", "tgas"), "There is no captioner tgas"),
        (("suggest", "tags", "--option", "use"), "NAME=VALUE"),
        (("suggest", "tags", "nothing-like-this"), "no clips"),
        (("suggest", "--resume", "none"), "no job named none"),
        (("suggestions", "--job", "none"), "no job named none"),
        (("suggest", "openai", "--option", "key=sk-1"), "no option"),
    ],
)
def test_requests_that_cannot_be_met_are_said_in_words(
    root: Path, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], said: str
) -> None:
    status, _, err = run(capsys, root, *arguments)
    assert status == 2 and said in err and "hint: " in err and "sk-1" not in err
    assert list((root / "runs").iterdir()) == []


def test_the_captioners_are_listed_with_what_they_need(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, document, _ = run(capsys, root, "suggest")
    assert status == 0
    assert [each["name"] for each in document["captioners"]] == ["tags", "signal", "clap", "hf", "openai"]
    assert all(each["needs"] and each["way"] for each in document["captioners"])
