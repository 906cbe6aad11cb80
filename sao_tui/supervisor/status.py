"""status.json as its only writer keeps it."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, replace
from typing import Any

from sao_tui.core.files import write_json
from sao_tui.core.jobs import JobFolder, JobStatus

STEP_SECONDS = 1.0
"""Least time between two writes that only tell of progress."""
HEARTBEAT_SECONDS = 5.0
"""Longest time between two writes."""
LAST_WORD_SECONDS = 30.0
"""Time for which the end of a job is tried to be written to a disk that is full."""


class StatusFile:
    """The status of one job, written at once when it matters and seldom otherwise."""

    def __init__(self, folder: JobFolder, first: JobStatus, clock: Callable[[], float]) -> None:
        """Begin with `first`, unwritten."""
        self._path = folder.status_file
        self._clock = clock
        self._written: JobStatus | None = None
        self.now = first
        """The status to be written."""

    def change(self, **changes: Any) -> None:
        """Change fields; write_if_due decides when the file follows."""
        self.now = replace(self.now, **changes)

    def write_if_due(self) -> None:
        """Write what is new, and the heartbeat when its time has come; a full disk is tried again next time."""
        age = self._clock() - (self._written.heartbeat if self._written else 0.0)
        is_news = self._written is None or self._essence(self._written) != self._essence(self.now)
        is_progress = self._written is not None and self._written.step != self.now.step
        if is_news or (is_progress and age >= STEP_SECONDS) or not 0 <= age < HEARTBEAT_SECONDS:
            try:
                self._write(durable=is_news)
            except OSError:
                # The work goes on without us; readers see the heartbeat grow old.
                pass

    def write_last(self) -> None:
        """Write the end of the job, waiting a while for space.

        Raises:
            OSError: There is still none.
        """
        deadline = time.monotonic() + LAST_WORD_SECONDS
        while True:
            try:
                self._write(durable=True)
                return
            except OSError:
                if time.monotonic() >= deadline:
                    raise
                time.sleep(1)

    def _write(self, *, durable: bool) -> None:
        self.now = replace(self.now, heartbeat=round(self._clock(), 3))
        write_json(self._path, asdict(self.now), durable=durable)
        self._written = self.now

    @staticmethod
    def _essence(status: JobStatus) -> JobStatus:
        """Return what must be written at once when it changes."""
        return replace(status, step=0, heartbeat=0.0)
