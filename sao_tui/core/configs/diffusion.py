"""The diffusion model: the DiT and what it listens to."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from sao_tui.core.configs.base import Channels, Count, Latents, NonNegative, Number, Part

Objective = Literal["v", "rectified_flow", "rf_denoiser"]


class AttentionConfig(Part):
    """Arguments of every attention layer."""

    qk_norm: Literal["l2", "ln", "dyt", "none"] = "none"
    """How queries and keys are normalised; SAO-small uses ln."""
    differential: bool = False
    """Subtract a second attention map."""
    feat_scale: bool = False
    """Scale low and high frequencies of the output apart."""


class FeedForwardConfig(Part):
    """Arguments of every feed-forward layer."""

    mult: Number = 4
    """Inner width as a multiple of embed_dim."""
    no_bias: bool = False
    """Leave the output layer's bias out."""
    glu: bool = True
    """Gate the inner layer."""
    use_conv: bool = False
    """Convolve in place of a linear layer."""
    conv_kernel_size: Count = 3
    """Its width."""
    zero_init_output: bool = True
    """Start as if the layer were absent."""


class NormConfig(Part):
    """Arguments of every layer norm."""

    bias: bool = False
    """Train the offset too."""
    fix_scale: bool = False
    """Keep the scale at one."""
    force_fp32: bool = False
    """Compute it in 32 bits."""
    eps: Number = 1e-5
    """Keeps the division finite."""


class DiTConfig(Part):
    """Arguments of upstream's DiffusionTransformer."""

    io_channels: Channels = 32
    """Channels of the latents."""
    patch_size: Count = 1
    """Latent frames that make one token."""
    embed_dim: Channels = 768
    """Width of the transformer."""
    depth: Count = 12
    """Number of layers."""
    num_heads: Count = 8
    """Attention heads of a layer."""
    cond_token_dim: NonNegative = 0
    """Width of what cross attention listens to; 0 leaves cross attention out."""
    project_cond_tokens: bool = True
    """Bring it to embed_dim first."""
    global_cond_dim: NonNegative = 0
    """Width of the conditioning that acts on the whole clip."""
    project_global_cond: bool = True
    """Bring it to embed_dim first."""
    input_concat_dim: NonNegative = 0
    """Channels put beside the latents."""
    prepend_cond_dim: NonNegative = 0
    """Width of the conditioning put in front of the latents."""
    transformer_type: Literal["continuous_transformer"] = "continuous_transformer"
    """Kind of transformer."""
    global_cond_type: Literal["prepend", "adaLN"] = "prepend"
    """Whether global conditioning is a first token or scales every layer."""
    timestep_cond_type: Literal["global", "input_concat"] = "global"
    """Where the noise level enters."""
    timestep_embed_dim: Channels | None = None
    """Width of the noise level's embedding under input_concat."""
    attn_kwargs: AttentionConfig = AttentionConfig()
    """Arguments of every attention layer."""
    ff_kwargs: FeedForwardConfig = FeedForwardConfig()
    """Arguments of every feed-forward layer."""
    norm_kwargs: NormConfig = NormConfig()
    """Arguments of every layer norm."""
    num_memory_tokens: NonNegative = 0
    """Trained tokens in front of the sequence."""
    rotary_pos_emb: bool = True
    """Tell positions by rotation."""
    use_sinusoidal_emb: bool = False
    """Tell positions by sines."""
    use_abs_pos_emb: bool = False
    """Tell positions by a table."""
    abs_pos_emb_max_length: Latents = 10_000
    """Length of that table."""
    final_cross_attn_ix: int = -1
    """Last layer with cross attention; -1 for all."""
    causal: Literal[False] = False
    """The DiT looks both ways."""
    zero_init_branch_outputs: bool = True
    """Start every layer as if it were absent."""
    conformer: bool = False
    """Add a convolution module to every layer."""
    layer_scale: bool = False
    """Scale every branch by a trained vector."""
    remove_norms: bool = False
    """Use a dynamic tanh in place of layer norms."""
    add_rope: bool = False
    """Give every layer its own rotation."""
    sliding_window: list[int] | None = None
    """Frames before and after that attention sees, with flash attention only."""


class DistributionShiftOptions(Part):
    """How noise levels move towards more noise for longer clips."""

    base_shift: Number = 0.5
    """Shift at min_length."""
    max_shift: Number = 1.15
    """Shift at max_length."""
    min_length: Latents = 256
    """Length of the smallest shift."""
    max_length: Latents = 4096
    """Length of the largest shift."""
    use_sine: bool = False
    """Bend the result by a sine."""


class _Diffusion(Part):
    cross_attention_cond_ids: list[str] = []
    """Conditioners that cross attention listens to."""
    global_cond_ids: list[str] = []
    """Conditioners that act on the whole clip."""
    input_concat_ids: list[str] = []
    """Conditioners put beside the latents."""
    prepend_cond_ids: list[str] = []
    """Conditioners put in front of the latents."""
    diffusion_objective: Objective = "v"
    """What the model learns to predict: rectified_flow for the base, rf_denoiser after ARC."""
    distribution_shift_options: DistributionShiftOptions | None = None
    """How noise levels move with length; none when left out."""


class DiTDiffusion(_Diffusion):
    """A diffusion transformer."""

    type: Literal["dit"]
    """Kind of diffusion model."""
    config: DiTConfig
    """Its arguments."""


class OtherDiffusion(_Diffusion):
    """A U-Net of older models."""

    type: Literal["adp_cfg_1d", "adp_1d"]
    """Kind of diffusion model."""
    config: dict[str, Any]
    """Its arguments, handed on as they are."""


Diffusion = Annotated[DiTDiffusion | OtherDiffusion, Field(discriminator="type")]
