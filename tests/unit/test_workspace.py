from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from sao_tui.core.errors import SaoError
from sao_tui.services.workspace import WorkspaceSettings, init_workspace, open_workspace, save_settings


def test_a_new_workspace_opens_with_the_defaults(tmp_path: Path) -> None:
    init_workspace(tmp_path / "drums")
    workspace = open_workspace(tmp_path / "drums")
    assert workspace.settings == WorkspaceSettings(name="drums")
    assert workspace.dataset_folder == tmp_path / "drums" / "dataset"
    assert workspace.base_weights == tmp_path / "drums" / "models" / "base_model.ckpt"
    assert workspace.text_encoder_home is None
    assert workspace.worker_python == sys.executable
    assert all(
        folder.is_dir()
        for folder in (
            workspace.dataset_folder,
            workspace.configs_folder,
            workspace.models_folder,
            workspace.runs_folder,
            workspace.generations_folder,
            workspace.cache_folder,
        )
    )


def test_making_a_workspace_again_overwrites_nothing(tmp_path: Path) -> None:
    workspace = init_workspace(tmp_path)
    workspace.settings_file.write_text('[workspace]\nname = "mine"  # kept\n')
    init_workspace(tmp_path)
    assert workspace.settings_file.read_text() == '[workspace]\nname = "mine"  # kept\n'


def test_a_folder_that_is_no_workspace_names_the_way_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(SaoError) as caught:
        open_workspace(tmp_path)
    assert str(tmp_path) in caught.value.message
    assert f"sao-tui init {tmp_path}" in caught.value.hint
    with pytest.raises(SaoError, match="no such folder"):
        open_workspace(tmp_path / "absent")


def test_saving_settings_keeps_comments_and_is_seen_at_once(tmp_path: Path) -> None:
    workspace = init_workspace(tmp_path)
    assert workspace.settings.theme == "sao-dark"
    save_settings(workspace, **{"ui.theme": "sao-light", "keys.play": "p", "dataset.folder": "/data/clips"})
    assert workspace.settings.theme == "sao-light"
    assert workspace.settings.keys == {"play": "p"}
    assert workspace.dataset_folder == Path("/data/clips")
    assert "# Weights that training starts from" in workspace.settings_file.read_text()
    assert open_workspace(tmp_path).settings == workspace.settings


def test_binding_ids_with_dots_are_read_quoted_and_dotted(tmp_path: Path) -> None:
    workspace = init_workspace(tmp_path)
    workspace.settings_file.write_text('[keys]\n"dataset.play" = "p"\ndataset.edit = "e"\n')
    assert workspace.settings.keys == {"dataset.play": "p", "dataset.edit": "e"}


def test_a_removed_setting_falls_back_to_its_default(tmp_path: Path) -> None:
    workspace = init_workspace(tmp_path)
    save_settings(workspace, **{"model.base_weights": None})
    assert workspace.settings.base_weights == WorkspaceSettings().base_weights
    save_settings(workspace, **{"model.base_weights": ""})
    assert workspace.base_weights is None


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('[ui]\ntheem = "x"\n', "ui.theem"),
        ("[ui]\ntheme = 3\n", "ui.theme"),
        ("[ui\n", "not valid TOML"),
        ("ui = 3\n", "ui"),
        ("[keys]\nplay = 3\n", "keys.play"),
    ],
)
def test_a_faulty_settings_file_is_refused_by_name(tmp_path: Path, text: str, said: str) -> None:
    workspace = init_workspace(tmp_path)
    workspace.settings_file.write_text(text)
    with pytest.raises(SaoError, match=said) as caught:
        _ = open_workspace(tmp_path).settings
    assert "sao.toml" in caught.value.message


def test_a_mistyped_key_is_answered_with_the_one_that_was_meant(tmp_path: Path) -> None:
    workspace = init_workspace(tmp_path)
    with pytest.raises(SaoError) as caught:
        save_settings(workspace, **{"ui.theem": "x"})
    assert caught.value.hint == "Did you mean ui.theme?"
    assert workspace.settings.theme == "sao-dark"


def test_settings_that_cannot_be_written_leave_the_old_ones(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    workspace = init_workspace(tmp_path)
    before = workspace.settings_file.read_bytes()

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(SaoError, match="No space left"):
        save_settings(workspace, **{"ui.theme": "x"})
    assert workspace.settings_file.read_bytes() == before


def test_opening_the_workspace_imports_nothing_heavy(tmp_path: Path) -> None:
    init_workspace(tmp_path)
    code = (
        "import sys; from pathlib import Path; from sao_tui.services.workspace import open_workspace;"
        f"open_workspace(Path({str(tmp_path)!r})).settings;"
        "import sao_tui.services.clips, sao_tui.services.captions, sao_tui.services.audio, sao_tui.services.playback;"
        "heavy = {'numpy', 'pydantic', 'soundfile', 'miniaudio', 'sqlite3', 'textual', 'torch'};"
        "heavy |= {'tomlkit'} if sys.version_info >= (3, 11) else set();"
        "print(sorted(heavy & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
