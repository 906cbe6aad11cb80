"""The analysis that measures clips in the background, as the dataset screen sees it."""

from __future__ import annotations

from typing import ClassVar

from textual import on
from textual.binding import Binding, BindingType
from textual.worker import Worker

from sao_tui.tui.screens.dataset_captions import DatasetCaptions
from sao_tui.tui.screens.dataset_messages import AnalysisProgressed
from sao_tui.tui.widgets.clip_table import ClipTable


class DatasetAnalysis(DatasetCaptions):
    """Starts it once the folder is read, shows how far it is, and has it prefer what is on the screen."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding(
            "A", "analysis", "Analysis", id="dataset.analysis", tooltip="Pause measuring clips, or go on", show=False
        ),
    ]

    _following: Worker[None] | None = None

    def start_analysis(self) -> None:
        """Begin with the clips that have not been measured."""
        if self.poll_seconds is not None:
            self._ask_analyser("start")

    def follow_analysis(self) -> None:
        """Ask how far it is, unless the last question still waits."""
        if self._following is None or self._following.is_finished:
            self._following = self._ask_analyser("progress")

    def prefer_clips_in_view(self) -> None:
        """Have the clips on the screen measured first."""
        table = self.query_one(ClipTable)
        in_view = table.rows_in_view
        self._ask_analyser("prefer", table.ids[in_view.start : in_view.stop])

    @on(AnalysisProgressed)
    def _show_progress(self, message: AnalysisProgressed) -> None:
        if message.text != self._analysis:
            self._analysis = message.text
            self.show_summary()
            self.query_one(ClipTable).read_again()

    def action_analysis(self) -> None:
        """Pause measuring clips in the background, or go on with it."""
        self._ask_analyser("turn")
