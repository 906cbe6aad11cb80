"""State, progress and newest numbers of one run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sao_tui.tui.run_text import run_lines
from sao_tui.tui.widgets.text_lines import TextLines

if TYPE_CHECKING:
    from sao_tui.services.jobs import JobView
    from sao_tui.services.run_history import RunHistory


class RunNumbers(TextLines):
    """A column of numbers, or a few long lines where there is the width."""

    _run: tuple[JobView, RunHistory] | None = None

    def show(self, job: JobView, history: RunHistory) -> None:
        """Show a run as it is now."""
        self._run = (job, history)
        self.set_lines(run_lines(job, history, self.size.width))

    def clear(self) -> None:
        """Show no run."""
        self._run = None
        self.set_lines(())

    def on_resize(self) -> None:
        """Fit the lines to the width."""
        if self._run is not None:
            self.show(*self._run)
