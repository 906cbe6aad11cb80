"""Removing weights files that nobody needs any more."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from sao_tui.core.errors import SaoError

if TYPE_CHECKING:
    from sao_tui.services.workspace import Workspace


def delete_checkpoint(workspace: Workspace, file: Path) -> None:
    """Remove a checkpoint of a run, or a model in models/ with the config beside it.

    Raises:
        SaoError: It is the base weights, lies elsewhere, or cannot be removed.
    """
    base = workspace.base_weights
    if base is not None and file == base:
        raise SaoError(
            f"{file.name} is this workspace's base weights; it is not removed.",
            "Set another base_weights in sao.toml first.",
        )
    is_checkpoint = file.parent.name == "checkpoints" and file.parent.parent.parent == workspace.runs_folder
    if not is_checkpoint and file.parent != workspace.models_folder:
        raise SaoError(f"{file} is not a checkpoint of this workspace.", "Remove it yourself if you want it gone.")
    try:
        file.unlink()
        if not is_checkpoint and file.with_suffix(".json") != workspace.model_config_file:
            file.with_suffix(".json").unlink(missing_ok=True)
    except OSError as error:
        raise SaoError(f"Cannot remove {file}: {error.strerror}.", "Check the folder's permissions.") from error
