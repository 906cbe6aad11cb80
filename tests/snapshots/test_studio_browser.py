"""Pictures of the dialogs that choose what the dataset table shows."""

from __future__ import annotations

from typing import Any

import pytest
from textual.pilot import Pilot

from tests.fakes.services import FakeServices
from tests.tui.helpers import LARGE, SMALL, app_over, rested, settled

pytestmark = pytest.mark.snapshot

SIZES = pytest.mark.parametrize("size", [SMALL, LARGE], ids=["80x24", "120x36"])


def keys(*pressed: str) -> Any:
    async def run_before(pilot: Pilot[Any]) -> None:
        await settled(pilot)
        for key in pressed:
            await pilot.press(key)
            await settled(pilot)
        await rested(pilot)

    return run_before


@SIZES
def test_columns(snap_compare: Any, size: tuple[int, int]) -> None:
    app = app_over(FakeServices(columns="name folder seconds rate channels format size caption peak problem"))
    assert snap_compare(app, terminal_size=size, run_before=keys("c", "down", "down", "S"))


@SIZES
def test_folders(snap_compare: Any, size: tuple[int, int]) -> None:
    assert snap_compare(app_over(FakeServices()), terminal_size=size, run_before=keys("f", "down", "down"))


@SIZES
def test_searching_for_a_folder(snap_compare: Any, size: tuple[int, int]) -> None:
    assert snap_compare(app_over(FakeServices()), terminal_size=size, run_before=keys("f", *"ing"))


@SIZES
def test_saved_filters(snap_compare: Any, size: tuple[int, int]) -> None:
    services = FakeServices()
    services.views.by_name = {"short ones": "dur<2 uncaptioned:yes", "[bold]dub": 'folder:"dub plates" bpm>120'}
    app = app_over(services)
    assert snap_compare(app, terminal_size=size, run_before=keys("slash", *"sweep", "enter", "F", "down"))


@SIZES
def test_no_saved_filters(snap_compare: Any, size: tuple[int, int]) -> None:
    assert snap_compare(app_over(FakeServices()), terminal_size=size, run_before=keys("F"))
