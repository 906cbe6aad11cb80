"""The tools of the dataset screen: a key for each, which opens its dialog over the marked or shown clips."""

from __future__ import annotations

import importlib
from typing import ClassVar

from textual.binding import Binding, BindingType

from sao_tui.tui.screens.dataset_workers import DatasetWorkers
from sao_tui.tui.studio.base import Selection, StudioResult

TOOLS: dict[str, str] = {
    "bulk": "bulk:BulkDialog",
    "prompts": "prompts:PromptsDialog",
    "lint": "lint:LintDialog",
    "split": "split:SplitDialog",
    "prepare": "prepare:PrepareDialog",
    "import": "transfer:ImportDialog",
    "export": "transfer:ExportDialog",
    "suggest": "suggestions:SuggestionsDialog",
    "folders": "folders:FoldersDialog",
    "views": "views:ViewsDialog",
    "columns": "columns:ColumnsDialog",
    "history": "history:HistoryDialog",
}
"""Name of a tool -> module in `tui.studio` and its dialog; a module is imported when its tool is opened."""


class DatasetTools(DatasetWorkers):
    """Opens the tools; the screen says what is selected and what to do with what they hand back."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("b", "tool('bulk')", "Bulk", id="dataset.bulk", tooltip="Change many captions at once"),
        Binding("l", "tool('lint')", "Lint", id="dataset.lint", tooltip="See what is wrong with clips and captions"),
        Binding("t", "tool('suggest')", "Suggest", id="dataset.suggest", tooltip="Have captions suggested, and decide"),
        Binding("p", "tool('prepare')", "Prepare", id="dataset.prepare", tooltip="Resample, trim, slice, convert"),
        Binding("x", "tool('split')", "Split", id="dataset.split", tooltip="Hold clips out of training", show=False),
        Binding("v", "tool('prompts')", "Prompts", id="dataset.prompts", tooltip="What training reads", show=False),
        Binding("I", "tool('import')", "Import", id="dataset.import", tooltip="Bring captions in", show=False),
        Binding("E", "tool('export')", "Export", id="dataset.export", tooltip="Write captions elsewhere", show=False),
        Binding("f", "tool('folders')", "Folders", id="dataset.folders", tooltip="Show one folder only", show=False),
        Binding("F", "tool('views')", "Saved filters", id="dataset.views", tooltip="Saved filters", show=False),
        Binding("c", "tool('columns')", "Columns", id="dataset.columns", tooltip="Choose the columns", show=False),
        Binding("h", "tool('history')", "History", id="dataset.history", tooltip="Earlier captions", show=False),
    ]

    _tool_waiting = ""
    """Tool that was asked for before all clips shown were known."""

    @property
    def knows_all_shown(self) -> bool:
        """Whether the table holds all clips that the filter leaves, and not only the first of them."""
        raise NotImplementedError

    def selection(self) -> Selection:
        """Return the marked clips, or all that are shown."""
        raise NotImplementedError

    def tool_closed(self, result: StudioResult | None) -> None:
        """Show what a tool has done."""
        raise NotImplementedError

    def tool_arguments(self, name: str) -> tuple[object, ...]:
        """Return what a tool is made with beside the services and the selection."""
        return ()

    def action_tool(self, name: str) -> None:
        """Open a tool by name; it waits until all clips that it is to work on are known."""
        if not self.knows_all_shown:
            self._tool_waiting = name
            self.note("one moment: still looking for all clips that match")
            return
        self._tool_waiting = ""
        module, _, dialog = TOOLS[name].partition(":")
        tool = getattr(importlib.import_module(f"sao_tui.tui.studio.{module}"), dialog)
        self.app.push_screen(tool(self.services, self.selection(), *self.tool_arguments(name)), self.tool_closed)

    def open_waiting_tool(self) -> None:
        """Open the tool that was asked for too early, unless something else covers the screen by now."""
        name, self._tool_waiting = self._tool_waiting, ""
        if name and self.is_on_top:
            self.action_tool(name)
