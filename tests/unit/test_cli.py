"""The command line: exit statuses, JSON on stdout alone, errors in words."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from sao_tui.cli import main
from sao_tui.services.demo import write_demo


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("cli") / "demo"
    write_demo(root)
    return root


def run(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    status = main([str(argument) for argument in arguments])
    captured = capsys.readouterr()
    return status, captured.out, captured.err


def run_json(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, Any]:
    status, out, _ = run(capsys, *arguments, "--json")
    return status, json.loads(out)


def test_an_unknown_command_is_one_sentence_with_a_hint(capsys: pytest.CaptureFixture[str]) -> None:
    status, out, err = run(capsys, "frobnicate")
    assert status == 2
    assert out == ""
    assert err.startswith("error: ")
    assert "\nhint: " in err


def test_a_folder_that_is_no_workspace_is_an_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, _, err = run(capsys, "dataset", "list", "-w", tmp_path)
    assert status == 2
    assert str(tmp_path) in err
    assert "hint: " in err


def test_dataset_list_counts_and_limits(demo: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, document = run_json(capsys, "dataset", "list", "folder:warbles", "-w", demo, "--limit", 2)
    assert status == 0
    assert document["num_clips"] == 48
    assert len(document["clips"]) == 2
    assert document["clips"][0]["relpath"].startswith("warbles/")


def test_a_caption_is_on_disk_when_the_command_ends(demo: Path, capsys: pytest.CaptureFixture[str]) -> None:
    clip = demo / "dataset" / "warbles" / "warble-02.wav"
    status, document = run_json(capsys, "dataset", "caption", clip, "a wobbly [thing]", "-w", demo)
    assert (status, document["clip"]) == (0, "warbles/warble-02.wav")
    lines = [json.loads(line) for line in (demo / "dataset" / "metadata.jsonl").read_text().splitlines()]
    record = next(line for line in lines if line["audio_path"] == "warbles/warble-02.wav")
    assert record["text"] == "a wobbly [thing]"
    assert record["sample_rate"] == 8_000


def test_a_clip_that_does_not_exist_is_named(demo: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, _, err = run(capsys, "dataset", "caption", "nope.wav", "x", "-w", demo)
    assert status == 2
    assert "nope.wav" in err


def test_config_set_changes_one_field_and_keeps_comments(demo: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, document = run_json(capsys, "config", "set", "train.seed", 7, "-w", demo)
    assert (status, document["new"]) == (0, 7)
    text = (demo / "configs" / "train.toml").read_text()
    assert "seed = 7" in text
    assert text.startswith("# One run of the demo")


def test_config_set_refuses_nonsense_and_suggests(demo: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = (demo / "configs" / "train.toml").read_bytes()
    for field, value, word in (
        ("train.max_stepz", "3", "train.max_steps"),
        ("train.max_steps", "many", "max_steps"),
        ("train.batch_size", "-4", "batch_size"),
        ("nothing", "1", "train"),
    ):
        status, _, err = run(capsys, "config", "set", field, value, "-w", demo)
        assert status == 2, field
        assert word in err
    assert (demo / "configs" / "train.toml").read_bytes() == before


def test_config_check_finds_a_mistyped_key(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_demo(tmp_path / "demo")
    file = tmp_path / "demo" / "configs" / "train.toml"
    file.write_text(file.read_text() + "\nbatch_sise = 4\n")
    status, document = run_json(capsys, "config", "check", "-w", tmp_path / "demo")
    assert status == 1
    assert not document["ok"]
    assert any("batch_size" in finding["fix"] + finding["message"] for finding in document["findings"])


def test_model_inspect_has_the_promised_keys(demo: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, document = run_json(
        capsys,
        "model",
        "inspect",
        demo / "models" / "base_model.safetensors",
        "--config",
        demo / "configs" / "model_config.json",
    )
    assert status == 0
    promised = {"file", "kind", "tensors", "parameters", "bytes", "step", "objective", "has_ema", "has_optimizer"}
    assert promised | {"message", "matches"} <= set(document)
    assert document["kind"] == "rf-base"
    assert document["matches"]["loaded"] == document["matches"]["expected"] == 357


def test_no_gpu_is_a_state(demo: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, document = run_json(capsys, "gpu", "-w", demo)
    assert status == 0
    assert document["state"] in ("ok", "no-driver", "error")


def test_init_makes_a_workspace_that_says_what_is_next(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, out, _ = run(capsys, "init", tmp_path / "mine")
    assert status == 0
    assert "base_model.ckpt" in out
    assert (tmp_path / "mine" / "configs" / "dataset_config.json").exists()


def test_showing_a_run_when_there_is_none_says_how_to_start(demo: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, _, err = run(capsys, "train", "show", "-w", demo)
    assert status == 2
    assert "train start" in err


def test_playing_a_missing_file_is_an_error(demo: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, _, err = run(capsys, "play", demo / "nope.wav", "-w", demo)
    assert status == 2
    assert "nope.wav" in err


def test_the_workspace_may_stand_before_the_command(demo: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, out, _ = run(capsys, "-w", demo, "--json", "dataset", "list", "--limit", 1)
    assert status == 0
    assert json.loads(out)["num_clips"] == 60


def test_a_caption_that_is_not_utf_8_is_refused_and_harms_nothing(
    demo: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    status, _, err = run(capsys, "dataset", "caption", "warbles/warble-03.wav", "caf\udce9", "-w", demo)
    assert status == 2
    assert err.startswith("error: The caption of warbles/warble-03.wav is not UTF-8")
    assert run(capsys, "dataset", "list", "-w", demo)[0] == 0


@pytest.mark.parametrize("place", [0, 1, 2])
def test_the_workspace_may_stand_before_between_and_behind(
    place: int, demo: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words: list[object] = ["dataset", "list"]
    words[place:place] = ["-w", demo, "--json"]
    status, out, _ = run(capsys, *words)
    assert (status, json.loads(out)["num_clips"]) == (0, 60)


def test_captions_of_others_cannot_steer_the_terminal(demo: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(capsys, "dataset", "caption", "warbles/warble-04.wav", "two\nlines \x1b[31mred", "-w", demo)
    _, out, _ = run(capsys, "dataset", "list", "warble-04", "-w", demo)
    assert r"two\nlines \x1b[31mred" in out
    assert "\x1b" not in out


def test_names_in_errors_cannot_steer_the_terminal(demo: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _, _, err = run(capsys, "dataset", "show", "\x1b[31mred", "-w", demo)
    assert r"\x1b[31mred" in err
    assert "\x1b" not in err


def test_a_file_is_played_outside_of_a_workspace_too(
    demo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from sao_tui.services import playback

    monkeypatch.setattr(playback, "all_players", lambda: [])
    monkeypatch.chdir(tmp_path)
    status, document = run_json(capsys, "play", demo / "dataset/warbles/warble-01.wav")
    assert (status, document["player"], document["heard"]) == (1, "null", False)
    assert "warble-01.wav" in document["message"]


def test_init_noise_without_init_audio_is_not_passed_over(demo: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, _, err = run(capsys, "generate", "--prompt", "x", "--init-noise", "0.5", "-w", demo)
    assert status == 2
    assert "--init-audio" in err


def test_resuming_from_a_missing_file_does_not_look_for_a_job(demo: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, _, err = run(capsys, "train", "resume", "runs/a/checkpoints/step=00000001.ckpt", "-w", demo)
    assert status == 2
    assert err.startswith("error: There is no checkpoint runs/a/checkpoints/step=00000001.ckpt.")


@pytest.mark.parametrize(("field", "value"), [("seed", 2**32), ("max_steps", 10**12), ("num_workers", 100_000)])
def test_numbers_that_no_run_can_have_are_refused(
    field: str, value: int, demo: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    status, _, err = run(capsys, "config", "set", f"train.{field}", value, "-w", demo)
    assert status == 2
    assert f"{field} must be at most" in err


def test_a_listed_model_is_named_as_the_next_command_takes_it(
    demo: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(demo)
    _, out, _ = run(capsys, "model", "list")
    assert "models/base_model.safetensors" in out
    assert str(demo) not in out


def test_a_missing_config_is_named_in_words(demo: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = demo / "configs" / "model_config.json"
    kept = file.read_bytes()
    file.unlink()
    try:
        status, _, err = run(capsys, "train", "start", "-w", demo)
    finally:
        file.write_bytes(kept)
    assert status == 2
    assert err.startswith(f"error: {file} does not exist.")
    assert "Errno" not in err


def test_without_a_terminal_the_dashboard_says_so_instead_of_waiting_for_keys(demo: Path) -> None:
    command = [sys.executable, "-m", "sao_tui", str(demo)]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith("error: The dashboard needs a terminal")


def test_config_new_says_when_the_model_config_cannot_be_made(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(capsys, "init", tmp_path / "ws")
    status, out, _ = run(capsys, "config", "new", "-w", tmp_path / "ws")
    assert status == 1
    assert "models/base_model_config.json" in out
