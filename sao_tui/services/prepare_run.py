"""Doing a prepare job: clips are worked on side by side, and written down one after the other in their order.

A clip counts as done when its line is in the journal. Whatever moment a job is killed at, its output folder
holds whole files only, and the same job started again makes the rest.
"""

from __future__ import annotations

import errno
import os
import shutil
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

from sao_tui.core.errors import SaoError
from sao_tui.core.preparing import PrepareSettings
from sao_tui.services.prepare_clip import SILENT, ClipReading, Piece, clip_pieces
from sao_tui.services.prepare_files import Part, commit, discard, move_original, write_part
from sao_tui.services.prepare_journal import JOURNAL_NAME, ClipOutcome, Journal, Output
from sao_tui.services.prepare_names import OutputNames
from sao_tui.services.prepare_read import DECODED_PREFIX

Progress = Callable[[int, int], None]
_MAX_THREADS = 8
_AHEAD = 2
"""Clips a thread may be ahead of the one that is written down."""


@dataclass(frozen=True)
class _Worked:
    """A clip whose parts lie ready."""

    outcome: ClipOutcome
    parts: list[Part]


class DuplicateFilter:
    """Knows the sounds that have been kept."""

    def __init__(self, outcomes: Iterable[ClipOutcome] = ()) -> None:
        self._first: dict[str, str] = {each.digest: each.clip for each in outcomes if each.outputs and each.digest}

    def check(self, outcome: ClipOutcome) -> ClipOutcome:
        """Return the outcome of a clip, without outputs when an earlier one has the same sound."""
        if not outcome.digest or not outcome.outputs:
            return outcome
        first = self._first.setdefault(outcome.digest, outcome.clip)
        if first == outcome.clip:
            return outcome
        return replace(outcome, outputs=(), dropped=f"the same sound as {first}", duplicate_of=first)


class PrepareRun:
    """One run over the clips of a job."""

    def __init__(
        self,
        settings: PrepareSettings,
        clips: Sequence[str],
        *,
        duplicates: dict[str, str] | None = None,
        should_stop: Callable[[], bool] = lambda: False,
        progress: Progress = lambda done, total: None,
        told: Callable[[ClipOutcome], None] = lambda outcome: None,
    ) -> None:
        """Prepare to do `settings` with `clips`, relative to the source folder.

        Args:
            duplicates: Clip -> the earlier one that it nearly equals, found beforehand.
            told: Called with each outcome that is new.
        """
        self._settings = settings
        self._clips = clips
        self._near = duplicates or {}
        self._should_stop = should_stop
        self._progress = progress
        self._told = told
        self._source = Path(settings.source)
        self._output = Path(settings.output)
        self._originals = Path(settings.originals) if settings.originals else None
        self._temporary = (self._originals or self._output).absolute()
        self.journal = self._open_journal()
        self._names = OutputNames(clips, settings.suffix, self.journal.taken)
        self._filter = DuplicateFilter(self.journal.outcomes.values() if settings.dedupe else ())

    def run(self) -> bool:
        """Do all clips that are not done yet; return whether none is left.

        Raises:
            SaoError: The output cannot be written, or its disk is full.
        """
        todo = [clip for clip in self._clips if not self._is_done(clip)]
        num_done = len(self._clips) - len(todo)
        self._progress(num_done, len(self._clips))
        try:
            self.journal.open()
            for leftover in self._temporary.glob(f"{DECODED_PREFIX}*"):
                # Of a killed job, whose lock is ours now.
                shutil.rmtree(leftover, ignore_errors=True)
            for worked in self._work(todo):
                outcome = self._commit(worked)
                self.journal.add(outcome)
                num_done += 1
                self._told(outcome)
                self._progress(num_done, len(self._clips))
        except OSError as error:
            raise output_error(error, self._output) from error
        finally:
            self.journal.close()
        return num_done == len(self._clips)

    def _open_journal(self) -> Journal:
        folder = self._originals or self._output
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise output_error(error, folder) from error
        journal = Journal.read(folder / JOURNAL_NAME)
        if journal is None:
            return Journal(folder / JOURNAL_NAME, self._settings, self._others())
        if not journal.settings.same_work(self._settings):
            raise SaoError(f"{folder} was prepared with other settings.", "Name another output folder.")
        return journal

    def _others(self) -> tuple[str, ...]:
        """Return the clips in the output folder that are not this job's, whose names stay theirs."""
        if self._originals is None:
            return ()
        from sao_tui.services.clip_walk import walk

        mine = set(self._clips)
        found = (os.fsdecode(folder.prefix + file[0]) for folder in walk(str(self._source)) for file in folder.files)
        return tuple(relpath for relpath in found if relpath not in mine)

    def _original_of(self, clip: str) -> Path:
        assert self._originals is not None  # noqa: S101
        return self._originals / clip

    def _path_of(self, clip: str) -> Path:
        """Return where a clip is read from: its original, where a killed job has moved it already."""
        if self._originals is not None and self._original_of(clip).exists():
            return self._original_of(clip)
        return self._source / clip

    def _is_done(self, clip: str) -> bool:
        known = self.journal.outcomes.get(clip)
        if known is None or known.error:
            return False
        if not all((self._output / output.relpath).exists() for output in known.outputs):
            return False
        return known.version == _version(self._path_of(clip))

    def _work(self, todo: list[str]) -> Iterator[_Worked]:
        """Give the worked clips in order, some being worked on ahead; what is ahead at a stop is discarded."""
        num_threads = min(_MAX_THREADS, os.cpu_count() or 1)
        waiting: deque[Future[_Worked]] = deque()
        left = iter(todo)
        with ThreadPoolExecutor(num_threads, thread_name_prefix="prepare") as threads:
            try:
                while not self._should_stop():
                    while len(waiting) < num_threads * _AHEAD and (clip := next(left, None)) is not None:
                        waiting.append(threads.submit(self._do, clip))
                    if not waiting:
                        return
                    yield waiting.popleft().result()
            finally:
                for future in waiting:
                    future.cancel()
                for future in waiting:
                    if not future.cancelled() and future.exception() is None:
                        discard(future.result().parts)

    def _do(self, clip: str) -> _Worked:
        """Read one clip and lay its outputs ready.

        Raises:
            OSError: The output cannot be written.
        """
        path = self._path_of(clip)
        if clip in self._near:
            return _Worked(replace(near_outcome(clip, self._near[clip]), version=_version(path)), [])
        parts: list[Part] = []

        def keep(piece: Piece) -> Output:
            relpath = self._names.output(clip, piece.number)
            parts.append(write_part(piece, path, self._output, relpath, self._settings))
            return parts[-1].output

        try:
            outcome = work_clip(path, clip, self._settings, self._temporary, keep)
        except BaseException:
            discard(parts)
            raise
        if outcome.error:
            discard(parts)
            parts = []
        return _Worked(replace(outcome, version=_version(path)), parts)

    def _commit(self, worked: _Worked) -> ClipOutcome:
        """Give a clip's outputs their names, after the original is out of the way.

        Raises:
            OSError: The output cannot be written.
        """
        outcome = self._filter.check(worked.outcome) if self._settings.dedupe else worked.outcome
        if outcome.error:
            return outcome
        if self._originals is not None:
            if self._stays(outcome):
                discard(worked.parts)
                return outcome
            self._clear_the_way(outcome)
        if not outcome.outputs:
            discard(worked.parts)
            return outcome
        for part in worked.parts:
            commit(part, self._output)
        return outcome

    def _clear_the_way(self, outcome: ClipOutcome) -> None:
        """Move an original out of the dataset; a file that came up under the name of an output is never replaced.

        Raises:
            SaoError: There is such a file.
            OSError: The original cannot be moved.
        """
        if self._original_of(outcome.clip).exists():
            return
        for output in outcome.outputs:
            if output.relpath != outcome.clip and (self._output / output.relpath).exists():
                raise SaoError(
                    f"{self._output / output.relpath} has come up meanwhile, and the job would replace it.",
                    "Rename it, then prepare again; what is done stays done.",
                )
        move_original(self._source / outcome.clip, self._original_of(outcome.clip))

    def _stays(self, outcome: ClipOutcome) -> bool:
        """Return whether a clip of a job in place is as it should be already."""
        if self._original_of(outcome.clip).exists():
            return False
        return [output.relpath for output in outcome.outputs if not output.done] == [outcome.clip]


def near_outcome(clip: str, first: str) -> ClipOutcome:
    """Return the outcome of a clip that nearly equals an earlier one."""
    return ClipOutcome(clip, dropped=f"nearly the same sound as {first}", duplicate_of=first)


def work_clip(
    path: Path, clip: str, settings: PrepareSettings, temporary: Path, keep: Callable[[Piece], Output]
) -> ClipOutcome:
    """Return what becomes of a clip; what is wrong with it is its outcome, never an exception.

    Args:
        temporary: Folder for what ffmpeg decodes.
        keep: Called with each piece.

    Raises:
        OSError: From `keep`.
    """
    outputs: list[Output] = []
    notes: list[str] = []
    reading = ClipReading()
    try:
        for piece in clip_pieces(path, settings, temporary, reading):
            output = keep(piece)
            outputs.append(output)
            if piece.short_by_lu:
                less = f"{piece.short_by_lu:g} LU quieter than asked"
                notes.append(f"{output.relpath} is {less}: its peaks allow no more.")
    except SaoError as error:
        return ClipOutcome(clip, error=getattr(error, "reason", error.message), hint=error.hint)
    notes += [f"{start:.2f} to {end:.2f} s is {reason} and left out." for start, end, reason in reading.lost]
    return ClipOutcome(
        clip,
        outputs=tuple(outputs),
        dropped="" if outputs else reading.lost[0][2] if reading.lost else SILENT,
        notes=tuple(notes) if outputs else (),
        digest=reading.digest,
        seconds=round(reading.source_seconds, 6),
    )


def output_error(error: OSError, folder: Path) -> SaoError:
    """Return what to say when the output cannot be written."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return SaoError(
            f"The disk of {folder} is full.",
            "Free some space, then go on with `sao-tui dataset prepare --resume JOB`; what is done stays done.",
        )
    return SaoError(
        f"Cannot write {error.filename or folder}: {error.strerror or error}.",
        "Mend its permissions or name another output folder, then prepare again; what is done stays done.",
    )


def _version(path: Path) -> tuple[int, int]:
    try:
        status = path.stat()
    except OSError:
        return 0, 0
    return status.st_size, status.st_mtime_ns
