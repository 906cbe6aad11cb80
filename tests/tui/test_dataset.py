"""The dataset screen, driven by keys."""

from __future__ import annotations

import json
import threading
import wave
from array import array
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from textual.events import Key
from textual.widgets import Input

from sao_tui.core.errors import SaoError
from sao_tui.services.clips import ClipRow
from sao_tui.tui.app import SaoApp
from sao_tui.tui.widgets.caption_editor import CaptionEditor
from sao_tui.tui.widgets.clip_detail import ClipDetail
from sao_tui.tui.widgets.clip_table import ClipTable
from tests.fakes.services import FOLDER, FakeCaptions, FakeClips, FakePlayback, FakeServices, clip_rows
from tests.tui.helpers import LARGE, SMALL, app_over, real_workspace, screen_text, settled, wait_for

pytestmark = pytest.mark.tui


async def test_the_table_and_the_clip_under_the_cursor_are_shown() -> None:
    app = app_over(FakeServices())
    async with app.run_test(size=SMALL) as pilot:
        await settled(pilot)
        await pilot.press("down")
        await settled(pilot)
        text = screen_text(app)
        assert "60 clips · 52 captioned · 1 unreadable" in text
        assert "a click train, dry, number 9" in text
        assert "2.50 s · 44100 Hz · stereo" in text


async def test_a_scan_that_fails_is_not_said_to_go_on() -> None:
    class BrokenClips(FakeClips):
        def scan(self, *args: Any, **kwargs: Any) -> Any:
            raise SaoError("Line 3 of metadata.jsonl is not JSON.", "Correct it.")

    services = FakeServices()
    services.clips = BrokenClips(clip_rows())
    app = app_over(services)
    async with app.run_test(size=SMALL, notifications=True) as pilot:
        await wait_for(pilot, lambda: "Line 3 of metadata.jsonl" in screen_text(app))
        await settled(pilot)
        assert "reading" not in screen_text(app)
        assert "60 clips" in screen_text(app)


async def test_the_first_frame_comes_before_the_folder_is_read() -> None:
    gate = threading.Event()

    class SlowClips(FakeClips):
        def ids(self, *args: Any, **kwargs: Any) -> array[int]:
            gate.wait(20)
            return super().ids(*args, **kwargs)

        def scan(self, *args: Any, **kwargs: Any) -> Any:
            gate.wait(20)
            return super().scan(*args, **kwargs)

    services = FakeServices()
    services.clips = SlowClips(clip_rows())
    app = app_over(services)
    async with app.run_test(size=SMALL) as pilot:
        try:
            await pilot.pause()
            await pilot.press("down", "down")
            assert "reading the clips…" in screen_text(app)
            assert "[1 Dataset]" in screen_text(app)
        finally:
            gate.set()
        await settled(pilot)
        assert "60 clips" in screen_text(app)


async def test_half_a_million_clips_are_held_by_a_few_pages() -> None:
    asked: list[int] = []

    class ManyClips(FakeClips):
        def ids(self, *args: Any, **kwargs: Any) -> array[int]:
            return array("q", range(500_000))

        def rows(self, ids: Sequence[int]) -> list[ClipRow]:
            asked.append(len(ids))
            return [ClipRow(each, f"clip-{each}.wav", 1.0, 8000, 1, 16044, "", "x") for each in ids]

    services = FakeServices()
    services.clips = ManyClips([])
    app = app_over(services)
    async with app.run_test(size=SMALL) as pilot:
        await settled(pilot)
        await pilot.press("end")
        await settled(pilot)
        assert "clip-499999.wav" in screen_text(app)
        await pilot.press("home", "pagedown")
        await settled(pilot)
        assert "clip-11.wav" in screen_text(app)
        assert max(asked) <= 128
        assert sum(asked) <= 8 * 128


async def test_a_caption_is_saved_before_it_is_called_saved() -> None:
    services = FakeServices()
    app = app_over(services)
    async with app.run_test(size=SMALL) as pilot:
        await settled(pilot)
        await pilot.press("n", *"")
        await settled(pilot)
        row = app.screen.query_one(ClipTable).current_row
        assert row is not None and row.caption == ""
        await pilot.press("enter", *"a [bold]dry click", "enter")
        await settled(pilot)
        assert services.captions.get(row.relpath) == "a [bold]dry click"
        assert " saved │ kicks" in screen_text(app)
        assert "a [bold]dry click" in screen_text(app)
        assert "53 captioned" in screen_text(app)
        assert app.focused is app.screen.query_one(ClipTable)


async def test_escape_leaves_the_caption_as_it_was() -> None:
    services = FakeServices()
    app = app_over(services)
    async with app.run_test(size=SMALL) as pilot:
        await settled(pilot)
        before = dict(services.captions.texts)
        await pilot.press("enter", *" more", "escape")
        await settled(pilot)
        assert services.captions.texts == before
        assert not app.screen.query_one(CaptionEditor).is_editing


async def test_n_goes_round_the_clips_without_a_caption() -> None:
    app = app_over(FakeServices(clip_rows(14)))
    async with app.run_test(size=SMALL) as pilot:
        await settled(pilot)
        seen = []
        for _ in range(3):
            await pilot.press("n")
            await settled(pilot)
            row = app.screen.query_one(ClipTable).current_row
            seen.append(row.id if row else None)
        assert sorted(set(seen)) == [7, 14]
        assert seen[0] == seen[2]


async def test_undo_and_redo_move_to_the_clip_they_change() -> None:
    services = FakeServices()
    app = app_over(services)
    async with app.run_test(size=SMALL) as pilot:
        await settled(pilot)
        first = app.screen.query_one(ClipTable).current_row
        assert first is not None
        await pilot.press("enter", *"!", "enter")
        await settled(pilot)
        await pilot.press("end", "u")
        await settled(pilot)
        row = app.screen.query_one(ClipTable).current_row
        assert row is not None and row.relpath == first.relpath
        assert services.captions.get(first.relpath) == first.caption
        await pilot.press("U")
        await settled(pilot)
        assert services.captions.get(first.relpath) == first.caption + "!"


@pytest.mark.parametrize(("key", "kept"), [("m", "mine"), ("t", "theirs")])
async def test_a_caption_changed_on_both_sides_is_asked_about(key: str, kept: str) -> None:
    services = FakeServices()
    app = app_over(services)
    async with app.run_test(size=SMALL) as pilot:
        await settled(pilot)
        row = app.screen.query_one(ClipTable).current_row
        assert row is not None
        services.captions.conflicts[row.relpath] = "theirs"
        await pilot.press("enter", "home", "shift+end", *"mine", "enter")
        await settled(pilot)
        assert "theirs: theirs" in screen_text(app)
        await pilot.press(key)
        await settled(pilot)
        assert services.captions.get(row.relpath) == kept
        changed = app.screen.query_one(ClipTable).current_row
        assert changed is not None and changed.caption == kept


async def test_captions_written_by_another_program_are_picked_up() -> None:
    services = FakeServices()
    app = app_over(services)
    async with app.run_test(size=SMALL) as pilot:
        await settled(pilot)
        row = app.screen.query_one(ClipTable).current_row
        assert row is not None
        services.captions.texts[row.relpath] = "written elsewhere"
        services.captions.changed = True
        app.screen.poll()  # type: ignore[attr-defined]
        await settled(pilot)
        assert "written elsewhere" in screen_text(app)


async def test_the_filter_narrows_the_table_and_escape_takes_it_away() -> None:
    app = app_over(FakeServices())
    async with app.run_test(size=SMALL) as pilot:
        await settled(pilot)
        await pilot.press("slash", *"sweep")
        table = app.screen.query_one(ClipTable)
        await wait_for(pilot, lambda: len(table.ids) == 20)
        await pilot.press("enter")
        assert app.focused is table
        assert "20 match 'sweep'" in screen_text(app)
        await pilot.press("escape")
        await wait_for(pilot, lambda: len(table.ids) == 60)


async def test_a_filter_that_makes_no_sense_keeps_the_table_and_says_so() -> None:
    app = app_over(FakeServices())
    async with app.run_test(size=SMALL) as pilot:
        await settled(pilot)
        await pilot.press("slash", *"nonsense:")
        await wait_for(pilot, lambda: "nonsense is not known." in screen_text(app))
        assert len(app.screen.query_one(ClipTable).ids) == 60


async def test_no_match_says_how_to_see_all_again() -> None:
    app = app_over(FakeServices())
    async with app.run_test(size=SMALL) as pilot:
        await settled(pilot)
        await pilot.press("slash", *"qqq")
        await wait_for(pilot, lambda: "escape shows all clips again" in screen_text(app))


async def test_an_empty_folder_says_what_to_do() -> None:
    app = app_over(FakeServices([]))
    async with app.run_test(size=SMALL) as pilot:
        await settled(pilot)
        assert "There are no clips in /data/kicks/dataset yet." in screen_text(app)
        assert "press r" in screen_text(app)


async def test_space_plays_the_clip_and_says_with_which_player() -> None:
    services = FakeServices()
    app = app_over(services)
    async with app.run_test(size=SMALL) as pilot:
        await settled(pilot)
        await pilot.press("space")
        await settled(pilot)
        row = app.screen.query_one(ClipTable).current_row
        assert row is not None
        assert services.playback.played == [FOLDER / "dataset" / row.relpath]
        assert "plays with miniaudio" in screen_text(app)
        await pilot.press("space")
        await settled(pilot)
        assert not services.playback.is_playing()


async def test_without_a_player_the_place_of_the_file_is_shown() -> None:
    services = FakeServices()
    services.playback = FakePlayback("null")
    app = app_over(services)
    async with app.run_test(size=SMALL, notifications=True) as pilot:
        await settled(pilot)
        await pilot.press("space")
        await settled(pilot)
        assert "There is no player here." in screen_text(app)


async def test_a_scan_that_fails_shows_the_way_out_and_reads_names_literally() -> None:
    services = FakeServices()
    services.clips.error = SaoError("The folder [/data/x] is missing.", "Create [it].")
    app = app_over(services)
    async with app.run_test(size=SMALL, notifications=True) as pilot:
        await settled(pilot)
        assert "The folder [/data/x] is missing." in screen_text(app)
        assert "Create [it]." in screen_text(app)


async def test_names_with_control_characters_do_not_reach_the_terminal() -> None:
    rows = [ClipRow(1, "a\x1b[2J\nb\udcff.wav", 1.0, 8000, 1, 16044, "", "[red]x[/]\r")]
    app = app_over(FakeServices(rows))
    async with app.run_test(size=SMALL) as pilot:
        await settled(pilot)
        text = screen_text(app)
        assert "\x1b" not in text and "\udcff" not in text
        assert "[red]x[/]" in text


async def test_the_detail_stands_below_the_table_or_beside_it() -> None:
    for size, beside in ((SMALL, False), (LARGE, True)):
        app = app_over(FakeServices())
        async with app.run_test(size=size) as pilot:
            await settled(pilot)
            table, detail = app.screen.query_one(ClipTable), app.screen.query_one(ClipDetail)
            assert (detail.region.x > table.region.x) is beside


async def test_typing_a_caption_never_runs_a_key_of_the_screen() -> None:
    services = FakeServices()
    app = app_over(services)
    async with app.run_test(size=SMALL) as pilot:
        await settled(pilot)
        await pilot.press("enter", *"2 q / ? n u r")
        assert app.current_mode == "dataset"
        assert app.screen.query_one("#caption-input", Input).value.endswith("2 q / ? n u r")
        assert services.clips.scans == 1


def write_clip(path: Path) -> None:
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, 8000, 0, "NONE", ""))
        file.writeframes(bytes(3200))


async def test_a_clip_that_another_program_adds_appears_by_itself(tmp_path: Path) -> None:
    services = real_workspace(tmp_path / "w")
    write_clip(services.workspace.dataset_folder / "first.wav")
    app = SaoApp(services, poll_seconds=30.0)
    async with app.run_test(size=SMALL) as pilot:
        await wait_for(pilot, lambda: "1 clip " in screen_text(app))
        for number in range(50):  # The watch is armed some time after the first scan.
            write_clip(services.workspace.dataset_folder / f"more-{number}.wav")
            await pilot.pause(0.3)
            if "more-" in screen_text(app):
                break
        assert "more-" in screen_text(app)


async def test_letters_typed_in_one_burst_with_enter_belong_to_the_caption() -> None:
    services = FakeServices()
    app = app_over(services)
    async with app.run_test(size=SMALL) as pilot:
        await settled(pilot)
        for key in ("enter", *" unr"):
            app.post_message(Key("space" if key == " " else key, None if key == "enter" else key))
        await wait_for(pilot, lambda: bool(app.screen.query("#caption-input")))
        await wait_for(pilot, lambda: app.screen.query_one("#caption-input", Input).value.endswith(" unr"))
        assert services.clips.scans == 1
        await pilot.press("escape")
        await settled(pilot)
        assert isinstance(app.focused, ClipTable)
        await pilot.press("enter")
        await wait_for(pilot, lambda: bool(app.screen.query("#caption-input")))


def post(app: SaoApp, *keys: str) -> None:
    """Press keys in one burst, as a slow line delivers them."""
    for key in keys:
        app.post_message(Key({" ": "space", "/": "slash"}.get(key, key), key if len(key) == 1 else None))


async def test_a_filter_typed_in_one_burst_is_a_filter() -> None:
    services = FakeServices()
    app = app_over(services)
    async with app.run_test(size=SMALL) as pilot:
        await settled(pilot)
        post(app, "/", *"sweeps", "backspace", "enter")
        table = app.screen.query_one(ClipTable)
        await wait_for(pilot, lambda: len(table.ids) == 20 and not app.screen.query("#filter"))
        assert app.focused is table
        assert not app.screen.query_one(CaptionEditor).is_editing
        await pilot.press("down")
        assert table.cursor == 1
        post(app, "/", *"abc", "escape")
        await wait_for(pilot, lambda: len(table.ids) == 60 and not app.screen.query("#filter"))


async def test_a_caption_typed_in_one_burst_is_saved_or_left_as_it_was() -> None:
    services = FakeServices()
    app = app_over(services)
    async with app.run_test(size=SMALL) as pilot:
        await settled(pilot)
        row = app.screen.query_one(ClipTable).current_row
        assert row is not None
        post(app, "enter", *" unr", "enter")
        await wait_for(pilot, lambda: services.captions.get(row.relpath) == row.caption + " unr")
        await wait_for(pilot, lambda: not app.screen.query("#caption-input"))
        post(app, "enter", *" more", "escape")
        await settled(pilot)
        await wait_for(pilot, lambda: not app.screen.query("#caption-input"))
        assert services.captions.get(row.relpath) == row.caption + " unr"
        assert isinstance(app.focused, ClipTable)


async def test_a_caption_written_here_is_in_the_file_on_the_disk(tmp_path: Path) -> None:
    services = real_workspace(tmp_path / "w")
    folder = services.workspace.dataset_folder
    write_clip(folder / "kick [1].wav")
    (folder / "broken.wav").write_bytes(b"no audio")
    app = app_over(services)
    async with app.run_test(size=SMALL) as pilot:
        await wait_for(pilot, lambda: "2 clips" in screen_text(app))
        assert "1 unreadable" in screen_text(app)
        await pilot.press("end")
        await wait_for(pilot, lambda: "0.20 s · 8000 Hz · mono" in screen_text(app))
        await pilot.press("enter", *"a dull kick", "enter")
        await wait_for(pilot, lambda: "1 captioned" in screen_text(app))
    line = json.loads(services.workspace.metadata_file.read_text())
    assert (line["audio_path"], line["text"]) == ("kick [1].wav", "a dull kick")


async def test_a_caption_that_cannot_be_saved_is_kept_for_the_next_try() -> None:
    class FullDisk(FakeCaptions):
        is_full = True

        def set(self, relpath: str, text: str, *, expected: str | None = None) -> None:
            if self.is_full:
                raise SaoError("Cannot write metadata.jsonl: No space left on device.", "Free some space.")
            super().set(relpath, text, expected=expected)

    services = FakeServices()
    services.captions = captions = FullDisk(clip_rows())
    app = app_over(services)
    async with app.run_test(size=SMALL, notifications=True) as pilot:
        await settled(pilot)
        await pilot.press("n", "enter", *"a long story", "enter")
        await settled(pilot)
        assert "not saved; enter on the clip" in screen_text(app)
        assert "saving…" not in screen_text(app)
        captions.is_full = False
        await pilot.press("enter")
        await settled(pilot)
        assert app.screen.query_one("#caption-input", Input).value == "a long story"
        await pilot.press("enter")
        await settled(pilot)
        row = app.screen.query_one(ClipTable).current_row
        assert row is not None
        assert captions.get(row.relpath) == "a long story"


async def test_a_filter_that_makes_no_sense_is_not_said_to_match() -> None:
    app = app_over(FakeServices())
    async with app.run_test(size=LARGE) as pilot:
        await settled(pilot)
        await pilot.press("slash", *"nonsense:")
        await wait_for(pilot, lambda: "nonsense is not known." in screen_text(app))
        await pilot.press("enter")
        await settled(pilot)
        assert "not filtered: nonsense is not known." in screen_text(app)
        assert "match" not in screen_text(app)
        await pilot.press("escape")
        await wait_for(pilot, lambda: "not filtered" not in screen_text(app))
