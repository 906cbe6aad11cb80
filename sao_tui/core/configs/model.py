"""Upstream's model config of the diffusion_cond family."""

from __future__ import annotations

from typing import Literal

from sao_tui.core.configs.autoencoder import Pretransform
from sao_tui.core.configs.base import Channels, Hertz, Part, Samples
from sao_tui.core.configs.conditioning import ConditioningConfig
from sao_tui.core.configs.diffusion import Diffusion
from sao_tui.core.configs.training import Training


class DiffusionModel(Part):
    """The parts of the model."""

    pretransform: Pretransform | None = None
    """The autoencoder."""
    conditioning: ConditioningConfig | None = None
    """Text and numbers."""
    diffusion: Diffusion
    """The DiT."""
    io_channels: Channels
    """Channels of the latents."""


class ModelConfig(Part):
    """A whole model config."""

    model_type: Literal["diffusion_cond", "diffusion_cond_inpaint"]
    """Kind of model."""
    sample_size: Samples
    """Length of a clip; longer ones are cropped, shorter ones padded."""
    sample_rate: Hertz
    """Clips are resampled to it."""
    audio_channels: Channels = 2
    """1 for mono, 2 for stereo."""
    model: DiffusionModel
    """The parts of the model."""
    training: Training
    """How a run trains."""
