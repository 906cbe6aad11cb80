"""Messages that more than one screen sends or receives."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from textual.message import Message


@dataclass(frozen=True)
class Status:
    """What the status line shows; None is not known yet."""

    job: str = ""
    """Name of the running job, empty for none."""
    job_state: str = ""
    step: int = 0
    steps: int = 0
    """Steps asked for, 0 while unknown."""
    gpu: str = ""
    """GPU memory in words, such as `4.1 of 24.0 GB`, or why there is none."""
    disk_free_bytes: int | None = None


class StatusRead(Message):
    """The app has read a new status; a newer one replaces one that still waits."""

    def __init__(self, status: Status) -> None:
        super().__init__()
        self.status = status

    def can_replace(self, message: Message) -> bool:
        """Only the newest level counts."""
        return isinstance(message, StatusRead)


class PlaybackChanged(Message):
    """A player has started on `path`, or has stopped (None); `text` says which and how."""

    def __init__(self, path: Path | None, text: str, *, is_audible: bool = True) -> None:
        super().__init__()
        self.path = path
        self.text = text
        self.is_audible = is_audible


class GoTo(Message):
    """Switch to another screen and show `target` there: a clip, a job's name or a file."""

    def __init__(self, mode: str, target: str = "") -> None:
        super().__init__()
        self.mode = mode
        self.target = target
