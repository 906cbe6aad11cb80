"""Checks of the machine: the worker's Python, room on disk and in memory, GPU and sound."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sao_tui.core.errors import SaoError
from sao_tui.core.findings import Finding
from sao_tui.core.settings import TrainSettings
from sao_tui.core.units import format_bytes

if TYPE_CHECKING:
    from sao_tui.services.workspace import Workspace

TESTED = {"torch": "2.7.1", "torchaudio": "2.7.1", "stable-audio-tools": "0.0.19", "pytorch-lightning": "2.1.0"}
"""Versions that the tests run with."""
INSTALL_FIX = (
    "Install `sao-tui[train]` into Python 3.10 or 3.11, or name its interpreter in sao.toml ([worker] python)."
)
ASK_SECONDS = 30.0

_ASK = """
import sys
sys.path[:] = [p for p in sys.path if p]
import importlib.metadata as m, json
def v(n):
    try: return m.version(n)
    except Exception: return None
print(json.dumps({"python": list(sys.version_info[:3]), "versions": {n: v(n) for n in sys.argv[1:]}}))
"""
"""What the worker's Python is asked: versions from its metadata, so that torch need not be imported."""


@dataclass(frozen=True)
class WorkerPython:
    """What is installed for the worker."""

    python: tuple[int, ...]
    versions: Mapping[str, str | None]


def ask_worker_python(python: str) -> WorkerPython:
    """Return what an interpreter has installed.

    Raises:
        SaoError: It cannot be run, or does not answer.
    """
    argv = [python, "-c", _ASK, *TESTED, "setuptools"]
    try:
        done = subprocess.run(
            argv, stdin=subprocess.DEVNULL, capture_output=True, timeout=ASK_SECONDS, check=True, text=True
        )
        answer = json.loads(done.stdout.strip().splitlines()[-1])
        return WorkerPython(tuple(answer["python"]), answer["versions"])
    except OSError as error:
        raise SaoError(f"The worker's Python {python} cannot be run: {error.strerror}.", INSTALL_FIX) from error
    except subprocess.TimeoutExpired as error:
        raise SaoError(f"The worker's Python {python} does not answer.", INSTALL_FIX) from error
    except (subprocess.CalledProcessError, ValueError, KeyError, IndexError, TypeError) as error:
        raise SaoError(f"The worker's Python {python} does not work.", INSTALL_FIX) from error


def check_worker(workspace: Workspace) -> list[Finding]:
    """Return what the worker's Python lacks."""
    python = workspace.worker_python
    try:
        found = ask_worker_python(python)
    except SaoError as error:
        return [Finding("worker-python", "error", error.message, python, error.hint)]
    missing = [name for name in TESTED if found.versions.get(name) is None]
    if missing:
        message = f"The worker's Python {python} has no {' and no '.join(missing)}."
        return [Finding("worker-python", "error", message, python, INSTALL_FIX)]
    return [*_check_setuptools(found, python), *_check_versions(found, python)]


def check_room(workspace: Workspace, settings: TrainSettings, model_config: Mapping[str, Any]) -> list[Finding]:
    """Return whether checkpoints would fill the disk, or the run the memory."""
    size = _model_size(model_config)
    if size is None:
        return []
    findings: list[Finding] = []
    every, kept = settings.checkpoint_every, settings.keep_checkpoints
    count = kept if kept else -(-settings.max_steps // every)
    # The newest is written before the oldest goes.
    need = size.checkpoint_bytes * (count + 1)
    free = _free_bytes(workspace.root)
    if free < need:
        can_start = free > 2 * size.checkpoint_bytes
        findings.append(
            Finding(
                "disk-low",
                "warning" if can_start else "error",
                f"{workspace.root} has {format_bytes(free)} free, and {count} checkpoints of "
                f"{format_bytes(size.checkpoint_bytes)} need {format_bytes(need)}.",
                str(workspace.root),
                "Free some space, keep fewer checkpoints, or write them less often.",
            )
        )
    return findings + _check_memory(size, settings, workspace) + _check_shared_memory(settings, model_config)


def check_devices(workspace: Workspace) -> list[Finding]:
    """Return what there is of GPU and sound."""
    from sao_tui.services.gpu import read_gpus

    findings: list[Finding] = []
    reading = read_gpus()
    if reading.state == "no-driver":
        message = f"No GPU: {reading.message.rstrip('.')}. Training and generation run on the CPU."
        findings.append(
            Finding("gpu-none", "info", message, None, "Run on a machine with an NVIDIA GPU for real sizes.")
        )
    elif reading.state == "error":
        findings.append(Finding("gpu-error", "warning", reading.message, None, "See what nvidia-smi says."))
    return findings + _check_sound(workspace)


@dataclass(frozen=True)
class _ModelSize:
    checkpoint_bytes: int
    training_bytes: int


def _check_sound(workspace: Workspace) -> list[Finding]:
    from sao_tui.services.playback import Playback

    try:
        players = Playback(workspace).available()
    except SaoError as error:
        return [Finding("player-unknown", "error", error.message, str(workspace.settings_file), error.hint)]
    if any(player.ok and player.name != "null" for player in players):
        return []
    reasons = "; ".join(f"{player.name}: {player.why}" for player in players if not player.ok)
    message = f"No way to play sound here ({reasons or 'no player'}); playing says where the file is."
    return [Finding("audio-none", "info", message, None, "Copy clips to your machine, or install pw-play or paplay.")]


def _check_setuptools(found: WorkerPython, python: str) -> list[Finding]:
    version = found.versions.get("setuptools")
    if version is not None and _numbers(version) < (82,):
        return []
    has = f"has setuptools {version}" if version else "has no setuptools"
    message = f"The worker's Python {python} {has}, and Lightning 2.1 needs one below 82 (pkg_resources)."
    return [Finding("versions", "error", message, python, f'Run `{python} -m pip install "setuptools<82"`.')]


def _check_versions(found: WorkerPython, python: str) -> list[Finding]:
    versions = found.versions
    odd = [
        f"{name} {versions[name]} (tested {tested})"
        for name, tested in TESTED.items()
        if not _same(versions[name], tested)
    ]
    if found.python[:2] not in ((3, 10), (3, 11)):
        odd.insert(0, f"Python {'.'.join(map(str, found.python))} (tested 3.10 and 3.11)")
    if not odd:
        return []
    message = f"The worker's Python {python} has versions that are not tested: {', '.join(odd)}."
    return [Finding("versions", "warning", message, python, INSTALL_FIX)]


def _same(version: str | None, tested: str) -> bool:
    """Return whether a version is the tested one, a build for CUDA or the CPU included."""
    return version is not None and version.split("+")[0] == tested


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".") if part.isdecimal())


def _model_size(model_config: Mapping[str, Any]) -> _ModelSize | None:
    """Return bytes of a wrapped checkpoint and of the run's memory that does not depend on the batch."""
    from sao_tui.core.weights.expected import expected_tensors
    from sao_tui.core.weights.header import is_buffer

    try:
        expected = expected_tensors(model_config)
        pretransform = model_config["model"].get("pretransform") or {}
        has_ema = (model_config.get("training") or {}).get("use_ema", True)
    except (KeyError, TypeError, ValueError, AttributeError):
        return None
    trained = frozen = 0
    for name, shape in expected.shapes.items():
        count = 1
        for size in shape:
            count *= size
        if name.startswith("pretransform."):
            frozen += count
        elif not is_buffer(name, expected.shapes):
            trained += count
    frozen_bytes = frozen * (2 if pretransform.get("model_half", False) else 4)
    checkpoint = trained * 4 * (4 if has_ema else 3) + frozen_bytes
    return _ModelSize(checkpoint, checkpoint + trained * 4)


def _free_bytes(folder: Path) -> int:
    disk = os.statvfs(folder)
    return disk.f_bavail * disk.f_frsize


def _check_memory(size: _ModelSize, settings: TrainSettings, workspace: Workspace) -> list[Finding]:
    from sao_tui.services.gpu import read_gpus, read_host

    gpus = read_gpus().gpus if settings.device != "cpu" else ()
    if gpus:
        best = max((gpu.total_bytes or 0) - (gpu.used_bytes or 0) for gpu in gpus)
        name, free = "The GPU", best or None
    else:
        host = read_host(workspace.root)
        known = host.ram_total_bytes is not None and host.ram_used_bytes is not None
        name, free = "This machine", (host.ram_total_bytes or 0) - (host.ram_used_bytes or 0) if known else None
    if free is None or free >= size.training_bytes:
        return []
    message = (
        f"{name} has {format_bytes(free)} of memory free, and weights, EMA, gradients and optimizer alone take "
        f"{format_bytes(size.training_bytes)}."
    )
    fix = "Set training.use_ema to false, or use a larger machine."
    return [Finding("memory-low", "warning", message, None, fix)]


def _check_shared_memory(settings: TrainSettings, model_config: Mapping[str, Any]) -> list[Finding]:
    """Loader processes hand batches over in /dev/shm, which containers often make tiny."""
    shared = Path("/dev/shm")  # noqa: S108 - only its free space is asked for
    if not settings.num_workers or not shared.is_dir():
        return []
    channels = model_config.get("audio_channels", 2)
    need = settings.num_workers * 3 * settings.batch_size * channels * model_config.get("sample_size", 0) * 4
    free = _free_bytes(shared)
    if free >= need:
        return []
    message = (
        f"{shared} has {format_bytes(free)} free, and {settings.num_workers} loader processes may need "
        f"{format_bytes(need)}."
    )
    fix = "Lower num_workers, or start the container with a larger --shm-size."
    return [Finding("shm-low", "warning", message, str(shared), fix)]
