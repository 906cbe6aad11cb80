"""What must be settled before torch and its company are imported. Standard library only."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

from sao_tui.core.errors import SaoError


def prepare_environment(text_encoder_home: str | None, model_config: dict[str, Any]) -> None:
    """Set the variables that the libraries read once, when they are imported.

    Without network a text encoder that lies in the cache takes 142 s to load unless HF_HUB_OFFLINE is
    set, and the variable only counts when set before huggingface_hub is imported.

    Args:
        text_encoder_home: Hugging Face cache folder to use, None for the user's own.

    Raises:
        SaoError: `text_encoder_home` lacks the text encoder, or came too late to be heard.
    """
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    os.environ.setdefault("MPLBACKEND", "Agg")
    # Threads that wait spin for 300,000 rounds by default, and starve each other where workers share the cores;
    # not spinning at all made training steps on two cores 1.7 times as long.
    os.environ.setdefault("GOMP_SPINCOUNT", "30000")
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    if os.environ.get("ENABLE_TORCH_COMPILE") != "1":
        # Importing upstream makes inductor start its pool of compilers: 7 s of CPU and 560 MB for nothing.
        os.environ.setdefault("TORCHINDUCTOR_COMPILE_THREADS", "1")
    if text_encoder_home is not None:
        _use_home(text_encoder_home)
    names = text_encoders(model_config)
    missing = [name for name in names if not is_cached(name)]
    if missing and text_encoder_home is not None:
        raise SaoError(
            f"The text encoder {missing[0]} is not in {text_encoder_home}",
            "Point text_encoder_home at a Hugging Face cache folder that holds it, or leave it empty to use your own.",
        )
    if names and not missing:
        os.environ.setdefault("HF_HUB_OFFLINE", "1")


def text_encoders(model_config: dict[str, Any]) -> list[str]:
    """Return the names of the T5 models that `model_config` asks for."""
    conditioning = model_config.get("model", {}).get("conditioning") or {}
    return [
        entry.get("config", {}).get("t5_model_name", "t5-base")
        for entry in conditioning.get("configs", [])
        if entry.get("type") == "t5"
    ]


def is_cached(name: str) -> bool:
    """Return whether the Hugging Face cache holds a snapshot of the model `name` with weights in it."""
    snapshots = _hub_cache() / f"models--{name.replace('/', '--')}" / "snapshots"
    return any(any(snapshots.glob(f"*/{pattern}")) for pattern in ("*.safetensors", "*.bin"))


def num_threads() -> int:
    """Return how many CPUs this process may use; torch itself overlooks the limits of a container."""
    if "OMP_NUM_THREADS" in os.environ:
        return max(1, int(os.environ["OMP_NUM_THREADS"].split(",")[0]))
    available = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text().split()
        available = min(available, max(1, round(int(quota) / int(period))))
    except (OSError, ValueError):
        pass  # no cgroup v2, or "max": no limit
    return available


def _hub_cache() -> Path:
    if "HF_HUB_CACHE" in os.environ:
        return Path(os.environ["HF_HUB_CACHE"])
    home = os.environ.get("HF_HOME") or str(Path(os.environ.get("XDG_CACHE_HOME", "~/.cache")) / "huggingface")
    return Path(home).expanduser() / "hub"


def _use_home(home: str) -> None:
    resolved = str(Path(home).expanduser().resolve())
    if "huggingface_hub" in sys.modules and os.environ.get("HF_HOME") != resolved:
        raise SaoError(
            f"This worker already reads text encoders from {os.environ.get('HF_HOME', 'the default cache')}",
            "Restart the generator to use another text_encoder_home.",
        )
    os.environ["HF_HOME"] = resolved
    os.environ.pop("HF_HUB_CACHE", None)
