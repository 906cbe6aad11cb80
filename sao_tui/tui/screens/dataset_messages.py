"""What the dataset screen's workers have to tell."""

from __future__ import annotations

from array import array
from dataclasses import dataclass
from typing import TYPE_CHECKING

from textual.message import Message

if TYPE_CHECKING:
    from sao_tui.core.errors import SaoError
    from sao_tui.services.clip_facts import ClipFacts
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
    """A scan has read the whole folder, and the captions with it."""

    report: ScanReport


@dataclass
class FolderChanged(Message):
    """Another program has added, changed or removed clips."""


@dataclass
class FirstRead(Message):
    """Order and filter have given the first rows to show; all of them take longer."""

    number: int
    """Which reading of the table it belongs to."""
    ids: array[int]
    first_page: list[ClipRow]


@dataclass
class IdsRead(Message):
    """Order and filter have given all rows to show."""

    number: int
    ids: array[int]
    first_page: list[ClipRow]
    counts: ClipCounts
    from_top: bool
    """Whether the user asked for other rows, and looks at the top of them."""


@dataclass
class FilterRefused(Message):
    """The filter makes no sense yet: it may still be being typed."""

    number: int
    error: SaoError


@dataclass
class SettingsSaved(Message):
    """What was to be kept is in sao.toml."""


@dataclass
class MarksOutdated(Message):
    """Clips are gone; `ids` are those that there are."""

    ids: array[int]


@dataclass
class AnalysisProgressed(Message):
    """How far the background analysis is, in words; empty where there is nothing to say."""

    text: str


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
class FactsRead(Message):
    """What there is to say about a clip has been read; None for a clip that has gone meanwhile."""

    facts: ClipFacts | None
    span: tuple[float, float] | None
    """The part that its picture shows."""


@dataclass
class PlaybackMoved(Message):
    """How far into the clip the sound is; None when it has ended."""

    seconds: float | None


@dataclass
class TempoMeasured(Message):
    """Tempo and key of a clip are known as far as they are clear."""

    relpath: str
    text: str


@dataclass
class ClipFound(Message):
    """A clip to move to; None where there is none, and what to say then."""

    clip_id: int | None
    otherwise: str
