"""The loss on clips held out of training, by upstream's own validation step, always with the same noise.

Loss on training clips falls also when the model only learns them by heart; this one then rises.
"""

from __future__ import annotations

import copy
import os
import random
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch

from sao_tui.core.errors import SaoError
from sao_tui.core.split import SPLIT_NAME, read_split
from sao_tui.worker.emit import Emitter

MAX_CLIPS = 128
"""Held-out clips that are listened to each time; more make the measurement slower, not better."""
NOISE_SEED = 1234


def hold_out(dataset: Any, split_file: Path, dataset_folders: list[str], job_folder: Path) -> Any | None:
    """Take the held-out clips out of upstream's `dataset`, and return a dataset of them; None when none is there.

    The split is copied into the job, so that a resumed run holds out the same clips.

    Raises:
        SaoError: The split cannot be read, or leaves nothing to train on.
    """
    split = read_split(split_file)
    if split is None:
        raise SaoError(f"{split_file} does not exist", "Make it with `sao-tui dataset split`, or train without one.")
    if split_file.resolve() != (job_folder / SPLIT_NAME).resolve():
        shutil.copyfile(split_file, job_folder / SPLIT_NAME)
    wanted = {name.encode(errors="surrogateescape") for name in split.validation}
    held = [name for name in dataset.filenames if _relpath(name, dataset_folders) in wanted]
    kept = set(dataset.filenames).difference(held)
    if not kept:
        raise SaoError(f"{split_file} holds every clip out", "Make a smaller split with `sao-tui dataset split`.")
    if not held:
        return None
    dataset.filenames = [name for name in dataset.filenames if name in kept]
    return _unchanging(dataset, sorted(held)[:: max(1, -(-len(held) // MAX_CLIPS))])


def _relpath(filename: str, dataset_folders: list[str]) -> bytes | None:
    """Return a clip's path in its dataset folder; latents are named like their clip with `.npy` behind it."""
    for folder in dataset_folders:
        root = folder.rstrip("/") + "/"
        if filename.startswith(root):
            return os.fsencode(filename[len(root) :].removesuffix(".npy"))
    return None


def _unchanging(dataset: Any, filenames: list[str]) -> Any:
    """Return a copy that gives the same crops each time and turns no phase around."""
    held = copy.copy(dataset)
    held.filenames = filenames
    if hasattr(held, "pad_crop"):
        held.pad_crop = copy.copy(held.pad_crop)
        held.pad_crop.randomize = False
        held.augs = None
    held.random_crop = False
    return held


class HeldOutLoss(pl.Callback):
    """Measures before the first step, every some steps and at the end; the run's own draws stay as they were."""

    def __init__(self, dataset: Any, batch_size: int, every: int, emitter: Emitter) -> None:
        self._dataset = dataset
        self._batch_size = min(batch_size, len(dataset))
        self._every = every
        self._emitter = emitter
        self._measured_step = -1

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Measure where the run begins."""
        self._measure(trainer, pl_module)

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Measure when it is due."""
        step = trainer.global_step
        if step != self._measured_step and (step % self._every == 0 or step == trainer.max_steps):
            self._measure(trainer, pl_module)

    def _measure(self, trainer: pl.Trainer, wrapper: Any) -> None:
        from stable_audio_tools.data.dataset import collation_fn

        self._measured_step = trainer.global_step
        outputs: dict[str, list[float]] = {name: [] for name in wrapper.validation_step_outputs}
        kept, wrapper.validation_step_outputs = wrapper.validation_step_outputs, outputs
        was_training = wrapper.training
        weights: list[int] = []
        try:
            with _own_draws(), torch.no_grad(), trainer.precision_plugin.forward_context():
                wrapper.eval()
                for start in range(0, len(self._dataset), self._batch_size):
                    stop = min(len(self._dataset), start + self._batch_size)
                    batch = collation_fn([self._dataset[index] for index in range(start, stop)])
                    wrapper.validation_step(trainer.strategy.batch_to_device(batch), start)
                    weights.append(stop - start)
        finally:
            wrapper.train(was_training)
            wrapper.validation_step_outputs = kept
        losses = {name: float(np.average(values, weights=weights)) for name, values in outputs.items()}
        by_time = {f"held_out_{name.removeprefix('val/')}": round(loss, 6) for name, loss in losses.items()}
        self._emitter.metric(self._measured_step, held_out_loss=sum(losses.values()) / len(losses), **by_time)


@contextmanager
def _own_draws() -> Iterator[None]:
    """Draw the same noise each time, and give the run its own state back."""
    states = random.getstate(), np.random.get_state()
    devices = [torch.cuda.current_device()] if torch.cuda.is_available() else []
    try:
        with torch.random.fork_rng(devices=devices):
            random.seed(NOISE_SEED)
            np.random.seed(NOISE_SEED)
            torch.manual_seed(NOISE_SEED)
            yield
    finally:
        random.setstate(states[0])
        np.random.set_state(states[1])
