"""Which columns the table has."""

from __future__ import annotations

from sao_tui.tui.studio.base import StudioDialog


class ColumnsDialog(StudioDialog):
    """Which columns the table has."""

    TITLE_TEXT = "Columns"
