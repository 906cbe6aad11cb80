"""Hold clips out of training, to measure the loss on them."""

from __future__ import annotations

from sao_tui.tui.studio.base import StudioDialog


class SplitDialog(StudioDialog):
    """Hold clips out of training, to measure the loss on them."""

    TITLE_TEXT = "Split"
