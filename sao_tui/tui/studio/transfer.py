"""Bring captions in from other formats, and take them out."""

from __future__ import annotations

from sao_tui.tui.studio.base import StudioDialog


class ImportDialog(StudioDialog):
    """Bring captions in from other formats, and take them out."""

    TITLE_TEXT = "Import"


class ExportDialog(StudioDialog):
    """Write captions in another format."""

    TITLE_TEXT = "Export"
