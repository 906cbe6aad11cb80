"""What the captioners with models of Hugging Face share: the cache, the device, errors in words."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

from sao_tui.core.errors import SaoError
from sao_tui.worker.startup import is_cached, num_threads, prepare_environment


def go_offline_if_cached(name: str) -> None:
    """Settle the environment before transformers is imported; what is here already is not asked for again.

    Without network a model that lies in the cache takes minutes to load unless HF_HUB_OFFLINE is set.
    """
    prepare_environment(None, {})
    is_here = Path(name).expanduser().exists() or is_cached(name) or has_snapshot(name)
    if is_here and "huggingface_hub" not in sys.modules:
        os.environ.setdefault("HF_HUB_OFFLINE", "1")


def has_snapshot(name: str) -> bool:
    """Return whether the hub's cache holds anything of a repository, such as a tokenizer alone."""
    return any((hub_cache() / f"models--{name.replace('/', '--')}" / "snapshots").glob("*/*.json"))


def cached_file(repository: str, name: str) -> Path | None:
    """Return a file of a repository as it lies in the hub's cache, None when it does not."""
    snapshots = hub_cache() / f"models--{repository.replace('/', '--')}" / "snapshots"
    return next(iter(sorted(snapshots.glob(f"*/{name}"))), None)


def hub_cache() -> Path:
    """Return the folder of the hub's cache."""
    if "HF_HUB_CACHE" in os.environ:
        return Path(os.environ["HF_HUB_CACHE"])
    home = os.environ.get("HF_HOME") or str(Path(os.environ.get("XDG_CACHE_HOME", "~/.cache")) / "huggingface")
    return Path(home).expanduser() / "hub"


def choose_device(name: str) -> Any:
    """Return the torch device that `auto`, `cpu` or `gpu` means here.

    Raises:
        SaoError: A GPU is asked for and there is none.
    """
    import torch

    torch.set_num_threads(num_threads())
    if name == "gpu" and not torch.cuda.is_available():
        raise SaoError("There is no GPU that torch can use", "Use device=cpu or device=auto.")
    return torch.device("cuda" if name != "cpu" and torch.cuda.is_available() else "cpu")


def cannot_load(name: str, error: Exception) -> SaoError:
    """Return the error for a model that transformers does not load."""
    lines = str(error).splitlines()
    why = (lines[0] if lines else type(error).__name__)[:300]
    if "trust_remote_code" in str(error):
        return SaoError(
            f"{name} brings code of its own, which is not run here", "Choose a model that transformers itself knows."
        )
    hint = f"hf download {name} where there is network, or give the folder of a downloaded model."
    if Path(name).expanduser().exists():
        hint = "Check that the folder holds config.json, weights and tokenizer of one model."
    return SaoError(f"{name} cannot be loaded: {why}", hint)
