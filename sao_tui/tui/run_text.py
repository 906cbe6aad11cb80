"""A run in words and numbers, as the train screen shows it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from sao_tui.core.findings import Finding
from sao_tui.core.units import format_bytes, format_duration
from sao_tui.services.run_history import RunHistory, number
from sao_tui.tui.widgets.text_lines import Line, bar

if TYPE_CHECKING:
    from sao_tui.services.jobs import JobView
    from sao_tui.services.start_plan import EncodePlan, TrainPlan

BAD_STATES = frozenset({"failed", "crashed", "hung"})
"""States that somebody should look at."""

_SEPARATOR = ("  ", "")
_LABEL_WIDTH = 11
_NARROW = 60


def run_lines(job: JobView, history: RunHistory, width: int) -> list[Line]:
    """Return state, progress and newest numbers: a column, or a few long lines where there is the width."""
    numbers = _train_numbers(history) if job.kind == "train" else []
    lines = [_state_line(job), *_reason_lines(job, width), _progress_line(job, history, width)]
    if width < _NARROW:
        return [*lines, *([(f"{label:<{_LABEL_WIDTH}}", "label"), (value, part)] for label, value, part in numbers)]
    half = (len(numbers) + 1) // 2
    return [*lines, *(_joined(part) for part in (numbers[:half], numbers[half:]) if part)]


def state_mark(state: str) -> str:
    """Return how a state looks in a list: the word, marked where somebody should look."""
    return f"✗ {state}" if state in BAD_STATES else f"▶ {state}" if state == "running" else state


def plan_text(plan: TrainPlan) -> str:
    """Return a training run in numbers, to be confirmed."""
    settings = plan.settings
    batch = f"{settings.batch_size}"
    if settings.accumulate_batches > 1:
        batch += f" x {settings.accumulate_batches} accumulated"
    data = f"latents in {settings.latents}" if settings.latents else "raw audio"
    lines = [
        f"{plan.num_clips} clips, {data}" + (f", {plan.num_held_out} held out" if plan.num_held_out else ""),
        f"batch {batch}, {settings.max_steps} steps, {settings.precision}, seed {settings.seed}",
        plan.start_message,
        f"checkpoint every {settings.checkpoint_every} steps",
        *_notes(plan.findings),
    ]
    return "\n".join(line for line in lines if line)


def encode_text(plan: EncodePlan) -> str:
    """Return a pre-encoding job in numbers, to be confirmed."""
    lines = [
        f"{plan.num_clips} clips are encoded once with the autoencoder of {plan.settings.base_weights}.",
        f"The latents go to {plan.settings.output}; training on them skips the autoencoder.",
        *_notes(plan.findings),
    ]
    return "\n".join(lines)


def finding_lines(findings: Sequence[Finding]) -> list[str]:
    """Return findings with their fixes, the worst first."""
    order = {"error": 0, "warning": 1, "info": 2}
    lines: list[str] = []
    for finding in sorted(findings, key=lambda each: order[each.severity]):
        lines.append(f"{'✗' if finding.severity == 'error' else '!'} {finding.message}")
        if finding.fix:
            lines.append(f"  → {finding.fix}")
    return lines


def _notes(findings: Sequence[Finding]) -> list[str]:
    """Return what stands in no way but should be known."""
    return ["", *notes] if (notes := finding_lines([each for each in findings if each.severity == "warning"])) else []


def _state_line(job: JobView) -> Line:
    part = "bad" if job.state in BAD_STATES else "good" if job.state in ("running", "finished") else ""
    return [(job.name, "value"), _SEPARATOR, (job.state, part)]


def _reason_lines(job: JobView, width: int) -> list[Line]:
    text = " ".join(each for each in (job.reason, job.hint and f"→ {job.hint}") if each)
    if not text or width < 1:
        return []
    part = "bad" if job.state in BAD_STATES else "label"
    return [[(line, part)] for line in _wrapped(text, width)[:4]]


def _progress_line(job: JobView, history: RunHistory, width: int) -> Line:
    unit = "step"
    done, total = job.step, job.steps or history.steps
    if job.kind == "encode":
        unit = "clip"
        done, total = max(done, history.progress[0]), total or history.progress[1]
    elif (step := number(history.metric.get("step"))) is not None:
        # Events come with every step, the supervisor's word once a heartbeat.
        done = max(done, int(step))
    if not total:
        return [(f"{unit} {done}", "value")]
    text = f" {unit} {done}/{total}"
    return [(bar(done / total, max(4, min(24, width - len(text)))), "bar"), (text, "value")]


def _train_numbers(history: RunHistory) -> list[tuple[str, str, str]]:
    """Return (label, value, part) of everything measured."""
    metric = history.metric
    loss = metric.get("loss")
    is_broken = isinstance(loss, float) and not math.isfinite(loss)
    smoothed = history.loss.last_smoothed
    loss_text = _number(loss, "{:.4f}") + ("" if math.isnan(smoothed) else f" (smooth {smoothed:.4f})")
    eta, wait = history.eta_seconds, history.data_wait_share
    return [
        ("loss", f"{loss}: no longer a number" if is_broken else loss_text, "bad" if is_broken else "value"),
        *([] if history.held_out is None else [("held out", _held_out(history), "value")]),
        ("lr", _number(metric.get("lr"), "{:.3g}"), ""),
        ("grad norm", _number(metric.get("grad_norm"), "{:.3g}"), ""),
        ("epoch", _number(metric.get("epoch"), "{:.4g}"), ""),
        ("steps/s", _number(metric.get("steps_per_second"), "{:.2f}"), ""),
        ("ETA", "-" if eta is None else format_duration(eta), ""),
        ("data wait", "-" if wait is None else f"{wait * 100:.0f} %", ""),
        ("memory", _memory(history), ""),
    ]


def _held_out(history: RunHistory) -> str:
    assert history.held_out is not None and history.best_held_out is not None  # noqa: S101
    step, loss = history.held_out
    best_step, best = history.best_held_out
    return f"{loss:.4f} at {step}" + ("" if best_step == step else f" (best {best:.4f} at {best_step})")


def _memory(history: RunHistory) -> str:
    ram, vram = number(history.metric.get("rss_bytes")), number(history.metric.get("vram_reserved_bytes"))
    parts = ["" if ram is None else format_bytes(ram), "" if vram is None else f"GPU {format_bytes(vram)}"]
    return ", ".join(part for part in parts if part) or "-"


def _number(value: object, form: str) -> str:
    known = number(value)
    return "-" if known is None else form.format(known)


def _joined(numbers: Sequence[tuple[str, str, str]]) -> Line:
    line: list[tuple[str, str]] = []
    for label, value, part in numbers:
        line += [(f"{label} ", "label"), (value, part), ("   ", "")]
    return line[:-1]


def _wrapped(text: str, width: int) -> list[str]:
    import textwrap

    return textwrap.wrap(text, width)
