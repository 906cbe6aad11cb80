"""Pictures of the dataset screen."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from typing import Any

import pytest
from rich.color import ColorSystem
from rich.segment import Segment
from rich.style import Style
from textual.color import Color
from textual.filter import LineFilter
from textual.pilot import Pilot

from sao_tui.services.clips import ClipCounts, ClipRow
from sao_tui.tui.screens.dataset_messages import ScanProgressed
from tests.fakes.services import FakeClips, FakeServices, clip_rows
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


@SIZES
def test_ten_clips_two_of_them_marked(snap_compare: Any, size: tuple[int, int]) -> None:
    app = app_over(FakeServices(clip_rows(10)))
    assert snap_compare(app, terminal_size=size, run_before=keys("m", "down", "m", "S"))


class ManyClips(FakeClips):
    """As many clips as SAO-small was trained on, some of them measured."""

    def __init__(self) -> None:
        super().__init__([])

    def ids(self, *args: Any, **kwargs: Any) -> array[int]:
        return array("q", range(486_492))

    def rows(self, ids: Sequence[int]) -> list[ClipRow]:
        measured = (True, -0.3, -14.2, 128.0, "A minor", '{"genre": "dub"}')
        return [
            ClipRow(at, f"pack-{at // 1000:03}/{at}.wav", 1.0, 44100, 2, 99_044, "", "dub", *measured[: at % 2 * 6])
            for at in ids
        ]

    def counts(self) -> ClipCounts:
        return ClipCounts(486_492, 486_100, 3, 1_751_371.0)


@SIZES
def test_half_a_million_clips_with_every_column(snap_compare: Any, size: tuple[int, int]) -> None:
    names = "name folder seconds rate channels format size caption problem peak loudness bpm key tags"
    services = FakeServices([], columns=names)
    services.clips = ManyClips()
    assert snap_compare(app_over(services), terminal_size=size, run_before=keys("end", "up"))


@SIZES
def test_a_wide_choice_of_columns(snap_compare: Any, size: tuple[int, int]) -> None:
    services = FakeServices([], columns="name seconds peak loudness bpm key caption", sort="-loudness")
    services.clips = ManyClips()
    assert snap_compare(app_over(services), terminal_size=size, run_before=keys("down"))


def test_scanning(snap_compare: Any) -> None:
    async def scan(pilot: Pilot[Any]) -> None:
        await settled(pilot)
        pilot.app.screen.post_message(ScanProgressed(120_000, 486_492))
        await rested(pilot)

    assert snap_compare(app_over(FakeServices()), terminal_size=SMALL, run_before=scan)


@SIZES
def test_a_filter_with_an_error(snap_compare: Any, size: tuple[int, int]) -> None:
    app = app_over(FakeServices())
    assert snap_compare(app, terminal_size=size, run_before=keys("slash", *"tone dur<long", "enter"))


@SIZES
def test_completions_of_a_filter(snap_compare: Any, size: tuple[int, int]) -> None:
    app = app_over(FakeServices())
    assert snap_compare(app, terminal_size=size, run_before=keys("slash", *"u", "down"))


class SixteenColours(LineFilter):
    """Shows what a terminal of 16 colours makes of the dashboard's."""

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:
        return [Segment(text, style and _in_sixteen(style), control) for text, style, control in segments]


def _in_sixteen(style: Style) -> Style:
    nearest = {
        name: colour.downgrade(ColorSystem.STANDARD)
        for name, colour in (("color", style.color), ("bgcolor", style.bgcolor))
        if colour is not None
    }
    return style + Style(**nearest)  # type: ignore[arg-type]


def test_sixteen_colours(snap_compare: Any) -> None:
    app = app_over(FakeServices())
    app._filters.append(SixteenColours())
    assert snap_compare(app, terminal_size=SMALL, run_before=keys("m", "down", "m"))
