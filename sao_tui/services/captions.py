"""Captions in the dataset's metadata.jsonl, one JSON object a line, from ten clips to half a million.

In memory there is an index of the lines, not the lines. An edit is on the disk before it is acknowledged,
and the file is whole at any moment. Lines that an edit does not touch keep their bytes. Edits of other
programs are merged; a clip that changed on both sides is a conflict.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

from sao_tui.core.errors import SaoError
from sao_tui.services.captions_asking import MAX_ATTEMPTS, CaptionChanges, CaptionReader
from sao_tui.services.captions_edits import Edit, KeyChange, UndoStack
from sao_tui.services.captions_file import MetadataFile, StaleFileError
from sao_tui.services.captions_history import Earlier
from sao_tui.services.captions_index import text_hash
from sao_tui.services.captions_plan import (
    DROPPED,
    CaptionConflict,
    TextRecords,
    plan_edit,
    plan_move,
    refuse_broken_texts,
)
from sao_tui.services.captions_writing import rewrite, write_lines
from sao_tui.services.folder_lock import lock_folder
from sao_tui.services.new_lines import NewLines
from sao_tui.services.workspace import Workspace

__all__ = ["DROPPED", "CaptionChanges", "CaptionConflict", "CaptionStore", "Earlier", "Moved"]

_SETTLE_SECONDS = 0.3
"""A file that looks half written is left alone until it has rested for so long."""
_MAX_WAIT_SECONDS = 3.0
_LOOK_SECONDS = 0.02
_COMPACT_SHARE = 0.25
"""Superseded lines for each clip's last one from which on closing writes the file anew."""
_MANY_CLIPS = 1000


class Moved:
    """An edit that was taken back or made again."""

    def __init__(self, edit: Edit, *, back: bool) -> None:
        self.description = edit.description
        self.num_clips = edit.num_clips
        self._edit = edit
        self._back = back

    def captions(self) -> Iterator[tuple[str, str]]:
        """Give the captions that clips have now, as far as the edit is about captions. Call it at once, and once."""
        for change in self._edit.reversed() if self._back else self._edit.changes():
            if "text" in change.touched:
                yield change.relpath, (change.after or {}).get("text") or ""


class _SeenCaptions:
    """Tells which caption each clip of an edit had for the user, as a hash."""

    def __init__(self, file: MetadataFile, relpaths: Iterable[str], expected: Mapping[str, str]) -> None:
        self._file = file
        self._relpaths = relpaths
        self._expected = expected
        self._kept: dict[str, int] | None = None

    def __call__(self, relpath: str) -> int:
        if relpath in self._expected:
            return text_hash(self._expected[relpath])
        return self._file.text_hash(relpath) if self._kept is None else self._kept[relpath]

    def keep(self) -> None:
        """Keep what is known now: another program has written the file, which is about to be read again."""
        if self._kept is None:
            self._kept = {relpath: self._file.text_hash(relpath) for relpath in self._relpaths}


class CaptionStore(CaptionReader):
    """The captions of one workspace. Safe to use from several threads and processes."""

    def __init__(self, workspace: Workspace, clock: Callable[[], float] = time.time) -> None:
        """Read nothing yet: the first question does."""
        super().__init__(workspace, clock)
        self._undo = UndoStack()

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
        return self.set_records(TextRecords(captions), description or f"{len(captions)} captions", expected=expected)

    def set_records(
        self,
        records: Mapping[str, Mapping[str, Any]],
        description: str = "",
        *,
        expected: Mapping[str, str] | None = None,
    ) -> int:
        """Set keys of many clips' lines in one step and return how many lines differ from before.

        Args:
            records: By relpath the keys to set, others stay; DROPPED takes a key away.
            description: What undo will say.
            expected: Caption that each edit started from, where that may be older than the last read.

        Raises:
            CaptionConflict: Another program changed one of the captions since; none is written.
            SaoError: A text is not UTF-8, or the file cannot be read or written; the old one stays.
        """
        refuse_broken_texts(records)
        with self._writing():
            if not self._file.is_read:
                self._file.refresh()
            seen = _SeenCaptions(self._file, records, expected or {})
            self._file.before_reading = seen.keep
            self._settle()

            def plan(edit: Edit, lines: NewLines) -> None:
                plan_edit(self._file, records, seen, edit, lines)

            edit = self._write(plan, description or f"{len(records)} clips")
            if edit.num_clips:
                self._undo.push(edit)
            else:
                edit.close()
            return edit.num_clips

    def undo(self) -> str | None:
        """Take the last edit of this process back and return what it was; None when there is none.

        Raises:
            CaptionConflict: Another program changed one of its captions since; nothing is written.
            SaoError: The file cannot be read or written.
        """
        moved = self.move(back=True)
        return None if moved is None else moved.description

    def redo(self) -> str | None:
        """Make the last undone edit again and return what it was; None when there is none.

        Raises:
            CaptionConflict: Another program changed one of its captions since; nothing is written.
            SaoError: The file cannot be read or written.
        """
        moved = self.move(back=False)
        return None if moved is None else moved.description

    def move(self, *, back: bool) -> Moved | None:
        """Undo (`back`) or redo, and return the edit with the captions that there are now.

        Raises:
            CaptionConflict: Another program changed one of its captions since; nothing is written.
            SaoError: The file cannot be read or written.
        """
        with self._lock:
            edit = self._undo.next(back=back)
            if edit is None:
                return None
            with self._writing():
                self._settle()

                def plan(done: Edit, lines: NewLines) -> None:
                    plan_move(self._file, edit.reversed() if back else edit.changes(), done, lines)

                self._write(plan, edit.description).close()
                self._undo.moved(back=back)
            return Moved(edit, back=back)

    def close(self) -> None:
        """Write a large file anew where many lines are superseded, and let go of it and of what undo needs."""
        with self._lock:
            if "_file" not in self.__dict__:
                return
            try:
                self._compact()
                self._history.tidy()
            except (SaoError, OSError, StaleFileError):
                # The file is whole and right as it is, only longer than it need be.
                pass
            self._undo.close()
            self._file.close()

    # How it is done.

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """Hold the locks."""
        with self._lock:
            try:
                with lock_folder(self._workspace.dataset_folder, self._workspace.cache_folder):
                    yield
            except OSError as error:
                raise SaoError(
                    f"Cannot write {self.path}: {error.strerror}.",
                    "Nothing was changed. Check its permissions and the space on its disk.",
                ) from error
            finally:
                self._file.before_reading = _do_nothing

    def _settle(self) -> None:
        """Read what has changed; wait for a program that looks as if it were writing the file at this moment."""
        deadline = time.monotonic() + _MAX_WAIT_SECONDS
        while True:
            problem = None
            try:
                self._file.refresh()
            except SaoError as error:
                problem = error
            if problem is None and not self._file.looks_half_written:
                return
            if time.monotonic() > deadline or _rested_seconds(self.path) > _SETTLE_SECONDS:
                if problem is not None:
                    raise problem
                return
            time.sleep(_LOOK_SECONDS)

    def _write(self, plan: Callable[[Edit, NewLines], None], description: str) -> Edit:
        """Plan an edit and write it; plan again where another program saves meanwhile."""
        before: Edit | None = None
        for _ in range(MAX_ATTEMPTS):
            edit, lines = Edit(description, self._scratch), NewLines(self._scratch)
            try:
                plan(edit, lines)
                if edit.num_clips:
                    self._keep_torn_line()
                    write_lines(self._file, lines)
                elif before is not None:
                    edit = before  # It was written after all: only what is around it has changed.
                self._note_in_history(edit)
                return edit
            except StaleFileError:
                before = edit
                self._file.refresh(anew=self._file.is_current())
                self._settle()
            finally:
                lines.close()
        raise self._restless()

    def _note_in_history(self, edit: Edit) -> None:
        replaced = ((change.relpath, _replaced_text(change)) for change in edit.changes())
        self._history.add(replaced, self._clock())
        if edit.num_clips > _MANY_CLIPS:
            self._history.tidy()

    def _keep_torn_line(self) -> None:
        if self._file.torn:
            self._history.add_torn(self._file.torn, self._clock())

    def _compact(self) -> None:
        file = self._file
        if not file.is_large or len(file.superseded) < max(_MANY_CLIPS, _COMPACT_SHARE * len(file)):
            return
        with self._writing():
            self._settle()
            lines = NewLines(self._scratch)
            self._keep_torn_line()
            rewrite(file, lines)
            lines.close()

    @cached_property
    def _scratch(self) -> Path:
        folder = self._workspace.cache_folder
        folder.mkdir(exist_ok=True)
        return folder


def _replaced_text(change: KeyChange) -> str:
    return (change.before or {}).get("text") or ""


def _rested_seconds(path: Path) -> float:
    """Return how long ago the file was last written."""
    try:
        return time.time() - os.stat(path).st_mtime
    except OSError:
        return float("inf")


def _do_nothing() -> None:
    pass
