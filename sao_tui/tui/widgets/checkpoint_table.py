"""The list of weights files, each told in words."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

from rich.text import Text
from textual.binding import Binding, BindingType

from sao_tui.core.units import format_bytes
from sao_tui.tui.text import fit
from sao_tui.tui.widgets.row_table import RowTable

if TYPE_CHECKING:
    from sao_tui.services.checkpoints import CheckpointRow

MAX_ROWS = 500
"""Files in the list; older ones are left to `sao-tui checkpoint list`."""

KINDS = {
    "rf-base": "base",
    "arc": "ARC",
    "wrapped": "training",
    "wrapped-ema": "training",
    "exported": "exported",
    "adapter": "adapter",
    "autoencoder": "autoenc.",
    "foreign": "unknown",
    "truncated": "cut short",
    "dangerous": "dangerous",
}
"""Kind of file in a word or two."""

_JOB_WIDTH = 22
_COLUMNS = (("run or file", _JOB_WIDTH), ("step", 6), ("kind", 9), ("size", 8), ("when", 12), ("EMA", 3), ("whole", 5))


class CheckpointTable(RowTable):
    """Newest file first; the cursor stays on its file when others come and go."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "select_cursor", "Generate", id="checkpoints.use", tooltip="Generate with this file"),
    ]

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id, cell_padding=0)
        self._files: list[CheckpointRow] = []

    def on_mount(self) -> None:
        """Make the columns."""
        for title, width in _COLUMNS:
            self.add_column(title, width=width + 1)

    def show(self, files: Sequence[CheckpointRow]) -> None:
        """Show these files."""
        shown = list(files[:MAX_ROWS])
        if shown == self._files:
            return
        current = self.current
        self._files = shown
        self.clear()
        for file in shown:
            self.add_row(*map(Text, _row(file)))
        places = [index for index, file in enumerate(shown) if current is not None and file.path == current.path]
        if places:
            self.move_cursor(row=places[0])

    @property
    def current(self) -> CheckpointRow | None:
        """The file under the cursor."""
        return self._files[self.cursor_row] if 0 <= self.cursor_row < len(self._files) else None

    def move_to(self, target: str) -> None:
        """Put the cursor on a file given by its path, or on the newest one of a run given by its name."""
        for index, file in enumerate(self._files):
            if target in (str(file.path), file.job):
                self.move_cursor(row=index)
                return


def _row(file: CheckpointRow) -> tuple[str, ...]:
    return (
        fit(file.job or file.path.name, _JOB_WIDTH).rstrip(),
        "" if file.step is None else str(file.step),
        KINDS.get(file.kind, file.kind),
        format_bytes(file.num_bytes),
        time.strftime("%d %b %H:%M", time.localtime(file.modified)),
        "yes" if file.has_ema else "-",
        "yes" if file.whole else "✗ no",
    )
