"""What training reads: how prompts are drawn from captions, and samples of them."""

from __future__ import annotations

from sao_tui.tui.studio.base import StudioDialog


class PromptsDialog(StudioDialog):
    """What training reads: how prompts are drawn from captions, and samples of them."""

    TITLE_TEXT = "Prompts"
