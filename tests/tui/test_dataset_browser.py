"""Columns, order, marks, filters and folders on the dataset screen, driven by keys."""

from __future__ import annotations

import threading
from array import array
from types import SimpleNamespace
from typing import Any

import pytest
from textual.widgets import Input

from sao_tui.services.clips import ClipRow
from sao_tui.tui.app import SaoApp
from sao_tui.tui.studio.base import StudioDialog, StudioResult
from sao_tui.tui.studio.folders import FoldersDialog
from sao_tui.tui.widgets.clip_detail import ClipDetail
from sao_tui.tui.widgets.clip_table import ClipTable
from tests.fakes.services import FakeClips, FakeServices, clip_rows
from tests.tui.helpers import LARGE, SMALL, app_over, rested, screen_text, settled, wait_for

pytestmark = pytest.mark.tui


def table_of(app: SaoApp) -> ClipTable:
    return app.screen_stack[0].query_one(ClipTable)


def marked(app: SaoApp) -> list[int]:
    table = table_of(app)
    return sorted(table.marks.all(table.ids))


async def test_marks_survive_filter_and_order_and_are_what_tools_work_on() -> None:
    app = app_over(FakeServices(clip_rows(20)))
    async with app.run_test(size=SMALL) as pilot:
        await settled(pilot)
        await pilot.press("m", "down", "down", "M")
        first = list(table_of(app).ids[:4])
        assert marked(app) == sorted(first)
        assert "4 marked" in screen_text(app)
        await pilot.press("S")
        await settled(pilot)
        assert marked(app) == sorted(first)
        await pilot.press("slash", *"noise", "enter")
        await settled(pilot)
        await pilot.press("a")
        num_noises = len(table_of(app).ids)
        assert len(marked(app)) == 4 + num_noises
        selection = app.screen.selection()  # type: ignore[attr-defined]
        assert selection.is_marked and len(selection.ids) == 4 + num_noises
        await pilot.press("a", "escape")
        await settled(pilot)
        await pilot.press("i")
        assert len(marked(app)) == 16


async def test_without_marks_tools_work_on_all_that_is_shown() -> None:
    app = app_over(FakeServices(clip_rows(20)))
    async with app.run_test(size=SMALL) as pilot:
        await settled(pilot)
        await pilot.press("b")
        await settled(pilot)
        dialog = app.screen
        assert isinstance(dialog, StudioDialog)
        assert (len(dialog.selection.ids), dialog.selection.is_marked) == (20, False)
        assert "20 clips shown" in screen_text(app)


async def test_a_range_needs_a_first_mark() -> None:
    app = app_over(FakeServices())
    async with app.run_test(size=SMALL) as pilot:
        await settled(pilot)
        await pilot.press("down", "M")
        await settled(pilot)
        assert marked(app) == []
        assert "press m on the first clip" in screen_text(app)


async def test_the_order_is_the_next_columns_and_is_kept() -> None:
    services = FakeServices()
    app = app_over(services)
    async with app.run_test(size=LARGE) as pilot:
        await settled(pilot)
        await pilot.press("s")
        await settled(pilot)
        assert "↑seconds" in screen_text(app)
        await pilot.press("S")
        await settled(pilot)
        assert "↓seconds" in screen_text(app)
        row = table_of(app).current_row
        assert row is not None and row.seconds == 2.5
        assert services.saved["dataset.sort"] == "-seconds"


async def test_columns_are_chosen_ordered_and_kept() -> None:
    services = FakeServices()
    app = app_over(services)
    async with app.run_test(size=LARGE) as pilot:
        await settled(pilot)
        await pilot.press("c", "end", "space", "K", "s", "enter")
        await settled(pilot)
        assert services.saved["dataset.columns"] == "name seconds rate channels caption tags problem"
        assert services.saved["dataset.sort"] == "tags"
        assert "↑tags" in screen_text(app)


async def test_columns_that_do_not_fit_are_named_and_escape_changes_nothing() -> None:
    services = FakeServices()
    app = app_over(services)
    async with app.run_test(size=SMALL) as pilot:
        await settled(pilot)
        await pilot.press("c")
        await settled(pilot)
        assert "too narrow here for: problem" in screen_text(app)
        await pilot.press("home", "space", "escape")
        await settled(pilot)
        assert services.saved == {}
        assert "↑name" in screen_text(app)


async def test_a_column_in_the_settings_that_there_is_not_is_said() -> None:
    app = app_over(FakeServices(columns="name colour"))
    async with app.run_test(size=LARGE) as pilot:
        await settled(pilot)
        assert "a column that there is not: colour" in screen_text(app)


async def test_tab_completes_and_down_chooses_another() -> None:
    app = app_over(FakeServices())
    async with app.run_test(size=SMALL) as pilot:
        await settled(pilot)
        await pilot.press("slash", *"un", "tab")
        await settled(pilot)
        assert app.screen.query_one("#filter", Input).value == "uncaptioned:yes"
        assert len(table_of(app).ids) == 8
        await pilot.press("space", *"un", "down", "tab")
        await settled(pilot)
        assert app.screen.query_one("#filter", Input).value == "uncaptioned:yes unreadable:yes"


async def test_escape_goes_back_to_the_filter_before() -> None:
    app = app_over(FakeServices())
    async with app.run_test(size=SMALL) as pilot:
        await settled(pilot)
        await pilot.press("slash", *"sweep", "enter", "slash", *"ing", "escape")
        await settled(pilot)
        assert "20 match 'sweep'" in screen_text(app)
        assert len(table_of(app).ids) == 20
        await pilot.press("escape")
        await settled(pilot)
        assert len(table_of(app).ids) == 60


async def test_a_filter_that_is_not_understood_stays_in_its_line() -> None:
    app = app_over(FakeServices())
    async with app.run_test(size=SMALL) as pilot:
        await settled(pilot)
        await pilot.press("slash", *"tone dur<x", "enter")
        await settled(pilot)
        assert isinstance(app.focused, Input)
        lines = screen_text(app).splitlines()
        row = next(line for line in lines if "tone dur<x" in line)
        error = next(line for line in lines if "^" in line)
        assert row.index("dur<x") <= error.index("^") <= row.index("dur<x") + len("dur<x")


async def test_each_key_of_the_filter_supersedes_what_the_last_one_asked_for() -> None:
    gate = threading.Event()

    class SlowClips(FakeClips):
        def first_ids(self, filter_text: str = "", *args: Any, **kwargs: Any) -> array[int]:
            if filter_text == "s":
                gate.wait(20)
            return super().first_ids(filter_text, *args, **kwargs)

    services = FakeServices()
    services.clips = SlowClips(clip_rows())
    app = app_over(services)
    async with app.run_test(size=SMALL) as pilot:
        await settled(pilot)
        try:
            await pilot.press("slash", *"sweep")
            await wait_for(pilot, lambda: len(table_of(app).ids) == 20)
        finally:
            gate.set()
        await settled(pilot)
        assert len(table_of(app).ids) == 20


class ManyClips(FakeClips):
    """Half a million clips of which the first page is known before all are."""

    def __init__(self) -> None:
        super().__init__([])
        self.gate = threading.Event()

    def first_ids(self, *args: Any, **kwargs: Any) -> array[int]:
        return array("q", range(128))

    def ids(self, *args: Any, **kwargs: Any) -> array[int]:
        self.gate.wait(20)
        return array("q", range(500_000))

    def rows(self, ids: Any) -> list[ClipRow]:
        return [ClipRow(each, f"clip-{each}.wav", 1.0, 8000, 1, 16044, "", "x") for each in ids]


async def test_the_first_page_is_shown_before_all_clips_are_known_and_tools_wait_for_those() -> None:
    services = FakeServices()
    services.clips = clips = ManyClips()
    app = app_over(services)
    async with app.run_test(size=SMALL) as pilot:
        try:
            await wait_for(pilot, lambda: "clip-0.wav" in screen_text(app))
            await pilot.press("down", "l")
            assert not isinstance(app.screen, StudioDialog)
            assert "still looking for all clips" in screen_text(app)
        finally:
            clips.gate.set()
        await wait_for(pilot, lambda: isinstance(app.screen, StudioDialog))
        assert "500,000 clips shown" in screen_text(app)
        assert table_of(app).cursor == 1


async def test_the_clip_is_shown_in_detail_once_the_cursor_rests() -> None:
    app = app_over(FakeServices())
    async with app.run_test(size=SMALL) as pilot:
        await rested(pilot)
        detail = app.screen.query_one(ClipDetail)
        before = detail.row
        shown: list[Any] = []
        show = detail.show
        detail.show = lambda row: shown.append(row) or show(row)  # type: ignore[method-assign, func-returns-value]
        await pilot.press(*["down"] * 5)
        assert detail.row == before or len(shown) == 1
        await rested(pilot)
        assert detail.row == table_of(app).current_row
        assert len(shown) <= 2


async def test_enter_edits_the_clip_under_the_cursor_though_the_keys_have_not_rested() -> None:
    services = FakeServices()
    app = app_over(services)
    async with app.run_test(size=SMALL) as pilot:
        await rested(pilot)
        await pilot.press("down", "down", "enter", *"!", "enter")
        await settled(pilot)
        row = table_of(app).current_row
        assert row is not None and services.captions.get(row.relpath).endswith("!")


async def test_a_full_stop_writes_the_last_caption_again() -> None:
    services = FakeServices()
    app = app_over(services)
    async with app.run_test(size=SMALL) as pilot:
        await settled(pilot)
        await pilot.press("full_stop")
        assert "no caption has been written yet" in screen_text(app)
        await pilot.press("n", "enter", *"dub", "enter")
        await settled(pilot)
        await pilot.press("n", "full_stop")
        await settled(pilot)
        row = table_of(app).current_row
        assert row is not None and row.caption == "dub"
        await pilot.press("u")
        await settled(pilot)
        assert services.captions.get(row.relpath) == ""


async def test_filters_are_saved_applied_renamed_and_deleted() -> None:
    services = FakeServices()
    app = app_over(services)
    async with app.run_test(size=SMALL) as pilot:
        await settled(pilot)
        await pilot.press("slash", *"sweep", "enter", "F")
        await settled(pilot)
        assert "No filter has been saved yet." in screen_text(app)
        await pilot.press("s", *"my sweeps", "enter")
        await settled(pilot)
        assert services.views.by_name == {"my sweeps": "sweep"}
        await pilot.press("r", *"best", "enter")
        await settled(pilot)
        assert services.views.by_name == {"best": "sweep"}
        await pilot.press("escape", "escape")
        await settled(pilot)
        assert len(table_of(app).ids) == 60
        await pilot.press("F")
        await settled(pilot)
        await pilot.press("enter")
        await settled(pilot)
        assert len(table_of(app).ids) == 20
        await pilot.press("F")
        await settled(pilot)
        await pilot.press("d", "y")
        await settled(pilot)
        assert services.views.by_name == {}


async def test_a_folder_is_found_by_typing_and_filters_the_table() -> None:
    app = app_over(FakeServices())
    async with app.run_test(size=SMALL) as pilot:
        await settled(pilot)
        await pilot.press("f")
        await settled(pilot)
        assert isinstance(app.screen, FoldersDialog)
        assert "6 folders with clips" in screen_text(app) and "60" in screen_text(app)
        await pilot.press(*"ris")
        await settled(pilot)
        assert "search: ris · 1 folder" in screen_text(app)
        await pilot.press("enter")
        await settled(pilot)
        assert "match 'folder:rising'" in screen_text(app)
        assert len(table_of(app).ids) == 10


async def test_folders_open_and_shut() -> None:
    rows = [ClipRow(at, f"{name}/{at}.wav", 1.0, 8000, 1, 9, "", "x") for at, name in enumerate(("a", "a/b", "a/b/c"))]
    app = app_over(FakeServices(rows))
    async with app.run_test(size=SMALL) as pilot:
        await settled(pilot)
        await pilot.press("f")
        await settled(pilot)
        await pilot.press("down", "right", "down", "right", "down")
        assert app.screen.query_one("FolderTree").current == "a/b/c"  # type: ignore[attr-defined]
        await pilot.press("left")
        assert app.screen.query_one("FolderTree").current == "a/b"  # type: ignore[attr-defined]
        await pilot.press("left", "down")
        assert app.screen.query_one("FolderTree").current == "a/b"  # type: ignore[attr-defined]
        await pilot.press("escape")
        assert not isinstance(app.screen, FoldersDialog)


async def test_what_a_tool_hands_back_is_shown() -> None:
    app = app_over(FakeServices())
    async with app.run_test(size=SMALL) as pilot:
        await settled(pilot)
        relpath = clip_rows()[30].relpath
        app.screen.tool_closed(StudioResult(note="12 captions changed", target=relpath))  # type: ignore[attr-defined]
        await settled(pilot)
        row = table_of(app).current_row
        assert row is not None and row.relpath == relpath
        assert "12 captions changed" in screen_text(app)


async def test_the_analysis_is_paused_and_goes_on() -> None:
    class FakeAnalyser:
        state = "running"

        def pause(self) -> None:
            self.state = "paused"

        def resume(self) -> None:
            self.state = "running"

        def prefer(self, ids: Any) -> None:
            assert len(ids) <= 24

        def progress(self) -> SimpleNamespace:
            return SimpleNamespace(state=self.state, num_done=20, num_total=60, message="")

    services = FakeServices()
    services.analyser = FakeAnalyser()  # type: ignore[attr-defined]
    app = app_over(services)
    async with app.run_test(size=SMALL) as pilot:
        await rested(pilot)
        assert "measured 20/60" in screen_text(app)
        await pilot.press("A")
        await settled(pilot)
        assert "paused, measured 20/60" in screen_text(app)
        await pilot.press("A")
        await settled(pilot)
        assert "paused" not in screen_text(app)
