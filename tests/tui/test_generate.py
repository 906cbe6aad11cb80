"""The generate screen, driven by keys."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest
from textual.widgets import Input, Select

from sao_tui.core.errors import SaoError
from sao_tui.services import checkpoints, generation
from sao_tui.services.generation import GeneratedClip, GenerateRequest, GenerationCancelled
from sao_tui.tui.app import SaoApp
from sao_tui.tui.widgets.generated_table import GeneratedTable
from sao_tui.tui.widgets.text_lines import TextLines
from tests.fakes.runs import START
from tests.fakes.services import FOLDER, FakeServices
from tests.fakes.weights import RUN, checkpoint_rows
from tests.tui.driving import drive
from tests.tui.helpers import LARGE, screen_text, settled, wait_for

pytestmark = pytest.mark.tui


def clip(number: int, **fields: Any) -> GeneratedClip:
    known = {
        "prompt": f"a low tone, number {number}",
        "steps": 50,
        "cfg_scale": 4.0,
        "sampler": "euler",
        "model": "models/base_model.safetensors",
        "created": START + number * 60,
    }
    return GeneratedClip(
        FOLDER / f"generations/20261122-1042{number:02}-a-low-tone-{number}.wav",
        **{"seed": 1000 + number, "seconds": 2.0, "sample_rate_hz": 8000, **known, **fields},
    )


class FakeGenerator:
    """Makes clips out of nothing; with a gate it waits for it or for a cancel."""

    def __init__(self) -> None:
        self.requests: list[GenerateRequest] = []
        self.made: list[GeneratedClip] = []
        self.error: SaoError | None = None
        self.gate: threading.Event | None = None
        self.is_cancelled = False

    def generate(self, request: GenerateRequest, on_progress: Any = None) -> list[GeneratedClip]:
        self.requests.append(request)
        on_progress(0, 0, "loading")
        on_progress(21, 50, "sampling")
        if self.gate is not None:
            assert self.gate.wait(20)
        if self.is_cancelled:
            raise GenerationCancelled
        if self.error is not None:
            raise self.error
        new = clip(50 + len(self.requests), prompt=request.prompt, seed=request.seed or 7)
        self.made.insert(0, new)
        return [new]

    def cancel(self) -> None:
        self.is_cancelled = True
        if self.gate is not None:
            self.gate.set()

    def close(self) -> None:
        self.cancel()


@pytest.fixture
def generator(monkeypatch: pytest.MonkeyPatch) -> FakeGenerator:
    made = FakeGenerator()
    made.made = [clip(number) for number in (3, 2, 1)]
    monkeypatch.setattr(generation, "history", lambda workspace, limit=None: list(made.made))
    monkeypatch.setattr(checkpoints, "list_checkpoints", lambda workspace: checkpoint_rows(workspace.root))
    return made


@pytest.fixture
def services(generator: FakeGenerator) -> FakeServices:
    made = FakeServices()
    made.generator = generator  # type: ignore[attr-defined]
    return made


async def test_before_the_first_clip_it_says_how_to_begin(services: FakeServices, generator: FakeGenerator) -> None:
    generator.made = []
    assert "Nothing generated yet." in await drive(services, "5")


async def test_the_clip_under_the_cursor_is_shown_with_its_waveform(services: FakeServices) -> None:
    text = await drive(services, "5", "down")
    assert "a low tone, number 3" in text
    assert "generations/20261122-104202-a-low-tone-2.wav" in text
    assert "cfg 4, euler" in text
    assert any("\u2801" <= letter <= "\u28ff" for letter in text)


async def test_letters_and_digits_typed_into_a_field_are_text(services: FakeServices) -> None:
    async def check(app: SaoApp, pilot: Any) -> None:
        assert app.screen.query_one("#prompt", Input).value == "q 2 gx?"

    await drive(services, "5", "p", "q", "space", "2", "space", "g", "x", "?", then=check)


async def test_escape_leaves_a_field_and_letters_act_again(services: FakeServices, generator: FakeGenerator) -> None:
    async def check(app: SaoApp, pilot: Any) -> None:
        assert isinstance(app.focused, GeneratedTable)

    await drive(services, "5", "p", "h", "i", "escape", then=check)
    await drive(services, "5", "p", "h", "i", "escape", "g")
    assert [request.prompt for request in generator.requests] == ["hi"]


async def test_enter_in_the_prompt_generates_and_shows_the_clip(
    services: FakeServices, generator: FakeGenerator
) -> None:
    text = await drive(services, "5", "p", "h", "i", "enter")
    (request,) = generator.requests
    assert (request.prompt, request.count, request.seed, request.sampler, request.model) == ("hi", 1, None, None, None)
    assert (request.seconds, request.steps, request.cfg_scale) == (None, None, None)
    assert "✓ 20261122-104251-a-low-tone-51.wav" in text


async def test_every_field_reaches_the_request(services: FakeServices, generator: FakeGenerator) -> None:
    async def fill(app: SaoApp, pilot: Any) -> None:
        values = {"prompt": "a", "negative": "b", "seconds": "1.5", "steps": "8", "cfg": "2", "seed": "3", "count": "4"}
        for name, value in values.items():
            app.screen.query_one(f"#{name}", Input).value = value
        app.screen.query_one("#sampler", Select).value = "rk4"
        app.screen.query_one("#model", Select).value = "newest"
        await pilot.press("g")

    await drive(services, "5", then=fill)
    (request,) = generator.requests
    assert (request.negative_prompt, request.seconds, request.steps, request.cfg_scale) == ("b", 1.5, 8, 2.0)
    assert (request.seed, request.count, request.sampler) == (3, 4, "rk4")
    assert request.model == FOLDER / f"models/{RUN}-step1000.safetensors"


async def test_a_prompt_is_wanted(services: FakeServices, generator: FakeGenerator) -> None:
    async def check(app: SaoApp, pilot: Any) -> None:
        assert app.focused is app.screen.query_one("#prompt")

    assert "There is no prompt." in await drive(services, "5", "g", then=check)
    assert generator.requests == []


async def test_a_field_that_holds_no_number_gets_the_focus(services: FakeServices, generator: FakeGenerator) -> None:
    async def check(app: SaoApp, pilot: Any) -> None:
        app.screen.query_one("#prompt", Input).value = "a"
        app.screen.query_one("#steps", Input).value = "many"
        await pilot.press("g")
        await settled(pilot)
        assert app.focused is app.screen.query_one("#steps")

    assert "many is no whole number of steps." in await drive(services, "5", then=check)
    assert generator.requests == []


async def test_progress_is_counted_in_steps_and_escape_cancels(
    services: FakeServices, generator: FakeGenerator
) -> None:
    generator.gate = threading.Event()

    async def check(app: SaoApp, pilot: Any) -> None:
        await pilot.press("p", "a", "enter")
        progress = app.screen.query_one("#progress", TextLines)
        await wait_for(pilot, lambda: "sampling 21/50" in progress.text)
        assert "x cancels" in progress.text
        await pilot.press("g")
        await pilot.pause()
        await pilot.press("escape")
        await settled(pilot)
        assert progress.text == "Cancelled."

    await drive(services, "5", then=check)
    assert len(generator.requests) == 1


async def test_a_generator_that_fails_says_why_and_what_to_do(services: FakeServices, generator: FakeGenerator) -> None:
    generator.error = SaoError("pingpong does not fit rectified_flow.", "Choose auto.")
    text = await drive(services, "5", "p", "a", "enter")
    assert "pingpong does not fit rectified_flow." in text
    assert "Choose auto." in text


async def test_a_clip_is_made_again_with_its_seed_or_a_new_one(
    services: FakeServices, generator: FakeGenerator
) -> None:
    await drive(services, "5", "down", "a")
    assert (generator.requests[0].prompt, generator.requests[0].seed) == ("a low tone, number 2", 1002)
    await drive(services, "5", "down", "down", "n")
    assert (generator.requests[1].prompt, generator.requests[1].seed) == ("a low tone, number 2", None)


async def test_enter_on_a_clip_takes_its_settings_over(services: FakeServices) -> None:
    async def check(app: SaoApp, pilot: Any) -> None:
        values = [app.screen.query_one(f"#{name}", Input).value for name in ("prompt", "steps", "cfg", "seed")]
        assert values == ["a low tone, number 3", "50", "4", "1003"]
        assert app.screen.query_one("#sampler", Select).value == "euler"
        assert app.focused is app.screen.query_one("#prompt")

    await drive(services, "5", "enter", then=check)


async def test_space_plays_the_clip_under_the_cursor_and_stops_it(services: FakeServices) -> None:
    async def check(app: SaoApp, pilot: Any) -> None:
        assert "0.0 s / 2.0 s" in screen_text(app)
        await pilot.press("space")
        await settled(pilot)
        assert "0.0 s / 2.0 s" not in screen_text(app)

    await drive(services, "5", "space", then=check)
    assert services.playback.played == [clip(3).path]
    assert not services.playback.is_playing()


async def test_without_a_player_the_path_is_said(services: FakeServices) -> None:
    services.playback.player = "null"
    text = await drive(services, "5", "space", size=LARGE)
    assert "There is no player here." in text


async def test_models_that_cannot_generate_are_not_offered(services: FakeServices) -> None:
    async def check(app: SaoApp, pilot: Any) -> None:
        select = app.screen.query_one("#model", Select)
        labels = [str(label) for label, _ in select._options]
        assert labels[0] == "base weights"
        assert labels[1].startswith("newest export:")
        assert not any("00000750" in label for label in labels)
        assert any(label == f"{RUN}/step=00001000.ckpt" for label in labels)

    await drive(services, "5", then=check)


async def test_a_chosen_model_stays_chosen_when_the_list_is_read_again(services: FakeServices) -> None:
    async def check(app: SaoApp, pilot: Any) -> None:
        select = app.screen.query_one("#model", Select)
        select.value = str(Path(FOLDER) / "runs" / RUN / "checkpoints" / "step=00000500.ckpt")
        chosen = select.value
        await pilot.press("4")
        await settled(pilot)
        await pilot.press("5")
        await settled(pilot)
        assert app.screen.query_one("#model", Select).value == chosen

    await drive(services, "5", then=check)
