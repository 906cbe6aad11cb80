"""The list of weights files, each told in words."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

from textual.binding import Binding, BindingType

from sao_tui.core.units import format_bytes
from sao_tui.tui.widgets.row_table import Row, RowTable

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


class CheckpointTable(RowTable):
    """Newest file first."""

    COLUMNS: ClassVar[tuple[tuple[str, int], ...]] = (
        ("run or file", 0),
        ("step", 6),
        ("kind", 9),
        ("size", 8),
        ("when", 12),
        ("EMA", 3),
        ("whole", 5),
    )
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "select", "Generate", id="checkpoints.use", tooltip="Generate with this file"),
    ]

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._files: dict[str, CheckpointRow] = {}

    def show(self, files: Sequence[CheckpointRow]) -> None:
        """Show these files."""
        self._files = {str(file.path): file for file in files[:MAX_ROWS]}
        self.set_rows([_row(file) for file in self._files.values()])

    @property
    def current(self) -> CheckpointRow | None:
        """The file under the cursor."""
        return self._files.get(self.current_key)

    def move_to(self, target: str) -> None:
        """Put the cursor on a file given by its path, or on the newest one of a run given by its name."""
        of_run = (key for key, file in self._files.items() if file.job == target)
        self.go_to(target if target in self._files else next(of_run, ""))


def _row(file: CheckpointRow) -> Row:
    cells = (
        file.job or file.path.name,
        "" if file.step is None else str(file.step),
        KINDS.get(file.kind, file.kind),
        format_bytes(file.num_bytes),
        time.strftime("%d %b %H:%M", time.localtime(file.modified)),
        "yes" if file.has_ema else "-",
        "yes" if file.whole else "✗ no",
    )
    return Row(str(file.path), cells, is_bad=not file.whole)
