"""The training section: optimizer, schedule, noise levels, EMA, demos."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from sao_tui.core.configs.base import Count, NonNegative, Number, OpenPart, Part, Probability, Scale, Steps

LearningRate = Annotated[Number, Field(gt=0, json_schema_extra={"unit": "per step"})]
Positive = Annotated[Number, Field(gt=0)]
AtLeastZero = Annotated[Number, Field(ge=0)]
Beta = Annotated[Number, Field(ge=0, lt=1)]

OptimizerName = Literal[
    "AdamW", "Adam", "Adafactor", "Adadelta", "Adagrad", "Adamax", "ASGD", "FusedAdam", "NAdam", "RAdam", "RMSprop",
    "Rprop", "SGD",
]  # fmt: skip
SchedulerName = Literal[
    "ConstantLR", "LinearLR", "ExponentialLR", "StepLR", "MultiStepLR", "CosineAnnealingLR",
    "CosineAnnealingWarmRestarts", "CyclicLR", "OneCycleLR", "PolynomialLR",
]  # fmt: skip


class OptimizerArguments(Part):
    """Arguments of a torch optimizer; which of them one takes depends on its type."""

    form_fields = ("lr", "betas", "eps", "weight_decay")

    lr: LearningRate = 1e-3
    """Learning rate; fine-tunes of SAO-small used 1e-5 to 5e-5."""
    betas: Annotated[list[Beta], Field(min_length=2, max_length=2)] = [0.9, 0.999]
    """How long gradients and their squares are averaged."""
    eps: AtLeastZero | list[Number] = 1e-8
    """Keeps the division finite."""
    weight_decay: AtLeastZero = 0
    """Pull of the weights towards zero."""
    amsgrad: bool = False
    """Keep the largest average of squares."""
    momentum: AtLeastZero = 0
    """Share of the last step that is kept."""
    dampening: AtLeastZero = 0
    """Dampening of the momentum."""
    nesterov: bool = False
    """Look ahead along the momentum."""
    alpha: AtLeastZero = 0.99
    """Smoothing of the squares."""
    rho: AtLeastZero = 0.9
    """Decay of the squares."""
    centered: bool = False
    """Subtract the mean gradient."""
    lr_decay: AtLeastZero = 0
    """Decay of the learning rate."""
    initial_accumulator_value: AtLeastZero = 0
    """Start of the sum of squares."""
    momentum_decay: AtLeastZero = 4e-3
    """Decay of the momentum."""
    decoupled_weight_decay: bool = False
    """Decay weights as AdamW does."""
    beta2_decay: Number = -0.8
    """Decay of the second average."""
    d: Positive = 1.0
    """Threshold of the update."""
    lambd: AtLeastZero = 1e-4
    """Decay term."""
    t0: AtLeastZero = 1e6
    """Step at which averaging starts."""
    etas: list[Number] = [0.5, 1.2]
    """Factors by which steps shrink and grow."""
    step_sizes: list[Number] = [1e-6, 50]
    """Smallest and largest step."""
    foreach: bool | None = None
    """Update tensors together."""
    fused: bool | None = None
    """Update in one kernel, on a GPU."""
    capturable: bool = False
    """Allow CUDA graphs."""
    differentiable: bool = False
    """Keep the graph through the step."""
    maximize: bool = False
    """Climb instead of descend."""
    adam_w_mode: bool = True
    """Decay weights as AdamW does, in FusedAdam."""
    bias_correction: bool = True
    """Correct the averages' start, in FusedAdam."""
    set_grad_none: bool = True
    """Drop gradients after the step, in FusedAdam."""


class Optimizer(Part):
    """What changes the weights."""

    type: OptimizerName
    """Name of the optimizer in torch.optim."""
    config: OptimizerArguments
    """Its arguments."""


class InverseLRArguments(Part):
    """Arguments of upstream's InverseLR."""

    inv_gamma: Positive = 1.0
    """Steps after which the rate has fallen to (1/2)^power."""
    power: AtLeastZero = 1.0
    """How fast it falls."""
    warmup: Beta = 0.0
    """Exponential warm-up: 0.995 takes about 1,000 steps; 0 for none."""
    final_lr: AtLeastZero = 0.0
    """Lowest learning rate."""


class InverseScheduler(Part):
    """Warm-up, then a slow decay."""

    type: Literal["InverseLR"]
    """Upstream's own schedule."""
    config: InverseLRArguments
    """Its arguments."""


class TorchScheduler(Part):
    """A schedule of torch."""

    type: SchedulerName
    """Name of the schedule in torch.optim.lr_scheduler."""
    config: dict[str, Any]
    """Its arguments, handed on as they are."""


Scheduler = Annotated[InverseScheduler | TorchScheduler, Field(discriminator="type")]


class OptimizerConfig(Part):
    """An optimizer and its schedule."""

    optimizer: Optimizer
    """What changes the weights."""
    scheduler: Scheduler | None = None
    """How the learning rate moves; constant when left out."""


class OptimizerConfigs(Part):
    """The optimizers of a run."""

    diffusion: OptimizerConfig
    """Of the DiT and the conditioner."""
    discriminator: OptimizerConfig | None = None
    """Of ARC's discriminator."""


class TimestepSamplerOptions(Part):
    """Arguments of the log_snr sampler."""

    mean_logsnr: Number = -1.2
    """Middle of the noise levels."""
    std_logsnr: Positive = 2.0
    """Spread of the noise levels."""


class InpaintMaskOptions(Part):
    """How much of a clip is masked while learning to inpaint."""

    max_mask_segments: Count = 10
    """Most pieces that are masked."""
    mask_type_probabilities: Annotated[list[Probability], Field(min_length=3, max_length=3)] = [0.1, 0.8, 0.1]
    """Share of pieces, of the whole, of the end."""


class Inpainting(Part):
    """Learning to fill gaps; without input_concat_ids it has no effect."""

    mask_kwargs: InpaintMaskOptions = InpaintMaskOptions()
    """How much is masked."""


class AudioCondition(OpenPart):
    """What one demo is asked for."""

    prompt: str = ""
    """Text that the demo follows."""
    seconds_start: Annotated[Number, Field(json_schema_extra={"unit": "s"})] = 0
    """Where in the piece the demo begins, for models that know it."""
    seconds_total: Annotated[Number, Field(json_schema_extra={"unit": "s"})] = 10
    """Length that the demo is told."""


class Demo(Part):
    """Clips generated while training."""

    demo_every: Steps = 2000
    """Steps between demos."""
    demo_steps: Steps = 250
    """Sampling steps of a demo."""
    num_demos: NonNegative = 1
    """Clips a demo; must equal the number of prompts."""
    demo_cond: list[AudioCondition] = []
    """What each clip is asked for."""
    demo_cfg_scales: list[Scale] = [7]
    """Guidance scales, one round of clips for each."""
    demo_cond_from_batch: bool = False
    """Ask for the captions of the current batch instead."""
    display_audio_cond: bool = False
    """Also keep the audio that was given as condition."""
    cond_display_configs: list[dict[str, Any]] | None = None
    """Further conditions to show."""


class Arc(OpenPart):
    """Adversarial post-training to 8 steps; ignored keys stay as they are."""

    use_model_as_discriminator: bool = False
    """Build the discriminator from this same config."""
    discriminator_base_ckpt: str | None = None
    """Its weights."""
    use_model_as_teacher: bool = False
    """Build the teacher from this same config."""
    teacher_model_ckpt: str | None = None
    """Its weights."""
    discriminator: dict[str, Any] | None = None
    """Head, layer and weights of the discriminator."""


class Training(Part):
    """How a run trains."""

    learning_rate: LearningRate | None = None
    """Learning rate of a plain Adam; optimizer_configs win over it."""
    optimizer_configs: OptimizerConfigs | None = None
    """Optimizers and their schedules."""
    use_ema: bool = True
    """Keep a running average of the DiT, which generates better; costs its size in memory."""
    log_loss_info: bool = False
    """Log the loss by noise level; fails on a single device."""
    pre_encoded: bool = False
    """Train on latents that were encoded before."""
    mask_padding: bool = False
    """Leave padding out of the loss."""
    mask_padding_dropout: Probability = 0.0
    """Share of batches that learn the padding all the same."""
    cfg_dropout_prob: Probability = 0.1
    """Share of clips trained without their prompt, which guidance needs."""
    timestep_sampler: Literal["uniform", "logit_normal", "trunc_logit_normal", "log_snr"] = "uniform"
    """How noise levels are drawn; the base was trained with trunc_logit_normal."""
    timestep_sampler_options: TimestepSamplerOptions | None = None
    """Arguments of log_snr."""
    p_one_shot: Probability = 0.0
    """Share of clips trained from pure noise."""
    inpainting: Inpainting | None = None
    """Learn to fill gaps."""
    arc: Arc | None = None
    """Adversarial post-training."""
    clip_grad_norm: AtLeastZero = 0.0
    """Gradient norm limit of ARC runs."""
    trim_config: dict[str, Any] | None = None
    """Shortened clips in ARC runs."""
    demo: Demo | None = None
    """Clips generated while training."""
