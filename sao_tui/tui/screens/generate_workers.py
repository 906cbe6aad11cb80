"""The generate screen's calls to the services: each runs in a thread and posts a message."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from textual import work
from textual.message import Message
from textual.worker import get_current_worker

from sao_tui.tui.base import BaseScreen
from sao_tui.tui.widgets.generated_table import MAX_CLIPS

if TYPE_CHECKING:
    from sao_tui.core.errors import SaoError
    from sao_tui.services.generation import GeneratedClip, GenerateRequest

PROGRESS_SECONDS = 0.5
"""Between two progress messages of one stage: each costs a redraw over the wire."""

GENERATING_KINDS = frozenset({"rf-base", "arc", "exported", "wrapped", "wrapped-ema"})
"""Kinds of file that hold a whole model."""


@dataclass
class HistoryRead(Message):
    """The clips generated so far, newest first."""

    clips: list[GeneratedClip]
    cursor: Path | None = None
    """Clip to move to."""


@dataclass
class ModelsRead(Message):
    """Files that can generate, newest first."""

    files: list[Path]
    newest_export: Path | None


@dataclass
class Progressed(Message):
    """The generation is on its way; a newer progress replaces one that still waits."""

    done: int
    total: int
    stage: str

    def can_replace(self, message: Message) -> bool:
        """Only the newest level counts."""
        return isinstance(message, Progressed)


@dataclass
class Generated(Message):
    """A generation has ended, with what became of it."""

    clips: list[GeneratedClip]
    error: SaoError | None = None


@dataclass
class PeaksRead(Message):
    """The waveform of a clip has been read."""

    path: Path
    peaks: list[tuple[float, float]]


class GenerateWorkers(BaseScreen):
    """Workers of the generate screen; none of them touches a widget."""

    @work(thread=True, group="clips", exit_on_error=False)
    def _read_history(self, cursor: Path | None = None) -> None:
        from sao_tui.services import generation

        self.post_message(HistoryRead(generation.history(self.services.workspace, MAX_CLIPS), cursor))

    @work(thread=True, group="models", exit_on_error=False)
    def _read_models(self) -> None:
        from sao_tui.services import checkpoints

        workspace = self.services.workspace
        rows = [
            row
            for row in checkpoints.list_checkpoints(workspace)
            if row.whole and row.kind in GENERATING_KINDS and row.path != workspace.base_weights
        ]
        newest = next((row.path for row in rows if row.kind == "exported"), None)
        self.post_message(ModelsRead([row.path for row in rows], newest))

    @work(thread=True, group="generate", exit_on_error=False)
    def _generate(self, request: GenerateRequest) -> None:
        from sao_tui.core.errors import SaoError
        from sao_tui.services.generation import GenerationCancelled

        try:
            message = Generated(self.services.generator.generate(request, self._progress_sender()))
        except GenerationCancelled as cancelled:
            message = Generated(cancelled.clips, cancelled)
        except SaoError as error:
            message = Generated([], error)
        self.post_message(message)

    @work(thread=True, group="cancel", exit_on_error=False)
    def _cancel(self) -> None:
        self.services.generator.cancel()

    @work(thread=True, group="peaks", exclusive=True, exit_on_error=False)
    def _read_peaks(self, path: Path, columns: int) -> None:
        peaks = self.services.peaks(path, columns)
        if not get_current_worker().is_cancelled:
            self.post_message(PeaksRead(path, peaks))

    def _progress_sender(self) -> Callable[[int, int, str], None]:
        last, last_stage = 0.0, ""

        def send(done: int, total: int, stage: str) -> None:
            nonlocal last, last_stage
            now = time.monotonic()
            if stage != last_stage or now - last >= PROGRESS_SECONDS:
                last, last_stage = now, stage
                self.post_message(Progressed(done, total, stage))

        return send
