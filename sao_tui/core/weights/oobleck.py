"""Shapes of upstream's oobleck autoencoder."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sao_tui.core.weights.shapes import Shapes, add_weight_norm_conv

WEIGHTLESS_BOTTLENECKS = ("vae", "tanh", "l2_norm", "wasserstein")


def add_autoencoder(shapes: Shapes, unknown: list[str], prefix: str, config: Mapping[str, Any]) -> None:
    """Add an autoencoder; parts of other types go to `unknown`."""
    bottleneck = config.get("bottleneck")
    if bottleneck is not None and bottleneck["type"] not in WEIGHTLESS_BOTTLENECKS:
        unknown.append(f"{prefix}bottleneck.")
    for name, add in (("encoder", _add_encoder), ("decoder", _add_decoder)):
        part = config[name]
        if part["type"] == "oobleck":
            add(shapes, f"{prefix}{name}.layers.", part.get("config", {}))
        else:
            unknown.append(f"{prefix}{name}.")
    if config.get("pretransform") is not None:
        unknown.append(f"{prefix}pretransform.")


def _add_encoder(shapes: Shapes, prefix: str, config: Mapping[str, Any]) -> None:
    widths, strides = _widths(config), config.get("strides", [2, 4, 8, 8])
    add_weight_norm_conv(shapes, f"{prefix}0.", config.get("in_channels", 2), widths[0], 7)
    for index, width in enumerate(widths[:-1]):
        block, stride = f"{prefix}{index + 1}.layers.", strides[index]
        _add_residual_units(shapes, block, 0, width, config)
        _add_activation(shapes, f"{block}3.", width, config)
        add_weight_norm_conv(shapes, f"{block}4.", width, widths[index + 1], 2 * stride)
    last = len(widths)
    _add_activation(shapes, f"{prefix}{last}.", widths[-1], config, may_antialias=True)
    add_weight_norm_conv(shapes, f"{prefix}{last + 1}.", widths[-1], config.get("latent_dim", 32), 3)


def _add_decoder(shapes: Shapes, prefix: str, config: Mapping[str, Any]) -> None:
    widths, strides = _widths(config), config.get("strides", [2, 4, 8, 8])
    add_weight_norm_conv(shapes, f"{prefix}0.", config.get("latent_dim", 32), widths[-1], 7)
    for number, index in enumerate(range(len(widths) - 1, 0, -1), start=1):
        block, stride = f"{prefix}{number}.layers.", strides[index - 1]
        _add_activation(shapes, f"{block}0.", widths[index], config, may_antialias=True)
        if config.get("use_nearest_upsample", False):
            add_weight_norm_conv(shapes, f"{block}1.1.", widths[index], widths[index - 1], 2 * stride, bias=False)
        else:
            add_weight_norm_conv(shapes, f"{block}1.", widths[index], widths[index - 1], 2 * stride, transposed=True)
        _add_residual_units(shapes, block, 2, widths[index - 1], config)
    last = len(widths)
    _add_activation(shapes, f"{prefix}{last}.", widths[0], config, may_antialias=True)
    add_weight_norm_conv(shapes, f"{prefix}{last + 1}.", widths[0], config.get("out_channels", 2), 7, bias=False)


def _widths(config: Mapping[str, Any]) -> list[int]:
    channels = config.get("channels", 128)
    return [multiple * channels for multiple in (1, *config.get("c_mults", [1, 2, 4, 8]))]


def _add_residual_units(shapes: Shapes, prefix: str, first: int, width: int, config: Mapping[str, Any]) -> None:
    for index in range(first, first + 3):
        unit = f"{prefix}{index}.layers."
        _add_activation(shapes, f"{unit}0.", width, config)
        add_weight_norm_conv(shapes, f"{unit}1.", width, width, 7)
        _add_activation(shapes, f"{unit}2.", width, config)
        add_weight_norm_conv(shapes, f"{unit}3.", width, width, 1)


def _add_activation(
    shapes: Shapes, prefix: str, width: int, config: Mapping[str, Any], *, may_antialias: bool = False
) -> None:
    inner = prefix
    if may_antialias and config.get("antialias_activation", False):
        inner = f"{prefix}act."
        shapes[f"{prefix}upsample.filter"] = (1, 1, 12)
        shapes[f"{prefix}downsample.lowpass.filter"] = (1, 1, 12)
    if config.get("use_snake", False):
        shapes[f"{inner}alpha"] = (width,)
        shapes[f"{inner}beta"] = (width,)
