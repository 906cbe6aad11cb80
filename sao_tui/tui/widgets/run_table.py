"""The list of jobs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

from sao_tui.tui.run_text import BAD_STATES, state_mark
from sao_tui.tui.widgets.row_table import Row, RowTable

if TYPE_CHECKING:
    from sao_tui.services.jobs import JobView

MAX_RUNS = 200
"""Runs in the list; older ones are left to `sao-tui train list`."""


class RunTable(RowTable):
    """Newest job first; a job that has just been started gets the cursor."""

    COLUMNS: ClassVar[tuple[tuple[str, int], ...]] = (("job", 0), ("state", 10), ("step", 11))

    def show(self, jobs: Sequence[JobView]) -> None:
        """Show these jobs, newest first."""
        rows = [_row(job) for job in jobs[:MAX_RUNS]]
        known = {row.key for row in self._rows}
        is_first_new = bool(known) and bool(rows) and rows[0].key not in known
        self.set_rows(rows, rows[0].key if is_first_new else "")


def _row(job: JobView) -> Row:
    step = f"{job.step}/{job.steps}" if job.steps else str(job.step or "")
    return Row(job.name, (job.name, state_mark(job.state), step), job.state in BAD_STATES)
