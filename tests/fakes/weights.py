"""Weights files as the services would list them; there is no file behind them."""

from __future__ import annotations

from pathlib import Path

from sao_tui.services.checkpoints import CheckpointRow, ExportReport
from sao_tui.services.models import ModelReport
from tests.fakes.runs import START

RUN = "20261122-104207-train"


def checkpoint_rows(root: Path) -> list[CheckpointRow]:
    """An export, three checkpoints of a run of which one is cut short, and the base weights."""
    folder = root / "runs" / RUN / "checkpoints"
    export = root / "models" / f"{RUN}-step1000.safetensors"
    base = root / "models" / "base_model.safetensors"
    return [
        CheckpointRow(export, "", 1000, "exported", 1_988_000_000, START + 500, False, True, "exported EMA weights"),
        _training(folder / "step=00001000.ckpt", 1000, START + 400),
        CheckpointRow(
            folder / "step=00000750.ckpt", RUN, None, "truncated", 3_120_000_000, START + 300, False, False, "cut short"
        ),
        _training(folder / "step=00000500.ckpt", 500, START + 200),
        CheckpointRow(base, "", None, "rf-base", 1_988_000_000, START, False, True, "core weights for fine-tuning"),
    ]


def _training(path: Path, step: int, modified: float) -> CheckpointRow:
    message = f"a training checkpoint at step {step}, with EMA"
    return CheckpointRow(path, RUN, step, "wrapped-ema", 8_120_000_000, modified, True, True, message)


def model_report(file: Path) -> ModelReport:
    """What an inspection of any of them says."""
    message = f"{file.name} is a training checkpoint with EMA and optimizer: resume from it, or export it."
    return ModelReport(
        file, "wrapped-ema", 2_011, 497_190_274, 8_120_000_000, 1000, "rectified_flow", True, True, message
    )


def export_report(file: Path, weights: str | None) -> ExportReport:
    """What an export says."""
    target = file.parent.parent.parent.parent / "models" / f"{RUN}-step1000.safetensors"
    which = "raw" if weights == "raw" else "ema"
    return ExportReport(file, target, which, 750, True, 1_988_000_000, 12.3, target.with_suffix(".json"))
