"""What a run has reported so far, put together from its events for looking at."""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Protocol

from sao_tui.core.units import format_duration
from sao_tui.services.series import Curve, Ema

MAX_LINES = 500


class EventSource(Protocol):
    """Gives the events of one job, as telemetry.EventTail does."""

    def read_new(self, max_records: int = ...) -> list[dict[str, Any]]:
        """Return events since the last call."""
        ...


@dataclass
class RunHistory:
    """Loss by step, the newest metrics, the last log lines."""

    loss: Curve = field(default_factory=Curve)
    metric: dict[str, Any] = field(default_factory=dict)
    """The newest metric event."""
    steps: int = 0
    """Optimizer steps or clips asked for, 0 while unknown."""
    progress: tuple[int, int, str] = (0, 0, "")
    """Done, total and stage of a job that counts clips."""
    lines: deque[str] = field(default_factory=lambda: deque(maxlen=MAX_LINES))
    num_lines: int = 0
    """Lines so far, those that were dropped included."""
    held_out: tuple[int, float] | None = None
    """Step and loss of the newest measurement on held-out clips."""
    best_held_out: tuple[int, float] | None = None
    """Step and loss of the lowest one."""
    num_checkpoints: int = 0
    data_wait_share: float | None = None
    """Part of a step spent waiting for its batch, smoothed."""
    _data_wait: Ema = field(default_factory=lambda: Ema(20))

    def apply(self, events: Iterable[dict[str, Any]]) -> None:
        """Take in events, oldest first; what is not as expected in one of them is passed over."""
        self.loss.extend(self.take_in(events))

    def take_in(self, events: Iterable[dict[str, Any]]) -> list[tuple[int, float]]:
        """Do as `apply`, but return the points of the loss: a long curve is built much faster in one go."""
        points: list[tuple[int, float]] = []
        for event in events:
            kind = event.get("kind")
            if kind == "metric":
                self._apply_metric(event, points)
            elif kind == "progress":
                self._apply_progress(event)
            elif kind == "state" and isinstance(event.get("steps"), int):
                self.steps = event["steps"] or self.steps
            if kind == "checkpoint":
                self.num_checkpoints += 1
            if line := log_line(event):
                self.lines.append(line)
                self.num_lines += 1
        return points

    @property
    def eta_seconds(self) -> float | None:
        """Time to the last step at the present pace, None while it cannot be known."""
        step, pace = number(self.metric.get("step")), number(self.metric.get("steps_per_second"))
        if step is None or not pace or not self.steps:
            return None
        return max(0.0, self.steps - step) / pace

    def _apply_metric(self, event: dict[str, Any], points: list[tuple[int, float]]) -> None:
        if "held_out_loss" in event:
            self._apply_held_out(event)
            return
        self.metric = event
        step, loss = event.get("step"), event.get("loss")
        if isinstance(step, int) and isinstance(loss, (int, float)):
            points.append((step, float(loss)))
        data, whole = number(event.get("data_seconds")), number(event.get("step_seconds"))
        if data is not None and whole:
            self.data_wait_share = self._data_wait.update(min(1.0, data / whole))

    def _apply_held_out(self, event: dict[str, Any]) -> None:
        step, loss = event.get("step"), number(event.get("held_out_loss"))
        if isinstance(step, int) and loss is not None:
            self.held_out = (step, loss)
            if self.best_held_out is None or loss < self.best_held_out[1]:
                self.best_held_out = (step, loss)

    def _apply_progress(self, event: dict[str, Any]) -> None:
        done, total = event.get("done"), event.get("total")
        if isinstance(done, int) and isinstance(total, int):
            self.progress = (done, total, str(event.get("stage") or ""))


def read_history(source: EventSource, should_stop: Callable[[], bool] = lambda: False) -> RunHistory:
    """Return everything that a run has reported until now.

    Raises:
        SaoError: The events cannot be read.
    """
    history = RunHistory()
    points: list[tuple[int, float]] = []
    while not should_stop() and (events := source.read_new()):
        points += history.take_in(events)
    history.loss.extend(points)
    return history


def number(value: Any) -> float | None:
    """Return a finite number of an event, None for anything else."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        return None
    return float(value)


def log_line(event: dict[str, Any]) -> str:
    """Return what the log shows for an event, empty for nothing."""
    text = _log_text(event)
    if not text:
        return ""
    seconds = number(event.get("t"))
    clock = "" if seconds is None else time.strftime("%H:%M:%S ", time.localtime(seconds))
    return clock + text


def _log_text(event: dict[str, Any]) -> str:
    kind = event.get("kind")
    message, hint = str(event.get("message") or ""), str(event.get("hint") or "")
    if kind == "log":
        return message
    if kind == "metric" and (loss := number(event.get("held_out_loss"))) is not None:
        return f"loss on held-out clips at step {event.get('step')}: {loss:.4f}"
    if kind == "warning":
        return f"warning: {message}" + (f" → {hint}" if hint else "")
    if kind == "checkpoint":
        seconds = number(event.get("seconds"))
        name = str(event.get("path") or "").rsplit("/", 1)[-1]
        return f"checkpoint {name}" + ("" if seconds is None else f" in {format_duration(seconds)}")
    if kind == "state":
        reason = str(event.get("reason") or "")
        return str(event.get("state") or "") + (f": {reason}" if reason else "")
    return ""
