"""What the import and export dialogs ask of the services, each in a worker of its own."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from textual import work
from textual.message import Message
from textual.worker import get_current_worker

from sao_tui.core.errors import SaoError
from sao_tui.tui.studio.base import StudioDialog

if TYPE_CHECKING:
    from sao_tui.services.transfer import ImportPlan, Policy
    from sao_tui.services.transfer_write import ExportPlan


@dataclass
class ImportPlanned(Message):
    """The preview of an import."""

    plan: ImportPlan


@dataclass
class ExportPlanned(Message):
    """The preview of an export."""

    plan: ExportPlan
    existing: int
    """Files that are there with other content."""


@dataclass
class Refused(Message):
    """What was asked cannot be done."""

    message: str
    hint: str


@dataclass
class Written(Message):
    """It is done."""

    note: str


@dataclass
class Progressed(Message):
    """How far the writing is."""

    done: int
    total: int

    def can_replace(self, message: Message) -> bool:
        """Only the newest counts."""
        return isinstance(message, Progressed)


class TransferWorkers(StudioDialog):
    """Previews, and writing."""

    @work(thread=True, group="plan", exclusive=True, exit_on_error=False)
    def plan_import(self, source: str) -> None:
        """Find what an import would change."""
        from sao_tui.services.transfer import plan_import

        worker = get_current_worker()
        try:
            message: Message = ImportPlanned(plan_import(self.services, self._path(source)))
        except SaoError as error:
            message = Refused(error.message, error.hint)
        if not worker.is_cancelled:
            self.post_message(message)

    @work(thread=True, group="write", exclusive=True, exit_on_error=False)
    def write_import(self, plan: ImportPlan, policy: Policy) -> None:
        """Write the captions."""
        from sao_tui.services.transfer import apply_import, import_notes

        num_changed = apply_import(self.services, plan, policy)
        self.post_message(Written(" ".join([f"{num_changed} clips changed (u undoes).", *import_notes(plan, policy)])))

    @work(thread=True, group="plan", exclusive=True, exit_on_error=False)
    def plan_export(self, values: dict[str, Any]) -> None:
        """Find what an export would write."""
        from sao_tui.services.transfer_write import plan_export

        worker = get_current_worker()
        try:
            relpaths = self.services.clips.relpaths(self.selection.ids)
            target = self._path(values["target"])
            plan = plan_export(self.services, relpaths, target, values["format"], values["placing"])
            message: Message = ExportPlanned(plan, len(plan.existing))
        except SaoError as error:
            message = Refused(error.message, error.hint)
        if not worker.is_cancelled:
            self.post_message(message)

    @work(thread=True, group="write", exclusive=True, exit_on_error=False)
    def write_export(self, plan: ExportPlan, overwrite: bool) -> None:
        """Write the files."""
        from sao_tui.services.transfer_write import write_export

        def tell(done: int, total: int) -> None:
            if done % 100 == 0 or done == total:
                self.post_message(Progressed(done, total))

        num_files = write_export(self.services, plan, overwrite=overwrite, progress=tell)
        self.post_message(Written(f"{num_files} files are in {plan.folder}"))

    def _path(self, text: str) -> Path:
        """Return a path that was typed: relative to the workspace."""
        return self.services.workspace.root / Path(text).expanduser()
