"""split.json: which clips of a dataset are held out of training. Plain JSON, read by services and worker alike."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from sao_tui.core.errors import SaoError
from sao_tui.core.files import write_json

SPLIT_NAME = "split.json"
SPLIT_VERSION = 1

Strata = Literal["folder", "tag", "none"]


@dataclass(frozen=True)
class Split:
    """A held-out set and how it was drawn."""

    seed: int
    fraction: float
    """Share of the clips that was asked for, between 0 and 1."""
    by: Strata
    """Within what the share is kept."""
    validation: tuple[str, ...]
    """Held-out clips, relative to the dataset folder, sorted."""


def read_split(file: Path) -> Split | None:
    """Return the split in `file`, None where there is none.

    Raises:
        SaoError: The file cannot be read or is no split.
    """
    try:
        document: Any = json.loads(file.read_text(encoding="utf-8"))
        names = document["validation"]
        if document.get("version") != SPLIT_VERSION or not all(isinstance(name, str) for name in names):
            raise ValueError("another version, or names that are no text")
        return Split(int(document["seed"]), float(document["fraction"]), document["by"], tuple(names))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise SaoError(
            f"{file} cannot be used: {getattr(error, 'strerror', None) or error}.",
            "Make it anew with `sao-tui dataset split`, or remove it to train on every clip.",
        ) from error


def write_split(file: Path, split: Split) -> None:
    """Replace `file` with a split, durably.

    Raises:
        SaoError: It cannot be written; the old one stays.
    """
    document = {"version": SPLIT_VERSION, **asdict(split), "validation": sorted(split.validation)}
    try:
        write_json(file, document)
    except OSError as error:
        raise SaoError(
            f"Cannot write {file}: {error.strerror}.", "Check its permissions and the space on its disk."
        ) from error
