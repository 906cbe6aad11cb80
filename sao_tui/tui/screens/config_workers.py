"""The config screen's work on files: each runs in a thread and posts a message."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from textual import work
from textual.message import Message
from textual.worker import get_current_worker

from sao_tui.core.errors import SaoError
from sao_tui.core.findings import Finding
from sao_tui.tui.base import BaseScreen
from sao_tui.tui.screens.config_documents import Document, read_documents


@dataclass
class DocumentsRead(Message):
    """The files have been read."""

    documents: list[Document]
    values: dict[str, Any]
    problems: list[SaoError]
    """Why the others cannot be shown."""


@dataclass
class Checked(Message):
    """The form's values have been checked."""

    findings: list[Finding]
    errors: dict[str, str]
    show: bool
    """Whether to list the findings."""


@dataclass
class Saved(Message):
    """The changed files are on the disk."""

    text: str


class ConfigWorkers(BaseScreen):
    """Workers of the config screen; none of them touches a widget."""

    @work(thread=True, group="documents", exclusive=True, exit_on_error=False)
    def _read(self) -> None:
        documents, errors = read_documents(self.services.workspace)
        values = {key: value for document in documents for key, value in document.values().items()}
        self.post_message(DocumentsRead(documents, values, list(errors.values())))

    @work(thread=True, group="check", exclusive=True, exit_on_error=False)
    def _check(self, documents: list[Document], values: Mapping[str, Any], *, show: bool) -> None:
        findings: list[Finding] = []
        errors: dict[str, str] = {}
        for document in documents:
            found = document.check(document.changed(values))
            findings += found
            errors |= document.errors(found)
        if not get_current_worker().is_cancelled:
            self.post_message(Checked(findings, errors, show))

    @work(thread=True, group="save", exclusive=True, exit_on_error=False)
    def _save(self, changes: Mapping[str, Any]) -> None:
        saved = []
        # Read again: what another dashboard or an editor has written meanwhile stays.
        documents, problems = read_documents(self.services.workspace)
        for kind, problem in problems.items():
            if any(key.startswith(f"{kind}:") for key in changes):
                raise SaoError(f"Not written. {problem.message}", problem.hint)
        for document in documents:
            raw = document.changed({**document.values(), **changes})
            if raw != document.raw:
                document.save(raw)
                saved.append(document.path.name)
        self.post_message(Saved(f"wrote {', '.join(saved)}" if saved else "nothing has changed"))

    @work(thread=True, group="save", exclusive=True, exit_on_error=False)
    def _make_missing(self) -> None:
        from sao_tui.services.new_configs import missing_model_config, write_missing_configs

        made = write_missing_configs(self.services.workspace)
        names = ", ".join(path.name for path in made)
        missing = missing_model_config(self.services.workspace)
        if missing and not made:
            raise missing
        self.post_message(Saved(f"made {names}" if made else "no config is missing"))
