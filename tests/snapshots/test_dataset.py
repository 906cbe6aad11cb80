"""Pictures of the dataset screen."""

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
        await pilot.press(*pressed)
        await rested(pilot)

    return run_before


@SIZES
def test_clips(snap_compare: Any, size: tuple[int, int]) -> None:
    assert snap_compare(app_over(FakeServices()), terminal_size=size, run_before=keys("down", "down"))


@SIZES
def test_writing_a_caption(snap_compare: Any, size: tuple[int, int]) -> None:
    app = app_over(FakeServices())
    assert snap_compare(app, terminal_size=size, run_before=keys("n", "enter", *"a dry clic"))


@SIZES
def test_an_unreadable_clip(snap_compare: Any, size: tuple[int, int]) -> None:
    app = app_over(FakeServices())
    assert snap_compare(app, terminal_size=size, run_before=keys(*["down"] * 10))


@SIZES
def test_a_filter(snap_compare: Any, size: tuple[int, int]) -> None:
    app = app_over(FakeServices())
    assert snap_compare(app, terminal_size=size, run_before=keys("slash", *"sweep"))


@SIZES
def test_no_clips(snap_compare: Any, size: tuple[int, int]) -> None:
    assert snap_compare(app_over(FakeServices([])), terminal_size=size, run_before=keys())


@SIZES
def test_help(snap_compare: Any, size: tuple[int, int]) -> None:
    assert snap_compare(app_over(FakeServices()), terminal_size=size, run_before=keys("question_mark"))


def test_a_conflict(snap_compare: Any) -> None:
    services = FakeServices()
    services.captions.conflicts["click/click-train-003.wav"] = "a click train, far away"
    app = app_over(services)
    assert snap_compare(app, terminal_size=SMALL, run_before=keys("enter", *" and dry", "enter"))


def test_light(snap_compare: Any) -> None:
    assert snap_compare(app_over(FakeServices(theme="sao-light")), terminal_size=SMALL, run_before=keys("down"))
