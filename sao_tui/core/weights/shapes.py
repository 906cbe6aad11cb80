"""Shapes of the small building blocks that upstream's models share."""

from __future__ import annotations

Shape = tuple[int, ...]
Shapes = dict[str, Shape]


def add_linear(shapes: Shapes, prefix: str, num_in: int, num_out: int, *, bias: bool = True) -> None:
    """Add a linear layer."""
    shapes[f"{prefix}weight"] = (num_out, num_in)
    if bias:
        shapes[f"{prefix}bias"] = (num_out,)


def add_weight_norm_conv(
    shapes: Shapes, prefix: str, num_in: int, num_out: int, kernel: int, *, bias: bool = True, transposed: bool = False
) -> None:
    """Add a weight-normalised 1-d convolution; a transposed one keeps its input channels first."""
    first, second = (num_in, num_out) if transposed else (num_out, num_in)
    if bias:
        shapes[f"{prefix}bias"] = (num_out,)
    shapes[f"{prefix}weight_g"] = (first, 1, 1)
    shapes[f"{prefix}weight_v"] = (first, second, kernel)
