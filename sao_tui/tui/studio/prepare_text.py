"""What the prepare dialog says."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.cells import cell_len
from textual.content import Content

from sao_tui.core.units import format_bytes, format_duration
from sao_tui.tui.text import fit, one_line

if TYPE_CHECKING:
    from sao_tui.services.jobs import JobView
    from sao_tui.services.prepare_finish import PrepareReport
    from sao_tui.services.prepare_journal import ClipOutcome
    from sao_tui.services.prepare_plan import PreparePlan

BAR_CELLS = 30
ENDED_EARLY = ("stopped", "failed", "crashed")
"""States from which a job can go on."""


def plan_text(plan: PreparePlan) -> Content:
    """Return the totals of a dry run in two lines."""
    about = "" if plan.is_exact else "about "
    first = f"{plan.num_clips:,} clips → {about}{plan.num_files:,} files, {format_duration(plan.seconds)}"
    size = f"{about or 'at most '}{format_bytes(plan.num_bytes)} of {format_bytes(plan.free_bytes)} free"
    second = [size]
    if plan.num_dropped:
        second.append(f"{about}{plan.num_dropped:,} dropped")
    if plan.num_failed:
        second.append(f"{about}{plan.num_failed:,} unreadable")
    if not plan.is_exact:
        second.append(f"estimated from {len(plan.outcomes)} clips")
    style = "" if plan.fits else "$text-error"
    return Content.assemble((first, "bold"), "\n", ("; ".join(second), style))


def example_lines(plan: PreparePlan, width: int, num_lines: int) -> Content:
    """Return some clips before and after, those that fail or are dropped first."""
    ordered = sorted(plan.outcomes, key=lambda outcome: (not outcome.error, not outcome.dropped, -len(outcome.outputs)))
    shown = ordered[:num_lines]
    longest = max((cell_len(one_line(outcome.clip)) for outcome in shown), default=0)
    lines = [example_line(outcome, width, min(longest, max(16, width * 2 // 5))) for outcome in shown]
    return Content("\n").join(lines)


def example_line(outcome: ClipOutcome, width: int, name_width: int) -> Content:
    """Return what becomes of one clip."""
    name = fit(outcome.clip, name_width, from_end=True)
    if outcome.error:
        after = (outcome.error, "$text-error")
    elif outcome.dropped:
        after = (f"dropped: {outcome.dropped}", "$text-warning")
    else:
        first = outcome.outputs[0]
        many = f"{len(outcome.outputs)} files" if len(outcome.outputs) > 1 else "1 file"
        seconds = sum(output.seconds for output in outcome.outputs)
        after = (f"{outcome.seconds:.2f} s → {many}, {seconds:.2f} s · {', '.join(first.done) or 'as it is'}", "")
    text = fit(after[0], max(10, width - name_width - 2))
    return Content.assemble((name, "$text-muted"), "  ", (text, after[1]))


def job_text(job: JobView) -> Content:
    """Return how far a job is."""
    share = min(1.0, job.step / job.steps) if job.steps else 0.0
    filled = round(share * BAR_CELLS)
    bar = "━" * filled + "─" * (BAR_CELLS - filled)
    lines: list[tuple[str, str]] = [(one_line(job.name), "bold")]
    lines.append((f"\n{job.state} {bar} {job.step}/{job.steps or '?'} clips", ""))
    if job.reason:
        lines.append((f"\n{one_line(job.reason)}", ""))
    if job.hint:
        lines.append((f"\n{one_line(job.hint)}", "$text-muted"))
    return Content.assemble(*lines)


def job_keys(job: JobView) -> list[tuple[str, str]]:
    """Return what can be done with a job, by key."""
    if not job.is_final:
        return [("x", "stop"), ("esc", "close, it goes on")]
    if job.state in ENDED_EARLY:
        return [("R", "go on"), ("esc", "close")]
    return [("u", "use as the dataset"), ("esc", "close")]


def report_text(report: PrepareReport) -> Content:
    """Return what a job has made, and what is to be known about single clips."""
    head = f"{format_duration(report.seconds)} of sound, {format_bytes(report.num_bytes)}: {one_line(report.output)}"
    return Content("\n".join([head, *(one_line(finding.message) for finding in report.findings)]))
