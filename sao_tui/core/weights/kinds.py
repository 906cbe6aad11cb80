"""What kind of file a header belongs to, decided by the names of its tensors."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Literal

from sao_tui.core.weights.header import TensorInfo, WeightsError, WeightsHeader, some_names, strip_prefix

Kind = Literal[
    "rf-base",
    "arc",
    "wrapped",
    "wrapped-ema",
    "exported",
    "adapter",
    "autoencoder",
    "foreign",
    "truncated",
    "dangerous",
]
Objective = Literal["rectified_flow", "rf_denoiser", "unknown"]

WRAPPED_PREFIX = "diffusion."
EMA_PREFIX = "diffusion_ema.ema_model."
CORE_PREFIX = "model.model."
DIT_PREFIX = "model."
"""In core weights, what the EMA shadows: the DiT, not the conditioner and not the autoencoder."""

EXPORT_KEY = "sao_tui.weights"
"""Metadata of a file that we exported: `ema` or `raw`."""
OBJECTIVE_KEY = "sao_tui.objective"
STEP_KEY = "sao_tui.step"
SOURCE_KEY = "sao_tui.source"

_ADAPTER_MARKS = ("lora_", "lora.", "dora_", ".hada_", ".lokr_", "adapter.")


def classify(header: WeightsHeader, objective: Objective = "unknown") -> Kind:
    """Return the kind of a readable file.

    Args:
        objective: What is known of the objective that core weights were trained with; their tensors
            have the same names and shapes under all of them.
    """
    names = header.tensors
    if _any_contains(names, _ADAPTER_MARKS):
        return "adapter"
    if _any_starts(names, EMA_PREFIX):
        return "wrapped-ema"
    if _any_starts(names, WRAPPED_PREFIX):
        return "wrapped"
    if _any_starts(names, CORE_PREFIX):
        if EXPORT_KEY in header.metadata:
            return "exported"
        return "arc" if objective == "rf_denoiser" else "rf-base"
    has_both = _any_starts(names, "encoder.") and _any_starts(names, "decoder.")
    if has_both or _any_starts(names, "autoencoder.") or (names and all(n.startswith("pretransform.") for n in names)):
        return "autoencoder"
    return "foreign"


def known_objective(text: object) -> Objective:
    """Return a config's diffusion_objective as far as these models have it."""
    if text == "rectified_flow":
        return "rectified_flow"
    return "rf_denoiser" if text == "rf_denoiser" else "unknown"


def core_tensors(tensors: Mapping[str, TensorInfo], *, use_ema: bool) -> dict[str, TensorInfo]:
    """Return the core weights inside a wrapped checkpoint, under the names that they have outside it.

    Args:
        use_ema: Take the DiT from the EMA; conditioner and autoencoder have none and are as trained.

    Raises:
        WeightsError: The EMA does not shadow exactly the DiT's tensors.
    """
    core = dict(strip_prefix(tensors, WRAPPED_PREFIX))
    if not use_ema:
        return core
    shadow = dict(strip_prefix(tensors, EMA_PREFIX, DIT_PREFIX))
    dit = {name for name in core if name.startswith(DIT_PREFIX)}
    odd = sorted(dit ^ shadow.keys())
    if odd:
        raise WeightsError("foreign", f"has an EMA that does not fit its model ({some_names(odd)})")
    return {name: shadow.get(name, info) for name, info in core.items()}


def _any_starts(names: Iterable[str], prefix: str) -> bool:
    return any(name.startswith(prefix) for name in names)


def _any_contains(names: Iterable[str], marks: tuple[str, ...]) -> bool:
    return any(mark in name for name in names for mark in marks)
