"""Pictures of the train screen."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot

from sao_tui.core.findings import Finding
from sao_tui.core.settings import TrainSettings
from sao_tui.services import start_plan
from sao_tui.services.gpu import GpuReading
from sao_tui.services.start_plan import TrainPlan
from tests.fakes.runs import make_run
from tests.fakes.services import FakeServices
from tests.tui.helpers import LARGE, SMALL, app_over, rested, settled

pytestmark = pytest.mark.snapshot

SIZES = pytest.mark.parametrize("size", [SMALL, LARGE], ids=["80x24", "120x36"])


@pytest.fixture
def services(tmp_path: Path) -> FakeServices:
    made = FakeServices()
    made.workspace.root = tmp_path
    return made


def keys(*pressed: str) -> Any:
    async def run_before(pilot: Pilot[Any]) -> None:
        await pilot.press("3")
        await settled(pilot)
        for key in pressed:
            await pilot.press(key)
            await settled(pilot)
        await rested(pilot)

    return run_before


def plan(*findings: Finding) -> Any:
    settings = TrainSettings(max_steps=320, batch_size=16)
    message = "Starts from base_model.safetensors: 750 of 750 tensors match."
    return lambda services, changes=None: TrainPlan(settings, {}, {}, findings, 60, message, 60)


@SIZES
def test_no_runs(snap_compare: Any, services: FakeServices, size: tuple[int, int]) -> None:
    assert snap_compare(app_over(services), terminal_size=size, run_before=keys())


@SIZES
def test_running(snap_compare: Any, services: FakeServices, size: tuple[int, int]) -> None:
    root = services.workspace.root
    services.jobs.views = [
        make_run(root, "20261122-104207-train", step=437),
        make_run(root, "20261121-090012-encode", "finished", kind="encode", step=60, steps=60, age=90_000),
    ]
    assert snap_compare(app_over(services), terminal_size=size, run_before=keys())


@SIZES
def test_a_long_run_logarithmic_without_gpu(snap_compare: Any, services: FakeServices, size: tuple[int, int]) -> None:
    services.gpu_reading = GpuReading("no-driver", "No NVIDIA driver on this machine.")
    services.jobs.views = [make_run(services.workspace.root, "20261122-104207-train", step=3_000, steps=10_000)]
    assert snap_compare(app_over(services), terminal_size=size, run_before=keys("l"))


@SIZES
def test_failed(snap_compare: Any, services: FakeServices, size: tuple[int, int]) -> None:
    services.jobs.views = [
        make_run(
            services.workspace.root,
            "20261122-104207-train",
            "failed",
            step=37,
            reason="The GPU has no memory left (CUDA out of memory).",
            hint="Lower batch_size, or train on latents.",
            log_tail=("Traceback (most recent call last):", "torch.OutOfMemoryError: CUDA out of memory."),
        )
    ]
    assert snap_compare(app_over(services), terminal_size=size, run_before=keys())


@SIZES
def test_the_plan_of_a_start(
    snap_compare: Any, services: FakeServices, size: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    finding = Finding("caption-missing", "warning", "3 clips have no caption.", fix="Press n in Dataset.")
    monkeypatch.setattr(start_plan, "plan_train", plan(finding))
    assert snap_compare(app_over(services), terminal_size=size, run_before=keys("s"))


@SIZES
def test_a_refused_start(
    snap_compare: Any, services: FakeServices, size: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    findings = (
        Finding("clip-unreadable", "error", "low/low-tone-005.wav cannot be read.", fix="Replace or remove it."),
        Finding("weights-wrapped", "error", "base_model.ckpt is a training checkpoint.", fix="Export it first (4, E)."),
    )
    monkeypatch.setattr(start_plan, "plan_train", plan(*findings))
    assert snap_compare(app_over(services), terminal_size=size, run_before=keys("s"))
