"""The training data, through upstream's loader."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sao_tui.core.errors import SaoError
from sao_tui.core.settings import TrainSettings
from sao_tui.worker import upstream


def training_data_config(dataset_config: dict[str, Any], latents: str | None) -> dict[str, Any]:
    """Return the dataset config to train with: that of the latents where there are any, else `dataset_config`."""
    if latents is None or dataset_config.get("dataset_type") == "pre_encoded":
        return upstream.fence_paths(dataset_config)
    first = dataset_config["datasets"][0]
    entry = {"id": first["id"], "path": latents}
    if "custom_metadata_module" in first:
        entry["custom_metadata_module"] = first["custom_metadata_module"]
    config = {"dataset_type": "pre_encoded", "datasets": [entry], "random_crop": False}
    if "drop_last" in dataset_config:
        config["drop_last"] = dataset_config["drop_last"]
    return upstream.fence_paths(config)


def training_model_config(model_config: dict[str, Any], data_config: dict[str, Any]) -> dict[str, Any]:
    """Return the model config to train with: it knows whether the data is pre-encoded, and runs on one device."""
    training = {**model_config["training"], "pre_encoded": data_config.get("dataset_type") == "pre_encoded"}
    return upstream.without_loss_info({**model_config, "training": training})


def check_paths(data_config: dict[str, Any], *weights: str | None) -> None:
    """Refuse what is not there before half a minute is spent on imports.

    Raises:
        SaoError: A dataset folder or a file of weights is missing.
    """
    for file in weights:
        if file is not None and not Path(file).is_file():
            raise SaoError(f"{file} does not exist", "Choose a file that does.")
    for entry in data_config.get("datasets", []):
        if "path" in entry and not Path(entry["path"]).is_dir():
            raise SaoError(
                f"The dataset folder {entry['path']} does not exist", "Correct its path in the dataset config."
            )


def create_loader(data_config: dict[str, Any], model_config: dict[str, Any], settings: TrainSettings) -> Any:
    """Return upstream's loader for `data_config`.

    Raises:
        SaoError: There is less than one batch.
    """
    from stable_audio_tools.data import dataset

    loader = dataset.create_dataloader_from_config(
        data_config,
        batch_size=settings.batch_size,
        num_workers=settings.num_workers,
        sample_rate=model_config["sample_rate"],
        sample_size=model_config["sample_size"],
        audio_channels=model_config.get("audio_channels", 2),
    )
    if loader is None:
        raise SaoError(
            f"The dataset type {data_config.get('dataset_type')!r} is unknown",
            "Use audio_dir or pre_encoded as dataset_type.",
        )
    check_size(loader, data_config, settings.batch_size)
    return loader


def check_size(loader: Any, data_config: dict[str, Any], batch_size: int) -> None:
    """Refuse what upstream would call finished at step 0.

    Raises:
        SaoError: There is less than one batch.
    """
    try:
        num_batches, num_clips = len(loader), len(loader.dataset)
    except TypeError:
        return  # a stream has no length
    folders = ", ".join(entry["path"] for entry in data_config["datasets"])
    what = "latents" if data_config["dataset_type"] == "pre_encoded" else "audio files"
    if num_clips == 0:
        raise SaoError(f"There are no {what} in {folders}", "Add some, or correct the path in the dataset config.")
    if num_batches == 0:
        raise SaoError(
            f"The {num_clips} {what} in {folders} are fewer than one batch of {batch_size}",
            f"Set batch_size to {num_clips} or less.",
        )
