"""The list of generated clips."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from rich.text import Text
from textual.binding import Binding, BindingType

from sao_tui.tui.text import fit
from sao_tui.tui.widgets.row_table import RowTable

if TYPE_CHECKING:
    from sao_tui.services.generation import GeneratedClip

MAX_CLIPS = 200
"""Clips in the list; older ones stay in generations/."""

_PROMPT_WIDTH = 34
"""Least width of the prompt's column; it takes what the others leave."""
_COLUMNS = (("seed", 10), ("length", 6), ("steps", 5), ("when", 12))


class GeneratedTable(RowTable):
    """Newest clip first."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "select_cursor", "Edit", id="generate.take", tooltip="Take over this clip's settings"),
    ]

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id, cell_padding=0)
        self._clips: list[GeneratedClip] = []
        self._prompt_width = 0

    def on_resize(self) -> None:
        """Give the prompt the width that the other columns leave."""
        width = max(_PROMPT_WIDTH, self.size.width - sum(width + 1 for _, width in _COLUMNS) - 2)
        if width != self._prompt_width:
            self._prompt_width = width
            self.show(self._clips)

    def show(self, clips: Sequence[GeneratedClip], cursor: Path | None = None) -> None:
        """Show these clips, newest first, with the cursor on one of them."""
        wanted = cursor or (self.current.path if self.current else None)
        self._clips = list(clips[:MAX_CLIPS])
        self.clear(columns=True)
        for title, width in (("prompt", self._prompt_width or _PROMPT_WIDTH), *_COLUMNS):
            self.add_column(title, width=width + 1)
        for clip in self._clips:
            self.add_row(*map(Text, _row(clip, self._prompt_width or _PROMPT_WIDTH)))
        places = [index for index, clip in enumerate(self._clips) if clip.path == wanted]
        if places:
            self.move_cursor(row=places[0])

    @property
    def current(self) -> GeneratedClip | None:
        """The clip under the cursor."""
        return self._clips[self.cursor_row] if 0 <= self.cursor_row < len(self._clips) else None

    def move_to(self, path: Path) -> bool:
        """Put the cursor on the clip in a file; return whether it is listed."""
        for index, clip in enumerate(self._clips):
            if clip.path == path:
                self.move_cursor(row=index)
                return True
        return False


def _row(clip: GeneratedClip, prompt_width: int) -> tuple[str, ...]:
    return (
        fit(clip.prompt or clip.path.name, prompt_width).rstrip(),
        str(clip.seed),
        f"{clip.seconds:.1f} s",
        str(clip.steps or ""),
        time.strftime("%d %b %H:%M", time.localtime(clip.created)),
    )
