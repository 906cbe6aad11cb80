"""What the dataset screen says in words."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from textual.content import Content

from sao_tui.core.units import format_duration
from sao_tui.tui.text import one_line

if TYPE_CHECKING:
    from sao_tui.services.clips import ClipCounts


def summary_text(counts: ClipCounts | None, num_shown: int, filter_text: str, progress: str) -> Content:
    """Return the line above the table."""
    parts: list[str] = []
    if filter_text:
        parts.append(f"{num_shown} match {one_line(filter_text)!r}")
    if counts is not None and counts.num_clips:
        parts.append(f"{counts.num_clips} clip{'s' * (counts.num_clips != 1)}")
        parts.append(f"{counts.num_captioned} captioned")
        if counts.num_unreadable:
            parts.append(f"{counts.num_unreadable} unreadable")
        parts.append(f"{format_duration(counts.total_seconds)} in all")
    if progress:
        parts.append(progress)
    return Content(" · ".join(parts))


def empty_text(num_clips: int, folder: Path) -> Content:
    """Return what stands in the place of a table without rows."""
    if num_clips:
        return Content("No clip matches this filter.\n\nescape shows all clips again.")
    return Content(
        f"There are no clips in {folder} yet.\n\n"
        "Copy audio files there (wav, flac, mp3, ogg), folders and all, and press r to read it again.\n"
        "`sao-tui demo DIR` makes a workspace with sounds to try things on."
    )
