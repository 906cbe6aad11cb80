"""What the outputs of a prepare job are called: the clip's own path, told apart where two would be the same."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Collection, Iterable


class OutputNames:
    """The same names for the same clips, whatever order they are asked in.

    Comparison ignores case, since a dataset may move to a disk that does.
    """

    def __init__(self, relpaths: Collection[str], suffix: str, taken: Iterable[str] = ()) -> None:
        """Name the outputs of all clips of a job.

        Args:
            relpaths: Clips of the job.
            suffix: Suffix of the outputs.
            taken: Other clips in the same folder, whose names stay theirs.
        """
        self._suffix = suffix
        self._taken = {_stem(relpath).casefold() for relpath in taken}
        counts = Counter(_stem(relpath).casefold() for relpath in relpaths)
        self._shared = {stem for stem, count in counts.items() if count > 1}
        self._stems = set(counts)

    def base(self, relpath: str) -> str:
        """Return an output's path without its suffix: `kick.wav` and `kick.mp3` become `kick-wav` and `kick-mp3`."""
        stem, extension = os.path.splitext(relpath)
        key = stem.casefold()
        if key not in self._shared and key not in self._taken:
            return stem
        base = f"{stem}-{extension[1:].lower()}"
        while base.casefold() in self._stems or base.casefold() in self._taken:
            base += "-"
        return base

    def output(self, relpath: str, number: int) -> str:
        """Return the path of a clip's slice, counted from 1; 0 is a clip that is not sliced."""
        name = self.base(relpath)
        if number:
            name += f"-{number:03d}"
            while name.casefold() in self._stems or name.casefold() in self._taken:
                name += "s"
        return name + self._suffix


def _stem(relpath: str) -> str:
    return os.path.splitext(relpath)[0]
