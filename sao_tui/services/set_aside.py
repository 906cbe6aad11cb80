"""Setting clips aside: out of the dataset, never off the disk, and back again.

They go to `set-aside/` beside the dataset, under the names they had, so that no scan and no training finds them.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from sao_tui.core.errors import SaoError
from sao_tui.core.files import sync_folder

if TYPE_CHECKING:
    from sao_tui.services.workspace import Workspace

FOLDER_NAME = "set-aside"
LOG_NAME = "moved.jsonl"


@dataclass(frozen=True)
class Aside:
    """What was moved."""

    moved: tuple[str, ...]
    """Relpaths of the clips that are in the folder now."""
    failed: tuple[tuple[str, str], ...]
    """Relpath and reason of those that could not be moved."""
    folder: Path


def set_aside(workspace: Workspace, relpaths: Iterable[str]) -> Aside:
    """Move clips out of the dataset; their captions stay in metadata.jsonl for the day they come back.

    Raises:
        SaoError: The folder cannot be made.
    """
    folder = workspace.root / FOLDER_NAME
    return _move(relpaths, workspace.dataset_folder, folder, folder)


def put_back(workspace: Workspace, relpaths: Iterable[str]) -> Aside:
    """Move clips back into the dataset.

    Raises:
        SaoError: The folder cannot be written.
    """
    folder = workspace.root / FOLDER_NAME
    return _move(relpaths, folder, workspace.dataset_folder, folder)


def _move(relpaths: Iterable[str], source: Path, target: Path, log_folder: Path) -> Aside:
    moved: list[str] = []
    failed: list[tuple[str, str]] = []
    try:
        log_folder.mkdir(exist_ok=True)
        with (log_folder / LOG_NAME).open("a", encoding="utf-8", errors="surrogateescape") as log:
            for relpath in relpaths:
                try:
                    _rename(source / relpath, target / relpath)
                except OSError as error:
                    failed.append((relpath, error.strerror or str(error)))
                    continue
                moved.append(relpath)
                log.write(json.dumps({"clip": relpath, "from": str(source), "to": str(target)}) + "\n")
    except OSError as error:
        raise SaoError(
            f"Cannot write in {log_folder}: {error.strerror}.", "Check its permissions and the space on its disk."
        ) from error
    return Aside(tuple(moved), tuple(failed), target)


def _rename(source: Path, target: Path) -> None:
    """Move one file, on the disk when this returns; a file that is there already is not replaced."""
    target.parent.mkdir(parents=True, exist_ok=True)
    if target.exists():
        raise FileExistsError(17, "there is a file of that name already")
    os.rename(source, target)
    sync_folder(target.parent)
    sync_folder(source.parent)
