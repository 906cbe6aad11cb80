"""The checkpoints screen's calls to the services: each runs in a thread and posts a message."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from textual import work
from textual.message import Message
from textual.worker import get_current_worker

from sao_tui.tui.base import BaseScreen

if TYPE_CHECKING:
    from sao_tui.services.checkpoints import CheckpointRow, ExportReport
    from sao_tui.services.models import ModelReport

PROGRESS_SECONDS = 0.5
"""Between two progress messages of an export: each costs a redraw over the wire."""


@dataclass
class CheckpointsRead(Message):
    """The weights files of the workspace as they are now."""

    rows: list[CheckpointRow]

    def can_replace(self, message: Message) -> bool:
        """Only the newest level counts."""
        return isinstance(message, CheckpointsRead)


@dataclass
class FileInspected(Message):
    """What a file is."""

    report: ModelReport


@dataclass
class ExportProgressed(Message):
    """An export is on its way; a newer progress replaces one that still waits."""

    done_bytes: int
    total_bytes: int

    def can_replace(self, message: Message) -> bool:
        """Only the newest level counts."""
        return isinstance(message, ExportProgressed)


@dataclass
class Exported(Message):
    """An export has been written and compared."""

    report: ExportReport


@dataclass
class Deleted(Message):
    """A file is gone."""

    file: Path


class CheckpointsWorkers(BaseScreen):
    """Workers of the checkpoints screen; none of them touches a widget."""

    @work(thread=True, group="checkpoints", exit_on_error=False)
    def _read_checkpoints(self) -> None:
        from sao_tui.services import checkpoints

        self.post_message(CheckpointsRead(checkpoints.list_checkpoints(self.services.workspace)))

    @work(thread=True, group="inspect", exclusive=True, exit_on_error=False)
    def _inspect(self, file: Path) -> None:
        from sao_tui.services import checkpoints

        report = checkpoints.inspect(file)
        if not get_current_worker().is_cancelled:
            self.post_message(FileInspected(report))

    @work(thread=True, group="export", exit_on_error=False)
    def _export(self, file: Path, weights: Literal["ema", "raw"] | None) -> None:
        from sao_tui.services import checkpoints

        report = checkpoints.export(file, weights=weights, progress=self._progress_sender())
        self.post_message(Exported(report))

    def _progress_sender(self) -> Callable[[int, int], None]:
        last = 0.0

        def send(done: int, total: int) -> None:
            nonlocal last
            now = time.monotonic()
            if now - last >= PROGRESS_SECONDS:
                last = now
                self.post_message(ExportProgressed(done, total))

        return send

    @work(thread=True, group="delete", exit_on_error=False)
    def _delete(self, file: Path) -> None:
        from sao_tui.services import pruning

        pruning.delete_checkpoint(self.services.workspace, file)
        self.post_message(Deleted(file))
