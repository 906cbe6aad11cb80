"""Wrapped checkpoints: written whole or not at all, read without running code."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import torch
from pytorch_lightning.plugins.io import TorchCheckpointIO

from sao_tui.core.errors import SaoError
from sao_tui.core.files import sync_folder
from sao_tui.worker.model import read_torch_file

EMA_PREFIX = "diffusion_ema."


class DurableCheckpointIO(TorchCheckpointIO):
    """Lightning's file format, written aside, synced and renamed."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any | None = None) -> None:
        """Write `checkpoint` to `path`; when it fails, `path` is as it was.

        Raises:
            OSError: The disk is full or gone.
        """
        target = Path(path)
        part = target.with_name(f".{target.name}.part")
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            with part.open("wb") as file:
                _save(checkpoint, file)
                file.flush()
                os.fsync(file.fileno())
            os.replace(part, target)
        except BaseException:
            part.unlink(missing_ok=True)
            raise
        sync_folder(target.parent)

    def load_checkpoint(self, path: Any, map_location: Any | None = None) -> dict[str, Any]:
        """Read a checkpoint without running code from it."""
        # Not mapped: the optimizer's state would stay on a file that the retention may remove.
        return read_torch_file(Path(path), mapped=False)


def remove_torn(folder: Path) -> None:
    """Remove what a killed worker left half written."""
    for part in folder.glob(".step=*.part"):
        part.unlink(missing_ok=True)


def checkpoint_path(folder: Path, step: int) -> Path:
    """Return where the checkpoint of `step` goes."""
    return folder / f"step={step:08d}.ckpt"


def remove_old(folder: Path, num_kept: int) -> list[Path]:
    """Remove all but the newest `num_kept` checkpoints, 0 keeps all; return what was removed."""
    if num_kept <= 0:
        return []
    removed = sorted(folder.glob("step=*.ckpt"))[:-num_kept]
    for path in removed:
        path.unlink(missing_ok=True)
    return removed


def check_resumable(checkpoint: dict[str, Any], model_config: dict[str, Any], max_steps: int, path: Path) -> int:
    """Return the step that `checkpoint` continues from.

    Raises:
        SaoError: It is no wrapped checkpoint, is done already, or differs from the config in having an EMA.
    """
    if "state_dict" not in checkpoint or "optimizer_states" not in checkpoint:
        raise SaoError(
            f"{path} holds weights without an optimizer: there is nothing to resume",
            "Use it as base_weights, or resume from a checkpoint in a run's checkpoints folder.",
        )
    step = int(checkpoint.get("global_step", 0))
    if step >= max_steps:
        raise SaoError(f"{path} is at step {step} of {max_steps} already", f"Set max_steps above {step}.")
    has_ema = any(name.startswith(EMA_PREFIX) for name in checkpoint["state_dict"])
    use_ema = model_config["training"].get("use_ema", True)
    if has_ema != use_ema:
        had, is_ = ("an EMA", "false") if has_ema else ("no EMA", "true")
        raise SaoError(
            f"{path} was trained with {had}, but training.use_ema is {is_}",
            f"Set training.use_ema to {'true' if has_ema else 'false'} to resume.",
        )
    return step


def learning_rate(checkpoint: dict[str, Any]) -> float | None:
    """Return the base learning rate that a checkpoint's optimizer carries on with."""
    groups = checkpoint["optimizer_states"][0]["param_groups"]
    rate = groups[0].get("initial_lr", groups[0].get("lr")) if groups else None
    return float(rate) if rate is not None else None


def _save(checkpoint: dict[str, Any], file: Any) -> None:
    try:
        torch.save(checkpoint, file)
    except RuntimeError as error:
        # torch's zip writer answers a full disk with a RuntimeError of its own, around or instead of the OSError.
        if isinstance(error.__context__, OSError):
            raise error.__context__ from error
        if "PytorchStreamWriter" in str(error) or "write" in str(error):
            raise OSError(str(error).splitlines()[0]) from error
        raise
