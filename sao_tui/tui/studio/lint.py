"""What is wrong with clips and captions, and the key that fixes it."""

from __future__ import annotations

from sao_tui.tui.studio.base import StudioDialog


class LintDialog(StudioDialog):
    """What is wrong with clips and captions, and the key that fixes it."""

    TITLE_TEXT = "Lint"
