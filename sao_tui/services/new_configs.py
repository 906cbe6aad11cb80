"""First configs of a workspace: those that are missing are written, the others stay as they are."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from sao_tui.core.errors import SaoError
from sao_tui.core.files import write_atomically, write_json
from sao_tui.core.metadata_module import __file__ as metadata_module_file
from sao_tui.services.workspace import Workspace

BASE_CONFIG_NAME = "base_model_config.json"

TRAIN_TOML = """\
# Arguments of a training run; `sao-tui config show train` lists all of them.
max_steps = 2000
batch_size = 8
accumulate_batches = 1
precision = "bf16-mixed"
seed = 42
checkpoint_every = 500
keep_checkpoints = 3
gradient_clip = 1.0
"""

FINE_TUNE_LEARNING_RATE = 5e-5
"""Of a published fine-tune of SAO-small (Taikakim/stable-audio-tools-avp); the base was trained at 2e-4."""


def write_missing_configs(workspace: Workspace) -> list[Path]:
    """Write the configs that are not there yet and return their paths.

    The model config is made from models/base_model_config.json, as downloaded; without it none is written.

    Raises:
        SaoError: The folder cannot be written, or the downloaded config is not JSON.
    """
    written = []
    try:
        if not workspace.dataset_config_file.exists():
            write_json(workspace.dataset_config_file, dataset_config(workspace))
            written.append(workspace.dataset_config_file)
        if not workspace.train_config_file.exists():
            write_atomically(workspace.train_config_file, TRAIN_TOML.encode())
            written.append(workspace.train_config_file)
        downloaded = workspace.models_folder / BASE_CONFIG_NAME
        if not workspace.model_config_file.exists() and downloaded.exists():
            write_json(workspace.model_config_file, _fine_tune_config(downloaded))
            written.append(workspace.model_config_file)
    except OSError as error:
        raise SaoError(
            f"Cannot write the configs of {workspace.root}: {error.strerror}.", "Free some space or mend the rights."
        ) from error
    return written


def missing_model_config(workspace: Workspace) -> SaoError | None:
    """Return what to do about a model config that is not there, None where it is."""
    if workspace.model_config_file.exists():
        return None
    hint = "Run `sao-tui config new`, or press m on the Config screen (2)."
    if not (workspace.models_folder / BASE_CONFIG_NAME).exists():
        hint = f"Put {BASE_CONFIG_NAME} into models/ first. {hint}"
    return SaoError(f"{workspace.model_config_file} does not exist.", hint)


def dataset_config(workspace: Workspace) -> dict[str, Any]:
    """Return upstream's dataset config for the workspace's clips with captions in metadata.jsonl.

    Its path is relative to the workspace, so that a workspace may move; upstream's train.py is run from there.
    """
    folder = workspace.dataset_folder
    if folder.is_relative_to(workspace.root):
        folder = folder.relative_to(workspace.root)
    # Upstream tells folders apart by substring: the slash keeps `clips` from matching `clips2`.
    entry = {"id": "clips", "path": f"{folder}/", "custom_metadata_module": metadata_module_file}
    return {"dataset_type": "audio_dir", "datasets": [entry], "random_crop": True}


def _fine_tune_config(downloaded: Path) -> dict[str, Any]:
    try:
        config: dict[str, Any] = json.loads(downloaded.read_text(encoding="utf-8"))
        optimizer = config["training"]["optimizer_configs"]["diffusion"]["optimizer"]["config"]
    except (ValueError, KeyError, TypeError) as error:
        raise SaoError(
            f"{downloaded} is not SAO-small's config: {error!r}.", f"Download {BASE_CONFIG_NAME} once more."
        ) from error
    optimizer["lr"] = FINE_TUNE_LEARNING_RATE
    return config
