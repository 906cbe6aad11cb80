"""The list of jobs, in which only what has changed is written anew."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.text import Text

from sao_tui.tui.run_text import state_mark
from sao_tui.tui.widgets.row_table import RowTable

if TYPE_CHECKING:
    from sao_tui.services.jobs import JobView

MAX_RUNS = 200
"""Runs in the list; older ones are left to `sao-tui train list`."""

_COLUMNS = (("job", "job", 22), ("state", "state", 9), ("step", "step", 11))


class RunTable(RowTable):
    """Newest job first; the cursor stays on its job when others come and go."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._shown: dict[str, tuple[str, ...]] = {}

    def on_mount(self) -> None:
        """Make the columns."""
        for key, title, width in _COLUMNS:
            self.add_column(title, key=key, width=width)

    def show(self, jobs: Sequence[JobView]) -> None:
        """Show these jobs, newest first."""
        rows = {job.name: _row(job) for job in jobs[:MAX_RUNS]}
        if list(rows) != list(self._shown):
            self._fill(rows)
        else:
            for name, row in rows.items():
                for (key, _, _), old, new in zip(_COLUMNS, self._shown[name], row, strict=True):
                    if old != new:
                        self.update_cell(name, key, Text(new))
        self._shown = rows

    def move_to(self, name: str) -> None:
        """Put the cursor on a job, if it is in the list."""
        if name in self._shown:
            self.move_cursor(row=self.get_row_index(name))

    @property
    def current(self) -> str:
        """Name of the job under the cursor, empty for none."""
        names = list(self._shown)
        return names[self.cursor_row] if 0 <= self.cursor_row < len(names) else ""

    def _fill(self, rows: dict[str, tuple[str, ...]]) -> None:
        current = self.current
        has_new_first = bool(self._shown) and next(iter(rows), "") not in self._shown
        self.clear()
        for name, row in rows.items():
            self.add_row(*map(Text, row), key=name)
        if current in rows and not has_new_first:
            self.move_cursor(row=list(rows).index(current))


def _row(job: JobView) -> tuple[str, ...]:
    step = f"{job.step}/{job.steps}" if job.steps else str(job.step or "")
    return job.name, state_mark(job.state), step
