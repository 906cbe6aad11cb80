"""Pictures of the generate screen."""

from __future__ import annotations

from typing import Any

import pytest
from textual.pilot import Pilot

from sao_tui.services import checkpoints, generation
from sao_tui.services.generation import GeneratedClip
from sao_tui.tui.screens.generate_workers import Progressed
from tests.fakes.runs import START
from tests.fakes.services import FOLDER, FakeServices
from tests.fakes.weights import RUN, checkpoint_rows
from tests.tui.helpers import LARGE, SMALL, app_over, rested, settled

pytestmark = pytest.mark.snapshot

SIZES = pytest.mark.parametrize("size", [SMALL, LARGE], ids=["80x24", "120x36"])


def clip(number: int) -> GeneratedClip:
    return GeneratedClip(
        FOLDER / f"generations/20261122-1042{number:02}-a-low-tone-{77_731 * number}.wav",
        seed=77_731 * number,
        seconds=2.048,
        sample_rate_hz=8_000,
        prompt=f"a low tone, dry, close microphone, take {number}",
        negative_prompt="hiss",
        steps=50,
        cfg_scale=4.0,
        sampler="euler",
        model=f"models/{RUN}-step1000.safetensors",
        created=START + number * 60,
    )


@pytest.fixture(autouse=True)
def clips(monkeypatch: pytest.MonkeyPatch) -> list[GeneratedClip]:
    made = [clip(number) for number in range(9, 0, -1)]
    monkeypatch.setattr(generation, "history", lambda workspace, limit=None: list(made))
    monkeypatch.setattr(checkpoints, "list_checkpoints", lambda workspace: checkpoint_rows(workspace.root))
    return made


def keys(*pressed: str) -> Any:
    async def run_before(pilot: Pilot[Any]) -> None:
        await pilot.press("5")
        await settled(pilot)
        for key in pressed:
            await pilot.press(key)
            await settled(pilot)
        await rested(pilot)

    return run_before


@SIZES
def test_clips(snap_compare: Any, size: tuple[int, int]) -> None:
    assert snap_compare(app_over(FakeServices()), terminal_size=size, run_before=keys("down"))


@SIZES
def test_before_the_first_clip(snap_compare: Any, clips: list[GeneratedClip], size: tuple[int, int]) -> None:
    clips.clear()
    assert snap_compare(app_over(FakeServices()), terminal_size=size, run_before=keys("p", *"tone"))


@SIZES
def test_sampling(snap_compare: Any, size: tuple[int, int]) -> None:
    async def run_before(pilot: Pilot[Any]) -> None:
        await keys("enter", "escape")(pilot)
        screen: Any = pilot.app.screen
        screen._generating = type("Busy", (), {"is_finished": False})()
        screen.post_message(Progressed(21, 50, "sampling"))
        await rested(pilot)

    assert snap_compare(app_over(FakeServices()), terminal_size=size, run_before=run_before)
