"""The tree of folders, to filter the table by."""

from __future__ import annotations

from sao_tui.tui.studio.base import StudioDialog


class FoldersDialog(StudioDialog):
    """The tree of folders, to filter the table by."""

    TITLE_TEXT = "Folders"
