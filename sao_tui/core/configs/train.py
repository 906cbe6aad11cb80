"""train.toml: the arguments of a run, as core.settings.TrainSettings has them, with help and limits."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from sao_tui.core.configs.base import NonNegative, Number, Part, Steps


class TrainConfig(Part):
    """One training run."""

    base_weights: str | None = None
    """File the run starts from; sao.toml's when left out."""
    resume_from: str | None = None
    """Wrapped checkpoint that the run continues: steps, optimizer and EMA."""
    max_steps: Steps = 1_000
    """Optimizer steps in all, those before a resume included."""
    batch_size: Annotated[int, Field(ge=1, json_schema_extra={"unit": "clips"})] = 8
    """Clips a batch; needs that many clips at least."""
    accumulate_batches: Annotated[int, Field(ge=1, json_schema_extra={"unit": "batches"})] = 1
    """Batches whose gradients make one step: a larger batch without its memory."""
    precision: Literal["32-true", "bf16-mixed", "16-mixed"] = "32-true"
    """Number format; bf16-mixed halves activations on GPUs since Ampere."""
    seed: NonNegative = 42
    """Same seed, config and data give the same losses."""
    num_workers: Annotated[int, Field(ge=0, json_schema_extra={"unit": "processes"})] = 0
    """Loader processes; 0 loads in the worker itself."""
    checkpoint_every: Steps = 500
    """Steps between checkpoints; one is also written at the end and on stop."""
    keep_checkpoints: NonNegative = 3
    """Newest checkpoints kept; 0 keeps all."""
    gradient_clip: Annotated[Number, Field(ge=0)] = 0.0
    """Norm to which gradients are clipped; 0 leaves them."""
    latents: str | None = None
    """Folder of pre-encoded latents to train on in place of audio."""
    text_encoder_home: str | None = None
    """Hugging Face cache folder of the text encoder; sao.toml's when left out."""
    device: Literal["auto", "cpu", "gpu"] = "auto"
    """Where to train."""
    metric_every: Annotated[int, Field(ge=1, json_schema_extra={"unit": "steps"})] = 1
    """Steps between points of the curves."""
    held_out: str | None = None
    """File that names the held-out clips; the dataset's split.json when left out."""
    held_out_every: Annotated[int, Field(ge=1, json_schema_extra={"unit": "steps"})] = 100
    """Steps between measurements of the loss on held-out clips."""
