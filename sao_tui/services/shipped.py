"""Files that come with the program: the nano model and presets."""

from __future__ import annotations

from pathlib import Path

from sao_tui.core.errors import SaoError

_PACKAGE = Path(__file__).resolve().parent.parent


def shipped(*parts: str) -> Path:
    """Return a path inside `configs/`, wherever this installation keeps it.

    Raises:
        SaoError: The installation is incomplete.
    """
    for folder in (_PACKAGE / "_configs", _PACKAGE.parent / "configs"):
        path = folder.joinpath(*parts)
        if path.exists():
            return path
    raise SaoError(f"This installation lacks configs/{'/'.join(parts)}.", "Install sao-tui again.")
