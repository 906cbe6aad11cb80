"""Lightning's trainer as the worker uses it: silent, one device, checkpoints of our own."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import pytorch_lightning as pl

from sao_tui.core.settings import TrainSettings
from sao_tui.worker.callbacks import Metrics
from sao_tui.worker.checkpoint import DurableCheckpointIO
from sao_tui.worker.emit import Emitter


def create_trainer(settings: TrainSettings, folder: Path, emitter: Emitter, callbacks: list[Any]) -> Any:
    """Return a trainer that differs from that of upstream's train.py only in what it reports and saves.

    Args:
        callbacks: Those beside the metrics, in the order in which they are called.
    """
    # It suggests more loader processes, and log_every_n_steps for a logger that we do not use.
    warnings.filterwarnings("ignore", module="pytorch_lightning.*")
    return pl.Trainer(
        accelerator=settings.device,
        devices=1,
        precision=settings.precision,
        max_steps=settings.max_steps,
        max_epochs=-1,
        accumulate_grad_batches=settings.accumulate_batches,
        gradient_clip_val=settings.gradient_clip or None,
        callbacks=[Metrics(emitter, settings.metric_every), *callbacks],
        plugins=[DurableCheckpointIO()],
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        use_distributed_sampler=False,
        default_root_dir=folder,
    )
