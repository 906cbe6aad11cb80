"""Pictures of the config screen, over the nano model's configs on the disk."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot

from sao_tui.services.gpu import GpuReading, HostSample
from sao_tui.tui.app import SaoApp
from tests.tui.helpers import LARGE, SMALL, app_over, real_workspace, rested, settled

pytestmark = pytest.mark.snapshot

SIZES = pytest.mark.parametrize("size", [SMALL, LARGE], ids=["80x24", "120x36"])


@pytest.fixture
def app(tmp_path: Path) -> SaoApp:
    services = real_workspace(tmp_path / "kicks")
    services.read_gpus = lambda: GpuReading("no-driver", "There is no NVIDIA driver.")  # type: ignore[method-assign]
    services.read_host = lambda: HostSample(None, None, None, None, 212_000_000_000)  # type: ignore[method-assign]
    return app_over(services)


def keys(*pressed: str) -> Any:
    async def run_before(pilot: Pilot[Any]) -> None:
        await settled(pilot)
        await pilot.press("2")
        await settled(pilot)
        await pilot.press(*pressed)
        await rested(pilot)

    return run_before


@SIZES
def test_the_form(snap_compare: Any, app: SaoApp, size: tuple[int, int]) -> None:
    assert snap_compare(app, terminal_size=size, run_before=keys("down", "down"))


@SIZES
def test_a_wrong_value_and_a_change(snap_compare: Any, app: SaoApp, size: tuple[int, int]) -> None:
    pressed = ("down", "down", "enter", "end", "0", "enter", "down", "enter", "end", "backspace", "0", "enter")
    assert snap_compare(app, terminal_size=size, run_before=keys(*pressed))


@SIZES
def test_typing(snap_compare: Any, app: SaoApp, size: tuple[int, int]) -> None:
    assert snap_compare(app, terminal_size=size, run_before=keys("down", "down", "enter", "end", "x"))


@SIZES
def test_findings(snap_compare: Any, app: SaoApp, size: tuple[int, int]) -> None:
    pressed = ("down", "down", "down", "enter", "end", "backspace", "0", "enter", "c")
    assert snap_compare(app, terminal_size=size, run_before=keys(*pressed))


@SIZES
def test_a_search(snap_compare: Any, app: SaoApp, size: tuple[int, int]) -> None:
    assert snap_compare(app, terminal_size=size, run_before=keys("slash", *"seconds"))


def test_json(snap_compare: Any, app: SaoApp) -> None:
    assert snap_compare(app, terminal_size=SMALL, run_before=keys("v"))
