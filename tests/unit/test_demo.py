"""The demo workspace."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from sao_tui.core.errors import SaoError
from sao_tui.services import configs
from sao_tui.services.bundle import build_services
from sao_tui.services.demo import NUM_NEW_CLIPS, write_demo


def test_the_demo_is_a_workspace_with_captioned_clips_and_valid_configs(tmp_path: Path) -> None:
    root = tmp_path / "demo"
    report = write_demo(root)
    services = build_services(root)
    services.clips.scan()
    services.clips.set_captions(services.captions.all(), complete=True)
    counts = services.clips.counts()
    assert counts.num_clips == counts.num_captioned == report.num_clips
    assert NUM_NEW_CLIPS >= 40
    assert counts.num_unreadable == 0
    for check, file in (
        (configs.check_model_config, services.workspace.model_config_file),
        (configs.check_dataset_config, services.workspace.dataset_config_file),
    ):
        assert check(json.loads(file.read_text()), str(file)) == []
    assert configs.load_train_settings(services.workspace.train_config_file).batch_size == 16


def test_writing_the_demo_again_keeps_what_was_changed(tmp_path: Path) -> None:
    root = tmp_path / "demo"
    write_demo(root)
    services = build_services(root)
    services.captions.set("warbles/warble-01.wav", "my own words")
    write_demo(root)
    assert build_services(root).captions.get("warbles/warble-01.wav") == "my own words"


def test_a_folder_with_other_files_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(SaoError, match="holds other files"):
        write_demo(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_progress_reaches_the_end(tmp_path: Path) -> None:
    told: list[tuple[str, int, int]] = []
    report = write_demo(tmp_path / "demo", lambda stage, done, total: told.append((stage, done, total)))
    assert told[-1] == ("writing clips", report.num_clips, report.num_clips)
