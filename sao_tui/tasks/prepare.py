"""The prepare job: clips become the files that the model is to be trained on."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from sao_tui.core.control import Control
from sao_tui.core.emit import Emitter
from sao_tui.core.files import write_atomically
from sao_tui.core.jobs import JobFolder, JobSpec
from sao_tui.core.preparing import PrepareSettings, read_settings
from sao_tui.services.prepare_finish import (
    PrepareReport,
    carry_over,
    make_report,
    outcome_findings,
    use_dataset,
    write_metadata,
    write_report,
)
from sao_tui.services.prepare_jobs import read_clips, read_duplicates
from sao_tui.services.prepare_journal import ClipOutcome, Journal
from sao_tui.services.prepare_run import PrepareRun, output_error
from sao_tui.services.records import Records, follow_in_place, read_records
from sao_tui.services.workspace import open_workspace

PROGRESS_SECONDS = 0.25
MAX_WARNINGS = 200
CAPTIONS_SECONDS = 5.0
"""In place: longest time for which captions wait to follow their clips, beside the end."""


def prepare(
    folder: JobFolder, spec: JobSpec, emitter: Emitter, control: Control, clock: Callable[[], float] = time.monotonic
) -> None:
    """Do a prepare job to its end, or until it is asked to stop.

    Raises:
        SaoError: The output cannot be written, or the dataset's captions cannot be read.
    """
    settings = read_settings(spec.settings)
    settings.check()
    clips = read_clips(folder.path)
    emitter.state("starting", 0, len(clips))
    records = _records(settings)
    teller, follower = _Teller(emitter, clock), _CaptionFollower(settings, records, clock)

    def told(outcome: ClipOutcome) -> None:
        teller.told(outcome)
        follower.told(outcome)

    duplicates = read_duplicates(folder.path)
    run = PrepareRun(
        settings,
        clips,
        duplicates=duplicates,
        should_stop=control.should_stop,
        progress=teller.progress,
        told=told,
    )
    emitter.state("running", 0, len(clips))
    try:
        is_complete = run.run()
    finally:
        teller.last()
        report = _finish(folder, settings, run.journal, clips, records)
    if is_complete:
        emitter.state("finished", len(clips), len(clips), report.in_words + _used(settings))
    else:
        emitter.state("stopped", teller.done, len(clips), f"Stopped on request: {report.in_words}")


def _used(settings: PrepareSettings) -> str:
    """Make the output the dataset where that was asked for, and say so."""
    if not settings.use or settings.is_in_place:
        return ""
    use_dataset(open_workspace(Path(settings.workspace)), Path(settings.output))
    return f" {Path(settings.output).name} is the dataset now."


def _records(settings: PrepareSettings) -> Records:
    """Return the line of each clip; in place those of before the job, which are kept with the originals.

    Raises:
        SaoError: They cannot be read or kept.
    """
    file = Path(settings.source) / "metadata.jsonl"
    if not settings.is_in_place:
        return read_records(file)
    kept = Path(settings.originals) / "metadata.jsonl"
    try:
        if not kept.exists() and file.exists():
            kept.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(kept, file.read_bytes())
    except OSError as error:
        raise output_error(error, kept.parent) from error
    return read_records(kept)


def _finish(
    folder: JobFolder,
    settings: PrepareSettings,
    journal: Journal,
    clips: list[str],
    records: Records,
) -> PrepareReport:
    """Write what belongs to the clips that are done, however the job ends."""
    outcomes = _in_order(journal, clips)
    try:
        if settings.is_in_place:
            # All of them: a killed job may have left some without their captions.
            follow_in_place(open_workspace(Path(settings.workspace)), outcomes, records, settings)
        else:
            write_metadata(outcomes, records, settings)
            carry_over(outcomes, settings)
        report = make_report(outcomes, len(clips), settings.output)
        write_report(folder.path, report)
    except OSError as error:
        raise output_error(error, Path(settings.output)) from error
    return report


def _in_order(journal: Journal, clips: list[str]) -> list[ClipOutcome]:
    """Return the outcomes in the order of the job's clips, then those of earlier runs into the same folder."""
    mine = [journal.outcomes[clip] for clip in clips if clip in journal.outcomes]
    asked = set(clips)
    return mine + [outcome for clip, outcome in journal.outcomes.items() if clip not in asked]


class _Teller:
    """Reports progress at a bounded pace, and what is wrong with clips."""

    def __init__(self, emitter: Emitter, clock: Callable[[], float]) -> None:
        self._emitter = emitter
        self._clock = clock
        self._told_at = -PROGRESS_SECONDS
        self._num_warnings = 0
        self.done = 0
        self._total = 0
        self._told_done = -1

    def progress(self, done: int, total: int) -> None:
        self.done, self._total = done, total
        if self._clock() - self._told_at >= PROGRESS_SECONDS:
            self.last()

    def last(self) -> None:
        """Report the newest progress that was not reported."""
        if self._told_done != self.done:
            self._emitter.progress(self.done, self._total, "preparing")
            self._told_at, self._told_done = self._clock(), self.done

    def told(self, outcome: ClipOutcome) -> None:
        for finding in outcome_findings(outcome):
            if finding.severity != "info" and self._num_warnings < MAX_WARNINGS:
                self._num_warnings += 1
                self._emitter.warning(finding.message, finding.fix)


class _CaptionFollower:
    """For a job in place: brings the captions of the dataset to the clips that took the place of others."""

    def __init__(self, settings: PrepareSettings, records: Records, clock: Callable[[], float]) -> None:
        self._settings = settings
        self._records = records
        self._clock = clock
        self._waiting: list[ClipOutcome] = []
        self._since = clock()

    def told(self, outcome: ClipOutcome) -> None:
        if not self._settings.is_in_place:
            return
        self._waiting.append(outcome)
        if self._clock() - self._since >= CAPTIONS_SECONDS:
            self.flush()

    def flush(self) -> None:
        """Write the captions that wait."""
        if self._waiting:
            follow_in_place(
                open_workspace(Path(self._settings.workspace)), self._waiting, self._records, self._settings
            )
        self._waiting.clear()
        self._since = self._clock()
