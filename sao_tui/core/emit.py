"""What a job's process says, into the job's events.jsonl."""

from __future__ import annotations

import math
import sys
from pathlib import Path
from typing import Any

from sao_tui.core.errors import SaoError
from sao_tui.core.events import EventKind, EventWriter
from sao_tui.core.jobs import JobState


class Emitter:
    """Writes a job's events; a full disk costs events, never the job."""

    def __init__(self, path: Path) -> None:
        """Open the events file at `path`.

        Raises:
            SaoError: The file cannot be opened.
        """
        self._path = path
        self._num_lost = 0
        self._step = self._steps = 0
        try:
            self._writer = EventWriter(path)
        except OSError as error:
            raise SaoError(
                f"{path} cannot be written: {error.strerror}", "Free some space or check the folder's permissions."
            ) from error

    def state(self, state: JobState, step: int, steps: int, reason: str = "", hint: str = "") -> None:
        """Report a new state of the job."""
        self._step, self._steps = step, steps
        self._write("state", durable=True, state=state, step=step, steps=steps, reason=reason, hint=hint)

    def failed(self, reason: str, hint: str) -> None:
        """Report that the job ended at the step it had reached."""
        self.state("failed", self._step, self._steps, reason, hint)

    def metric(self, step: int, **fields: float | int | None) -> None:
        """Report one step's numbers (core/events.METRIC_FIELDS); what is not finite becomes null."""
        self._step = step
        finite: dict[str, Any] = {
            name: value if value is None or math.isfinite(value) else None for name, value in fields.items()
        }
        self._write("metric", step=step, **finite)

    def log(self, message: str) -> None:
        """Report something worth knowing."""
        self._write("log", message=message)

    def warning(self, message: str, hint: str = "") -> None:
        """Report something that the user should look at although the job goes on."""
        self._write("warning", message=message, hint=hint)

    def checkpoint(self, path: Path, step: int) -> None:
        """Report a checkpoint that is whole and durable."""
        self._write("checkpoint", durable=True, path=str(path), step=step)

    def progress(self, done: int, total: int, stage: str) -> None:
        """Report how far a job without training steps has come."""
        self._step, self._steps = done, total
        self._write("progress", done=done, total=total, stage=stage)

    def close(self) -> None:
        """Close the file."""
        self._writer.close()

    def _write(self, kind: EventKind, *, durable: bool = False, **fields: Any) -> None:
        try:
            if self._num_lost:
                # Opened anew so that a line torn by the full disk gets its end.
                self._writer.close()
                self._writer = EventWriter(self._path)
                lost, hint = f"{self._num_lost} events could not be written", "The disk was full or gone for a while."
                self._writer.write("warning", message=lost, hint=hint)
                self._num_lost = 0
            self._writer.write(kind, durable=durable, **fields)
        except OSError as error:
            self._num_lost += 1
            print(f"{kind} event lost: {error}: {fields}", file=sys.stderr, flush=True)
