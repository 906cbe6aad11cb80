"""Requests to a running job: files in its requests/ folder, or SIGTERM."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from types import FrameType


class Control:
    """Knows whether the job has been asked to stop."""

    def __init__(self, requests: Path) -> None:
        self._stop_file = requests / "stop"
        self._signalled = False
        self._pid = os.getpid()

    def listen(self) -> None:
        """Take SIGTERM and SIGINT as requests to stop: left to Lightning they end a run unsaved, with exit code 0."""
        signal.signal(signal.SIGTERM, self._on_signal)
        signal.signal(signal.SIGINT, self._on_signal)

    def should_stop(self) -> bool:
        """Return whether to stop at the next safe point."""
        return self._signalled or self._stop_file.exists()

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        if os.getpid() != self._pid:
            # A loader process inherits this handler, but ends when it is told to.
            os._exit(128 + number)
        self._signalled = True
