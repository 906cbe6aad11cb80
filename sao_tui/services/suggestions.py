"""Suggested captions: start a captioner over clips, read what it suggests, accept or reject it.

A captioner never writes a caption. Accepting does, through the caption store, as one edit that one undo takes back.
A decision is a line in the job's decisions.jsonl; the last one about a clip counts.
"""

from __future__ import annotations

import json
import os
import time
from array import array
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from sao_tui.core.captioners import DECISIONS_NAME, CaptionerInfo, captioner
from sao_tui.core.errors import SaoError
from sao_tui.core.settings import SuggestSettings
from sao_tui.services.suggestions_index import SuggestionIndex
from sao_tui.services.suggestions_input import check_options, remaining_clips, write_clips, write_vocabulary

if TYPE_CHECKING:
    from sao_tui.services.bundle import Services
    from sao_tui.services.jobs import JobView

Mode = Literal["replace", "append", "only-empty"]
MODES: tuple[Mode, ...] = ("replace", "append", "only-empty")
RULE = "suggestion"
"""Name under which clips with a pending suggestion stand in the table `lint`."""

_COLUMNS = "id, job, relpath, text, confidence, source, details, state"
_MAX_PARAMETERS = 500
_MIRROR = "INSERT OR IGNORE INTO lint (clip_id, rule) SELECT id, ? FROM clips WHERE relpath = ?"
_ORDER = " ORDER BY relpath, created DESC, id"


@dataclass(frozen=True)
class SuggestionRow:
    """One suggestion."""

    id: int
    """Good until the cache is made anew."""
    job: str
    relpath: str
    text: str
    confidence: float | None
    source: str
    details: Mapping[str, Any]
    state: str
    """pending, accepted, rejected, or superseded by a newer one of the same source."""
    caption: str = ""
    """The clip's caption now."""


@dataclass(frozen=True)
class SuggestionFilter:
    """Which suggestions are meant; everything pending by default."""

    job: str | None = None
    min_confidence: float | None = None
    """Leaves out those of lower confidence, and those without one."""
    relpaths: Collection[str] | None = None
    """Only suggestions for these clips."""
    state: str = "pending"


@dataclass(frozen=True)
class Applied:
    """What became of some suggestions."""

    num_decided: int
    num_changed: int
    """Captions that differ now."""
    num_skipped: int
    """Left pending, since their clips have a caption already."""
    description: str = ""
    """What undo will say."""
    keys: tuple[tuple[str, str], ...] = ()
    """Job and relpath of each that was decided, to take it back."""

    def in_words(self, verb: str) -> str:
        """Return what happened, such as "3 accepted, 1 skipped: has a caption"."""
        skipped = f", {self.num_skipped:,} left: captioned already" if self.num_skipped else ""
        return f"{self.num_decided:,} {verb}{skipped}"


def start(
    services: Services, captioner_name: str, ids: Sequence[int], options: Mapping[str, str], name: str | None = None
) -> JobView:
    """Start a job in which a captioner suggests captions for clips; captions stay as they are.

    Raises:
        SaoError: The captioner or an option is unknown, there are no clips, or the job cannot be started.
    """
    info = captioner(captioner_name)
    checked = check_options(services, info, options)
    if not len(ids):
        raise SaoError("There are no clips to suggest captions for.", "Scan the dataset, or choose another filter.")

    def fill(folder: Path) -> None:
        write_clips(services, ids, folder)
        if info.name == "clap":
            write_vocabulary(services, checked["vocabulary"], folder)

    settings = SuggestSettings(info.name, _resolved(services, info, checked), len(ids))
    return services.jobs.start_suggest(settings, fill, name)


def resume(services: Services, job_name: str) -> JobView:
    """Start a new job over the clips that an ended one has not done.

    Raises:
        SaoError: There is no such job, it still runs, or it has done all.
    """
    view = services.jobs.get(job_name)
    if view.kind != "suggest":
        raise SaoError(f"{job_name} is no job that suggests captions.", "See `sao-tui dataset suggestions`.")
    if not view.is_final:
        raise SaoError(f"{job_name} still runs.", "Wait for it, or stop it first.")
    before = SuggestSettings(**view.folder.read_spec().settings)
    num_left = sum(1 for _ in remaining_clips(view.path))
    if not num_left:
        raise SaoError(f"{job_name} has done all of its clips.", "Start another one with `sao-tui dataset suggest`.")

    def fill(folder: Path) -> None:
        write_clips(services, remaining_clips(view.path), folder)
        write_vocabulary(services, "", folder, copy_from=view.path)

    settings = replace(before, num_clips=num_left, resumed_from=job_name)
    return services.jobs.start_suggest(settings, fill)


def jobs(services: Services) -> list[JobView]:
    """Return the jobs that suggest captions, the newest first.

    Raises:
        SaoError: The folder of jobs cannot be read.
    """
    return [view for view in services.jobs.list() if view.kind == "suggest"]


class Suggestions:
    """Reads suggestions and decides on them."""

    def __init__(self, services: Services) -> None:
        """Read nothing yet."""
        self._services = services
        self._index = SuggestionIndex(services.workspace.cache_folder)

    def refresh(self) -> int:
        """Read what the jobs have written since the last call, and mirror it for the filter `suggested:yes`.

        Raises:
            SaoError: A cache cannot be written.
        """
        num_changed = self._index.sync([view.path for view in reversed(jobs(self._services))])
        if num_changed:
            self.mirror()
        return num_changed

    def ids(self, wanted: SuggestionFilter) -> array[int]:
        """Return the ids of the suggestions that match, by clip, the newest of a clip first.

        Raises:
            SaoError: The cache cannot be read.
        """
        condition, parameters = _condition(wanted)
        rows = self._index.stream("id, relpath", condition + _ORDER, parameters)
        if wanted.relpaths is None:
            return array("q", (row[0] for row in rows))
        names = {os.fsencode(relpath) for relpath in wanted.relpaths}
        return array("q", (row[0] for row in rows if row[1] in names))

    def rows(self, ids: Sequence[int]) -> list[SuggestionRow]:
        """Return suggestions by id in this order, each with its clip's caption as last read.

        Raises:
            SaoError: The cache or the captions cannot be read.
        """
        found = {row.id: row for batch in self._batches(ids) for row in batch}
        return [found[each] for each in ids if each in found]

    def counts(self) -> dict[str, int]:
        """Return how many suggestions there are by state.

        Raises:
            SaoError: The cache cannot be read.
        """
        return {row[0]: row[1] for row in self._index.select("state, count(*)", "1 GROUP BY state")}

    def accept(self, ids: Sequence[int], mode: Mode = "replace", text: str | None = None) -> Applied:
        """Write suggestions as captions, durably and as one edit; of several for one clip the newest is taken.

        Args:
            text: Caption to write in place of the suggested one, for one suggestion.

        Raises:
            CaptionConflict: Another program changed one of the captions since; nothing is written.
            SaoError: The captions cannot be written.
        """
        captions: dict[str, str] = {}
        expected: dict[str, str] = {}
        taken: list[tuple[str, str]] = []
        num_skipped = 0
        for row in self._rows_streaming(ids):
            if row.relpath in captions:
                num_skipped += 1
                continue
            if mode == "only-empty" and row.caption and text is None:
                num_skipped += 1
                continue
            captions[row.relpath] = row.text if text is None else text
            if mode == "append" and text is None:
                captions[row.relpath] = appended(row.caption, row.text)
            expected[row.relpath] = row.caption
            taken.append((row.job, row.relpath))
        description = f"{len(taken):,} suggestion{'s' * (len(taken) != 1)} accepted"
        num_changed = _write_captions(self._services, captions, description, expected) if captions else 0
        self._decide("accepted", taken, captions)
        return Applied(len(taken), num_changed, num_skipped, description, tuple(taken))

    def reject(self, ids: Sequence[int]) -> Applied:
        """Put suggestions aside; captions stay as they are.

        Raises:
            SaoError: The decision cannot be written.
        """
        taken = [(row.job, row.relpath) for row in self._rows_streaming(ids)]
        self._decide("rejected", taken, {})
        return Applied(len(taken), 0, 0, f"{len(taken):,} rejected", tuple(taken))

    def reopen(self, keys: Sequence[tuple[str, str]]) -> None:
        """Make decided suggestions pending again; captions stay as they are.

        Raises:
            SaoError: The decision cannot be written.
        """
        self._decide("pending", keys, {})

    def undo(self, applied: Applied) -> str:
        """Take back what accept or reject has done and return what was taken back.

        Captions are taken back only while that edit is the last one: others stay.

        Raises:
            CaptionConflict: Another program changed one of the captions since.
            SaoError: Nothing could be written.
        """
        if applied.num_changed:
            before = self._services.captions.undo()
            self._mirror_captions(applied)
            if before != applied.description:
                return f"undone: {before}"
        self.reopen(applied.keys)
        return f"undone: {applied.description}"

    def mirror(self) -> None:
        """Write which clips have a pending suggestion into the table `lint`.

        Raises:
            SaoError: An index cannot be read or written.
        """
        database = self._services.clips.database
        database.write_many("DELETE FROM lint WHERE rule = ?", [(RULE,)])
        pending = self._index.select("DISTINCT relpath", "state = 'pending'")
        database.write_many(_MIRROR, [(RULE, row[0]) for row in pending])

    def _decide(self, state: str, keys: Sequence[tuple[str, str]], captions: Mapping[str, str]) -> None:
        """Append decisions to their jobs, durably, then mirror them."""
        by_job: dict[str, list[str]] = {}
        for job, relpath in keys:
            by_job.setdefault(job, []).append(relpath)
        now = round(time.time(), 3)
        for job, relpaths in by_job.items():
            records: list[dict[str, Any]] = []
            for relpath in relpaths:
                record: dict[str, Any] = {"t": now, "relpath": relpath, "decision": state}
                records.append(record | ({"text": captions[relpath]} if relpath in captions else {}))
            _append(self._services.workspace.runs_folder / job / DECISIONS_NAME, records)
        if keys:
            self._index.decide(state, keys)
            self._mirror_clips(sorted({relpath for _, relpath in keys}))

    def _mirror_clips(self, relpaths: Sequence[str]) -> None:
        """Mirror some clips, or all where that is quicker."""
        if len(relpaths) > _MAX_PARAMETERS:
            self.mirror()
            return
        names = [os.fsencode(relpath) for relpath in relpaths]
        marks = ",".join("?" * len(names))
        found = self._index.select("DISTINCT relpath", f"state = 'pending' AND relpath IN ({marks})", names)
        pending = {row[0] for row in found}
        database = self._services.clips.database
        delete = "DELETE FROM lint WHERE rule = ? AND clip_id IN (SELECT id FROM clips WHERE relpath = ?)"
        database.write_many(delete, [(RULE, name) for name in names if name not in pending])
        database.write_many(_MIRROR, [(RULE, name) for name in sorted(pending)])

    def _mirror_captions(self, applied: Applied) -> None:
        captions = self._services.captions
        self._services.clips.set_captions({relpath: captions.get(relpath) for _, relpath in applied.keys})

    def _rows_streaming(self, ids: Sequence[int]) -> Iterator[SuggestionRow]:
        for batch in self._batches(ids):
            yield from batch

    def _batches(self, ids: Sequence[int]) -> Iterator[list[SuggestionRow]]:
        captions = self._services.captions
        for start_at in range(0, len(ids), _MAX_PARAMETERS):
            some = [int(each) for each in ids[start_at : start_at + _MAX_PARAMETERS]]
            marks = ",".join("?" * len(some))
            found = {row[0]: row for row in self._index.select(_COLUMNS, f"id IN ({marks})", some)}
            rows = (_to_row(found[each]) for each in some if each in found)
            yield [replace(row, caption=captions.get(row.relpath)) for row in rows]


def relpaths_of(services: Services, ids: Sequence[int]) -> set[str]:
    """Return the paths of clips by their ids.

    Raises:
        SaoError: The index cannot be read.
    """
    found: set[str] = set()
    for start_at in range(0, len(ids), _MAX_PARAMETERS):
        found.update(row.relpath for row in services.clips.rows(ids[start_at : start_at + _MAX_PARAMETERS]))
    return found


def appended(caption: str, text: str) -> str:
    """Return a caption with a suggestion after it; phrases that it holds already are left out."""
    if not caption.strip():
        return text
    lowered = caption.casefold()
    new = [phrase for phrase in (part.strip() for part in text.split(",")) if phrase.casefold() not in lowered]
    return ", ".join([caption.rstrip().rstrip(","), *new])


def _write_captions(
    services: Services, captions: Mapping[str, str], description: str, expected: Mapping[str, str]
) -> int:
    num_changed = services.captions.set_many(captions, description, expected=expected)
    services.clips.set_captions(captions)
    return num_changed


def _resolved(services: Services, info: CaptionerInfo, options: Mapping[str, str]) -> dict[str, str]:
    """Return options with paths of the workspace made absolute: the worker runs in its job's folder."""
    resolved = dict(options)
    for name in (option.name for option in info.options if option.kind == "path"):
        value = resolved.get(name, "")
        path = services.workspace.root / Path(value).expanduser()
        if value and path.exists():
            resolved[name] = str(path)
    return resolved


def _condition(wanted: SuggestionFilter) -> tuple[str, list[object]]:
    conditions, parameters = ["state = ?"], [wanted.state] if wanted.state != "all" else []
    if wanted.state == "all":
        conditions = ["1"]
    values: list[object] = list(parameters)
    if wanted.job is not None:
        conditions.append("job = ?")
        values.append(wanted.job)
    if wanted.min_confidence is not None:
        conditions.append("confidence >= ?")
        values.append(wanted.min_confidence)
    return " AND ".join(conditions), values


def _to_row(row: tuple[Any, ...]) -> SuggestionRow:
    number, job, relpath, text, confidence, source, details, state = row
    return SuggestionRow(number, job, os.fsdecode(relpath), text, confidence, source, json.loads(details), state)


def _append(path: Path, records: Iterable[Mapping[str, Any]]) -> None:
    """Append lines durably, in one write; a line torn by a crash gets its end first."""
    data = b"".join(json.dumps(record).encode() + b"\n" for record in records)
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            size = os.fstat(descriptor).st_size
            if size and os.pread(descriptor, 1, size - 1) != b"\n":
                data = b"\n" + data
            view = memoryview(data)
            while view:
                view = view[os.write(descriptor, view) :]
            os.fdatasync(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise SaoError(f"Cannot write {path}: {error.strerror}.", "Free some space on its disk.") from error
