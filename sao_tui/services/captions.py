"""Captions in the dataset's metadata.jsonl, one JSON object a line.

The file is replaced in one step at every edit, so that it is whole at any moment, and an edit is on the
disk before it is acknowledged. Lines that an edit does not touch keep their bytes. Edits of other
programs are merged; a clip that changed on both sides is a conflict.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from sao_tui.core.errors import SaoError
from sao_tui.core.files import write_atomically
from sao_tui.core.unicode import is_unicode
from sao_tui.services.captions_file import MetadataLines, lock_folder
from sao_tui.services.workspace import Workspace

_MAX_UNDO = 200


class CaptionConflict(SaoError):  # noqa: N818 - an answer to decide on, more than an error
    """A clip's caption was changed by another program since it was last read; nothing was written.

    What the others wrote is loaded by then: setting the caption again means to overwrite theirs.
    """

    def __init__(self, relpath: str, mine: str, theirs: str) -> None:
        """Name the clip and keep both texts."""
        super().__init__(
            f"The caption of {relpath} was changed by another program to {theirs!r}.",
            "Save again to overwrite it with yours, or leave it.",
        )
        self.relpath = relpath
        self.mine = mine
        self.theirs = theirs


@dataclass(frozen=True)
class _Edit:
    """One edit, with what it takes to go back and forth."""

    description: str
    before: dict[str, str | None]
    """Caption by relpath; None where the file had no line for the clip."""
    after: dict[str, str | None]


class CaptionStore:
    """The captions of one workspace. Safe to use from several threads and processes."""

    def __init__(self, workspace: Workspace) -> None:
        """Read nothing yet: the first question does."""
        self._workspace = workspace
        self._lock = threading.RLock()
        self._lines: MetadataLines | None = None
        self._signature: tuple[int, int, int] | None = None
        self._done: list[_Edit] = []
        self._undone: list[_Edit] = []

    @property
    def path(self) -> Path:
        """metadata.jsonl, or the file that it links to: replacing a link would cut it."""
        path = self._workspace.metadata_file
        return path.resolve() if path.is_symlink() else path

    def load(self) -> None:
        """Read the file again if it is not the one last read.

        Raises:
            SaoError: It cannot be read, or names the line that is no JSON object.
        """
        with self._lock:
            self._read()

    def changed_on_disk(self) -> bool:
        """Return whether the file is not the one last read or written."""
        with self._lock:
            return self._lines is None or _signature(self.path) != self._signature

    def get(self, relpath: str) -> str:
        """Return a clip's caption as last read, empty when it has none.

        Raises:
            SaoError: See load.
        """
        with self._lock:
            return self._known().get(relpath) or ""

    def all(self) -> dict[str, str]:
        """Return every caption as last read, by relpath; lines without text are left out.

        Raises:
            SaoError: See load.
        """
        with self._lock:
            return self._known().captions()

    def set(self, relpath: str, text: str, *, expected: str | None = None) -> None:
        """Write a clip's caption; it is durable when this returns.

        Args:
            expected: Caption that the edit started from, where that may be older than the last read.

        Raises:
            CaptionConflict: Another program changed this caption since.
            SaoError: The file cannot be read or written; the old one stays.
        """
        started_from = None if expected is None else {relpath: expected}
        self.set_many({relpath: text}, f"caption of {relpath}", expected=started_from)

    def set_many(
        self, captions: Mapping[str, str], description: str = "", *, expected: Mapping[str, str] | None = None
    ) -> int:
        """Write many captions in one step and return how many of them differ from before.

        Args:
            description: What undo will say.
            expected: Caption that each edit started from, where that may be older than the last read.

        Raises:
            CaptionConflict: Another program changed one of them since; none is written.
            SaoError: A text is not UTF-8, or the file cannot be read or written; the old one stays.
        """
        for relpath, text in captions.items():
            if not is_unicode(text):
                raise SaoError(
                    f"The caption of {relpath} is not UTF-8: {text!a}.", "Type it again in a UTF-8 terminal."
                )
        with self._writing() as (lines, known):
            before: dict[str, str | None] = {}
            for relpath, text in captions.items():
                seen = expected[relpath] if expected is not None and relpath in expected else known.get(relpath) or ""
                self._refuse_conflict(lines, relpath, seen, text)
                # Nothing to write for an empty caption of a clip that has no line.
                if (lines.get(relpath) or "") != text:
                    before[relpath] = lines.get(relpath)
            if before:
                after: dict[str, str | None] = {relpath: captions[relpath] for relpath in before}
                self._write(lines, after)
                self._done.append(_Edit(description or f"{len(before)} captions", before, after))
                del self._done[:-_MAX_UNDO]
                self._undone.clear()
            return len(before)

    def undo(self) -> str | None:
        """Take the last edit of this process back and return what it was; None when there is none.

        Raises:
            CaptionConflict: Another program changed one of its captions since; nothing is written.
            SaoError: The file cannot be read or written.
        """
        return self._move(self._done, self._undone, back=True)

    def redo(self) -> str | None:
        """Make the last undone edit again and return what it was; None when there is none.

        Raises:
            CaptionConflict: Another program changed one of its captions since; nothing is written.
            SaoError: The file cannot be read or written.
        """
        return self._move(self._undone, self._done, back=False)

    def _move(self, source: list[_Edit], target: list[_Edit], *, back: bool) -> str | None:
        with self._lock:
            if not source:
                return None
            edit = source[-1]
            now, then = (edit.after, edit.before) if back else (edit.before, edit.after)
            with self._writing() as (lines, _):
                for relpath, text in then.items():
                    self._refuse_conflict(lines, relpath, now[relpath] or "", text or "")
                self._write(lines, then)
            target.append(source.pop())
            return edit.description

    @contextmanager
    def _writing(self) -> Iterator[tuple[MetadataLines, MetadataLines]]:
        """Hold the locks, and give the lines as they are on the disk beside those last known."""
        with self._lock:
            known = self._known()
            try:
                with lock_folder(self._workspace.dataset_folder, self._workspace.cache_folder):
                    self._read()
                    yield self._known(), known
            except OSError as error:
                raise SaoError(
                    f"Cannot write {self.path}: {error.strerror}.",
                    "Nothing was changed. Check its permissions and the space on its disk.",
                ) from error

    def _known(self) -> MetadataLines:
        if self._lines is None:
            self._read()
        assert self._lines is not None  # noqa: S101
        return self._lines

    def _read(self) -> None:
        path = self.path
        signature = _signature(path)
        if self._lines is not None and signature == self._signature:
            return
        try:
            data = path.read_bytes() if signature else b""
        except OSError as error:
            raise SaoError(f"Cannot read {path}: {error.strerror}.", "Check its permissions.") from error
        self._lines = MetadataLines(data, path, self._workspace.dataset_folder)
        self._signature = signature

    def _write(self, lines: MetadataLines, captions: Mapping[str, str | None]) -> None:
        """Replace the file; memory follows only when that has worked."""
        path = self.path
        for leftover in path.parent.glob(f".{path.name}.*.part"):
            # Of a process killed while it wrote: nobody else writes while we hold the lock.
            leftover.unlink(missing_ok=True)
        changed = lines.changes(captions)
        write_atomically(path, lines.render(changed))
        lines.apply(changed)
        self._signature = _signature(path)

    @staticmethod
    def _refuse_conflict(lines: MetadataLines, relpath: str, seen: str, wanted: str) -> None:
        on_disk = lines.get(relpath) or ""
        if on_disk not in (seen, wanted):
            raise CaptionConflict(relpath, wanted, on_disk)


def _signature(path: Path) -> tuple[int, int, int] | None:
    try:
        status = os.stat(path)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise SaoError(f"Cannot read {path}: {error.strerror}.", "Check its permissions.") from error
    return status.st_mtime_ns, status.st_size, status.st_ino
