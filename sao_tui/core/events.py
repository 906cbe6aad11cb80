"""events.jsonl: what a job reports while it runs, one JSON object a line.

`{"t": unix seconds, "kind": …, …}`. One `os.write` a line with O_APPEND keeps lines whole; a torn
last line is an ordinary end of file.
"""

from __future__ import annotations

import errno
import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

EventKind = Literal["metric", "gpu", "log", "demo", "checkpoint", "warning", "state", "progress"]

METRIC_FIELDS = {
    "step": "optimizer steps since the run began, resumes included",
    "loss": "training loss of this step's last batch",
    "lr": "learning rate",
    "grad_norm": "2-norm of all gradients before clipping",
    "step_seconds": "wall time of the step",
    "data_seconds": "part of it spent waiting for the batch",
    "steps_per_second": "smoothed over the last 20 steps",
    "epoch": "whole passes over the data so far",
    "rss_bytes": "resident memory of the worker",
    "held_out_loss": "mean loss on held-out clips at fixed times and noise; such an event has no `loss`",
    "vram_allocated_bytes": "torch's allocated bytes on the device, null on CPU",
    "vram_reserved_bytes": "torch's reserved bytes on the device, null on CPU",
}
"""Fields of a `metric` event, each with its meaning; any may be null."""


class EventWriter:
    """Appends events to a job's events.jsonl."""

    def __init__(self, path: Path, clock: Callable[[], float] = time.time) -> None:
        """Open `path` for appending; a torn last line gets its newline first.

        Raises:
            OSError: The file cannot be opened.
        """
        self._clock = clock
        self._descriptor = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)
        size = os.fstat(self._descriptor).st_size
        if size and os.pread(self._descriptor, 1, size - 1) != b"\n":
            os.write(self._descriptor, b"\n")

    def write(self, kind: EventKind, *, durable: bool = False, **fields: Any) -> None:
        """Append one event; `durable` also survives a power cut.

        Raises:
            OSError: The disk is full or gone.
        """
        record = {"t": round(self._clock(), 3), "kind": kind, **fields}
        line = json.dumps(record, ensure_ascii=False).encode() + b"\n"
        if os.write(self._descriptor, line) != len(line):
            # What a disk that is all but full does before it refuses.
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        if durable:
            os.fdatasync(self._descriptor)

    def close(self) -> None:
        """Close the file."""
        os.close(self._descriptor)
