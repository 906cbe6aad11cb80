"""Pictures of the checkpoints screen."""

from __future__ import annotations

from typing import Any

import pytest
from textual.pilot import Pilot

from sao_tui.services import checkpoints
from tests.fakes.services import FakeServices
from tests.fakes.weights import checkpoint_rows, export_report, model_report
from tests.tui.helpers import LARGE, SMALL, app_over, rested, settled

pytestmark = pytest.mark.snapshot

SIZES = pytest.mark.parametrize("size", [SMALL, LARGE], ids=["80x24", "120x36"])


@pytest.fixture(autouse=True)
def weights(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkpoints, "list_checkpoints", lambda workspace: checkpoint_rows(workspace.root))
    monkeypatch.setattr(checkpoints, "inspect", lambda file, config=None: model_report(file))
    monkeypatch.setattr(checkpoints, "export", lambda file, weights=None, progress=None: export_report(file, weights))


def keys(*pressed: str) -> Any:
    async def run_before(pilot: Pilot[Any]) -> None:
        await pilot.press("4")
        await settled(pilot)
        for key in pressed:
            await pilot.press(key)
            await settled(pilot)
        await rested(pilot)

    return run_before


@SIZES
def test_files(snap_compare: Any, size: tuple[int, int]) -> None:
    assert snap_compare(app_over(FakeServices()), terminal_size=size, run_before=keys("down"))


@SIZES
def test_no_files(snap_compare: Any, size: tuple[int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkpoints, "list_checkpoints", lambda workspace: [])
    assert snap_compare(app_over(FakeServices()), terminal_size=size, run_before=keys())


@SIZES
def test_exported(snap_compare: Any, size: tuple[int, int]) -> None:
    assert snap_compare(app_over(FakeServices()), terminal_size=size, run_before=keys("down", "E", "e"))
