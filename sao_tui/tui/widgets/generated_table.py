"""The list of generated clips."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from textual.binding import Binding, BindingType

from sao_tui.tui.widgets.row_table import Row, RowTable

if TYPE_CHECKING:
    from sao_tui.services.generation import GeneratedClip

MAX_CLIPS = 200
"""Clips in the list; older ones stay in generations/."""


class GeneratedTable(RowTable):
    """Newest clip first."""

    COLUMNS: ClassVar[tuple[tuple[str, int], ...]] = (
        ("prompt", 0),
        ("seed", 10),
        ("length", 6),
        ("steps", 5),
        ("when", 12),
    )
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "select", "Edit", id="generate.take", tooltip="Take over this clip's settings"),
    ]

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._clips: dict[str, GeneratedClip] = {}

    def show(self, clips: Sequence[GeneratedClip], cursor: Path | None = None) -> None:
        """Show these clips, newest first, with the cursor on one of them."""
        self._clips = {str(clip.path): clip for clip in clips[:MAX_CLIPS]}
        self.set_rows([_row(clip) for clip in self._clips.values()], str(cursor) if cursor else "")

    @property
    def current(self) -> GeneratedClip | None:
        """The clip under the cursor."""
        return self._clips.get(self.current_key)


def _row(clip: GeneratedClip) -> Row:
    cells = (
        clip.prompt or clip.path.name,
        str(clip.seed),
        f"{clip.seconds:.1f} s",
        str(clip.steps or ""),
        time.strftime("%d %b %H:%M", time.localtime(clip.created)),
    )
    return Row(str(clip.path), cells)
