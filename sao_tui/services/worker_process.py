"""How a worker's process is started and ended: its environment, the package on its path, its group."""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path

from sao_tui.core.errors import SaoError
from sao_tui.core.jobs import ProcessId

PACKAGE_FOLDER = Path(__file__).resolve().parents[1]

JOB_VARIABLE = "SAO_TUI_JOB"
"""Environment variable that names a worker's job folder, by which a worker nobody recorded is found."""

KILL_GRACE_SECONDS = 5.0
"""Time between SIGTERM and SIGKILL."""


def worker_environment(worker_python: str, cache_folder: Path, text_encoder_home: str | None) -> dict[str, str]:
    """Return the environment of a worker.

    Args:
        worker_python: Interpreter that will run it, perhaps not the one running this.
        cache_folder: The workspace's `.sao`.
        text_encoder_home: Hugging Face cache folder that holds the text encoder, None for the user's own.

    Raises:
        SaoError: The cache folder cannot be written.
    """
    environment = dict(os.environ)
    folders = [str(_package_parent(worker_python, cache_folder)), environment.get("PYTHONPATH", "")]
    environment["PYTHONPATH"] = os.pathsep.join(folder for folder in folders if folder)
    environment["PYTHONUNBUFFERED"] = "1"
    environment["PYTHONFAULTHANDLER"] = "1"
    # Upstream imports wandb even when it is off, and wandb would ask for a login.
    environment["WANDB_MODE"] = "disabled"
    if text_encoder_home:
        # huggingface_hub reads these at its import, which is why the worker cannot set them itself.
        environment["HF_HOME"] = text_encoder_home
        environment["HF_HUB_OFFLINE"] = "1"
    return environment


def end_group(process: ProcessId, grace_seconds: float = KILL_GRACE_SECONDS) -> None:
    """End a process and its group: SIGTERM, then SIGKILL after a grace; a recycled pid is left alone."""
    if not process.is_alive():
        return
    # The group's id stays taken as long as one of its members lives, so what follows cannot hit a stranger's.
    if grace_seconds:
        send_to_group(process.pid, signal.SIGTERM)
        deadline = time.monotonic() + grace_seconds
        while process.is_alive() and time.monotonic() < deadline:
            time.sleep(0.02)
    # Loader processes and further ranks may outlive their leader and keep the GPU.
    send_to_group(process.pid, signal.SIGKILL)
    deadline = time.monotonic() + KILL_GRACE_SECONDS
    while process.is_alive() and time.monotonic() < deadline:
        time.sleep(0.02)


def send_to_group(group: int, sent: signal.Signals) -> None:
    """Send a signal to a process group that may have ended meanwhile."""
    try:
        os.killpg(group, sent)
    except (ProcessLookupError, PermissionError):
        # PermissionError is how macOS and some containers answer for a group of zombies.
        pass


def _package_parent(worker_python: str, cache_folder: Path) -> Path:
    """Return a folder that holds sao_tui and, for another interpreter, nothing else.

    The parent of an installed package is site-packages, whose compiled modules would break another Python.
    """
    if worker_python == sys.executable:
        return PACKAGE_FOLDER.parent
    link = cache_folder / "pythonpath" / PACKAGE_FOLDER.name
    try:
        link.parent.mkdir(parents=True, exist_ok=True)
        if not link.is_symlink() or link.readlink() != PACKAGE_FOLDER:
            part = link.with_name(f".{link.name}.{os.getpid()}")
            part.unlink(missing_ok=True)
            part.symlink_to(PACKAGE_FOLDER)
            part.replace(link)
    except OSError as error:
        raise SaoError(
            f"Cannot write {link}: {error.strerror}.", "Choose a workspace on a disk that you may write to."
        ) from error
    return link.parent
