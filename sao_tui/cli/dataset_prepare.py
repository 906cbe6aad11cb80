"""dataset prepare: a dry run, the job, going on with it, and what came of it."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sao_tui.cli.answer import Answer, ProgressBar, from_findings
from sao_tui.cli.parser import command
from sao_tui.core.errors import SaoError
from sao_tui.core.units import format_bytes, format_duration

if TYPE_CHECKING:
    from sao_tui.core.preparing import PrepareSettings
    from sao_tui.services.bundle import Services
    from sao_tui.services.clips import ClipRow
    from sao_tui.services.jobs import JobView
    from sao_tui.services.prepare_journal import ClipOutcome
    from sao_tui.services.prepare_plan import PreparePlan

MAX_EXAMPLES = 20
"""Clips that a dry run shows to people; `--json` has all."""


def add_commands(commands: Any) -> None:
    """Add them to the commands of `dataset`."""
    added = command(
        commands, "prepare", "dataset_prepare:prepare", "resample, trim, slice, level and convert clips, in a job"
    )
    added.add_argument("filter", nargs="*", help="clips to prepare, as in `dataset list`; all by default")
    added.add_argument("--dry-run", action="store_true", help="show what would become of each clip, write nothing")
    place = added.add_mutually_exclusive_group()
    place.add_argument("--output", type=Path, help="new folder (dataset-prepared in the workspace)")
    place.add_argument("--in-place", action="store_true", help="change the dataset; originals move to originals/")
    added.add_argument("--rate", type=_rate, metavar="HZ", help="sample rate; the model's by default, 0 keeps each")
    added.add_argument("--channels", type=int, choices=(1, 2), help="mono or stereo; kept by default")
    added.add_argument("--trim", action="store_true", help="cut silence off both ends")
    added.add_argument("--trim-level", type=float, metavar="DBFS", help="what counts as silence there (-60)")
    added.add_argument(
        "--slice",
        type=_slicing,
        metavar="onsets|silence|SECONDS|none",
        help="cut into slices; by default only what is longer than the model hears",
    )
    added.add_argument("--min-seconds", type=float, metavar="S", help="least length of a slice (0.1)")
    added.add_argument("--loudness", type=float, metavar="LUFS", help="integrated loudness, such as -16")
    added.add_argument("--peak", type=float, metavar="DBFS", help="ceiling of the peaks (-1)")
    added.add_argument("--format", choices=("wav", "flac"), help="wav by default")
    added.add_argument("--bits", choices=("16", "24", "float"), help="24 by default")
    added.add_argument(
        "--dedupe", nargs="?", const="exact", choices=("exact", "near"), help="drop clips that sound the same"
    )
    added.add_argument("--wait", action="store_true", help="wait until it has ended")
    added.add_argument("--use", action="store_true", help="make the new folder the workspace's dataset at the end")
    earlier = added.add_mutually_exclusive_group()
    earlier.add_argument("--resume", metavar="JOB", help="go on with a job that was cut short")
    earlier.add_argument("--report", metavar="JOB", help="show what a job has made")


def prepare(arguments: argparse.Namespace) -> Answer:
    """Prepare clips, or show what that would do."""
    from sao_tui.services.bundle import build_services
    from sao_tui.services.prepare_jobs import check_folders, resume_prepare, start_prepare

    services = build_services(arguments.workspace)
    if arguments.report:
        return _report(services.jobs.get(arguments.report))
    if arguments.resume:
        return _started(services, resume_prepare(services, arguments.resume), arguments)
    settings = _settings(services, arguments)
    check_folders(settings)
    rows = _rows(services, " ".join(arguments.filter), quiet=arguments.json)
    if arguments.dry_run:
        return _dry_run(services, rows, settings, quiet=arguments.json)
    return _started(services, start_prepare(services, [row.relpath for row in rows], settings), arguments)


def _settings(services: Services, arguments: argparse.Namespace) -> PrepareSettings:
    from sao_tui.services.prepare_jobs import default_settings, in_place

    slicing, seconds = arguments.slice or (None, None)
    asked = {
        "output": str(arguments.output.absolute()) if arguments.output else None,
        "rate_hz": arguments.rate,
        "channels": arguments.channels,
        "trim": arguments.trim or arguments.trim_level is not None,
        "trim_dbfs": arguments.trim_level,
        "slicing": slicing,
        "slice_seconds": seconds,
        "min_seconds": arguments.min_seconds,
        "loudness_lufs": arguments.loudness,
        "peak_dbfs": arguments.peak,
        "format": arguments.format,
        "depth": arguments.bits,
        "dedupe": arguments.dedupe,
        "use": arguments.use,
    }
    settings = default_settings(
        services.workspace, **{name: value for name, value in asked.items() if value is not None}
    )
    return in_place(settings, services.workspace) if arguments.in_place else settings


def _rows(services: Services, filter_text: str, *, quiet: bool) -> list[ClipRow]:
    from sao_tui.services.clips import refresh

    bar = ProgressBar(quiet=quiet)
    refresh(services.clips, services.captions, lambda done, total: bar("scanning", done, total))
    bar.close()
    return services.clips.rows(services.clips.ids(filter_text))


def _dry_run(services: Services, rows: Sequence[ClipRow], settings: PrepareSettings, *, quiet: bool) -> Answer:
    from sao_tui.services.prepare_plan import plan_prepare

    bar = ProgressBar(quiet=quiet)
    plan = plan_prepare(services, rows, settings, progress=lambda done, total: bar("listening", done, total))
    bar.close()
    answer = from_findings(plan.findings, good="")
    document = answer.document | {
        "output": settings.output,
        "originals": settings.originals or None,
        "num_clips": plan.num_clips,
        "num_files": plan.num_files,
        "num_bytes": plan.num_bytes,
        "seconds": round(plan.seconds, 3),
        "num_dropped": plan.num_dropped,
        "num_failed": plan.num_failed,
        "free_bytes": plan.free_bytes,
        "clips": [_clip_document(outcome) for outcome in plan.outcomes],
    }
    lines = [line for outcome in plan.outcomes[:MAX_EXAMPLES] for line in _clip_lines(outcome)]
    if len(plan.outcomes) > MAX_EXAMPLES:
        lines.append(f"… {len(plan.outcomes) - MAX_EXAMPLES} more clips")
    return Answer(document, [*lines, *filter(None, answer.lines), _sentence(plan)], answer.ok)


def _clip_document(outcome: ClipOutcome) -> dict[str, Any]:
    document = asdict(outcome)
    for name in ("version", "digest", "hint"):
        del document[name]
    return document


def _clip_lines(outcome: ClipOutcome) -> list[str]:
    if not outcome.outputs:
        return [f"{outcome.clip} -> nothing: {outcome.error or outcome.dropped}"]
    lines = []
    for output in outcome.outputs:
        done = ", ".join(output.done) or "as it is"
        lines.append(f"{outcome.clip} -> {output.relpath}  {output.seconds:.2f} s  {done}")
    return lines


def _sentence(plan: PreparePlan) -> str:
    place = "in place, originals to " + plan.settings.originals if plan.settings.is_in_place else plan.settings.output
    return (
        f"{plan.num_clips} clips would become {plan.num_files} files of {format_duration(plan.seconds)}, at most "
        f"{format_bytes(plan.num_bytes)} ({format_bytes(plan.free_bytes)} free); {plan.num_dropped} dropped, "
        f"{plan.num_failed} unreadable. {place}"
    )


def _started(services: Services, job: JobView, arguments: argparse.Namespace) -> Answer:
    document = {"job": job.name, "path": str(job.path)}
    if not arguments.wait:
        lines = [
            f"{job.name} has started. Watch it: sao-tui train follow {job.name}",
            f"What it has made: sao-tui dataset prepare --report {job.name}",
        ]
        return Answer(document, lines)
    bar = ProgressBar(quiet=arguments.json)
    ended = services.jobs.wait(job.name, on_poll=lambda view: bar(view.state, view.step, view.steps))
    bar.close()
    return _report(ended)


def _report(job: JobView) -> Answer:
    """Return what a job has made; exit status 1 when it failed or a clip could not be read."""
    from sao_tui.services.prepare_finish import read_report

    if job.kind != "prepare":
        raise SaoError(f"{job.name} is no prepare job but a {job.kind} one.", "See `sao-tui train list`.")
    report = read_report(job.path)
    answer = from_findings(report.findings if report else (), good="")
    state = {"job": job.name, "path": str(job.path), "state": job.state, "reason": job.reason, "hint": job.hint}
    totals = asdict(report) if report else {}
    totals.pop("findings", None)
    ok = answer.ok and job.state not in ("failed", "crashed", "hung")
    reason = f": {job.reason}" if job.reason else ""
    lines = [*filter(None, answer.lines), f"{job.name} {job.state}{reason}"]
    if job.hint:
        lines.append(f"hint: {job.hint}")
    if report:
        lines.append(f"{format_duration(report.seconds)} of sound, {format_bytes(report.num_bytes)}: {report.output}")
    return Answer(answer.document | state | totals | {"ok": ok}, lines, ok)


def _rate(text: str) -> int:
    number = int(text)
    if number < 0:
        raise argparse.ArgumentTypeError(f"{text} is below 0")
    return number


def _slicing(text: str) -> tuple[str, float]:
    if text in ("onsets", "silence", "none"):
        return text, 0.0
    try:
        return "fixed", float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text} is neither onsets, silence, none nor a length in seconds") from None
