"""Weights files of the nano model's exact structure, made without torch."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from sao_tui.core.weights.expected import expected_tensors
from tests.fakes.torch_files import FakeTensor, core_state, wrapped, write_torch_file

NANO_CONFIG_FILE = Path(__file__).parents[2] / "configs" / "nano" / "base_model_config.json"


def nano_config(**training: Any) -> dict[str, Any]:
    """Return the nano model's config, with changes to its training section."""
    config: dict[str, Any] = json.loads(NANO_CONFIG_FILE.read_text())
    config["training"] |= training
    return config


def small_config() -> dict[str, Any]:
    """Return a config of SAO-small's published size."""
    config = nano_config()
    config |= {"sample_rate": 44_100, "sample_size": 524_288}
    model = config["model"]
    for part in ("encoder", "decoder"):
        sizes = {"channels": 128, "c_mults": [1, 2, 4, 8, 16], "strides": [2, 4, 4, 8, 8]}
        model["pretransform"]["config"][part]["config"] |= sizes
    model["pretransform"]["config"]["downsampling_ratio"] = 2048
    model["diffusion"]["config"] |= {"embed_dim": 1024, "depth": 16, "num_heads": 8}
    return config


def arc_config() -> dict[str, Any]:
    """Return the nano model's config as ARC post-training leaves it."""
    config = nano_config()
    config["model"]["diffusion"]["diffusion_objective"] = "rf_denoiser"
    return config


def nano_core(*, fill: bool = False) -> dict[str, FakeTensor]:
    """Return the nano model's core weights."""
    return core_state(expected_tensors(nano_config()).shapes, fill=fill)


def shifted(tensors: dict[str, FakeTensor]) -> dict[str, FakeTensor]:
    """Return the DiT's tensors with other numbers, as an EMA has them."""
    return {
        name: FakeTensor(
            t.shape, t.dtype, None if t.data is None else bytes(255 - byte for byte in t.data[:1]) * len(t.data)
        )
        for name, t in tensors.items()
        if name.startswith("model.")
    }


def write_base(path: Path, config: dict[str, Any] | None = None) -> Path:
    """Write base weights as downloaded, and the config beside them."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_torch_file(path, {"state_dict": nano_core()})
    if config is not None:
        path.with_name(f"{path.stem}_config.json").write_text(json.dumps(config))
    return path


def write_wrapped(path: Path, *, ema: bool = True, step: int = 500, fill: bool = False, moments: bool = True) -> Path:
    """Write a checkpoint as training leaves it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    core = nano_core(fill=fill)
    value = wrapped(core, ema=shifted(core) if ema else None, step=step, moments=moments)
    return write_torch_file(path, value)
