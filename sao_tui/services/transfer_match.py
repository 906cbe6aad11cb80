"""Which clip a row of another program is about: by its path, then by its name where only one clip has it."""

from __future__ import annotations

import os
import posixpath
from collections.abc import Sequence
from pathlib import Path

from sao_tui.services.transfer_read import ImportRow

_SEVERAL = ""


class ClipMatcher:
    """Finds clips by what others call them."""

    def __init__(self, relpaths: Sequence[str], dataset_folder: Path) -> None:
        """Know the clips at `relpaths`, relative to the dataset folder."""
        self._folder = posixpath.normpath(str(dataset_folder))
        self._paths = set(relpaths)
        self._stems: dict[str, str] = {}
        self._names: dict[str, str] = {}
        self._name_stems: dict[str, str] = {}
        for relpath in relpaths:
            stem, name = os.path.splitext(relpath)[0], os.path.basename(relpath)
            for table, key in (
                (self._stems, stem),
                (self._names, name),
                (self._name_stems, os.path.splitext(name)[0]),
            ):
                table[key] = relpath if key not in table else _SEVERAL

    def find(self, row: ImportRow, source_folder: Path) -> tuple[str, str]:
        """Return the clip of a row and "", or "" and why there is none."""
        several = ""
        for path in self._candidates(row.name, source_folder):
            if not row.is_stem and path in self._paths:
                return path, ""
            found = self._stems.get(path if row.is_stem else os.path.splitext(path)[0])
            if found:
                return found, ""
            several = several or (path if found == _SEVERAL else "")
        name = os.path.basename(row.name.replace("\\", "/"))
        tables = [(self._name_stems, name if row.is_stem else os.path.splitext(name)[0])]
        if not row.is_stem:
            tables.insert(0, (self._names, name))
        for table, key in tables:
            found = table.get(key)
            if found:
                return found, ""
            if found == _SEVERAL:
                several = several or name
        return "", f"several clips are called {several}" if several else "no clip is called so"

    def _candidates(self, name: str, source_folder: Path) -> list[str]:
        """Return the paths that a name may mean, relative to the dataset folder."""
        name = name.replace("\\", "/") if "\\" in name and "/" not in name else name
        plain = posixpath.normpath(name)
        absolute = posixpath.normpath(posixpath.join(str(source_folder), name))
        start = f"{self._folder}/"
        candidates = [] if plain.startswith(("/", "../")) else [plain]
        if absolute.startswith(start):
            candidates.insert(0, absolute.removeprefix(start))
        return candidates
