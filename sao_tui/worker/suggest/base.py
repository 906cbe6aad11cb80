"""What a captioner is: it describes itself, gets ready once, and says something about one clip at a time."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from sao_tui.core.captioners import CaptionerInfo
from sao_tui.core.errors import SaoError


class ClipError(SaoError):
    """One clip cannot be captioned; the job goes on with the next. Any other SaoError ends the job."""


@dataclass(frozen=True)
class Clip:
    """One clip as the job's clips.jsonl names it."""

    relpath: str
    path: Path
    caption: str = ""
    """As it was when the job began."""
    tags: Mapping[str, Any] = field(default_factory=dict)
    """Embedded tags as the analysis knows them."""
    bpm: float | None = None
    key: str = ""

    @property
    def name(self) -> str:
        """The relpath as any terminal and file can hold it."""
        return self.relpath.encode(errors="replace").decode()


@dataclass(frozen=True)
class Suggestion:
    """What a captioner says about a clip."""

    text: str
    """Empty when it has nothing to say."""
    confidence: float | None
    """0 to 1, or a cosine; None where the captioner has no measure of it."""
    source: str
    """The captioner, with the model where it has one."""
    details: dict[str, Any] = field(default_factory=dict)
    """What the text is derived from."""


@dataclass(frozen=True)
class Context:
    """What a captioner may use while it gets ready."""

    options: Mapping[str, str]
    """As CaptionerInfo.parse returns them."""
    vocabulary: tuple[str, ...]
    """Phrases to rank, for captioners that rank."""
    log: Callable[[str], None]
    warn: Callable[[str, str], None]
    should_stop: Callable[[], bool]


class Captioner(Protocol):
    """Suggests captions."""

    def describe(self) -> CaptionerInfo:
        """Return what it is, needs and takes."""

    def prepare(self, context: Context) -> None:
        """Import and load what it needs.

        Raises:
            SaoError: Something is missing; the message says what and the hint how to get it.
        """

    def suggest(self, clip: Clip) -> Suggestion:
        """Say something about a clip.

        Raises:
            ClipError: This clip cannot be captioned.
            SaoError: No clip can.
        """


def missing_package(name: str, info: CaptionerInfo) -> SaoError:
    """Return the error for a package that the worker's interpreter lacks."""
    return SaoError(f"The captioner {info.name} needs {name}, which the worker's Python does not have", info.way)
