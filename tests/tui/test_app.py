"""The frame: modes, help, palette, keys, status, quitting, errors."""

from __future__ import annotations

import sys
from types import SimpleNamespace
from typing import Any

import pytest
from textual.binding import Binding
from textual.widgets import HelpPanel

from sao_tui.core.errors import SaoError
from sao_tui.services.gpu import GpuReading
from sao_tui.tui.base import BaseScreen
from sao_tui.tui.dialogs import ChoiceDialog, ErrorDialog, PromptDialog
from sao_tui.tui.messages import GoTo
from sao_tui.tui.widgets.clip_table import ClipTable
from tests.fakes.services import FakeJobs, FakeServices
from tests.tui.helpers import SMALL, app_over, screen_text, settled

pytestmark = pytest.mark.tui


def running_job() -> SimpleNamespace:
    return SimpleNamespace(name="train-0003", kind="train", state="running", step=120, steps=1000)


class JobsThatRun(FakeJobs):
    def __init__(self) -> None:
        super().__init__([running_job()])


async def test_the_status_line_shows_job_memory_and_disk() -> None:
    services = FakeServices()
    services.jobs = JobsThatRun()
    app = app_over(services)
    async with app.run_test(size=SMALL) as pilot:
        await settled(pilot)
        text = screen_text(app)
        assert "kicks │ train-0003 running 120/1000 │ GPU 12.3/80.0 GB │ 212.0 GB free" in text


async def test_without_a_gpu_the_status_says_so() -> None:
    services = FakeServices()
    services.gpu_reading = GpuReading("no-driver", "There is no NVIDIA driver.")
    app = app_over(services)
    async with app.run_test(size=SMALL) as pilot:
        await settled(pilot)
        assert "│ no GPU │" in screen_text(app)


async def test_q_leaves_at_once_when_nothing_runs() -> None:
    app = app_over(FakeServices())
    async with app.run_test(size=SMALL) as pilot:
        await settled(pilot)
        await pilot.press("q")
        await pilot.pause()
        assert app.return_code == 0


@pytest.mark.parametrize("key", ["q", "ctrl+q"])
async def test_leaving_while_training_says_that_it_goes_on(key: str) -> None:
    services = FakeServices()
    services.jobs = JobsThatRun()
    app = app_over(services)
    async with app.run_test(size=SMALL) as pilot:
        await settled(pilot)
        await pilot.press(key)
        await pilot.pause()
        assert "It goes on without the dashboard" in screen_text(app)
        await pilot.press("escape")
        await pilot.pause()
        assert app.return_code is None
        await pilot.press(key, "enter")
        await pilot.pause()
        assert app.return_code == 0


async def test_help_shows_the_screens_keys_and_goes_away_again() -> None:
    app = app_over(FakeServices())
    async with app.run_test(size=SMALL) as pilot:
        await settled(pilot)
        await pilot.press("question_mark")
        await settled(pilot)
        assert app.screen.query(HelpPanel)
        assert "Every clip below the dataset folder" in screen_text(app)
        assert "Leave the dashboard" not in screen_text(app)
        await pilot.press(*["greater_than_sign"] * 3)
        await settled(pilot)
        assert "Leave the dashboard" in screen_text(app)
        await pilot.press("question_mark")
        await settled(pilot)
        assert not app.screen.query(HelpPanel)


async def test_the_palette_runs_the_same_action_as_the_key() -> None:
    services = FakeServices()
    app = app_over(services)
    async with app.run_test(size=SMALL) as pilot:
        await settled(pilot)
        await pilot.press("ctrl+p", *"rescan")
        await pilot.pause(0.3)
        await settled(pilot)
        assert "Read the dataset folder again" in screen_text(app)
        await pilot.press("enter")
        await settled(pilot)
        await pilot.press("enter")
        await settled(pilot)
        assert services.clips.scans == 2


async def test_keys_come_from_the_settings() -> None:
    services = FakeServices(keys={"dataset.rescan": "f5"})
    app = app_over(services)
    async with app.run_test(size=SMALL) as pilot:
        await settled(pilot)
        await pilot.press("r")
        await settled(pilot)
        assert services.clips.scans == 1
        await pilot.press("f5")
        await settled(pilot)
        assert services.clips.scans == 2


async def test_the_theme_comes_from_the_settings_and_an_unknown_one_is_passed_over() -> None:
    assert app_over(FakeServices(theme="sao-light")).theme == "sao-light"
    assert app_over(FakeServices(theme="no such theme")).theme == "sao-dark"


async def test_animations_are_off() -> None:
    assert app_over(FakeServices()).animation_level == "none"


async def test_a_screen_asks_for_another_one_with_a_target() -> None:
    app = app_over(FakeServices())
    async with app.run_test(size=SMALL) as pilot:
        await settled(pilot)
        app.screen.post_message(GoTo("dataset", "low/low-tone-036.wav"))
        await settled(pilot)
        row = app.screen.query_one(ClipTable).current_row
        assert row is not None and row.relpath == "low/low-tone-036.wav"


async def test_a_poller_that_fails_is_reported_once_until_it_recovers() -> None:
    class JobsThatFail(FakeJobs):
        broken = True

        def latest_running(self) -> Any:
            if self.broken:
                raise SaoError("runs/ cannot be read.", "Look at it.")

    services = FakeServices()
    services.jobs = jobs = JobsThatFail()
    app = app_over(services)
    async with app.run_test(size=SMALL) as pilot:
        await settled(pilot)
        for _ in range(3):
            app.poll()
            await settled(pilot)
        assert len(app._notifications) == 1
        jobs.broken = False
        app.poll()
        await settled(pilot)
        jobs.broken = True
        app.poll()
        await settled(pilot)
        assert len(app._notifications) == 2


async def test_a_bug_in_a_worker_ends_the_dashboard_with_its_traceback() -> None:
    class JobsWithABug(FakeJobs):
        def latest_running(self) -> Any:
            raise ZeroDivisionError

    services = FakeServices()
    services.jobs = JobsWithABug()
    app = app_over(services)
    with pytest.raises(ZeroDivisionError):
        async with app.run_test(size=SMALL) as pilot:
            await settled(pilot)


async def test_a_choice_is_made_by_its_key_and_escape_makes_none() -> None:
    from sao_tui.tui.dialogs import Choice

    app = app_over(FakeServices())
    answers: list[str | None] = []
    async with app.run_test(size=SMALL) as pilot:
        await settled(pilot)
        for key in ("b", "enter", "escape"):
            dialog = ChoiceDialog("Which [one]?", "x", [Choice("a", "first", "1"), Choice("b", "second", "2")])
            app.push_screen(dialog, answers.append)
            await pilot.pause()
            assert "Which [one]?" in screen_text(app)
            await pilot.press(key)
            await pilot.pause()
        assert answers == ["2", "1", None]


async def test_an_error_dialog_shows_the_end_of_the_log_literally() -> None:
    app = app_over(FakeServices())
    async with app.run_test(size=SMALL) as pilot:
        await settled(pilot)
        app.push_screen(ErrorDialog("train-1 crashed.", "Look at [x].", [f"line [{n}]" for n in range(5)]))
        await pilot.pause()
        assert "line [4]" in screen_text(app)
        await pilot.press("enter")
        await pilot.pause()
        assert isinstance(app.screen, BaseScreen)


async def test_a_prompt_takes_no_text_that_its_check_refuses() -> None:
    app = app_over(FakeServices())
    answers: list[str | None] = []
    async with app.run_test(size=SMALL) as pilot:
        await settled(pilot)
        dialog = PromptDialog("Name?", "", check=lambda text: "" if text else "It needs a name.")
        app.push_screen(dialog, answers.append)
        await pilot.pause()
        await pilot.press("enter")
        await pilot.pause()
        assert "It needs a name." in screen_text(app)
        await pilot.press("a", "enter")
        await pilot.pause()
        assert answers == ["a"]


def all_bindings() -> list[Binding]:
    from sao_tui.tui import app, base, dialogs
    from sao_tui.tui.screens import config, dataset
    from sao_tui.tui.widgets import caption_editor, clip_table, config_form, cursor_view

    modules = (app, base, dialogs, dataset, config, caption_editor, clip_table, config_form, cursor_view)
    found = []
    for module in modules:
        for each in vars(module).values():
            if isinstance(each, type) and each.__module__ == module.__name__:
                found += [binding for binding in vars(each).get("BINDINGS", ()) if isinstance(binding, Binding)]
    return found


def test_every_binding_has_an_id_and_a_tooltip_and_spares_the_multiplexers_keys() -> None:
    bindings = all_bindings()
    assert len(bindings) > 30
    taken = {f"ctrl+{letter}" for letter in "abjos"}
    for binding in bindings:
        assert binding.id, binding
        assert binding.tooltip, binding
        assert not taken & set(binding.key.split(",")), binding
    ids = [binding.id for binding in bindings]
    assert len(ids) == len(set(ids))


@pytest.mark.parametrize("size", [(40, 10), (200, 60)])
async def test_any_size_is_drawn(size: tuple[int, int]) -> None:
    app = app_over(FakeServices())
    async with app.run_test(size=size) as pilot:
        await settled(pilot)
        assert "1 Dataset" in screen_text(app)


def test_the_dashboard_has_not_imported_what_it_does_not_need() -> None:
    import subprocess

    code = (
        "import sys; import sao_tui.tui.app, sao_tui.tui.screens.dataset, sao_tui.services.bundle;"
        "bad = {'torch', 'numpy', 'pydantic', 'pynvml', 'tomlkit', 'soundfile', 'textual.widgets._markdown'};"
        "print(sorted(bad & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
