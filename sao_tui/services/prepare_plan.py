"""The dry run of a prepare job: what would become of each clip, found by doing everything but writing."""

from __future__ import annotations

import math
import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from sao_tui.core.errors import SaoError
from sao_tui.core.findings import Finding
from sao_tui.core.preparing import PrepareSettings
from sao_tui.core.units import format_bytes
from sao_tui.services.prepare_clip import Piece
from sao_tui.services.prepare_files import describe, estimated_bytes
from sao_tui.services.prepare_finish import make_report
from sao_tui.services.prepare_journal import ClipOutcome, Output
from sao_tui.services.prepare_names import OutputNames
from sao_tui.services.prepare_near import near_duplicates
from sao_tui.services.prepare_run import DuplicateFilter, near_outcome, work_clip

if TYPE_CHECKING:
    from sao_tui.services.bundle import Services
    from sao_tui.services.clips import ClipRow

Progress = Callable[[int, int], None]
_MAX_THREADS = 8
SPARE_BYTES = 64_000_000
"""Space that stays free for everything else on the disk."""


@dataclass(frozen=True)
class PreparePlan:
    """What a prepare job would do."""

    settings: PrepareSettings
    num_clips: int
    outcomes: tuple[ClipOutcome, ...]
    """Of the clips that were listened to."""
    num_files: int
    """Of all clips; estimated where not all were listened to."""
    num_bytes: int
    """The most that is written."""
    seconds: float
    """Length of all outputs."""
    num_dropped: int
    num_failed: int
    free_bytes: int
    """On the disk of the output."""
    findings: tuple[Finding, ...]

    @property
    def is_exact(self) -> bool:
        """Whether every clip was listened to."""
        return len(self.outcomes) == self.num_clips

    @property
    def fits(self) -> bool:
        """Whether the outputs fit the disk."""
        return self.num_bytes + SPARE_BYTES <= self.free_bytes


def plan_prepare(
    services: Services,
    rows: Sequence[ClipRow],
    settings: PrepareSettings,
    *,
    max_listened: int | None = None,
    progress: Progress = lambda done, total: None,
    should_stop: Callable[[], bool] = lambda: False,
) -> PreparePlan:
    """Return what a job would do with some clips; nothing is written.

    Args:
        max_listened: Clips to listen to, evenly chosen, the totals being estimated from them; None for all.

    Raises:
        SaoError: A setting is wrong, or no folder for what ffmpeg decodes can be made.
    """
    settings.check()
    step = 1 if max_listened is None else max(1, -(-len(rows) // max_listened))
    sample = rows[::step]
    clips = [row.relpath for row in rows]
    near = near_duplicates(services, clips) if settings.dedupe == "near" else {}
    names = OutputNames(clips, settings.suffix)
    outcomes = _listen(services.workspace.cache_folder, names, sample, settings, near, progress, should_stop)
    if settings.dedupe:
        duplicates = DuplicateFilter()
        outcomes = [duplicates.check(outcome) for outcome in outcomes]
    return _totals(settings, rows, sample[: len(outcomes)], outcomes)


def _listen(
    cache_folder: Path,
    names: OutputNames,
    sample: Sequence[ClipRow],
    settings: PrepareSettings,
    near: Mapping[str, str],
    progress: Progress,
    should_stop: Callable[[], bool],
) -> list[ClipOutcome]:
    """Do everything but writing with some clips; those left at a stop are missing at the end."""
    source = Path(settings.source)
    outcomes: list[ClipOutcome] = []
    try:
        cache_folder.mkdir(exist_ok=True)
        folder = TemporaryDirectory(prefix="prepare-", dir=cache_folder)
    except OSError as error:
        raise SaoError(f"Cannot write {error.filename}: {error.strerror}.", "Free some space on its disk.") from error

    def work(row: ClipRow) -> ClipOutcome | None:
        clip = row.relpath
        if clip in near:
            return near_outcome(clip, near[clip])

        def keep(piece: Piece) -> Output:
            num_frames, channels = piece.sound.shape
            num_bytes = estimated_bytes(num_frames, channels, settings)
            return describe(piece, names.output(clip, piece.number), num_bytes)

        return None if should_stop() else work_clip(source / clip, clip, settings, Path(folder.name), keep)

    with folder, ThreadPoolExecutor(min(_MAX_THREADS, os.cpu_count() or 1), "dry-run") as threads:
        for outcome in threads.map(work, sample):
            if outcome is None:
                break
            outcomes.append(outcome)
            progress(len(outcomes), len(sample))
    return outcomes


def _totals(
    settings: PrepareSettings, rows: Sequence[ClipRow], sample: Sequence[ClipRow], outcomes: list[ClipOutcome]
) -> PreparePlan:
    """Scale what was found in the sample to all clips, by their lengths."""
    report = make_report(outcomes, len(rows), settings.output)
    by_count = by_length = by_slices = 1.0
    if sample and len(sample) < len(rows):
        by_count = len(rows) / len(sample)
        heard = sum(row.seconds for row in sample)
        by_length = sum(row.seconds for row in rows) / heard if heard else by_count
        likely = sum(_num_slices(row, settings) for row in sample)
        by_slices = sum(_num_slices(row, settings) for row in rows) / likely
    num_bytes = math.ceil(report.num_bytes * by_length)
    free_bytes = _free_bytes(Path(settings.output))
    findings = list(report.findings)
    if num_bytes + SPARE_BYTES > free_bytes:
        findings.insert(0, _too_big(num_bytes, free_bytes, settings))
    return PreparePlan(
        settings=settings,
        num_clips=len(rows),
        outcomes=tuple(outcomes),
        num_files=round(report.num_files * by_slices),
        num_bytes=num_bytes,
        seconds=report.seconds * by_length,
        num_dropped=round(report.num_dropped * by_count),
        num_failed=round(report.num_failed * by_count),
        free_bytes=free_bytes,
        findings=tuple(findings),
    )


def _num_slices(row: ClipRow, settings: PrepareSettings) -> int:
    lengths = [each for each in (settings.slice_seconds, settings.max_seconds) if each]
    if settings.slicing == "none" or not lengths:
        return 1
    return max(1, math.ceil(row.seconds / min(lengths)))


def _free_bytes(folder: Path) -> int:
    """Return the space on the disk that a folder is or will be on."""
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    return shutil.disk_usage(folder).free


def _too_big(num_bytes: int, free_bytes: int, settings: PrepareSettings) -> Finding:
    message = f"The outputs need up to {format_bytes(num_bytes)}, and {format_bytes(free_bytes)} are free."
    fix = "Free some space, name an --output on another disk, or choose flac or 16 bits."
    return Finding("disk-full", "error", message, settings.output, fix)
