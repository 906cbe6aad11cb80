"""What the dataset screen says in words."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from textual.content import Content

from sao_tui.core.units import format_duration
from sao_tui.tui.text import one_line

if TYPE_CHECKING:
    from sao_tui.services.clips import ClipCounts


class AnalysisProgress(Protocol):
    """How far the analysis in the background is."""

    @property
    def state(self) -> str:
        """`off`, `running`, `paused`, `idle` or `failed`."""

    @property
    def num_done(self) -> int:
        """Clips measured."""

    @property
    def num_total(self) -> int:
        """Clips to measure in all, 0 while that is not known."""

    @property
    def message(self) -> str:
        """Why it has failed."""


@dataclass(frozen=True)
class Shown:
    """What the table shows."""

    num_shown: int
    is_whole: bool = True
    """Otherwise there are more that are still being looked for."""
    filter_text: str = ""
    num_marked: int = 0


def summary_text(counts: ClipCounts | None, shown: Shown, progress: str) -> Content:
    """Return the line above the table."""
    parts: list[str] = []
    if shown.filter_text:
        number = f"{shown.num_shown:,}" if shown.is_whole else "…"
        parts.append(f"{number} match {one_line(shown.filter_text)!r}")
    if shown.num_marked:
        parts.append(f"{shown.num_marked:,} marked")
    if counts is not None and counts.num_clips:
        parts.append(f"{counts.num_clips:,} clip{'s' * (counts.num_clips != 1)}")
        parts.append(f"{counts.num_captioned:,} captioned")
        if counts.num_unreadable:
            parts.append(f"{counts.num_unreadable:,} unreadable")
        parts.append(f"{format_duration(counts.total_seconds)} in all")
    if progress:
        # First, where the line is cut: it is what changes.
        parts.insert(0, progress)
    return Content(" · ".join(parts))


def analysis_text(progress: AnalysisProgress) -> str:
    """Return how far the analysis is, empty once everything is measured or before it has begun."""
    if progress.state == "failed":
        return f"analysis stopped: {one_line(progress.message)} (A tries again)"
    words = {"running": "measured", "paused": "paused, measured"}.get(progress.state)
    if words is None or not progress.num_total:
        return ""
    return f"{words} {progress.num_done:,}/{progress.num_total:,}"


def empty_text(num_clips: int, folder: Path) -> Content:
    """Return what stands in the place of a table without rows."""
    if num_clips:
        return Content("No clip matches this filter.\n\nescape shows all clips again.")
    return Content(
        f"There are no clips in {folder} yet.\n\n"
        "Copy audio files there (wav, flac, mp3, ogg), folders and all, and press r to read it again.\n"
        "`sao-tui demo DIR` makes a workspace with sounds to try things on."
    )
