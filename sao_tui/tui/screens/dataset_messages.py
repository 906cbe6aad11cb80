"""What the dataset screen's workers have to tell."""

from __future__ import annotations

from array import array
from dataclasses import dataclass
from typing import TYPE_CHECKING

from textual.message import Message

if TYPE_CHECKING:
    from sao_tui.core.errors import SaoError
    from sao_tui.services.clips import ClipCounts, ClipRow, ScanReport


@dataclass
class ScanProgressed(Message):
    """A scan is on its way; a newer progress replaces one that still waits."""

    done: int
    total: int

    def can_replace(self, message: Message) -> bool:
        """Only the newest level counts."""
        return isinstance(message, ScanProgressed)


@dataclass
class ScanEnded(Message):
    """A scan is over: it has read the whole folder, and the captions with it."""

    report: ScanReport | None
    """None where it could not: the worker's error says why."""


@dataclass
class FolderChanged(Message):
    """Another program has added, changed or removed clips."""


@dataclass
class IdsRead(Message):
    """Order and filter have given the rows to show."""

    ids: array[int]
    first_page: list[ClipRow]
    counts: ClipCounts


@dataclass
class FilterRefused(Message):
    """The filter makes no sense yet: it may still be being typed."""

    error: SaoError


@dataclass
class PageRead(Message):
    """The rows of a page have been read."""

    generation: int
    page: int
    rows: list[ClipRow]


@dataclass
class CaptionsChanged(Message):
    """Captions differ from what is shown."""

    text: str
    """What has happened, for the user."""
    row: ClipRow | None
    """The only clip that has changed, None for any number."""
    counts: ClipCounts
    move: bool = False
    """Whether to put the cursor on `row`."""


@dataclass
class CaptionConflicted(Message):
    """Another program has changed the caption meanwhile; nothing was written."""

    relpath: str
    mine: str
    theirs: str


@dataclass
class CaptionNotSaved(Message):
    """A caption could not be written; the worker's error says why."""

    relpath: str
    text: str


@dataclass
class PeaksRead(Message):
    """The waveform of a clip has been read; empty where it cannot be."""

    relpath: str
    peaks: list[tuple[float, float]]


@dataclass
class ClipFound(Message):
    """A clip to move to; None where there is none, and what to say then."""

    clip_id: int | None
    otherwise: str
