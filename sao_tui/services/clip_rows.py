"""What the clip index hands out."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class ClipRow:
    """One clip as the table shows it."""

    id: int
    """Stays the same as long as the file keeps its path."""
    relpath: str
    """Relative to the dataset folder; bytes that are not UTF-8 are surrogates, as Python has them."""
    seconds: float
    sample_rate_hz: int
    num_channels: int
    num_bytes: int
    error: str
    """Why it cannot be read, empty when it can."""
    caption: str
    is_analysed: bool = False
    """Whether what follows was measured on the file as it is now."""
    peak_dbfs: float | None = None
    """None for silence."""
    loudness_lufs: float | None = None
    """None where it is silent or too short to tell."""
    bpm: float | None = None
    musical_key: str = ""
    tags: str = "{}"
    """JSON object of the file's own tags."""


@dataclass(frozen=True)
class ScanReport:
    """What a scan found."""

    num_clips: int
    num_unreadable: int
    num_removed: int
    """Rows whose file is gone."""
    seconds: float
    """Time it took."""
    num_examined: int = 0
    """Files that were new or had changed."""
    skipped_folders: tuple[str, ...] = ()
    """Folders that cannot be listed, each with the reason."""
    stopped: bool = False
    """It was stopped half-way; rows that it did not reach are as they were."""
    num_moved: int = 0
    """Files found under another path than before; they keep their id."""


@dataclass(frozen=True)
class ClipCounts:
    """Totals over all clips."""

    num_clips: int
    num_captioned: int
    num_unreadable: int
    total_seconds: float


@dataclass(frozen=True)
class FolderCount:
    """One folder with the clips that are right in it."""

    relpath: str
    """Empty for the dataset folder itself."""
    num_clips: int
    num_captioned: int
