"""Tempo and musical key of single clips, on demand: librosa lives in the worker's environment."""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sao_tui.core.errors import SaoError
from sao_tui.services.json_lines import JsonLinesProcess
from sao_tui.services.worker_process import worker_environment
from sao_tui.services.workspace import Workspace

if TYPE_CHECKING:
    from sao_tui.services.bundle import Services

MIN_BPM_CONFIDENCE = 0.3
"""Below, beats are not regular enough to speak of a tempo."""

MIN_KEY_CONFIDENCE = 0.6
"""Correlation with a key's profile below which no key is named."""

_START_SECONDS = 120.0
_CLIP_SECONDS = 120.0


@dataclass(frozen=True)
class TempoReading:
    """What was heard in one clip."""

    bpm: float | None
    """Beats a minute; None when it is not clear."""
    bpm_confidence: float
    musical_key: str
    """Such as `F# minor`; empty when it is not clear."""
    key_confidence: float

    def in_words(self) -> str:
        """Return it as one line."""
        tempo = f"{self.bpm:.0f} BPM ({100 * self.bpm_confidence:.0f} % sure)" if self.bpm else "no clear tempo"
        key = f"{self.musical_key} ({100 * self.key_confidence:.0f} % sure)" if self.musical_key else "no clear key"
        return f"{tempo}, {key}"


def measure_tempo(services: Services, relpath: str) -> TempoReading:
    """Measure tempo and key of a clip and keep them beside its analysis, which is made first where it is missing.

    Raises:
        SaoError: The clip has gone or cannot be read, or the worker's environment has no librosa.
    """
    from sao_tui.services.measuring import measure_clip

    row = services.clips.row_for(relpath)
    if row is None:
        raise SaoError(f"{relpath} is not in the dataset any more.", "Read the folder again.")
    reading = services.tempo.read(services.workspace.dataset_folder / relpath)
    measure_clip(services, row)
    services.analyses.put_tempo(row.id, reading.bpm, reading.musical_key)
    return reading


class TempoReader:
    """Measures one clip at a time with a child that stays warm, as importing librosa takes seconds."""

    def __init__(self, workspace: Workspace, arguments: Sequence[str] = ("-m", "sao_tui.worker.tempo")) -> None:
        """Start nothing yet.

        Args:
            arguments: What the worker's Python is given to run.
        """
        self._workspace = workspace
        self._arguments = tuple(arguments)
        self._lock = threading.Lock()
        self._process: JsonLinesProcess | None = None
        self._next_id = 0

    def read(self, path: Path) -> TempoReading:
        """Return tempo and key of a clip; the first call takes some seconds.

        Raises:
            SaoError: The worker's environment has no librosa, or the clip cannot be read.
        """
        with self._lock:
            process = self._running()
            self._next_id += 1
            process.send({"id": self._next_id, "path": os.fsencode(path).decode("latin-1")})
            reply = self._receive(process, _CLIP_SECONDS)
        if "error" in reply:
            raise SaoError(f"Cannot measure {path.name}: {reply['error']}.", "Play it, and convert it to wav.")
        is_beat = reply["bpm"] is not None and reply["bpm_confidence"] >= MIN_BPM_CONFIDENCE
        is_key = reply["key_confidence"] >= MIN_KEY_CONFIDENCE
        return TempoReading(
            reply["bpm"] if is_beat else None,
            reply["bpm_confidence"],
            reply["key"] if is_key else "",
            reply["key_confidence"],
        )

    @property
    def is_running(self) -> bool:
        """Whether the child has started well and lives."""
        return self._process is not None and self._process.is_alive

    def close(self) -> None:
        """End the child."""
        process, self._process = self._process, None
        if process is not None:
            process.close()

    def _running(self) -> JsonLinesProcess:
        if self._process is not None and self._process.is_alive:
            return self._process
        self.close()
        python = self._workspace.worker_python
        cache = self._workspace.cache_folder
        environment = worker_environment(python, cache, None)
        process = JsonLinesProcess(
            [python, *self._arguments], environment, self._workspace.root, cache / "analysis" / "tempo.log"
        )
        self._process = process
        reply = self._receive(process, _START_SECONDS)
        if reply.get("event") != "ready":
            self.close()
            raise SaoError(f"{reply.get('message', 'Tempo and key cannot be measured')}.", str(reply.get("hint", "")))
        return process

    def _receive(self, process: JsonLinesProcess, seconds: float) -> dict[str, Any]:
        try:
            reply = process.receive(seconds)
        except EOFError:
            ending = process.ending()
            self.close()
            raise SaoError(f"Measuring tempo and key ended: {ending.reason}", ending.hint) from None
        if reply is None:
            self.close()
            raise SaoError("Measuring tempo and key takes too long.", "Try a shorter clip.")
        return reply
