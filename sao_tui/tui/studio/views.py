"""Saved filters."""

from __future__ import annotations

from sao_tui.tui.studio.base import StudioDialog


class ViewsDialog(StudioDialog):
    """Saved filters."""

    TITLE_TEXT = "Filters"
