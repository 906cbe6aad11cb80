"""Why a worker ended, in one sentence, from what it left behind."""

from __future__ import annotations

import re
import signal
from dataclasses import dataclass
from pathlib import Path

TAIL_LINES = 15
TAIL_BYTES = 65_536

_SENT_SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
"""Signals that come from outside; for any other one the log knows better."""

_CONTROL = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
_EXCEPTION = re.compile(r"^(?:[A-Za-z_]\w*\.)*[A-Z]\w*(?:Error|Exception|Interrupt|Exit|Warning|Failure)\b(?::.*)?$")
_MISSING_MODULE = re.compile(
    r"(?:ModuleNotFoundError|ImportError): No module named '?([\w.]+)'?|: No module named ([\w.]+)$"
)


@dataclass(frozen=True)
class Ending:
    """Why something ended, and what to do."""

    reason: str
    hint: str = ""


def read_log_tail(path: Path, num_lines: int = TAIL_LINES) -> list[str]:
    """Return a log's last lines without control characters, of a progress bar only its last drawing."""
    try:
        with path.open("rb") as file:
            file.seek(max(0, file.seek(0, 2) - TAIL_BYTES))
            text = file.read(TAIL_BYTES).decode(errors="replace")
    except OSError:
        return []
    lines = [line.rstrip("\r").rsplit("\r", 1)[-1] for line in text.split("\n")]
    clean = [_CONTROL.sub("", line).rstrip()[:500] for line in lines]
    return [line for line in clean if line][-num_lines:]


def explain_ending(exit_code: int | None, exit_signal: int | None, log_tail: list[str]) -> Ending:
    """Return why a worker ended that did not say so itself.

    Args:
        exit_code: None when it is not known, or a signal ended it.
        exit_signal: None when no signal ended it.
        log_tail: The last lines it wrote.
    """
    in_log, by_signal = _from_log(log_tail), _from_signal(exit_signal)
    return (
        (by_signal or in_log if exit_signal in _SENT_SIGNALS else in_log or by_signal)
        or _from_exception(log_tail)
        or _from_exit_code(exit_code)
        or Ending("The worker ended and nobody saw how.", "Read worker.log in the job's folder.")
    )


def _from_log(log_tail: list[str]) -> Ending | None:
    """Recognise the endings that have a cure of their own."""
    text = "\n".join(log_tail)
    if "CUDA out of memory" in text or "OutOfMemoryError" in text:
        return Ending(
            "The GPU ran out of memory.",
            "Lower batch_size and raise accumulate_batches by the same factor, or set precision to bf16-mixed.",
        )
    if "No space left on device" in text and ("/dev/shm" in text or "shared memory" in text):  # noqa: S108
        return Ending(
            "Shared memory (/dev/shm) is full.", "Set num_workers to 0, or give the container more shared memory."
        )
    if "No space left on device" in text or "Disk quota exceeded" in text:
        return Ending(
            "The disk is full.", "Free some space or lower keep_checkpoints, then resume from the last checkpoint."
        )
    if "DefaultCPUAllocator" in text or re.search(r"^MemoryError\b", text, re.MULTILINE):
        return Ending("The machine ran out of memory.", "Lower batch_size or num_workers, or close other programs.")
    exceptions = [line for line in log_tail if _EXCEPTION.match(line)]
    missing = _MISSING_MODULE.search("\n".join([*exceptions[-1:], *log_tail[-1:]]))
    if missing:
        module = missing.group(1) or missing.group(2)
        return Ending(
            f"The worker's Python does not have the module {module}.",
            "Install the extra sao-tui[train], or set [worker] python in sao.toml to an interpreter that has it.",
        )
    return None


def _from_signal(exit_signal: int | None) -> Ending | None:
    """Say what usually sends a signal."""
    if exit_signal is None:
        return None
    if exit_signal == signal.SIGKILL:
        return Ending(
            "The worker was killed by signal 9 (often the kernel's out-of-memory killer).",
            "Look at the memory readings before the end; lower batch_size or num_workers, then resume.",
        )
    if exit_signal == signal.SIGBUS:
        return Ending(
            "The worker was killed by signal 7 (often shared memory, /dev/shm, that is too small).",
            "Set num_workers to 0, or give the container more shared memory.",
        )
    try:
        name = signal.Signals(exit_signal).name
    except ValueError:
        name = "unknown"
    return Ending(f"The worker was killed by signal {exit_signal} ({name}).", "Read worker.log in the job's folder.")


def _from_exception(log_tail: list[str]) -> Ending | None:
    """Return the last line of a Python traceback."""
    for line in reversed(log_tail):
        if _EXCEPTION.match(line):
            return Ending(f"The worker failed with {line}", "The last lines of worker.log say where.")
    return None


def _from_exit_code(exit_code: int | None) -> Ending | None:
    """Say at least with which code it ended; 0 included, since a terminated trainer exits with 0."""
    if exit_code is None:
        return None
    if exit_code == 0:
        return Ending(
            "The worker ended without saying that it had finished (exit code 0).",
            "Something may have sent it SIGTERM; resume from the last checkpoint.",
        )
    return Ending(f"The worker ended with exit code {exit_code}.", "Read worker.log in the job's folder.")
