"""The suggestions dialog, keys only."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from sao_tui.core.errors import SaoError
from sao_tui.services import suggestions
from sao_tui.tui.studio.captioners import parse_options
from tests.fakes.services import FakeServices
from tests.fakes.suggestions import WORDS, suggestion_services
from tests.tui.driving import drive
from tests.tui.helpers import LARGE

pytestmark = pytest.mark.tui


@pytest.fixture
def services(tmp_path: Path) -> FakeServices:
    return suggestion_services(tmp_path)


def first_clip(services: FakeServices) -> str:
    return services.clips.rows(list(services.clips.ids()))[0].relpath


async def test_suggestions_are_listed_beside_the_captions_of_now(services: FakeServices) -> None:
    text = await drive(services, "1", "t", size=LARGE)
    assert "40 to decide" in text and "running 40/60 clips" in text
    assert WORDS[0] in text and "signal" in text
    assert services.captions.edits == []


async def test_enter_accepts_and_the_next_one_takes_its_place(services: FakeServices) -> None:
    text = await drive(services, "1", "t", "enter")
    assert services.captions.get(first_clip(services)) == WORDS[0]
    assert "39 to decide" in text and "1 accepted" in text


async def test_an_edited_suggestion_is_what_is_written(services: FakeServices) -> None:
    await drive(services, "1", "t", "e", "comma", "x", "enter")
    assert services.captions.get(first_clip(services)) == WORDS[0] + ",x"


async def test_escape_leaves_the_line_and_writes_nothing(services: FakeServices) -> None:
    text = await drive(services, "1", "t", "e", "x", "escape")
    assert services.captions.edits == [] and "40 to decide" in text


async def test_rejecting_leaves_the_caption_and_undo_brings_the_suggestion_back(services: FakeServices) -> None:
    assert "39 to decide" in await drive(services, "1", "t", "d")
    text = await drive(services, "1", "t", "delete", "u")
    assert services.captions.edits == [] and "undone: 1 rejected" in text and "39 to decide" in text


async def test_all_above_a_confidence_are_one_edit_and_one_undo(services: FakeServices) -> None:
    before = dict(services.captions.texts)
    text = await drive(services, "1", "t", "A", *["backspace"] * 3, *"0.9", "enter")
    assert "accepted" in text and len(services.captions.edits) == 1
    assert len(services.captions.edits[0][1]) == 4
    services.captions.undo()
    assert {key: text for key, text in services.captions.texts.items() if text} == before


async def test_a_threshold_that_is_no_number_is_said_in_the_dialog(services: FakeServices) -> None:
    text = await drive(services, "1", "t", "A", "x", "enter")
    assert "That is no number" in text and services.captions.edits == []


async def test_filling_empty_captions_only_leaves_the_others(services: FakeServices) -> None:
    text = await drive(services, "1", "t", "m", "m", "A", *["backspace"] * 3, "enter", size=LARGE)
    assert "left: captioned already" in text and "fills empty captions only" in text


async def test_space_plays_the_clip(services: FakeServices) -> None:
    await drive(services, "1", "t", "down", "space")
    second = services.clips.rows(list(services.clips.ids()))[1].relpath
    assert services.playback.played == [services.workspace.dataset_folder / second]


async def test_nothing_to_decide_says_how_to_begin(tmp_path: Path) -> None:
    text = await drive(suggestion_services(tmp_path, 0), "1", "t")
    assert "n  choose a captioner" in text and "No captioner has run yet" in text


async def test_captioners_say_what_they_need(tmp_path: Path) -> None:
    text = await drive(suggestion_services(tmp_path, 0), "1", "t", "n", "down", "down", size=LARGE)
    assert "laion-clap and its weights" in text and "hf download lukewys/laion_clap" in text


async def test_a_captioner_is_started_over_the_clips_that_are_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Any] = []

    def start(_services: Any, name: str, ids: Any, options: Any) -> Any:
        asked.append((name, len(ids), options))
        return SimpleNamespace(name="job-1")

    monkeypatch.setattr(suggestions, "start", start)
    text = await drive(suggestion_services(tmp_path, 0), "1", "t", "n", "o", *"folders=2", "enter")
    assert asked == [("tags", 60, {"folders": "2"})]
    assert "job-1 has started" in text


async def test_a_start_that_cannot_be_keeps_what_was_typed(tmp_path: Path) -> None:
    text = await drive(suggestion_services(tmp_path, 0), "1", "t", "n", "o", *"fold=2", "enter")
    assert "has no option fold" in text and "fold=2" in text


async def test_closing_says_how_many_captions_have_changed(services: FakeServices) -> None:
    text = await drive(services, "1", "t", "enter", "escape")
    assert "1 caption from suggestions" in text


def test_options_are_words_with_an_equals_sign() -> None:
    assert parse_options("a=1 b='two words' c=") == {"a": "1", "b": "two words"}
    with pytest.raises(SaoError):
        parse_options("a='1")
    with pytest.raises(SaoError):
        parse_options("a")
