"""Job folders with events in them, as a worker would have left them."""

from __future__ import annotations

import json
import math
import random
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from sao_tui.core.events import EventWriter
from sao_tui.core.jobs import JobKind, JobState
from sao_tui.services.jobs import JobView

START = 1_781_000_000.0
"""When the first job was made; the clock of these tests stands still."""


def metrics(first: int, last: int, seed: int = 0) -> Iterable[dict[str, Any]]:
    """Metric events of the steps first to last."""
    noise = random.Random(seed)
    for step in range(1, last + 1):
        loss = 0.35 + 1.1 * math.exp(-step / 120) + noise.expovariate(8)
        if step >= first:
            yield {
                "step": step,
                "loss": round(loss, 5),
                "lr": 5e-5,
                "grad_norm": 0.83,
                "step_seconds": 0.25,
                "data_seconds": 0.01,
                "steps_per_second": 3.94,
                "epoch": step // 40,
                "rss_bytes": 1_240_000_000,
                "vram_allocated_bytes": None,
                "vram_reserved_bytes": None,
            }


def write_metrics(folder: Path, first: int, last: int) -> None:
    """Append metric events to a job's events."""
    writer = EventWriter(folder / "events.jsonl", clock=lambda: START + 10)
    for fields in metrics(first, last):
        writer.write("metric", **fields)
    writer.close()


def write_events(folder: Path, *events: dict[str, Any]) -> None:
    """Append events of any kind."""
    writer = EventWriter(folder / "events.jsonl", clock=lambda: START + 10)
    for event in events:
        fields = dict(event)
        writer.write(fields.pop("kind"), **fields)
    writer.close()


def make_run(
    root: Path,
    name: str,
    state: JobState = "running",
    *,
    step: int = 0,
    steps: int = 1000,
    kind: JobKind = "train",
    reason: str = "",
    hint: str = "",
    log_tail: tuple[str, ...] = (),
    age: float = 0.0,
) -> JobView:
    """Make a job's folder under `root`, with the metrics of `step` steps, and return the job."""
    folder = root / "runs" / name
    (folder / "checkpoints").mkdir(parents=True)
    settings = {"max_steps": steps, "base_weights": "models/base_model.safetensors"}
    spec = {"kind": kind, "created": START - age, "settings": settings, "model_config": {}, "dataset_config": {}}
    (folder / "job.json").write_text(json.dumps({**spec, "worker_python": "python"}))
    write_events(
        folder,
        {"kind": "state", "state": "starting", "steps": steps},
        {"kind": "log", "message": "750/750 tensors loaded from base_model.safetensors"},
    )
    if kind == "train":
        write_metrics(folder, 1, step)
    else:
        write_events(folder, {"kind": "progress", "done": step, "total": steps, "stage": "encoding"})
    return JobView(name, kind, state, step, steps, reason, hint, 4242, folder, START - age, log_tail)
