"""Change many captions at once, with a preview of every change."""

from __future__ import annotations

from sao_tui.tui.studio.base import StudioDialog


class BulkDialog(StudioDialog):
    """Change many captions at once, with a preview of every change."""

    TITLE_TEXT = "Captions"
