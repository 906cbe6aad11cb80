"""Which captioners can run here: asked of the worker's interpreter, without importing what it has."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from sao_tui.core.captioners import CAPTIONERS, CaptionerInfo

if TYPE_CHECKING:
    from sao_tui.services.workspace import Workspace

_ASK_SECONDS = 20.0
_QUESTION = (
    "import importlib.util, json, sys; "
    "print(json.dumps([name for name in sys.argv[1:] if importlib.util.find_spec(name) is None]))"
)


@dataclass(frozen=True)
class CaptionerState:
    """One captioner as things are on this machine."""

    info: CaptionerInfo
    is_available: bool
    missing: str
    """What it lacks, in a sentence; empty when nothing is known to be missing."""


def captioner_states(workspace: Workspace) -> list[CaptionerState]:
    """Return every captioner with what is missing for it in the worker's interpreter."""
    packages = sorted({name for info in CAPTIONERS.values() for name in info.packages})
    missing = missing_packages(workspace.worker_python, packages)
    return [_state(workspace, info, missing) for info in CAPTIONERS.values()]


def missing_packages(python: str, packages: Collection[str]) -> set[str] | None:
    """Return which of these an interpreter lacks; None when it does not answer."""
    if python == sys.executable:
        return {name for name in packages if importlib.util.find_spec(name) is None}
    command = [python, "-c", _QUESTION, *packages]
    try:
        answer = subprocess.run(command, capture_output=True, timeout=_ASK_SECONDS, check=True)
        return set(json.loads(answer.stdout))
    except (OSError, subprocess.SubprocessError, ValueError):
        return None


def _state(workspace: Workspace, info: CaptionerInfo, missing: set[str] | None) -> CaptionerState:
    if missing is None:
        return CaptionerState(info, False, f"The worker's Python {workspace.worker_python} does not answer.")
    lacking = [name for name in info.packages if name in missing]
    if lacking:
        return CaptionerState(info, False, f"Not in the worker's Python: {', '.join(lacking)}.")
    if info.name == "clap" and not _has_clap_weights(workspace):
        return CaptionerState(info, True, "No weights in the Hugging Face cache; the option weights can name a file.")
    if info.name == "openai" and not workspace.settings.suggest_url:
        return CaptionerState(info, True, "No [suggest] url in sao.toml; the option url can give it.")
    if info.name == "hf":
        return CaptionerState(info, True, "The option model names the model.")
    return CaptionerState(info, True, "")


def _has_clap_weights(workspace: Workspace) -> bool:
    home = os.environ.get("HF_HOME") or str(Path(os.environ.get("XDG_CACHE_HOME", "~/.cache")) / "huggingface")
    hub = Path(os.environ.get("HF_HUB_CACHE") or Path(home) / "hub").expanduser()
    folders = ("models--lukewys--laion_clap", "models--laion--clap-htsat-unfused")
    return any(any((hub / folder / "snapshots").glob("*/*")) for folder in folders)
