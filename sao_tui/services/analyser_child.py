"""The parent's side of one analysis child: what it has been asked for, whether it hangs, why it ended."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sao_tui.services.analyses import FileVersion, PendingClip
from sao_tui.services.analysis import Analysis
from sao_tui.services.json_lines import JsonLinesProcess
from sao_tui.services.worker_process import PACKAGE_FOLDER

HANG_SECONDS = 60.0
"""For so long a clip may take, and for each MB of it as much more as the next figure says."""
HANG_SECONDS_PER_MB = 2.0


class AnalysisChild:
    """One child process and what it has been asked for, in order."""

    def __init__(self, argv: tuple[str, ...], folder: Path, log_file: Path, clock: Callable[[], float]) -> None:
        """Start it when it is first given something."""
        self._argv = argv
        self._folder = folder
        self._log_file = log_file
        self._clock = clock
        self._process: JsonLinesProcess | None = None
        self._waiting: deque[PendingClip] = deque()
        self._since = 0.0

    @property
    def num_waiting(self) -> int:
        """How many clips it has been given and has not answered for."""
        return len(self._waiting)

    def waiting(self) -> list[PendingClip]:
        """Return these clips."""
        return list(self._waiting)

    def forget(self) -> None:
        """Expect no answers any more."""
        self._waiting.clear()

    def give(self, clips: list[PendingClip]) -> None:
        """Ask for the analysis of clips.

        Raises:
            SaoError: It cannot be started.
        """
        for clip in clips:
            if self._process is None:
                self._process = JsonLinesProcess(self._argv, _environment(), self._folder, self._log_file)
            if not self._waiting:
                self._since = self._clock()
            self._waiting.append(clip)
            path = os.fsencode(self._folder / clip.relpath).decode("latin-1")
            self._process.send({"id": clip.id, "path": path})

    def receive(self, seconds: float) -> tuple[PendingClip, FileVersion, Analysis] | None:
        """Return the next result, None when there is none yet.

        Raises:
            EOFError: The child has ended, or was ended because it hung.
        """
        from sao_tui.services.analysis_child import from_json

        assert self._process is not None  # noqa: S101
        reply: dict[str, Any] | None = self._process.receive(seconds)
        if reply is None:
            if self._waiting and self._clock() - self._since > self._patience():
                raise EOFError
            return None
        self._since = self._clock()
        # It answers in order.
        clip = self._waiting.popleft()
        return clip, FileVersion(reply["num_bytes"], reply["mtime_ns"]), from_json(reply["analysis"])

    def bury(self) -> tuple[PendingClip | None, str]:
        """Forget a child that has ended or hangs; return the clip it was at, and why it ended."""
        process, self._process = self._process, None
        assert process is not None  # noqa: S101
        hung = process.is_alive and self._clock() - self._since > self._patience()
        culprit = self._waiting.popleft() if self._waiting else None
        if hung:
            process.close()
            return culprit, "it took too long"
        ending = process.ending()
        process.close()
        return culprit, ending.reason

    def close(self) -> None:
        """End it."""
        process, self._process = self._process, None
        if process is not None:
            process.close()

    def _patience(self) -> float:
        try:
            megabytes = os.stat(self._folder / self._waiting[0].relpath).st_size / 1e6 if self._waiting else 0.0
        except OSError:
            megabytes = 0.0
        return HANG_SECONDS + HANG_SECONDS_PER_MB * megabytes


def _environment() -> dict[str, str]:
    environment = dict(os.environ)
    folders = [str(PACKAGE_FOLDER.parent), environment.get("PYTHONPATH", "")]
    environment["PYTHONPATH"] = os.pathsep.join(folder for folder in folders if folder)
    # One thread each: several that wait for each other would take the cores from the dashboard.
    environment |= {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "PYTHONFAULTHANDLER": "1"}
    return environment
