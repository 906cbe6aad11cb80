"""What a player is to the dashboard."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol


@dataclass(frozen=True)
class PlayerInfo:
    """Whether a player can be tried here."""

    name: str
    ok: bool
    why: str
    """What is missing; empty when it can be tried. Only playing shows whether there is a device."""


class Player(Protocol):
    """Starts a child process that plays one file and ends with it."""

    name: str
    reports_start: bool
    """Whether the child writes the line `playing` once the device is open."""

    def why_not(self, environ: Mapping[str, str]) -> str:
        """Return what is missing for it, empty when it can be tried; nothing is imported or started."""

    def argv(self, path: Path, scratch_folder: Path) -> list[str]:
        """Return the command that plays `path`; converted sound may be put into `scratch_folder`.

        Raises:
            SaoError: The file cannot be read.
        """


def child_argv(name: str, path: Path) -> list[str]:
    """Return the command that plays `path` with one of our own children."""
    return [sys.executable, "-m", "sao_tui.services.players.child", name, str(path)]
