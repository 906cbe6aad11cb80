"""Captions that captioners suggest, to accept or reject."""

from __future__ import annotations

from sao_tui.tui.studio.base import StudioDialog


class SuggestionsDialog(StudioDialog):
    """Captions that captioners suggest, to accept or reject."""

    TITLE_TEXT = "Suggestions"
