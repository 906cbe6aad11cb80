"""Lint: everything that can be wrong with clips and captions, found over the index in one pass a rule.

What was found stands in the index afterwards, so that the table can be filtered by `lint:RULE`.
"""

from __future__ import annotations

import os
from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sao_tui.core.errors import SaoError
from sao_tui.core.findings import Finding, is_ok
from sao_tui.core.weights.header import some_names
from sao_tui.services.lint_captions import CommonPhrases, contradictions, looks_like_file_name
from sao_tui.services.lint_rules import CAPTION_INVARIANT, RULES, Rule

if TYPE_CHECKING:
    from sao_tui.services.bundle import Services
    from sao_tui.services.clips_database import ClipsDatabase

Tell = Callable[[str, int, int], None]
"""Called with a stage in words, how much of it is done and of how much."""

FRESH = "analysis.clip_id = clips.id AND analysis.num_bytes = clips.num_bytes AND analysis.mtime_ns = clips.mtime_ns"
"""Joins a clip with what was measured, unless the file has changed since."""
KEPT_RULES = ("split-validation", "suggestion")
"""Rows of the lint table that other parts write."""
MAX_TOKENS = 64
FEW_CLIPS = 20
MANY_EPOCHS = 500
_NUM_NAMED = 3
_FROM = f"FROM clips LEFT JOIN analysis ON {FRESH}"


@dataclass(frozen=True)
class LintContext:
    """What the rules compare with."""

    model_rate_hz: int
    model_seconds: float
    """The longest that the model hears at a time."""
    batch_size: int
    max_steps: int
    accumulate_batches: int


@dataclass(frozen=True)
class Found:
    """What one rule has found."""

    finding: Finding
    num_clips: int
    """0 for what concerns the dataset as a whole."""
    phrase: str = ""
    """For `caption-invariant`."""


@dataclass(frozen=True)
class LintReport:
    """What lint has found, the gravest first."""

    found: tuple[Found, ...]
    num_clips: int
    num_unmeasured: int
    """Readable clips whose sound has not been measured, so that some rules say nothing of them."""

    @property
    def findings(self) -> list[Finding]:
        """The findings alone."""
        return [each.finding for each in self.found]

    @property
    def is_ok(self) -> bool:
        """Whether nothing stands in the way of training."""
        return is_ok(self.findings)


def run_lint(services: Services, tell: Tell | None = None, *, measure: bool = True) -> LintReport:
    """Look at everything and write what was found into the index.

    The index must be up to date (clips.refresh).

    Args:
        measure: Measure clips first whose sound has not been measured, which takes some 10 ms a clip.

    Raises:
        SaoError: The index, captions or settings cannot be read.
    """
    say = tell or (lambda stage, done, total: None)
    if measure:
        services.analyses.measure_missing(lambda done, total: say("measuring", done, total))
    context = lint_context(services)
    lint = _Lint(services, context, say)
    lint.run()
    order = {"error": 0, "warning": 1, "info": 2}
    found = sorted(lint.found, key=lambda each: order[each.finding.severity])
    return LintReport(tuple(found), lint.num_clips, lint.num_unmeasured)


def lint_context(services: Services) -> LintContext:
    """Return what the model and the plan of the next run ask of clips; the model's published values without a config.

    Raises:
        SaoError: train.toml is wrong.
    """
    from sao_tui.core.settings import TrainSettings
    from sao_tui.services.configs import load_train_settings, read_json

    workspace = services.workspace
    try:
        config = read_json(workspace.model_config_file)
    except SaoError:
        config = {}
    rate, size = config.get("sample_rate"), config.get("sample_size")
    # Stable Audio Open Small: 44.1 kHz, 524288 samples.
    rate_hz = rate if isinstance(rate, int) and rate > 0 else 44_100
    samples = size if isinstance(size, int) and size > 0 else 524_288
    exists = workspace.train_config_file.exists()
    settings = load_train_settings(workspace.train_config_file) if exists else TrainSettings()
    return LintContext(rate_hz, samples / rate_hz, settings.batch_size, settings.max_steps, settings.accumulate_batches)


class _Lint:
    """One run over all rules."""

    def __init__(self, services: Services, context: LintContext, tell: Tell) -> None:
        self._services = services
        self._database: ClipsDatabase = services.clips.database
        self._context = context
        self._tell = tell
        self._hits: dict[str, array[int]] = {}
        self.found: list[Found] = []
        self.num_clips = 0
        self.num_unmeasured = 0

    def run(self) -> None:
        count = f"SELECT count(*), sum(clips.error = '' AND analysis.clip_id IS NULL) {_FROM}"
        self.num_clips, unmeasured = next(iter(self._database.query(count)))
        self.num_unmeasured = unmeasured or 0
        stages = (self._by_condition, self._unreadable, self._duplicates, self._near_duplicates, self._captions)
        for number, stage in enumerate(stages):
            self._tell("checking", number, len(stages))
            stage()
        self._write()
        for rule in RULES:
            if ids := self._hits.get(rule.id):
                self.found.append(self._in_words(rule, ids))
        self.found += self._whole_dataset()
        self._tell("checking", len(stages), len(stages))

    def _by_condition(self) -> None:
        for rule in RULES:
            if rule.condition:
                query = f"SELECT clips.id {_FROM} WHERE {rule.condition} ORDER BY clips.relpath"
                self._hits[rule.id] = self._ids(query, self._numbers(rule))

    def _numbers(self, rule: Rule) -> list[float]:
        if not rule.num_parameters:
            return []
        return [self._context.model_rate_hz if rule.id == "clip-sample-rate" else self._context.model_seconds]

    def _unreadable(self) -> None:
        from sao_tui.services.audio import UNREADABLE_SUFFIXES

        # What the header did not show, the whole file did.
        query = f"SELECT clips.id, clips.relpath, clips.error {_FROM} WHERE clips.error <> '' OR analysis.error <> ''"
        for clip_id, name, error in self._database.stream(f"{query} ORDER BY clips.relpath"):
            suffix = os.path.splitext(os.fsdecode(name))[1].lower()
            rule = "clip-unsupported" if error and suffix in UNREADABLE_SUFFIXES else "clip-unreadable"
            self._hits.setdefault(rule, array("q")).append(clip_id)

    def _duplicates(self) -> None:
        same = (
            "SELECT content_hash FROM analysis WHERE length(content_hash) > 0 GROUP BY content_hash HAVING count(*) > 1"
        )
        condition = f"clips.error = '' AND analysis.is_silent = 0 AND analysis.content_hash IN ({same})"
        order = "analysis.content_hash, clips.relpath"
        self._hits["audio-duplicate"] = self._ids(f"SELECT clips.id {_FROM} WHERE {condition} ORDER BY {order}")
        self._hits["caption-duplicate"] = self._ids(
            "SELECT id FROM clips WHERE caption <> '' AND caption IN "
            "(SELECT caption FROM clips WHERE caption <> '' GROUP BY caption HAVING count(*) > 1) "
            "ORDER BY caption, relpath"
        )

    def _near_duplicates(self) -> None:
        from sao_tui.services.analysis_fingerprint import near_duplicates

        exact = set(self._hits["audio-duplicate"])
        ids, fingerprints = array("q"), list[bytes]()
        query = f"SELECT clips.id, analysis.fingerprint {_FROM} WHERE length(analysis.fingerprint) > 0"
        for clip_id, fingerprint in self._database.stream(f"{query} ORDER BY clips.relpath"):
            ids.append(clip_id)
            fingerprints.append(bytes(fingerprint))
        hits: dict[int, None] = {}
        for one, other, _ in near_duplicates(fingerprints):
            if not (ids[one] in exact and ids[other] in exact):
                hits[ids[one]] = hits[ids[other]] = None
        self._hits["audio-near-duplicate"] = array("q", hits)

    def _captions(self) -> None:
        """Read every caption once."""
        common = CommonPhrases()
        long: list[tuple[int, str]] = []
        query = (
            f"SELECT clips.id, clips.relpath, clips.caption, analysis.bpm, analysis.musical_key {_FROM} "
            "WHERE clips.caption <> '' ORDER BY clips.relpath"
        )
        for clip_id, name, caption, bpm, musical_key in self._database.stream(query):
            common.add(caption)
            if looks_like_file_name(caption, os.fsdecode(name)):
                self._hits.setdefault("caption-filename", array("q")).append(clip_id)
            if (bpm or musical_key) and contradictions(caption, bpm, musical_key or ""):
                self._hits.setdefault("caption-contradicts", array("q")).append(clip_id)
            # A token is one character at least.
            if len(caption) >= MAX_TOKENS:
                long.append((clip_id, caption))
        self._count_tokens(long)
        self.found += [_invariant(phrase, self.num_clips) for phrase in common.found()[:_NUM_NAMED]]

    def _count_tokens(self, captions: Sequence[tuple[int, str]]) -> None:
        if not captions:
            return
        from sao_tui.services.tokens import TokenCounter

        counter = TokenCounter(self._services.workspace)
        try:
            too_long = [clip_id for clip_id, caption in captions if counter.count(caption).num_tokens > MAX_TOKENS]
        except SaoError as error:
            message = f"{len(captions)} long captions could not be counted in tokens: {error.message}"
            self.found.append(Found(Finding("tokens-uncounted", "info", message, None, error.hint), 0))
            return
        self._hits["caption-too-long"] = array("q", too_long)

    def _ids(self, query: str, parameters: Sequence[object] = ()) -> array[int]:
        return array("q", (row[0] for row in self._database.stream(query, parameters)))

    def _write(self) -> None:
        with self._database.writing("lint") as connection:
            connection.execute("DELETE FROM lint WHERE rule NOT IN (?, ?)", KEPT_RULES)
            for rule, ids in self._hits.items():
                connection.executemany("INSERT OR IGNORE INTO lint (clip_id, rule) VALUES (?, ?)", _rows(ids, rule))

    def _in_words(self, rule: Rule, ids: array[int]) -> Found:
        rows = self._services.clips.rows(ids[: _NUM_NAMED + 1])
        names = [row.relpath for row in rows]
        severity = rule.severity
        if len(ids) == 1:
            reason = rows[0].error if rows and rule.id == "clip-unreadable" else ""
            message = f"{names[0] if names else 'A clip'} {rule.one}" + (f": {reason.rstrip('.')}." if reason else ".")
        else:
            named = some_names([*names, *[""] * (len(ids) - len(names))], _NUM_NAMED)
            message = f"{len(ids)} clips {rule.many}: {named}."
        if rule.id in ("caption-missing", "clip-silent") and len(ids) == self.num_clips:
            # A run on clips without a word, or on silence alone, cannot teach anything.
            severity = "error"
        return Found(Finding(rule.id, severity, message, names[0] if names else None, rule.fix), len(ids))

    def _whole_dataset(self) -> Iterator[Found]:
        context = self._context
        failed = len(self._hits.get("clip-unreadable", ())) + len(self._hits.get("clip-unsupported", ()))
        usable = self.num_clips - failed
        folder = str(self._services.workspace.dataset_folder)
        if not usable:
            message = f"{folder} holds no clip that can be read."
            fix = "Copy wav, flac, mp3, ogg, opus or aif files into it."
            yield Found(Finding("dataset-empty", "error", message, folder, fix), 0)
            return
        if usable < context.batch_size:
            message = f"{usable} clips do not fill one batch of {context.batch_size}; the run would end at step 0."
            fix = f"Set batch_size to {usable} or less, or add clips."
            yield Found(Finding("dataset-too-small", "error", message, folder, fix), 0)
        epochs = context.max_steps * context.batch_size * context.accumulate_batches / usable
        if usable < FEW_CLIPS or epochs > MANY_EPOCHS:
            message = f"{usable} clips for {context.max_steps} steps: each is seen {epochs:,.0f} times."
            fix = "Add clips or slice long ones, or train fewer steps and listen early: few clips are learned by heart."
            yield Found(Finding("dataset-few-clips", "warning", message, folder, fix), 0)
        if self.num_unmeasured:
            message = f"The sound of {self.num_unmeasured} of {self.num_clips} clips has not been measured yet."
            yield Found(Finding("clips-unmeasured", "info", message, None, "sao-tui dataset analyse measures them."), 0)


def _rows(ids: Iterable[int], rule: str) -> Iterator[tuple[Any, ...]]:
    return ((clip_id, rule) for clip_id in ids)


def _invariant(phrase: str, num_clips: int) -> Found:
    finding = Finding(
        CAPTION_INVARIANT,
        "info",
        f"Every caption has {phrase!r}: the model cannot learn from it what sets clips apart.",
        None,
        "Keep it where it is meant as a trigger word; otherwise take it out of all captions.",
    )
    return Found(finding, num_clips, phrase)
