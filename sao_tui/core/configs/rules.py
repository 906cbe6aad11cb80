"""What must fit together in configs whose single fields are all right, each rule with what it prevents."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from math import prod
from typing import Any

from sao_tui.core.configs.autoencoder import AutoencoderConfig, AutoencoderPretransform, OobleckDecoder, OobleckEncoder
from sao_tui.core.configs.dataset import AudioDirDataset, PreEncodedDataset, WebDatasetConfig
from sao_tui.core.configs.diffusion import DiTDiffusion
from sao_tui.core.configs.model import ModelConfig
from sao_tui.core.configs.problems import Problem
from sao_tui.core.configs.train import TrainConfig


def model_problems(config: ModelConfig) -> Iterator[Problem]:
    """Yield what does not fit together in a valid model config."""
    yield from _autoencoder(config)
    yield from _conditioning_ids(config)
    yield from _widths(config)
    yield from _optimizers(config)
    yield from _arc(config)
    yield from _odd_training(config)
    yield from _demos(config)


def dataset_problems(config: AudioDirDataset | PreEncodedDataset | WebDatasetConfig) -> Iterator[Problem]:
    """Yield what does not fit together in a valid dataset config."""
    if isinstance(config, WebDatasetConfig):
        for index, source in enumerate(config.datasets):
            if not source.s3_path and not source.path:
                yield Problem(f"datasets.{index}", f"datasets.{index} names no tar files", "Add s3_path or path.")
        return
    yield from _nested_paths([folder.path for folder in config.datasets])
    if isinstance(config, PreEncodedDataset):
        for index, folder in enumerate(config.datasets):
            if f".{config.latent_extension}" in folder.path:
                yield Problem(
                    f"datasets.{index}.path",
                    f'{folder.path} has ".{config.latent_extension}" in its name, so no latent would find its metadata',
                    "Rename the folder.",
                )


def train_problems(config: TrainConfig) -> Iterator[Problem]:
    """Yield what does not fit together in valid arguments of a run."""
    if config.precision == "16-mixed" and config.device == "cpu":
        yield Problem(
            "precision",
            "precision 16-mixed becomes bf16-mixed on a CPU",
            "Use 32-true or bf16-mixed.",
            "config-odd",
            "warning",
        )


def _nested_paths(paths: list[str]) -> Iterator[Problem]:
    """Upstream finds a clip's folder by looking for the path inside the clip's name."""
    for index, path in enumerate(paths):
        for other_index, other in enumerate(paths):
            if index == other_index or path not in other or (path == other and index > other_index):
                continue
            if path == other or other.startswith(path.rstrip("/") + "/"):
                message, fix = f"{other} lies inside {path}, so its clips are used twice", "Leave one of them out."
            else:
                message = f"clips of {other} would get the metadata of {path}, since its name begins the same"
                fix = f"Write {path}/ with a slash at its end."
            yield Problem(f"datasets.{index}.path", message, fix, "dataset-nested-path")


def _autoencoder(config: ModelConfig) -> Iterator[Problem]:
    pretransform = config.model.pretransform
    if not isinstance(pretransform, AutoencoderPretransform):
        return
    parts, where = pretransform.config, "model.pretransform.config"
    yield from _strides(parts, where)
    if isinstance(parts.encoder, OobleckEncoder):
        is_vae = parts.bottleneck is not None and parts.bottleneck.type == "vae"
        wanted = parts.latent_dim * (2 if is_vae else 1)
        if parts.encoder.config.latent_dim != wanted:
            path = f"{where}.encoder.config.latent_dim"
            yield Problem(path, f"{path} must be {wanted} to give {parts.latent_dim} latent channels", f"Set {wanted}.")
    if config.model.io_channels != parts.latent_dim:
        yield Problem(
            "model.io_channels",
            f"model.io_channels is {config.model.io_channels}, but the latents have {parts.latent_dim} channels",
            f"Set it to {parts.latent_dim}.",
        )
    yield from _clip_length(config.sample_size, parts.downsampling_ratio, is_chunked=pretransform.chunked)


def _strides(parts: AutoencoderConfig, where: str) -> Iterator[Problem]:
    for name, part in (("encoder", parts.encoder), ("decoder", parts.decoder)):
        if not isinstance(part, (OobleckEncoder, OobleckDecoder)):
            continue
        path = f"{where}.{name}.config"
        product = prod(part.config.strides)
        if len(part.config.strides) != len(part.config.c_mults):
            yield Problem(f"{path}.strides", f"{path} has not as many strides as c_mults", "Give one for each block.")
        elif product != parts.downsampling_ratio:
            yield Problem(
                f"{where}.downsampling_ratio",
                f"{where}.downsampling_ratio is {parts.downsampling_ratio}, "
                f"but the {name}'s strides multiply to {product}",
                f"Set it to {product}.",
            )


def _clip_length(sample_size: int, ratio: int, *, is_chunked: bool) -> Iterator[Problem]:
    if sample_size % ratio:
        yield Problem(
            "sample_size",
            f"sample_size {sample_size} is no multiple of the downsampling ratio {ratio}",
            f"Use {sample_size // ratio * ratio}.",
            "config-odd",
            "warning",
        )
    if is_chunked and sample_size // ratio < 128:
        path = "model.pretransform.chunked"
        yield Problem(path, f"{path} fails on clips shorter than 128 latent frames", "Set it to false.")


def _conditioning_ids(config: ModelConfig) -> Iterator[Problem]:
    conditioning = config.model.conditioning
    known = {conditioner.id for conditioner in conditioning.configs} if conditioning else set()
    if config.training.inpainting is not None:
        known |= {"inpaint_mask", "inpaint_masked_input"}
    diffusion = config.model.diffusion
    for name in ("cross_attention_cond_ids", "global_cond_ids", "input_concat_ids", "prepend_cond_ids"):
        for used in getattr(diffusion, name):
            if used not in known:
                path = f"model.diffusion.{name}"
                choices = ", ".join(sorted(known)) or "none"
                yield Problem(path, f'{path} names "{used}", which no conditioner has as its id', f"Known: {choices}.")
    if conditioning and set(conditioning.pre_encoded_keys) & {c.id for c in conditioning.configs if c.type == "t5"}:
        path = "model.conditioning.pre_encoded_keys"
        yield Problem(path, f"{path} names the text prompt, which upstream cannot pre-encode", "Leave it out.")


def _widths(config: ModelConfig) -> Iterator[Problem]:
    diffusion, conditioning = config.model.diffusion, config.model.conditioning
    if not isinstance(diffusion, DiTDiffusion):
        return
    dit, where = diffusion.config, "model.diffusion.config"
    if dit.io_channels != config.model.io_channels:
        path = f"{where}.io_channels"
        yield Problem(
            path,
            f"{path} is {dit.io_channels} and model.io_channels {config.model.io_channels}",
            f"Set both to {config.model.io_channels}.",
        )
    if dit.embed_dim % dit.num_heads:
        path = f"{where}.num_heads"
        yield Problem(path, f"{path} {dit.num_heads} does not divide embed_dim {dit.embed_dim}", "Use a divisor.")
    if dit.timestep_cond_type == "input_concat" and dit.timestep_embed_dim is None:
        path = f"{where}.timestep_embed_dim"
        yield Problem(path, f"{path} is missing under timestep_cond_type input_concat", "Add it.")
    if conditioning is None:
        return
    for path, width, wanted in (
        ("cond_token_dim", dit.cond_token_dim, conditioning.cond_dim * bool(diffusion.cross_attention_cond_ids)),
        ("global_cond_dim", dit.global_cond_dim, conditioning.cond_dim * len(diffusion.global_cond_ids)),
    ):
        if wanted and width != wanted:
            yield Problem(f"{where}.{path}", f"{where}.{path} is {width}, but its conditioning is {wanted} wide",
                          f"Set it to {wanted}.")  # fmt: skip


def _optimizers(config: ModelConfig) -> Iterator[Problem]:
    training = config.training
    if training.learning_rate is None and training.optimizer_configs is None:
        yield Problem("training", "training has neither learning_rate nor optimizer_configs", "Add optimizer_configs.")
    if training.learning_rate is not None and training.optimizer_configs is not None:
        yield Problem(
            "training.learning_rate",
            "training.learning_rate is ignored beside optimizer_configs",
            "Set the learning rate in optimizer_configs.diffusion.optimizer.config.lr.",
            "config-odd",
            "warning",
        )


def _arc(config: ModelConfig) -> Iterator[Problem]:
    arc = config.training.arc
    if arc is None:
        return
    extra: Mapping[str, Any] = arc.model_extra or {}
    has_base = arc.use_model_as_discriminator or extra.get("discriminator_base_model")
    if not has_base:
        fix = "Set use_model_as_discriminator to true."
        yield Problem("training.arc", "training.arc has no discriminator to train against", fix)
    if not (arc.discriminator or {}).get("dit_hidden_layer"):
        path = "training.arc.discriminator.dit_hidden_layer"
        yield Problem(path, f"{path} is missing", "Name the layer that the discriminator looks at.")
    configs = config.training.optimizer_configs
    if configs is None or configs.discriminator is None:
        path = "training.optimizer_configs.discriminator"
        yield Problem(path, f"{path} is missing for an ARC run", "Add it.")


def _odd_training(config: ModelConfig) -> Iterator[Problem]:
    training = config.training
    if training.log_loss_info:
        path = "training.log_loss_info"
        yield Problem(path, f"{path} ends training on a single device", "Set it to false.", "config-odd", "warning")
    if training.inpainting is not None and not config.model.diffusion.input_concat_ids:
        path = "training.inpainting"
        message = f"{path} has no effect without model.diffusion.input_concat_ids"
        yield Problem(path, message, "Remove it.", "config-odd", "warning")


def _demos(config: ModelConfig) -> Iterator[Problem]:
    demo = config.training.demo
    if demo is None or demo.demo_cond_from_batch:
        return
    if demo.num_demos != len(demo.demo_cond):
        path = "training.demo.num_demos"
        message = (
            f"{path} is {demo.num_demos} and demo_cond has {len(demo.demo_cond)}: upstream ends training at a demo"
        )
        yield Problem(path, message, f"Set it to {len(demo.demo_cond)}.", "config-odd", "warning")
