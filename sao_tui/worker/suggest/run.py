"""The loop of a suggest job: clips in, one suggestion a line out, resumable and stopped at any clip."""

from __future__ import annotations

import errno
import importlib
import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sao_tui.core.captioners import CLIPS_NAME, SUGGESTIONS_NAME, VOCABULARY_NAME, captioner
from sao_tui.core.errors import SaoError
from sao_tui.core.jobs import JobFolder, JobSpec
from sao_tui.core.settings import SuggestSettings
from sao_tui.worker.control import Control
from sao_tui.worker.emit import Emitter
from sao_tui.worker.suggest.base import Captioner, Clip, ClipError, Context, Suggestion, missing_package

PROGRESS_SECONDS = 0.2
MAX_WARNINGS = 200
"""Warnings that name a clip; the number of those after them is told at the end."""

_CLASSES = {
    "tags": "tags:TagsCaptioner",
    "signal": "signal_words:SignalCaptioner",
    "clap": "clap:ClapCaptioner",
    "hf": "hf:HfCaptioner",
    "openai": "endpoint:EndpointCaptioner",
}


def suggest(folder: JobFolder, spec: JobSpec, emitter: Emitter, control: Control) -> None:
    """Suggest a caption for each clip of the job that has none from it yet.

    Raises:
        SaoError: The captioner lacks something, or could say nothing about any clip.
    """
    settings = SuggestSettings(**spec.settings)
    emitter.state("starting", 0, settings.num_clips)
    info = captioner(settings.captioner)
    options = info.parse(settings.options)
    done = read_done(folder.path / SUGGESTIONS_NAME)
    total = sum(1 for _ in read_clips(folder.path / CLIPS_NAME))
    emitter.log(f"{total} clips for {info.name}" + (f", {len(done)} of them done already" if done else ""))
    engine = make_captioner(info.name)
    context = Context(
        options, _vocabulary(folder.path / VOCABULARY_NAME), emitter.log, emitter.warning, control.should_stop
    )
    try:
        engine.prepare(context)
    except ModuleNotFoundError as error:
        raise missing_package(str(error.name), info) from error
    run = _Run(folder, engine, emitter, control, done, total)
    run.all_clips()
    run.finish()


def make_captioner(name: str) -> Captioner:
    """Return a captioner; its imports wait for `prepare`."""
    module, _, class_name = _CLASSES[name].partition(":")
    made: Captioner = getattr(importlib.import_module(f"sao_tui.worker.suggest.{module}"), class_name)()
    return made


def read_clips(path: Path) -> Iterator[Clip]:
    """Yield the clips of a job in order.

    Raises:
        SaoError: The file cannot be read.
    """
    try:
        with path.open("rb") as file:
            for line in file:
                record = _parse(line)
                if record and isinstance(record.get("relpath"), str) and isinstance(record.get("path"), str):
                    yield Clip(
                        record["relpath"],
                        Path(record["path"]),
                        record.get("caption") or "",
                        record.get("tags") or {},
                        record.get("bpm"),
                        record.get("key") or "",
                    )
    except OSError as error:
        raise SaoError(f"{path} cannot be read: {error.strerror}", "Start the job again.") from error


def read_done(path: Path) -> set[str]:
    """Return the clips that the file has a line for; a torn last line is none."""
    try:
        with path.open("rb") as file:
            records = (_parse(line) for line in file)
            return {record["relpath"] for record in records if record and isinstance(record.get("relpath"), str)}
    except FileNotFoundError:
        return set()
    except OSError as error:
        raise SaoError(f"{path} cannot be read: {error.strerror}", "Check the folder's permissions.") from error


class _Run:
    """One pass over the clips."""

    def __init__(
        self, folder: JobFolder, engine: Captioner, emitter: Emitter, control: Control, done: set[str], total: int
    ) -> None:
        self._clips_file = folder.path / CLIPS_NAME
        self._engine = engine
        self._emitter = emitter
        self._control = control
        self._done = done
        self._total = total
        self._num_failed = 0
        self._num_now = 0
        self._last_told = 0.0
        self._writer = SuggestionWriter(folder.path / SUGGESTIONS_NAME)

    @property
    def _position(self) -> int:
        return len(self._done) + self._num_failed

    def all_clips(self) -> None:
        self._emitter.state("running", self._position, self._total)
        for clip in read_clips(self._clips_file):
            if clip.relpath in self._done:
                continue
            if self._control.should_stop():
                self._emitter.state("stopping", self._position, self._total)
                break
            self._one(clip)
            if time.monotonic() - self._last_told >= PROGRESS_SECONDS:
                self._last_told = time.monotonic()
                self._emitter.progress(self._position, self._total, "suggesting")

    def finish(self) -> None:
        """Say how it ended: never as a success when less was done than was asked."""
        self._writer.close()
        failed = f"{self._num_failed} of {self._total} clips got no suggestion" if self._num_failed else ""
        hint = "The warnings in the log name them; resume the job to try them again." if failed else ""
        if self._num_failed > MAX_WARNINGS:
            self._emitter.warning(f"{self._num_failed - MAX_WARNINGS} more clips got no suggestion")
        if self._control.should_stop() and self._position < self._total:
            reason = "Stopped on request; resuming it goes on from here"
            self._emitter.state("stopped", self._position, self._total, reason, failed)
            return
        if failed and not self._num_now:
            raise SaoError(failed, "The warnings in the log say why.")
        self._emitter.progress(self._position, self._total, "suggesting")
        self._emitter.state("finished", self._position, self._total, failed, hint)

    def _one(self, clip: Clip) -> None:
        started = time.monotonic()
        try:
            suggestion = self._engine.suggest(clip)
        except ClipError as error:
            self._fail(error.message, error.hint)
            return
        except (SaoError, MemoryError):
            raise
        except Exception as error:  # one clip that a model chokes on must not cost the others
            if type(error).__name__ == "OutOfMemoryError":
                raise
            self._fail(f"{clip.name} got no suggestion: {type(error).__name__}: {_first_line(error)}", "")
            return
        self._writer.write(clip, suggestion, time.monotonic() - started)
        self._done.add(clip.relpath)
        self._num_now += 1

    def _fail(self, message: str, hint: str) -> None:
        if self._control.should_stop():
            # It was cut short by the stop; it is not at fault.
            return
        self._num_failed += 1
        if self._num_failed <= MAX_WARNINGS:
            self._emitter.warning(message, hint)


class SuggestionWriter:
    """Appends to suggestions.jsonl, one os.write a line: whoever reads meanwhile sees whole lines."""

    def __init__(self, path: Path) -> None:
        """Open the file; a line torn by a kill gets its end first.

        Raises:
            SaoError: It cannot be opened.
        """
        self._path = path
        try:
            self._descriptor = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)
            size = os.fstat(self._descriptor).st_size
            if size and os.pread(self._descriptor, 1, size - 1) != b"\n":
                os.write(self._descriptor, b"\n")
        except OSError as error:
            raise self._cannot(error) from error

    def write(self, clip: Clip, suggestion: Suggestion, seconds: float) -> None:
        """Append one suggestion.

        Raises:
            SaoError: The disk is full or gone.
        """
        record = {
            "t": round(time.time(), 3),
            "relpath": clip.relpath,
            "text": suggestion.text,
            "confidence": None if suggestion.confidence is None else round(suggestion.confidence, 4),
            "source": suggestion.source,
            "seconds": round(seconds, 3),
            "details": suggestion.details,
        }
        line = json.dumps(record, default=str).encode() + b"\n"
        try:
            if os.write(self._descriptor, line) != len(line):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        except OSError as error:
            raise self._cannot(error) from error

    def close(self) -> None:
        """Make what was written durable and close."""
        try:
            os.fsync(self._descriptor)
        except OSError:
            pass  # Some network file systems refuse; the lines are written.
        os.close(self._descriptor)

    def _cannot(self, error: OSError) -> SaoError:
        return SaoError(f"{self._path} cannot be written: {error.strerror}", "Free some space, then resume the job.")


def _vocabulary(path: Path) -> tuple[str, ...]:
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except FileNotFoundError:
        return ()
    except OSError as error:
        raise SaoError(f"{path} cannot be read: {error.strerror}", "Start the job again.") from error
    return tuple(dict.fromkeys(line.strip() for line in lines if line.strip()))


def _parse(line: bytes) -> dict[str, Any] | None:
    try:
        record = json.loads(line)
    except ValueError:
        return None
    return record if isinstance(record, dict) else None


def _first_line(error: Exception) -> str:
    lines = str(error).splitlines()
    return lines[0][:300] if lines else ""
