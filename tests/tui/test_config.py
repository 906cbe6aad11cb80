"""The config screen over real files, driven by keys."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot

from sao_tui.services.bundle import build_services
from sao_tui.services.configs import get_value, load_train_settings
from sao_tui.services.workspace import init_workspace
from sao_tui.tui.app import SaoApp
from sao_tui.tui.screens.config_documents import parse_value
from sao_tui.tui.widgets.config_form import ConfigForm, FormField, show_value
from tests.tui.helpers import LARGE, SMALL, app_over, real_workspace, screen_text, settled, wait_for

pytestmark = pytest.mark.tui

LR = "training.optimizer_configs.diffusion.optimizer.config.lr"


async def opened(pilot: Pilot[Any]) -> ConfigForm:
    await settled(pilot)
    await pilot.press("2")
    await settled(pilot)
    return pilot.app.screen.query_one(ConfigForm)


async def type_over(pilot: Pilot[Any], text: str) -> None:
    await pilot.press("enter", "home", "ctrl+k", *text)


async def test_the_form_shows_fields_with_their_values_and_help(tmp_path: Path) -> None:
    app = app_over(real_workspace(tmp_path / "w"))
    async with app.run_test(size=SMALL) as pilot:
        form = await opened(pilot)
        form.move_to("train:max_steps")
        await settled(pilot)
        text = screen_text(app)
        assert "max steps" in text and "2000" in text
        assert "Optimizer steps in all, those before a resume included." in text
        assert "default 1000 · steps · train.max_steps" in text
        assert "as on the disk · configs/train.toml" in text


async def test_a_change_is_marked_and_written_with_the_comments_kept(tmp_path: Path) -> None:
    services = real_workspace(tmp_path / "w")
    app = app_over(services)
    async with app.run_test(size=SMALL) as pilot:
        form = await opened(pilot)
        form.move_to("train:max_steps")
        await type_over(pilot, "77")
        await pilot.press("enter")
        await settled(pilot)
        assert form.changed_keys == ["train:max_steps"]
        assert "1 changed, w writes" in screen_text(app)
        await pilot.press("w")
        await settled(pilot)
        file = services.workspace.train_config_file
        assert load_train_settings(file).max_steps == 77
        assert file.read_text().startswith("# Arguments of a training run")
        assert form.changed_keys == []


async def test_a_save_keeps_what_another_program_has_written_meanwhile(tmp_path: Path) -> None:
    services = real_workspace(tmp_path / "w")
    file = services.workspace.train_config_file
    app = app_over(services)
    async with app.run_test(size=SMALL) as pilot:
        form = await opened(pilot)
        file.write_text(file.read_text().replace("batch_size = 8", "batch_size = 4"))
        form.move_to("train:max_steps")
        await type_over(pilot, "77")
        await pilot.press("enter", "w")
        await settled(pilot)
        settings = load_train_settings(file)
        assert (settings.max_steps, settings.batch_size) == (77, 4)
        assert form.value("train:batch_size") == 4


async def test_a_file_that_was_broken_meanwhile_takes_no_changes(tmp_path: Path) -> None:
    services = real_workspace(tmp_path / "w")
    app = app_over(services)
    async with app.run_test(size=SMALL, notifications=True) as pilot:
        form = await opened(pilot)
        services.workspace.train_config_file.write_text("max_steps = = 3\n")
        form.move_to("train:max_steps")
        await type_over(pilot, "77")
        await pilot.press("enter", "w")
        await wait_for(pilot, lambda: "Not written." in screen_text(app))
        assert form.value("train:max_steps") == 77


async def test_a_model_config_that_is_missing_keeps_no_other_change_from_the_disk(tmp_path: Path) -> None:
    services = real_workspace(tmp_path / "w")
    services.workspace.model_config_file.unlink()
    app = app_over(services)
    async with app.run_test(size=SMALL, notifications=True) as pilot:
        form = await opened(pilot)
        form.move_to("train:max_steps")
        await type_over(pilot, "77")
        await pilot.press("enter", "w")
        await settled(pilot)
        assert load_train_settings(services.workspace.train_config_file).max_steps == 77
        assert "Not written." not in screen_text(app)


async def test_coming_back_shows_what_was_written_meanwhile_and_keeps_changes(tmp_path: Path) -> None:
    services = real_workspace(tmp_path / "w")
    file = services.workspace.train_config_file
    app = app_over(services)
    async with app.run_test(size=SMALL) as pilot:
        form = await opened(pilot)
        file.write_text(file.read_text().replace("batch_size = 8", "batch_size = 4"))
        await pilot.press("1", "2")
        await settled(pilot)
        assert form.value("train:batch_size") == 4
        form.move_to("train:max_steps")
        await type_over(pilot, "77")
        await pilot.press("enter", "1", "2")
        await settled(pilot)
        assert form.value("train:max_steps") == 77


async def test_leaving_with_changes_that_are_not_written_asks_first(tmp_path: Path) -> None:
    app = app_over(real_workspace(tmp_path / "w"))
    async with app.run_test(size=SMALL) as pilot:
        form = await opened(pilot)
        form.move_to("train:max_steps")
        await type_over(pilot, "77")
        await pilot.press("enter", "3", "q")
        await settled(pilot)
        assert "1 changed config field is not written." in screen_text(app)
        assert app.return_code is None
        await pilot.press("escape", "2", "w")
        await settled(pilot)
        await pilot.press("q")
        await settled(pilot)
        assert app.return_code == 0


async def test_a_help_text_that_is_cut_says_so_beside_the_scrollbar(tmp_path: Path) -> None:
    app = app_over(real_workspace(tmp_path / "w"))
    async with app.run_test(size=SMALL) as pilot:
        form = await opened(pilot)
        line = form.render_line(4).text
        assert line.rstrip().endswith("…")
        assert len(line) == form.scrollable_content_region.width < form.size.width + 1


async def test_a_field_of_the_model_config_is_written_and_nothing_else_changes(tmp_path: Path) -> None:
    services = real_workspace(tmp_path / "w")
    file = services.workspace.model_config_file
    before = json.loads(file.read_text())
    app = app_over(services)
    async with app.run_test(size=SMALL) as pilot:
        form = await opened(pilot)
        form.move_to(f"model:{LR}")
        await type_over(pilot, "1e-5")
        await pilot.press("enter", "w")
        await settled(pilot)
    after = json.loads(file.read_text())
    assert get_value(after, LR) == 1e-5
    after["training"]["optimizer_configs"]["diffusion"]["optimizer"]["config"]["lr"] = get_value(before, LR)
    assert after == before


async def test_what_is_typed_is_checked_at_once(tmp_path: Path) -> None:
    app = app_over(real_workspace(tmp_path / "w"))
    async with app.run_test(size=SMALL) as pilot:
        form = await opened(pilot)
        form.move_to("train:batch_size")
        await type_over(pilot, "x")
        await settled(pilot)
        assert "This must be a whole number.  escape leaves it as it was" in screen_text(app)
        assert screen_text(app).splitlines()[-1].strip() == "esc Leave"
        await pilot.press("backspace", "0")
        await wait_for(pilot, lambda: bool(form.error("train:batch_size")))
        assert form.error("train:batch_size") in screen_text(app).replace("\n", " ") or "batch" in screen_text(app)
        await pilot.press("escape")
        await wait_for(pilot, lambda: not form.error("train:batch_size"))
        assert form.value("train:batch_size") == 8


async def test_a_wrong_value_is_not_written(tmp_path: Path) -> None:
    services = real_workspace(tmp_path / "w")
    app = app_over(services)
    async with app.run_test(size=SMALL, notifications=True) as pilot:
        form = await opened(pilot)
        form.move_to("train:batch_size")
        await type_over(pilot, "0")
        await pilot.press("enter", "w")
        await wait_for(pilot, lambda: "Not written." in screen_text(app))
        assert load_train_settings(services.workspace.train_config_file).batch_size == 8


async def test_choices_are_taken_by_the_arrows(tmp_path: Path) -> None:
    app = app_over(real_workspace(tmp_path / "w"))
    async with app.run_test(size=SMALL) as pilot:
        form = await opened(pilot)
        form.move_to("train:precision")
        before = form.value("train:precision")
        await pilot.press("right")
        await settled(pilot)
        assert form.value("train:precision") != before
        await pilot.press("left")
        await settled(pilot)
        assert form.value("train:precision") == before
        form.move_to("model:training.use_ema")
        before = form.value("model:training.use_ema")
        await pilot.press("enter")
        await settled(pilot)
        assert form.value("model:training.use_ema") is (not before)


async def test_reset_and_default_put_a_field_back(tmp_path: Path) -> None:
    app = app_over(real_workspace(tmp_path / "w"))
    async with app.run_test(size=SMALL) as pilot:
        form = await opened(pilot)
        form.move_to("train:max_steps")
        await pilot.press("d")
        await settled(pilot)
        assert form.value("train:max_steps") == 1000
        await pilot.press("r")
        await settled(pilot)
        assert form.value("train:max_steps") == 2000


async def test_a_search_shows_the_fields_that_match_from_folded_sections_too(tmp_path: Path) -> None:
    app = app_over(real_workspace(tmp_path / "w"))
    async with app.run_test(size=SMALL) as pilot:
        form = await opened(pilot)
        await pilot.press("slash", *"t5 model")
        await settled(pilot)
        assert "t5 model name" in screen_text(app)
        assert "max steps" not in screen_text(app)
        await pilot.press("enter")
        assert app.focused is form
        await pilot.press("escape")
        await settled(pilot)
        assert "max steps" in screen_text(app)


async def test_sections_fold_and_unfold(tmp_path: Path) -> None:
    app = app_over(real_workspace(tmp_path / "w"))
    async with app.run_test(size=SMALL) as pilot:
        form = await opened(pilot)
        await pilot.press("home", "enter")
        await settled(pilot)
        assert "+ Run" in screen_text(app).replace(">", " ")
        assert "max steps" not in screen_text(app)
        form.move_to("train:max_steps")
        await settled(pilot)
        assert "max steps" in screen_text(app)


async def test_the_check_lists_findings_with_what_to_do(tmp_path: Path) -> None:
    services = real_workspace(tmp_path / "w")
    file = services.workspace.train_config_file
    file.write_text(file.read_text() + "max_stepps = 3\n")
    app = app_over(services)
    async with app.run_test(size=SMALL) as pilot:
        await opened(pilot)
        await pilot.press("c")
        await wait_for(pilot, lambda: "max_stepps" in screen_text(app))
        assert "error" in screen_text(app)
        await pilot.press("c")
        await settled(pilot)
        assert "max_stepps" not in screen_text(app)


async def test_the_json_view_shows_what_would_be_written(tmp_path: Path) -> None:
    app = app_over(real_workspace(tmp_path / "w"))
    async with app.run_test(size=SMALL) as pilot:
        await opened(pilot)
        await pilot.press("v")
        await settled(pilot)
        assert '"model_type": "diffusion_cond"' in screen_text(app)
        await pilot.press("v")
        await settled(pilot)
        assert "base weights" in screen_text(app)


async def test_missing_configs_are_made_by_a_key(tmp_path: Path) -> None:
    services = build_services(init_workspace(tmp_path / "w").root)
    app = app_over(services)
    async with app.run_test(size=SMALL) as pilot:
        await settled(pilot)
        await pilot.press("2")
        await settled(pilot)
        assert "Press m to make the configs that are missing." in screen_text(app)
        await pilot.press("m")
        await settled(pilot)
        assert services.workspace.train_config_file.exists()
        assert "max steps" in screen_text(app)


async def test_a_model_config_that_cannot_be_made_says_what_it_is_made_from(tmp_path: Path) -> None:
    services = real_workspace(tmp_path / "w")
    services.workspace.model_config_file.unlink()
    (services.workspace.models_folder / "base_model_config.json").unlink()
    app = app_over(services)
    async with app.run_test(size=LARGE, notifications=True) as pilot:
        await opened(pilot)
        app.clear_notifications()
        await pilot.press("m")
        await wait_for(pilot, lambda: "Put base_model_config.json" in screen_text(app))
        assert "no config is missing" not in screen_text(app)


async def test_another_screen_can_ask_for_a_field(tmp_path: Path) -> None:
    app: SaoApp = app_over(real_workspace(tmp_path / "w"))
    async with app.run_test(size=SMALL) as pilot:
        form = await opened(pilot)
        app.screen.show_target("training.use_ema")  # type: ignore[attr-defined]
        assert form.current is not None and form.current.key == "model:training.use_ema"


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        ("int", "1_000", 1000),
        ("float", "1e-5", 1e-5),
        ("list", "0.9, 0.95", [0.9, 0.95]),
        ("list", "prompt, seconds_total", ["prompt", "seconds_total"]),
        ("str", "a b", "a b"),
        ("int", "", None),
        ("str", "-", None),
    ],
)
def test_what_the_form_shows_can_be_typed_again(kind: str, text: str, value: Any) -> None:
    field = FormField("train:x", "x", "Run", kind=kind)
    assert parse_value(field, text) == value
    assert parse_value(field, show_value(value)) == value
