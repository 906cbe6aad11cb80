"""Pictures of the suggestions dialog."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot

from sao_tui.core.captioners import CAPTIONERS
from sao_tui.services import captioners
from sao_tui.services.captioners import CaptionerState
from tests.fakes.suggestions import suggestion_services
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
def test_reviewing(snap_compare: Any, tmp_path: Path, size: tuple[int, int]) -> None:
    app = app_over(suggestion_services(tmp_path))
    assert snap_compare(app, terminal_size=size, run_before=keys("t", "down", "down"))


@SIZES
def test_editing(snap_compare: Any, tmp_path: Path, size: tuple[int, int]) -> None:
    app = app_over(suggestion_services(tmp_path, state="stopped"))
    assert snap_compare(app, terminal_size=size, run_before=keys("t", "enter", "e"))


@SIZES
def test_nothing_to_decide(snap_compare: Any, tmp_path: Path, size: tuple[int, int]) -> None:
    app = app_over(suggestion_services(tmp_path, 0))
    assert snap_compare(app, terminal_size=size, run_before=keys("t"))


@SIZES
def test_choosing_a_captioner(
    snap_compare: Any, tmp_path: Path, size: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    states = [CaptionerState(info, True, "") for info in CAPTIONERS.values()]
    states[1] = CaptionerState(states[1].info, False, "Not in the worker's Python: librosa.")
    monkeypatch.setattr(captioners, "captioner_states", lambda workspace: states)
    app = app_over(suggestion_services(tmp_path, 0))
    assert snap_compare(app, terminal_size=size, run_before=keys("t", "n", "down", "down"))
