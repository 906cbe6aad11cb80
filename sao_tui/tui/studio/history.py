"""Every caption that a clip has had."""

from __future__ import annotations

from sao_tui.tui.studio.base import StudioDialog


class HistoryDialog(StudioDialog):
    """Every caption that a clip has had."""

    TITLE_TEXT = "History"
