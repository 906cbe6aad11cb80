"""The checkpoints screen, driven by keys."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from textual.widgets import Input, Select

from sao_tui.core.errors import SaoError
from sao_tui.services import checkpoints, generation, pruning
from sao_tui.tui.app import SaoApp
from sao_tui.tui.screens.checkpoints_workers import ExportProgressed
from sao_tui.tui.screens.generate import GenerateScreen
from tests.fakes.services import FakeServices
from tests.fakes.weights import RUN, checkpoint_rows, export_report, model_report
from tests.tui.driving import drive
from tests.tui.helpers import LARGE, settled

pytestmark = pytest.mark.tui


class Weights:
    """What the services are asked for, and what is there."""

    def __init__(self, root: Path) -> None:
        self.rows = checkpoint_rows(root)
        self.exported: list[tuple[Path, Any]] = []
        self.deleted: list[Path] = []
        self.inspected: list[Path] = []
        self.error: SaoError | None = None

    def export(self, file: Path, output: Any = None, weights: Any = None, progress: Any = None) -> Any:
        if self.error is not None:
            raise self.error
        self.exported.append((file, weights))
        return export_report(file, weights)

    def inspect(self, file: Path, config: Any = None) -> Any:
        if self.error is not None:
            raise self.error
        self.inspected.append(file)
        return model_report(file)

    def delete(self, workspace: Any, file: Path) -> None:
        self.deleted.append(file)
        self.rows = [row for row in self.rows if row.path != file]


@pytest.fixture
def services() -> FakeServices:
    return FakeServices()


@pytest.fixture
def weights(services: FakeServices, monkeypatch: pytest.MonkeyPatch) -> Weights:
    made = Weights(services.workspace.root)
    monkeypatch.setattr(checkpoints, "list_checkpoints", lambda workspace: list(made.rows))
    monkeypatch.setattr(checkpoints, "inspect", made.inspect)
    monkeypatch.setattr(checkpoints, "export", made.export)
    monkeypatch.setattr(pruning, "delete_checkpoint", made.delete)
    monkeypatch.setattr(generation, "history", lambda workspace, limit=None: [])
    return made


async def test_every_file_is_told_in_words(services: FakeServices, weights: Weights) -> None:
    text = await drive(services, "4")
    lines = [" ".join(line.split()) for line in text.splitlines()]
    assert any(line.startswith(f"{RUN} 1000 training 8.1 GB 09 Jun 10:20 yes yes") for line in lines)
    assert any("cut short 3.1 GB 09 Jun 10:18 - ✗ no" in line for line in lines)
    assert any(line.startswith("base_model.safetensors base 2.0 GB") for line in lines)


async def test_a_workspace_without_weights_says_where_they_come_from(services: FakeServices, weights: Weights) -> None:
    weights.rows = []
    assert "No checkpoint and no model yet." in await drive(services, "4")


async def test_the_file_under_the_cursor_is_inspected(services: FakeServices, weights: Weights) -> None:
    text = await drive(services, "4", "down")
    assert weights.inspected[-1].name == "step=00001000.ckpt"
    assert "objective  rectified_flow" in text
    assert "also holds EMA, optimizer" in text
    assert "parameters 497.2 M" in text


async def test_any_file_can_be_inspected_by_its_path(services: FakeServices, weights: Weights) -> None:
    async def answer(app: SaoApp, pilot: Any) -> None:
        app.screen.query_one(Input).value = "elsewhere/mine.ckpt"
        await pilot.press("enter")

    text = await drive(services, "4", "i", size=LARGE, then=answer)
    assert weights.inspected[-1] == services.workspace.root / "elsewhere/mine.ckpt"
    assert "mine.ckpt is a training checkpoint" in " ".join(text.split("│")[0].split()) + text


async def test_a_file_that_cannot_be_inspected_is_a_toast(services: FakeServices, weights: Weights) -> None:
    async def answer(app: SaoApp, pilot: Any) -> None:
        weights.error = SaoError("There is no file nowhere.ckpt.", "Check the path.")
        app.screen.query_one(Input).value = "nowhere.ckpt"
        await pilot.press("enter")

    text = await drive(services, "4", "i", then=answer)
    assert "There is no file nowhere.ckpt." in text


@pytest.mark.parametrize(("key", "which"), [("e", "ema"), ("w", "raw")])
async def test_with_an_ema_inside_the_export_asks_which(
    services: FakeServices, weights: Weights, key: str, which: str
) -> None:
    text = await drive(services, "4", "down", "E", key)
    ((file, asked),) = weights.exported
    assert (file.name, asked) == ("step=00001000.ckpt", which)
    assert "Exported and verified" in text
    assert f"{RUN}-step1000.safetensors" in text
    assert "every byte" in text


async def test_without_an_ema_the_export_begins_at_once(services: FakeServices, weights: Weights) -> None:
    await drive(services, "4", "end", "E")
    ((file, asked),) = weights.exported
    assert (file.name, asked) == ("base_model.safetensors", None)


async def test_an_export_that_cannot_be_is_a_toast_with_a_way_out(services: FakeServices, weights: Weights) -> None:
    weights.error = SaoError("The disk is full.", "Free 2 GB.")
    text = await drive(services, "4", "down", "E", "e")
    assert "The disk is full." in text
    assert "exporting" not in text


async def test_an_export_shows_how_far_it_is(services: FakeServices, weights: Weights) -> None:
    async def progress(app: SaoApp, pilot: Any) -> None:
        app.screen._show_progress_line([("exporting", "label")])  # type: ignore[attr-defined]
        app.screen.post_message(ExportProgressed(750, 1_000))
        await pilot.pause()

    assert "75% comparing every byte" in await drive(services, "4", then=progress)


async def test_the_result_goes_on_to_generate(services: FakeServices, weights: Weights) -> None:
    async def check(app: SaoApp, pilot: Any) -> None:
        assert isinstance(app.screen, GenerateScreen)
        assert str(app.screen.query_one("#model", Select).value).endswith(f"{RUN}-step1000.safetensors")

    await drive(services, "4", "down", "E", "e", "g", then=check)


async def test_enter_generates_with_the_file_under_the_cursor(services: FakeServices, weights: Weights) -> None:
    async def check(app: SaoApp, pilot: Any) -> None:
        assert isinstance(app.screen, GenerateScreen)
        assert app.screen.query_one("#model", Select).value == str(weights.rows[1].path)
        assert app.focused is app.screen.query_one("#prompt")

    await drive(services, "4", "down", "enter", then=check)


async def test_a_file_that_cannot_generate_is_refused_by_name(services: FakeServices, weights: Weights) -> None:
    text = await drive(services, "4", "down", "down", "enter")
    assert "step=00000750.ckpt cannot generate" in text


async def test_deleting_asks_first(services: FakeServices, weights: Weights) -> None:
    text = await drive(services, "4", "down", "d")
    assert "Delete this file?" in text
    assert weights.deleted == []
    text = await drive(services, "4", "down", "d", "y")
    assert [file.name for file in weights.deleted] == ["step=00001000.ckpt"]
    assert "step=00001000.ckpt is deleted" in text


async def test_the_cursor_stays_on_its_file_when_another_comes(services: FakeServices, weights: Weights) -> None:
    async def add(app: SaoApp, pilot: Any) -> None:
        newer = checkpoint_rows(Path("/other"))[1]
        weights.rows.insert(0, newer)
        await pilot.press("r")
        await settled(pilot)
        await pilot.press("E", "e")

    await drive(services, "4", "down", then=add)
    assert weights.exported[0][0] == checkpoint_rows(services.workspace.root)[1].path
