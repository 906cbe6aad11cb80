"""Questions to metadata.jsonl, answered from an index of its lines in constant memory."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

from sao_tui.core.errors import SaoError
from sao_tui.services.captions_file import MetadataFile, StaleFileError, cannot_read
from sao_tui.services.captions_history import CaptionHistory, Earlier
from sao_tui.services.captions_index import text_hash
from sao_tui.services.workspace import Workspace

MAX_ATTEMPTS = 20
"""How often something is tried again because another program saves meanwhile."""

_Answer = TypeVar("_Answer")


@dataclass(frozen=True)
class CaptionChanges:
    """What other programs have done to the captions."""

    captions: Mapping[str, str]
    """New caption by relpath."""
    is_complete: bool
    """Whether these are all; otherwise any caption may have changed."""


class CaptionReader:
    """The captions of one workspace, to be read. Safe to use from several threads."""

    def __init__(self, workspace: Workspace, clock: Callable[[], float] = time.time) -> None:
        """Read nothing yet: the first question does."""
        self._workspace = workspace
        self._clock = clock
        self._lock = threading.RLock()

    @cached_property
    def _file(self) -> MetadataFile:
        return MetadataFile(self._workspace.metadata_file, self._workspace.dataset_folder)

    @cached_property
    def _history(self) -> CaptionHistory:
        return CaptionHistory(self._workspace.dataset_folder)

    @property
    def path(self) -> Path:
        """metadata.jsonl, or the file that it links to."""
        return self._file.path

    @property
    def history_problem(self) -> str:
        """Why earlier captions are not kept, empty when they are."""
        return self._history.problem

    def load(self) -> None:
        """Read what has changed in the file since it was last read.

        Raises:
            SaoError: It cannot be read, or names the line that is no JSON object.
        """
        with self._lock:
            self._file.refresh()

    def changed_on_disk(self) -> bool:
        """Return whether the file is not the one last read or written."""
        with self._lock:
            return not self._file.is_current()

    def take_changes(self) -> CaptionChanges:
        """Read what has changed in the file, and return what other programs have changed since the last call.

        Raises:
            SaoError: See load.
        """
        with self._lock:
            self._file.refresh()
            changes = CaptionChanges(self._file.changes, not self._file.all_changed)
            self._file.changes, self._file.all_changed = {}, False
            return changes

    def get(self, relpath: str) -> str:
        """Return a clip's caption as last read, empty when it has none.

        Raises:
            SaoError: See load.
        """
        return self.record(relpath).get("text") or ""

    def record(self, relpath: str) -> dict[str, Any]:
        """Return all keys of a clip's line as last read, empty when it has none.

        Raises:
            SaoError: See load.
        """
        return self._ask(lambda file: file.record(relpath)) or {}

    def items(self) -> Iterator[tuple[str, str]]:
        """Give relpath and caption of each clip that has one, as last read, in constant memory.

        Raises:
            SaoError: See load.
        """
        return self._ask(lambda file: file.texts())

    def all(self) -> dict[str, str]:
        """Return every caption as last read, by relpath; for large datasets items() is the better question.

        Raises:
            SaoError: See load.
        """
        return dict(self.items())

    def differing(self, captions: Iterable[tuple[str, str]]) -> Iterator[tuple[str, str]]:
        """Give relpath and caption of each clip whose caption, as last read, is not the given one.

        A hash of each is compared, so that half a million take a second and no memory.

        Raises:
            SaoError: See load.
        """
        self._ask(lambda file: None)
        for relpath, text in captions:
            with self._lock:
                is_same = self._file.text_hash(relpath) == text_hash(text)
            if not is_same:
                yield relpath, self.get(relpath)

    def history(self, relpath: str) -> list[Earlier]:
        """Return the captions that a clip had before, the last replaced first.

        Raises:
            SaoError: They cannot be read.
        """
        return self._history.of(relpath)

    def _ask(self, question: Callable[[MetadataFile], _Answer]) -> _Answer:
        """Return the answer of the file as last read; it is read again where another program wrote into it."""
        with self._lock:
            try:
                for _ in range(MAX_ATTEMPTS):
                    if not self._file.is_read:
                        self._file.refresh()
                    try:
                        return question(self._file)
                    except StaleFileError:
                        self._file.refresh(anew=True)
            except OSError as error:
                raise cannot_read(self.path, error) from error
        raise self._restless()

    def _restless(self) -> SaoError:
        return SaoError(
            f"{self.path} is being written by another program all the time.", "Try again once that has ended."
        )
