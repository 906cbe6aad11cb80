"""A table whose cursor is a row."""

from __future__ import annotations

from typing import ClassVar

from rich.text import Text
from textual.binding import Binding, BindingType
from textual.widgets import DataTable


class RowTable(DataTable[Text]):
    """Home and end go to the first and last row; j and k move like the arrows."""

    DEFAULT_CSS = """
    RowTable { height: 1fr; scrollbar-size-vertical: 1; scrollbar-size-horizontal: 1; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("k", "cursor_up", "Up", id="rows.up", tooltip="Move to the row above", show=False),
        Binding("j", "cursor_down", "Down", id="rows.down", tooltip="Move to the row below", show=False),
        Binding("home", "scroll_top", "First", id="rows.first", tooltip="Move to the first row", show=False),
        Binding("end", "scroll_bottom", "Last", id="rows.last", tooltip="Move to the last row", show=False),
    ]

    def __init__(self, *, cell_padding: int = 1, id: str | None = None) -> None:
        super().__init__(id=id, cursor_type="row", cell_padding=cell_padding)
