"""dataset analyse: measure clips; and what `dataset show` says of one."""

from __future__ import annotations

import argparse
import time
from array import array
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from sao_tui.cli.answer import Answer, ProgressBar
from sao_tui.cli.parser import command, positive
from sao_tui.core.errors import SaoError

if TYPE_CHECKING:
    from sao_tui.services.analyser import AnalysisProgress
    from sao_tui.services.bundle import Services
    from sao_tui.services.clip_facts import ClipFacts

_LOOK_SECONDS = 0.1


def add_commands(commands: Any) -> None:
    """Add them to the commands of `dataset`."""
    analyse = command(commands, "analyse", "dataset_analysis:analyse", "measure clips that have not been measured")
    analyse.add_argument("filter", nargs="*", help="only clips that match; see `dataset list`")
    analyse.add_argument("--jobs", type=positive, default=1, help="processes that measure at the same time (1)")
    analyse.add_argument("--tempo", action="store_true", help="tempo and key too, with the worker's librosa")


def analyse(arguments: argparse.Namespace) -> Answer:
    """Measure clips; what was measured before, or before it was interrupted, is not measured again."""
    from sao_tui.services.analyser import Analyser
    from sao_tui.services.bundle import build_services

    services, bar = build_services(arguments.workspace), ProgressBar(quiet=arguments.json)
    services.clips.scan(lambda done, total: bar("scanning", done, total))
    services.clips.set_captions(services.captions.all(), complete=True)
    ids = services.clips.ids(" ".join(arguments.filter)) if arguments.filter else None
    analyser = Analyser(services.workspace, services.clips, arguments.jobs)
    try:
        progress = _follow(analyser, ids, bar)
        tempo_failures = _measure_tempos(services, ids, bar) if arguments.tempo else {}
    finally:
        analyser.close()
        services.close()
        bar.close()
    counts = services.analyses.counts()
    document = {
        "num_clips": counts.num_clips,
        "num_analysed": counts.num_analysed,
        "num_failed": counts.num_failed,
        "num_asked": progress.num_clips,
        "tempo_failures": tempo_failures,
        "message": progress.message,
    }
    lines = [f"{counts.num_analysed} of {counts.num_clips} readable clips are measured."]
    if counts.num_failed:
        lines.append(f"{counts.num_failed} of them could not be: sao-tui dataset lint names them.")
    lines += [f"No tempo: {relpath}: {why}" for relpath, why in tempo_failures.items()]
    lines += [progress.message] if progress.message else []
    return Answer(document, lines, ok=progress.state != "failed")


def show_lines(facts: ClipFacts) -> list[str]:
    """Return what `dataset show` prints of the facts, for people."""
    from sao_tui.services.clip_facts import analysis_document

    lines = [f"prompt: {facts.prompt}"]
    if facts.tokens is not None:
        lines.append(f"tokens: {facts.tokens.in_words()}" + (", the rest is cut off" if facts.tokens.is_over else ""))
        if facts.tokens.is_over:
            lines.append(f"the model reads: {facts.tokens.kept_text}")
    else:
        lines.append(f"tokens: unknown. {facts.tokens_problem}")
    if facts.padding is not None:
        lines.append(f"padding: {facts.padding.in_words()}")
    elif facts.padding_problem:
        lines.append(f"padding: unknown. {facts.padding_problem}")
    if facts.analysis is not None:
        measured = analysis_document(facts.analysis)
        lines += [f"{name}: {value}" for name, value in measured.items() if name not in ("fingerprint", "tags")]
        lines += [f"tag {name}: {value}" for name, value in facts.analysis.tags.items()]
    return lines


def _follow(analyser: Any, ids: Sequence[int] | None, bar: ProgressBar) -> AnalysisProgress:
    analyser.start(ids)
    while True:
        progress: AnalysisProgress = analyser.progress()
        bar("measuring", progress.num_done, progress.num_clips)
        if progress.state in ("idle", "failed"):
            return progress
        time.sleep(_LOOK_SECONDS)


def _measure_tempos(services: Services, ids: Sequence[int] | None, bar: ProgressBar) -> dict[str, str]:
    """Measure those that have neither tempo nor key; return what went wrong by clip."""
    wanted = services.analyses.without_tempo(services.clips.ids() if ids is None else array("q", ids))
    failures: dict[str, str] = {}
    for done, row in enumerate(services.clips.rows(wanted)):
        bar("tempo and key", done, len(wanted))
        try:
            services.measure_tempo(row.relpath)
        except SaoError as error:
            if not services.tempo.is_running:
                # No librosa: the next clip would fare no better.
                raise
            failures[row.relpath] = error.message
    return failures
