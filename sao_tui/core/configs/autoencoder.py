"""The pretransform: the frozen autoencoder between audio and the latents that the DiT works on."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from sao_tui.core.configs.base import Channels, Count, Part, Samples, Scale


class OobleckEncoderConfig(Part):
    """Arguments of upstream's OobleckEncoder."""

    in_channels: Channels = 2
    """Audio channels it takes."""
    channels: Channels = 128
    """Width of the first layer; later ones are multiples of it."""
    latent_dim: Channels = 32
    """Channels it puts out; twice the latents' under a VAE bottleneck (mean and scale)."""
    c_mults: list[Count] = [1, 2, 4, 8]
    """Width of each block as a multiple of `channels`."""
    strides: list[Count] = [2, 4, 8, 8]
    """Downsampling of each block; their product is the downsampling ratio."""
    use_snake: bool = False
    """Use the periodic snake activation in place of ELU."""
    antialias_activation: bool = False
    """Oversample around activations."""


class OobleckDecoderConfig(Part):
    """Arguments of upstream's OobleckDecoder."""

    out_channels: Channels = 2
    """Audio channels it gives."""
    channels: Channels = 128
    """Width of the last layer; earlier ones are multiples of it."""
    latent_dim: Channels = 32
    """Channels of the latents."""
    c_mults: list[Count] = [1, 2, 4, 8]
    """Width of each block as a multiple of `channels`."""
    strides: list[Count] = [2, 4, 8, 8]
    """Upsampling of each block, in the encoder's order."""
    use_snake: bool = False
    """Use the periodic snake activation in place of ELU."""
    antialias_activation: bool = False
    """Oversample around activations."""
    use_nearest_upsample: bool = False
    """Repeat samples and convolve in place of a transposed convolution."""
    final_tanh: bool = True
    """Bound the audio by tanh."""


class OobleckEncoder(Part):
    """A convolutional encoder."""

    type: Literal["oobleck"]
    """Kind of encoder."""
    requires_grad: bool = True
    """Whether training an autoencoder changes it; frozen in a pretransform anyway."""
    config: OobleckEncoderConfig
    """Its arguments."""


class OobleckDecoder(Part):
    """A convolutional decoder."""

    type: Literal["oobleck"]
    """Kind of decoder."""
    requires_grad: bool = True
    """Whether training an autoencoder changes it; frozen in a pretransform anyway."""
    soft_clip: bool = False
    """Bound the audio by tanh outside the decoder."""
    config: OobleckDecoderConfig
    """Its arguments."""


class OtherEncoder(Part):
    """An encoder from another package."""

    type: Literal["seanet", "dac", "local_attn", "taae"]
    """Kind of encoder."""
    requires_grad: bool = True
    """Whether training an autoencoder changes it."""
    config: dict[str, Any]
    """Its arguments, handed on as they are."""


class OtherDecoder(Part):
    """A decoder from another package."""

    type: Literal["seanet", "dac", "local_attn", "taae"]
    """Kind of decoder."""
    requires_grad: bool = True
    """Whether training an autoencoder changes it."""
    soft_clip: bool = False
    """Bound the audio by tanh outside the decoder."""
    config: dict[str, Any]
    """Its arguments, handed on as they are."""


class PlainBottleneck(Part):
    """A bottleneck without arguments."""

    type: Literal["vae", "l2_norm"]
    """Kind of bottleneck: vae samples from mean and scale."""
    requires_grad: bool = True
    """Whether training an autoencoder changes it."""
    config: dict[str, Any] = {}
    """Ignored by upstream."""


class OtherBottleneck(Part):
    """A bottleneck with arguments."""

    type: Literal["tanh", "rvq", "dac_rvq", "rvq_vae", "dac_rvq_vae", "wasserstein", "fsq", "dithered_fsq"]
    """Kind of bottleneck."""
    requires_grad: bool = True
    """Whether training an autoencoder changes it."""
    config: dict[str, Any] = {}
    """Its arguments, handed on as they are."""


Encoder = Annotated[OobleckEncoder | OtherEncoder, Field(discriminator="type")]
Decoder = Annotated[OobleckDecoder | OtherDecoder, Field(discriminator="type")]
Bottleneck = Annotated[PlainBottleneck | OtherBottleneck, Field(discriminator="type")]


class AutoencoderConfig(Part):
    """The autoencoder's parts and what it does to lengths and channels."""

    encoder: Encoder
    """Audio to latents."""
    decoder: Decoder
    """Latents to audio."""
    bottleneck: Bottleneck | None = None
    """What happens to latents in between."""
    latent_dim: Channels
    """Channels of the latents."""
    downsampling_ratio: Samples
    """Audio samples that one latent frame stands for."""
    io_channels: Channels
    """Audio channels."""
    in_channels: Channels | None = None
    """Audio channels taken, where they differ."""
    out_channels: Channels | None = None
    """Audio channels given, where they differ."""
    pretransform: dict[str, Any] | None = None
    """A further transform in front of the encoder."""


class AutoencoderPretransform(Part):
    """A frozen autoencoder."""

    type: Literal["autoencoder"]
    """Kind of pretransform."""
    config: AutoencoderConfig
    """Its parts."""
    scale: Scale = 1.0
    """Latents are divided by this."""
    model_half: bool = False
    """Run it in 16 bits, which halves its memory."""
    iterate_batch: bool = False
    """Encode one clip after another, which saves memory and costs time."""
    chunked: bool = False
    """Encode in pieces; fails below 128 latent frames."""
    enable_grad: bool = False
    """Train it along; leave it off for fine-tuning."""


class OtherPretransform(Part):
    """A pretransform of another kind."""

    type: Literal["wavelet", "pqmf", "dac_pretrained", "audiocraft_pretrained", "patched"]
    """Kind of pretransform."""
    config: dict[str, Any]
    """Its arguments, handed on as they are."""
    enable_grad: bool = False
    """Train it along."""


Pretransform = Annotated[AutoencoderPretransform | OtherPretransform, Field(discriminator="type")]
