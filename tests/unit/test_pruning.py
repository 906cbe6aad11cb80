from __future__ import annotations

from pathlib import Path

import pytest

from sao_tui.core.errors import SaoError
from sao_tui.services.pruning import delete_checkpoint
from sao_tui.services.workspace import Workspace, init_workspace


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return init_workspace(tmp_path / "ws")


def made(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"weights")
    return path


def test_a_run_s_checkpoint_goes(workspace: Workspace) -> None:
    file = made(workspace.runs_folder / "a" / "checkpoints" / "step=00000500.ckpt")
    delete_checkpoint(workspace, file)
    assert not file.exists()


def test_an_exported_model_goes_with_its_config(workspace: Workspace) -> None:
    file = made(workspace.models_folder / "a-step500.safetensors")
    config = made(workspace.models_folder / "a-step500.json")
    delete_checkpoint(workspace, file)
    assert not file.exists()
    assert not config.exists()


def test_the_base_weights_stay(workspace: Workspace) -> None:
    file = made(workspace.models_folder / "base_model.ckpt")
    with pytest.raises(SaoError, match="base weights"):
        delete_checkpoint(workspace, file)
    assert file.exists()


def test_a_file_elsewhere_stays(workspace: Workspace, tmp_path: Path) -> None:
    file = made(tmp_path / "elsewhere.ckpt")
    with pytest.raises(SaoError, match="not a checkpoint of this workspace"):
        delete_checkpoint(workspace, file)
    assert file.exists()


def test_a_file_that_is_gone_already_is_said_so(workspace: Workspace) -> None:
    with pytest.raises(SaoError, match="Cannot remove"):
        delete_checkpoint(workspace, workspace.models_folder / "gone.safetensors")
