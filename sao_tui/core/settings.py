"""What a job is asked to do, beside upstream's own configs: the trainer's arguments and ours."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Precision = Literal["32-true", "bf16-mixed", "16-mixed"]


@dataclass(frozen=True)
class TrainSettings:
    """Arguments of one training run; train_*.toml holds the same names."""

    base_weights: str | None = None
    """File the run starts from (core weights, not a wrapped checkpoint); None when resuming."""
    resume_from: str | None = None
    """Wrapped checkpoint whose steps, optimizer and EMA the run continues."""
    max_steps: int = 1_000
    """Optimizer steps in all, steps before a resume included."""
    batch_size: int = 8
    """Clips a batch."""
    accumulate_batches: int = 1
    """Batches whose gradients are summed before one optimizer step."""
    precision: Precision = "32-true"
    seed: int = 42
    num_workers: int = 0
    """Loader processes."""
    checkpoint_every: int = 500
    """Optimizer steps between checkpoints; one is also written at the end and on stop."""
    keep_checkpoints: int = 3
    """Newest checkpoints kept; older ones are removed after a newer one is whole; 0 keeps all."""
    gradient_clip: float = 0.0
    """2-norm to which gradients are clipped; 0 leaves them."""
    latents: str | None = None
    """Folder of pre-encoded latents to train on, None for raw audio."""
    text_encoder_home: str | None = None
    """Hugging Face cache folder that holds the text encoder; None for the user's own."""
    device: str = "auto"
    """Lightning accelerator: auto, cpu or gpu."""
    metric_every: int = 1
    """Optimizer steps between metric events."""
    held_out: str | None = None
    """split.json whose clips are held out; None trains on every clip."""
    held_out_every: int = 100
    """Optimizer steps between measurements of the loss on held-out clips."""


@dataclass(frozen=True)
class EncodeSettings:
    """Arguments of one pre-encoding job."""

    base_weights: str
    """File that holds the autoencoder."""
    output: str
    """Folder that the latents and their metadata go to."""
    batch_size: int = 1
    text_encoder_home: str | None = None
    device: str = "auto"
