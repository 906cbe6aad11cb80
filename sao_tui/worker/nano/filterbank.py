"""Start an oobleck autoencoder as a tree of lapped transforms, so that training begins near the goal.

A strided convolution with twice its stride as kernel has exactly the shape of an MDCT (Princen, Johnson
and Bradley, 1987), and the transposed convolution that of its inverse: with sine windows the pair
reconstructs perfectly. From a random start an oobleck this small stays at silence for thousands of
steps; from this one it passes everything below its latent bandwidth at step 0 and learns the rest.
Shapes: O out channels, I in channels, K kernel.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn

LEAK = 0.02
"""Scale of the random weights around the transform, so that unused channels can learn."""
SNAKE_BETA = 3.0
"""Log of the snake activations' beta: they start almost linear."""
RESIDUAL_GAIN = 0.1


@torch.no_grad()
def initialise(autoencoder: Any, noise_bias: float) -> None:
    """Set the weights of an untrained oobleck autoencoder with a VAE bottleneck in place.

    Args:
        noise_bias: Bias of the encoder's scale outputs; softplus of it is the latents' first noise.
    """
    for module in autoencoder.modules():
        if type(module).__name__ == "SnakeBeta":
            module.beta.fill_(SNAKE_BETA)
        elif type(module).__name__ == "ResidualUnit":
            module.layers[-1].weight_g.mul_(RESIDUAL_GAIN)
            module.layers[-1].bias.zero_()
    encoder = list(autoencoder.encoder.layers)
    decoder = [layer for layer in autoencoder.decoder.layers if not isinstance(layer, nn.Identity)]
    latent_dim = decoder[0].in_channels
    _set(encoder[0], _average_in(encoder[0]))
    num_used = 1
    for block in encoder[1:-2]:
        num_used = _set_mdct(block.layers[-1], num_used)
    _set(encoder[-1], _pass_through(encoder[-1]))
    encoder[-1].bias[latent_dim:] = noise_bias
    _set(decoder[0], _pass_through(decoder[0]))
    strides = [block.layers[1].stride[0] for block in decoder[1:-2]]
    for index, block in enumerate(decoder[1:-2]):
        _set_mdct(block.layers[1], math.prod(strides[index + 1 :]))
    _set(decoder[-1], _copy_out(decoder[-1]))


def mdct_basis(num_bands: int) -> Tensor:
    """Return the sine-windowed MDCT basis, shape [num_bands, 2 * num_bands], rows of unit norm."""
    n = torch.arange(2 * num_bands, dtype=torch.float64)
    k = torch.arange(num_bands, dtype=torch.float64)[:, None]
    window = torch.sin(math.pi * (n + 0.5) / (2 * num_bands))
    cosines = torch.cos(math.pi / num_bands * (n + 0.5 + num_bands / 2) * (k + 0.5))
    return (math.sqrt(2 / num_bands) * window * cosines).float()


def _set_mdct(conv: Any, num_used: int) -> int:
    """Make `conv` split (or, transposed, join) `num_used` channels into bands; return how many there are."""
    basis = mdct_basis(conv.stride[0])
    bands = torch.zeros_like(conv.weight_v)  # [O, I, K], or [I, O, K] when transposed: the same layout here
    for channel in range(num_used):
        first = channel * len(basis)
        last = min(first + len(basis), bands.shape[0])
        bands[first:last, channel] = basis[: last - first]
    _set(conv, bands)
    return min(num_used * len(basis), int(bands.shape[0]))


def _set(conv: Any, weight: Tensor) -> None:
    """Give a weight-normalised convolution this weight plus a small random one, and no bias."""
    weight = weight + LEAK * torch.randn_like(weight) / math.sqrt(weight[0].numel())
    conv.weight_v.copy_(weight)
    conv.weight_g.copy_(weight.flatten(1).norm(dim=1)[:, None, None])
    if conv.bias is not None:
        conv.bias.zero_()


def _average_in(conv: Any) -> Tensor:
    weight = torch.zeros_like(conv.weight_v)
    weight[0, :, weight.shape[2] // 2] = 1 / weight.shape[1]
    return weight


def _copy_out(conv: Any) -> Tensor:
    weight = torch.zeros_like(conv.weight_v)
    weight[:, 0, weight.shape[2] // 2] = 1
    return weight


def _pass_through(conv: Any) -> Tensor:
    weight = torch.zeros_like(conv.weight_v)
    for channel in range(min(weight.shape[0], weight.shape[1], 64)):
        weight[channel, channel, weight.shape[2] // 2] = 1
    return weight
