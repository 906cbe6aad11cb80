"""The import and export dialogs: a preview before anything is written, the choice, one undo."""

from __future__ import annotations

from pathlib import Path

import pytest
from textual.widgets import Input

from sao_tui.services.bundle import Services
from sao_tui.services.clips import refresh
from sao_tui.tui.studio.transfer import ExportDialog, ImportDialog
from sao_tui.tui.widgets.option_form import OptionForm
from tests.fakes.clips import files_below, tone, write_clip, write_lines
from tests.tui.helpers import LARGE, SMALL, app_over, real_workspace, screen_text, settled, wait_for

pytestmark = pytest.mark.tui

CLIPS = ("a.wav", "b.wav", "c.wav")


@pytest.fixture
def services(tmp_path: Path) -> Services:
    made = real_workspace(tmp_path / "kicks")
    for clip in CLIPS:
        write_clip(made.workspace.dataset_folder / clip, tone(0.1))
    write_lines(made.workspace.metadata_file, {"audio_path": "a.wav", "text": "my words"})
    (made.workspace.root / "theirs.csv").write_text(
        "file_name,caption\na.wav,their words\nb.wav,a second [bold]tone\ngone.wav,lost\n"
    )
    refresh(made.clips, made.captions)
    return made


@pytest.mark.parametrize("size", [SMALL, LARGE], ids=str)
async def test_an_import_is_previewed_before_anything_is_written(services: Services, size: tuple[int, int]) -> None:
    async with app_over(services).run_test(size=size) as pilot:
        await settled(pilot)
        await pilot.press("I")
        await settled(pilot)
        await pilot.press(*"theirs.csv", "enter")
        await settled(pilot)
        text = screen_text(pilot.app)
        for words in (
            "2 clips found (csv): 1 new caption, 1 unlike yours",
            "1 row without a clip, 1 clip without a row",
            "? theirs.csv:4: gone.wav: no clip is called so",
            "= my words",
            "their words (theirs, not taken)",
            "+ a second [bold]tone",
        ):
            assert words in text
        assert services.captions.all() == {"a.wav": "my words"}


async def test_the_choice_decides_and_one_undo_takes_it_back(services: Services) -> None:
    async with app_over(services).run_test(size=SMALL) as pilot:
        await settled(pilot)
        await pilot.press("I")
        await settled(pilot)
        await pilot.press(*"theirs.csv", "enter")
        await settled(pilot)
        await pilot.press("tab")
        await settled(pilot)
        assert "- my words" in screen_text(pilot.app)
        await pilot.press("s")
        await settled(pilot)
        assert not isinstance(pilot.app.screen, ImportDialog)
        assert services.captions.all() == {"a.wav": "their words", "b.wav": "a second [bold]tone"}
        assert "2 clips changed" in screen_text(pilot.app)
        await pilot.press("u")
        await settled(pilot)
        assert services.captions.all() == {"a.wav": "my words"}


async def test_a_source_that_is_missing_is_said_and_can_be_corrected(services: Services) -> None:
    async with app_over(services).run_test(size=SMALL) as pilot:
        await settled(pilot)
        await pilot.press("I")
        await settled(pilot)
        await pilot.press(*"gone", "enter")
        await settled(pilot)
        assert "missing" in screen_text(pilot.app)
        assert isinstance(pilot.app.focused, Input)


async def test_an_export_shows_its_files_and_writes_them(services: Services) -> None:
    async with app_over(services).run_test(size=SMALL) as pilot:
        await settled(pilot)
        await pilot.press("E")
        await settled(pilot)
        assert "1 file with 1 caption" in screen_text(pilot.app)
        await pilot.press("s")
        await settled(pilot)
        assert not isinstance(pilot.app.screen, ExportDialog)
    assert files_below(services.workspace.root / "export") == ["a.txt"]


async def test_an_export_that_would_overwrite_asks_first(services: Services) -> None:
    theirs = services.workspace.root / "export" / "a.txt"
    theirs.parent.mkdir()
    theirs.write_text("other words")
    async with app_over(services).run_test(size=SMALL) as pilot:
        await settled(pilot)
        await pilot.press("E")
        await settled(pilot)
        await pilot.press("s")
        await settled(pilot)
        assert "Overwrite 1 file?" in screen_text(pilot.app)
        await pilot.press("escape")
        await settled(pilot)
        assert theirs.read_text() == "other words"
        await pilot.press("s")
        await settled(pilot)
        await pilot.press("y")
        await settled(pilot)
    assert theirs.read_text() == "my words\n"


async def test_an_audiofolder_without_its_clips_is_refused_until_they_come_too(services: Services) -> None:
    async with app_over(services).run_test(size=SMALL) as pilot:
        await settled(pilot)
        await pilot.press("E")
        await settled(pilot)
        await pilot.press("right", "right", "right")
        await wait_for(pilot, lambda: "holds its clips" in screen_text(pilot.app))
        await pilot.press("down", "down", "right")
        form = pilot.app.screen.query_one(OptionForm)
        assert form.values["placing"] == "copy"
        await wait_for(pilot, lambda: "3 clips copied" in screen_text(pilot.app))
        await pilot.press("s")
        await settled(pilot)
    assert files_below(services.workspace.root / "export") == [*CLIPS, "metadata.csv"]
