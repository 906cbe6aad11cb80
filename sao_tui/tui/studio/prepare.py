"""Resample, trim, slice, level and convert clips, in a job."""

from __future__ import annotations

from sao_tui.tui.studio.base import StudioDialog


class PrepareDialog(StudioDialog):
    """Resample, trim, slice, level and convert clips, in a job."""

    TITLE_TEXT = "Prepare"
