from __future__ import annotations

import importlib.util
import json
import os
import sys
from pathlib import Path
from types import ModuleType

import pytest

import sao_tui.core.metadata_module as shipped


@pytest.fixture
def module() -> ModuleType:
    """The module as upstream loads it: by path, under another name."""
    assert shipped.__file__ is not None
    spec = importlib.util.spec_from_file_location("metadata_module", shipped.__file__)
    assert spec is not None and spec.loader is not None
    loaded = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(loaded)
    return loaded


def write_lines(folder: Path, *records: object) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "metadata.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))


def test_a_clip_gets_the_caption_of_its_line(tmp_path: Path, module: ModuleType) -> None:
    write_lines(tmp_path, {"audio_path": "sub/a.wav", "text": "a kick"}, {"audio_path": "a.wav", "text": "other"})
    assert module.get_custom_metadata({"path": str(tmp_path / "sub" / "a.wav")}, None) == {"prompt": "a kick"}


def test_the_nearest_file_that_knows_the_clip_decides(tmp_path: Path, module: ModuleType) -> None:
    write_lines(tmp_path, {"audio_path": "sub/a.wav", "text": "outer a"}, {"audio_path": "sub/b.wav", "text": "b"})
    write_lines(tmp_path / "sub", {"audio_path": "a.wav", "text": "inner a"})
    assert module.get_custom_metadata({"path": str(tmp_path / "sub" / "a.wav")}, None)["prompt"] == "inner a"
    assert module.get_custom_metadata({"path": str(tmp_path / "sub" / "b.wav")}, None)["prompt"] == "b"


def test_relative_and_absolute_paths_meet(tmp_path: Path, module: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    write_lines(tmp_path / "dataset", {"audio_path": str(tmp_path / "dataset" / "a.wav"), "text": "absolute"})
    monkeypatch.chdir(tmp_path)
    assert module.get_custom_metadata({"path": "dataset/a.wav"}, None)["prompt"] == "absolute"


def test_an_edit_reaches_a_running_training(tmp_path: Path, module: ModuleType) -> None:
    write_lines(tmp_path, {"audio_path": "a.wav", "text": "old"})
    info = {"path": str(tmp_path / "a.wav")}
    assert module.get_custom_metadata(info, None)["prompt"] == "old"
    write_lines(tmp_path, {"audio_path": "a.wav", "text": "edited"})
    assert module.get_custom_metadata(info, None)["prompt"] == "edited"


def test_a_pre_encoded_clip_has_the_caption_of_now_not_of_when_it_was_encoded(
    tmp_path: Path, module: ModuleType
) -> None:
    write_lines(tmp_path / "dataset", {"audio_path": "sub/a.wav", "text": "now"})
    info = {
        "path": "/machine/before/dataset/sub/a.wav",
        "relpath": "sub/a.wav",
        "prompt": "then",
        "latent_filename": str(tmp_path / "latents" / "0" / "a.npy"),
    }
    assert module.get_custom_metadata(info, None) == {"prompt": "now"}


def test_a_pre_encoded_clip_without_its_dataset_keeps_the_prompt_of_its_file(
    tmp_path: Path, module: ModuleType
) -> None:
    info = {"path": "/gone/a.wav", "relpath": "a.wav", "prompt": "then", "latent_filename": str(tmp_path / "a.npy")}
    assert module.get_custom_metadata(info, None) == {"prompt": "then"}


def test_a_clip_without_a_caption_is_said_once_and_never_raised(
    tmp_path: Path, module: ModuleType, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "metadata.jsonl").write_bytes(b'{"audio_path": "a.wav"}\n{broken\n[1]\n\xff\n')
    for _ in range(3):
        assert module.get_custom_metadata({"path": str(tmp_path / "a.wav")}, None) == {"prompt": ""}
    said = capsys.readouterr().err
    assert said.count("trains without a caption") == 1
    assert "line 2" in said


def test_a_name_that_is_not_utf8_finds_its_caption(tmp_path: Path, module: ModuleType) -> None:
    name = os.fsdecode(b"\xff.wav")
    write_lines(tmp_path, {"audio_path": name, "text": "noise"})
    assert module.get_custom_metadata({"path": f"{tmp_path}/{name}"}, None) == {"prompt": "noise"}


def test_the_module_needs_only_the_standard_library(module: ModuleType) -> None:
    source = Path(shipped.__file__ or "").read_text()
    imported = {line.split()[1].split(".")[0] for line in source.splitlines() if line.startswith(("import ", "from "))}
    assert imported <= set(sys.stdlib_module_names)
