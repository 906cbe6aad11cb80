"""What edits have changed, so that they can be taken back and made again, whatever their size."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping, Set
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sao_tui.services.captions_lines import compact_json, from_json

_MEMORY_BYTES = 1 << 15
_MAX_EDITS = 200

_NOTHING: dict[str, Any] = {}

Keys = dict[str, Any]
"""Keys of a clip's line with their values."""


@dataclass(frozen=True)
class KeyChange:
    """What one edit did to one clip's line, in the keys that it touched alone."""

    relpath: str
    before: Keys | None
    """The touched keys that the line had; None where the clip had no line."""
    after: Keys | None

    @property
    def touched(self) -> Set[str]:
        """The keys that differ."""
        return (self.before or _NOTHING).keys() | (self.after or _NOTHING).keys()

    def reversed(self) -> KeyChange:
        """Return the change that takes this one back."""
        return KeyChange(self.relpath, self.after, self.before)


class Edit:
    """One edit: a list of changes, in a temporary file once it is long."""

    def __init__(self, description: str, folder: Path) -> None:
        """Begin without changes.

        Args:
            description: What undo says.
            folder: Where the temporary file goes, which nothing ever sees.
        """
        self.description = description
        self.num_clips = 0
        self._file = tempfile.SpooledTemporaryFile(max_size=_MEMORY_BYTES, dir=str(folder))  # noqa: SIM115

    def add(self, change: KeyChange) -> None:
        """Note what was done to one clip."""
        self.num_clips += 1
        self._file.write(compact_json([change.relpath, change.before, change.after]) + b"\n")

    def changes(self) -> Iterator[KeyChange]:
        """Give the changes in their order."""
        self._file.seek(0)
        for line in self._file:
            yield KeyChange(*from_json(line))

    def reversed(self) -> Iterator[KeyChange]:
        """Give the changes that take this edit back."""
        return (change.reversed() for change in self.changes())

    def close(self) -> None:
        """Drop the temporary file."""
        self._file.close()


class UndoStack:
    """The edits that can be taken back, and those that can be made again."""

    def __init__(self) -> None:
        self._done: list[Edit] = []
        self._undone: list[Edit] = []

    def push(self, edit: Edit) -> None:
        """Note an edit just made: those undone before can no longer be made again."""
        self._done.append(edit)
        for dropped in (*self._done[:-_MAX_EDITS], *self._undone):
            dropped.close()
        del self._done[:-_MAX_EDITS]
        self._undone.clear()

    def next(self, *, back: bool) -> Edit | None:
        """Return the edit that undo (`back`) or redo is about, None when there is none."""
        edits = self._done if back else self._undone
        return edits[-1] if edits else None

    def moved(self, *, back: bool) -> None:
        """Note that undo (`back`) or redo has been done."""
        source, target = (self._done, self._undone) if back else (self._undone, self._done)
        target.append(source.pop())

    def close(self) -> None:
        """Drop all of them."""
        for edit in (*self._done, *self._undone):
            edit.close()
        self._done.clear()
        self._undone.clear()


def changed_record(record: Mapping[str, Any] | None, change: KeyChange) -> Keys | None:
    """Return a clip's record after a change, None when its line is to go.

    A line that holds more than the change knows of stays, without a caption.
    """
    if change.after is None:
        rest = {key: value for key, value in (record or {}).items() if key not in change.touched}
        return None if rest.keys() <= {"audio_path"} else dict(rest) | {"text": ""}
    if record is None:
        return {"audio_path": change.relpath} | change.after
    dropped = (change.before or _NOTHING).keys() - change.after.keys()
    return {key: value for key, value in record.items() if key not in dropped} | change.after
