"""What a weights file says about itself, read without torch and without its tensor data."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from math import prod
from pathlib import Path
from typing import Any, Literal

WeightsFormat = Literal["torch", "safetensors"]
ProblemKind = Literal["truncated", "dangerous", "foreign"]

DTYPE_BYTES = {
    "F64": 8,
    "F32": 4,
    "F16": 2,
    "BF16": 2,
    "F8_E4M3": 1,
    "F8_E5M2": 1,
    "I64": 8,
    "I32": 4,
    "I16": 2,
    "I8": 1,
    "U8": 1,
    "BOOL": 1,
}
"""Name of a number format, as safetensors spells it -> bytes of one number."""

MAX_NUMBER = 2**53
"""Sizes and offsets above this are damage, not data."""


class WeightsError(Exception):
    """A file that cannot be used as weights, and which kind of file it is instead."""

    def __init__(self, kind: ProblemKind, message: str) -> None:
        """Say in one sentence, which goes on after the file's name, what is wrong."""
        super().__init__(message)
        self.kind: ProblemKind = kind
        self.message = message


@dataclass(frozen=True)
class TensorInfo:
    """One tensor: its shape, and where its numbers lie in the file."""

    dtype: str
    """A key of DTYPE_BYTES."""
    shape: tuple[int, ...]
    offset_bytes: int
    """From the start of the storage that holds it."""
    storage: str = ""
    """Entry of the zip archive; empty when the offset counts from the start of the file."""
    storage_bytes: int = 0
    strides: tuple[int, ...] | None = None
    """Numbers to skip along each dimension; None when they lie in order without gaps."""

    @property
    def num_elements(self) -> int:
        """How many numbers it has."""
        return prod(self.shape)

    @property
    def num_bytes(self) -> int:
        """Bytes of its numbers, laid out without gaps."""
        return self.num_elements * DTYPE_BYTES[self.dtype]


@dataclass(frozen=True)
class WeightsHeader:
    """Everything about a weights file except its numbers."""

    path: Path
    format: WeightsFormat
    num_bytes: int
    """Size of the file."""
    tensors: Mapping[str, TensorInfo]
    """State dict: name -> tensor, in the file's order."""
    metadata: Mapping[str, str] = field(default_factory=dict)
    """Text that the file carries: safetensors' `__metadata__`."""
    step: int | None = None
    """Optimizer steps that a wrapped checkpoint counts."""
    has_optimizer: bool = False
    has_loops: bool = False
    """Whether Lightning's position in the epochs is there, without which nothing can be resumed."""
    model_config: Mapping[str, Any] | None = None
    """Config that upstream's trainer and ours write into a checkpoint."""


def contiguous_strides(shape: Sequence[int]) -> tuple[int, ...]:
    """Return the strides of a tensor whose numbers lie in order without gaps."""
    strides: list[int] = []
    step = 1
    for size in reversed(shape):
        strides.append(step)
        step *= max(size, 1)
    return tuple(reversed(strides))


def is_contiguous(shape: Sequence[int], strides: Sequence[int]) -> bool:
    """Return whether numbers laid out by `strides` lie in order; a dimension of one may have any stride."""
    if 0 in shape:
        return True
    pairs = zip(shape, strides, contiguous_strides(shape), strict=True)
    return all(size == 1 or stride == expected for size, stride, expected in pairs)


def num_parameters(tensors: Mapping[str, TensorInfo]) -> int:
    """Return how many trainable numbers a state dict has; buffers are not counted."""
    return sum(info.num_elements for name, info in tensors.items() if not is_buffer(name, tensors))


def is_buffer(name: str, names: Mapping[str, object]) -> bool:
    """Return whether upstream's models keep this tensor as a buffer.

    Its LayerNorm has a fixed beta beside a trainable gamma; only the DynamicTanh that may stand in its
    place also has an alpha.
    """
    head, _, last = name.rpartition(".")
    if last == "beta":
        return f"{head}.gamma" in names and f"{head}.alpha" not in names
    return last in ("inv_freq", "filter", "initted") or name.endswith("diffusion_ema.step")


def some_names(names: Sequence[str], limit: int = 3) -> str:
    """Return a few names and how many more there are."""
    rest = len(names) - limit
    return ", ".join(names[:limit]) + (f" and {rest} more" if rest > 0 else "")


def strip_prefix(tensors: Mapping[str, TensorInfo], prefix: str, onto: str = "") -> Iterator[tuple[str, TensorInfo]]:
    """Yield the tensors whose names begin with `prefix`, with `onto` in its place."""
    for name, info in tensors.items():
        if name.startswith(prefix):
            yield onto + name[len(prefix) :], info
