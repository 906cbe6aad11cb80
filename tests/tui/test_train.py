"""The train screen, driven by keys over real job folders."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from textual.widgets import Input

from sao_tui.core.errors import SaoError
from sao_tui.core.findings import Finding
from sao_tui.core.settings import EncodeSettings, TrainSettings
from sao_tui.services import start_plan
from sao_tui.services.gpu import GpuReading
from sao_tui.services.jobs import JobView
from sao_tui.services.start_plan import EncodePlan, TrainPlan
from sao_tui.tui.app import SaoApp
from sao_tui.tui.dialogs import ChoiceDialog, ErrorDialog
from sao_tui.tui.screens.train import TrainScreen
from sao_tui.tui.widgets.log_view import LogView
from sao_tui.tui.widgets.loss_chart import LossChart
from sao_tui.tui.widgets.run_numbers import RunNumbers
from sao_tui.tui.widgets.run_table import RunTable
from tests.fakes.runs import make_run, write_events, write_metrics
from tests.fakes.services import FakeJobs, FakeServices
from tests.tui.driving import drive
from tests.tui.helpers import LARGE, screen_text, settled

pytestmark = pytest.mark.tui


class StartableJobs(FakeJobs):
    """Jobs that note what they are asked for."""

    def __init__(self, root: Path) -> None:
        super().__init__()
        self.root = root
        self.asked: list[tuple[Any, ...]] = []

    def _started(self, kind: Any, settings: Any) -> JobView:
        self.asked.append((kind, settings))
        view = make_run(self.root, f"20261122-1200{len(self.asked):02}-{kind}", "starting", kind=kind, age=-60)
        self.views = [view, *self.views]
        return view

    def start_train(self, settings: TrainSettings, model_config: Any, dataset_config: Any) -> JobView:
        return self._started("train", settings)

    def start_encode(self, settings: EncodeSettings, model_config: Any, dataset_config: Any) -> JobView:
        return self._started("encode", settings)

    def stop(self, name: str) -> JobView:
        return self._ask("stop", name, "stopping")

    def kill(self, name: str) -> JobView:
        return self._ask("kill", name, "stopped")

    def _ask(self, word: str, name: str, state: Any) -> JobView:
        self.asked.append((word, name))
        view = next(each for each in self.views if each.name == name)
        if view.is_final:
            raise SaoError(f"{name} is not running: it is {view.state} already.", "See the list.")
        self.views = [replace(each, state=state) if each.name == name else each for each in self.views]
        return replace(view, state=state)


@pytest.fixture
def services(tmp_path: Path) -> FakeServices:
    made = FakeServices()
    made.workspace.root = tmp_path
    made.jobs = StartableJobs(tmp_path)
    return made


@pytest.fixture
def plans(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What the checks find; tests change it."""
    settings = TrainSettings(max_steps=320, batch_size=16)
    found: dict[str, Any] = {"findings": (), "latents_findings": (), "num_latents": 0, "settings": settings}

    def plan_train(services: Any, changes: Any = None) -> TrainPlan:
        message = "starts from base_model.safetensors: 750 of 750 tensors match"
        settings = replace(found["settings"], **(changes or {}))
        findings = found["latents_findings"] if changes else found["findings"]
        return TrainPlan(settings, {}, {}, findings, 60, message, found["num_latents"])

    def plan_resume(services: Any, job: JobView, checkpoint: Path, max_steps: int) -> TrainPlan:
        settings = TrainSettings(resume_from=str(checkpoint), max_steps=max_steps)
        return TrainPlan(settings, {}, {}, found["findings"], 60, f"resumes from {checkpoint.name}")

    def plan_encode(services: Any) -> EncodePlan:
        settings = EncodeSettings("models/base_model.safetensors", "latents")
        return EncodePlan(settings, {}, {}, found["findings"], 60)

    monkeypatch.setattr(start_plan, "plan_train", plan_train)
    monkeypatch.setattr(start_plan, "plan_resume", plan_resume)
    monkeypatch.setattr(start_plan, "plan_encode", plan_encode)
    return found


def asked(services: FakeServices) -> list[tuple[Any, ...]]:
    assert isinstance(services.jobs, StartableJobs)
    return services.jobs.asked


async def test_a_workspace_without_runs_says_how_to_start_one(services: FakeServices) -> None:
    assert "No run yet." in await drive(services, "3")


async def test_a_dashboard_opened_late_shows_the_whole_history(services: FakeServices, tmp_path: Path) -> None:
    services.jobs.views = [make_run(tmp_path, "a-train", step=437)]

    async def check(app: SaoApp, pilot: Any) -> None:
        curve = app.screen.query_one(LossChart)._curve
        assert (curve.raw.num_points, curve.raw.last_step) == (437, 437)

    text = await drive(services, "3", then=check)
    assert "step 437/1000" in text
    assert "loss 0.4784" in text
    assert "ETA 2:23" in text
    assert "750/750 tensors loaded" in text


async def test_what_a_run_reports_later_is_added(services: FakeServices, tmp_path: Path) -> None:
    job = make_run(tmp_path, "a-train", step=20)
    services.jobs.views = [job]

    async def report(app: SaoApp, pilot: Any) -> None:
        write_metrics(job.path, 21, 25)
        write_events(job.path, {"kind": "checkpoint", "path": "/x/step=00000025.ckpt", "step": 25})
        screen = app.screen
        assert isinstance(screen, TrainScreen)
        screen.poll()
        await settled(pilot)
        assert screen.query_one(LossChart)._curve.raw.last_step == 25
        assert "step 25/1000" in screen.query_one(RunNumbers).text
        assert "checkpoint step=00000025.ckpt" in screen_text(app)

    await drive(services, "3", then=report)


async def test_no_gpu_is_said_in_words(services: FakeServices, tmp_path: Path) -> None:
    services.jobs.views = [make_run(tmp_path, "a-train", step=3)]
    services.gpu_reading = GpuReading("no-driver", "No NVIDIA driver on this machine.")
    assert "No NVIDIA driver on this machine." in await drive(services, "3")


async def test_a_failed_run_shows_reason_way_out_and_the_log_s_end(services: FakeServices, tmp_path: Path) -> None:
    services.jobs.views = [
        make_run(
            tmp_path,
            "a-train",
            "failed",
            step=12,
            reason="The GPU has no memory left.",
            hint="Lower batch_size.",
            log_tail=("torch.OutOfMemoryError: CUDA out of memory.",),
        )
    ]
    text = await drive(services, "3")
    assert "✗ failed" in text
    assert "The GPU has no memory left. → Lower batch_size." in text
    assert "torch.OutOfMemoryError" in text


async def test_a_run_that_fails_while_watched_shows_its_log_s_end(services: FakeServices, tmp_path: Path) -> None:
    job = make_run(tmp_path, "a-train", step=12)
    services.jobs.views = [job]

    async def fail(app: SaoApp, pilot: Any) -> None:
        services.jobs.views = [replace(job, state="crashed", reason="Killed.", log_tail=("Segmentation fault",))]
        assert isinstance(app.screen, TrainScreen)
        app.screen.poll()

    assert "Segmentation fault" in await drive(services, "3", then=fail)


async def test_moving_the_cursor_shows_another_run(services: FakeServices, tmp_path: Path) -> None:
    services.jobs.views = [
        make_run(tmp_path, "b-train", step=8),
        make_run(tmp_path, "a-encode", "finished", kind="encode", step=60, steps=60, age=100),
    ]
    text = await drive(services, "3", "down")
    assert "a-encode  finished" in text
    assert "clip 60/60" in text
    assert "encoding has no loss to draw" in text


async def test_nothing_starts_while_an_error_stands_in_the_way(services: FakeServices, plans: dict[str, Any]) -> None:
    plans["findings"] = (
        Finding("clip-unreadable", "error", "kick-007.wav cannot be read.", fix="Replace or remove the file."),
        Finding("caption-missing", "warning", "3 clips have no caption."),
    )

    async def check(app: SaoApp, pilot: Any) -> None:
        assert isinstance(app.screen, ErrorDialog)

    text = await drive(services, "3", "s", then=check)
    assert "Nothing was started: 1 problem stands in the way." in text
    assert "kick-007.wav cannot be read." in text
    assert "Replace or remove the file." in text
    assert asked(services) == []


async def test_a_start_is_confirmed_with_its_numbers(services: FakeServices, plans: dict[str, Any]) -> None:
    text = await drive(services, "3", "s")
    assert "60 clips, raw audio" in text
    assert "batch 16, 320 steps" in text
    assert "750 of 750 tensors match" in text
    assert asked(services) == []


async def test_a_confirmed_start_starts_and_is_shown(services: FakeServices, plans: dict[str, Any]) -> None:
    text = await drive(services, "3", "s", "y")
    assert [word for word, _ in asked(services)] == ["train"]
    assert "20261122-120001-train" in text


async def test_a_start_says_which_changes_it_is_without(services: FakeServices, plans: dict[str, Any]) -> None:
    async def start(app: SaoApp, pilot: Any) -> None:
        app.num_unwritten = 2
        await pilot.press("s")

    text = await drive(services, "3", then=start)
    assert "2 changed config fields are not written." in text


async def test_escape_starts_nothing(services: FakeServices, plans: dict[str, Any]) -> None:
    await drive(services, "3", "s", "escape")
    assert asked(services) == []


async def test_encoded_clips_are_offered_to_train_on(services: FakeServices, plans: dict[str, Any]) -> None:
    plans["num_latents"] = 60
    await drive(services, "3", "s", "l")
    ((_, settings),) = asked(services)
    assert settings.latents == str(services.workspace.latents_folder)


async def test_incomplete_latents_start_nothing(services: FakeServices, plans: dict[str, Any]) -> None:
    plans["num_latents"] = 59
    plans["latents_findings"] = (Finding("latents-incomplete", "error", "1 clip has no latents.", fix="Encode (e)."),)
    assert "1 clip has no latents." in await drive(services, "3", "s", "l")
    assert asked(services) == []


async def test_a_config_that_cannot_be_read_is_a_toast_with_a_way_out(
    services: FakeServices, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(services: Any, changes: Any = None) -> TrainPlan:
        raise SaoError("train.toml is not TOML.", "See sao-tui config check.")

    monkeypatch.setattr(start_plan, "plan_train", broken)
    text = await drive(services, "3", "s")
    assert "train.toml is not TOML." in text
    assert "See sao-tui config check." in text


async def test_encoding_is_confirmed_first(services: FakeServices, plans: dict[str, Any]) -> None:
    text = await drive(services, "3", "e")
    assert "60 clips are encoded once" in text
    assert asked(services) == []
    await drive(services, "3", "e", "y")
    assert [word for word, _ in asked(services)] == ["encode"]


async def test_stopping_says_that_a_checkpoint_comes_first(services: FakeServices, tmp_path: Path) -> None:
    services.jobs.views = [make_run(tmp_path, "a-train", step=20)]
    text = await drive(services, "3", "x")
    assert asked(services) == [("stop", "a-train")]
    assert "it writes a checkpoint first, then ends." in text
    assert "stopping" in text


async def test_stopping_a_run_that_has_ended_is_refused_in_words(services: FakeServices, tmp_path: Path) -> None:
    services.jobs.views = [make_run(tmp_path, "a-train", "finished", step=20)]
    assert "it is finished already" in await drive(services, "3", "x")


async def test_killing_asks_first(services: FakeServices, tmp_path: Path) -> None:
    services.jobs.views = [make_run(tmp_path, "a-train", step=20)]

    async def check(app: SaoApp, pilot: Any) -> None:
        assert isinstance(app.screen, ChoiceDialog)
        assert asked(services) == []
        await pilot.press("y")

    await drive(services, "3", "X", then=check)
    assert asked(services) == [("kill", "a-train")]


async def test_resuming_asks_how_far_and_goes_on_from_the_newest_checkpoint(
    services: FakeServices, plans: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    services.jobs.views = [make_run(tmp_path, "a-train", "stopped", step=160, steps=320)]
    checkpoint = tmp_path / "runs/a-train/checkpoints/step=00000160.ckpt"
    monkeypatch.setattr(start_plan, "newest_checkpoint", lambda services, name: (checkpoint, 160))

    async def answer(app: SaoApp, pilot: Any) -> None:
        field = app.screen.query_one(Input)
        assert field.value == "320"
        field.value = "100"
        await pilot.press("enter")
        await settled(pilot)
        assert "above 160" in screen_text(app)
        field.value = "480"
        await pilot.press("enter")
        await settled(pilot)
        assert "Go on with this run?" in screen_text(app)
        await pilot.press("y")

    await drive(services, "3", "R", then=answer)
    ((_, settings),) = asked(services)
    assert (settings.resume_from, settings.max_steps) == (str(checkpoint), 480)


async def test_a_run_that_still_goes_on_is_not_resumed(services: FakeServices, tmp_path: Path) -> None:
    services.jobs.views = [make_run(tmp_path, "a-train", step=20)]
    assert "Stop it with x" in await drive(services, "3", "R")


async def test_the_chart_s_keys_say_what_they_did(services: FakeServices, tmp_path: Path) -> None:
    services.jobs.views = [make_run(tmp_path, "a-train", step=437)]
    assert "loss, logarithmic, newest 1/2" in await drive(services, "3", "l", "z")
    assert "every step has its own dot already" in await drive(services, "3", *["z"] * 9)
    assert "all steps are shown" in await drive(services, "3", "Z")


async def test_a_run_that_has_ended_has_no_time_to_go(services: FakeServices, tmp_path: Path) -> None:
    services.jobs.views = [make_run(tmp_path, "a-train", step=40)]
    assert "ETA -" not in await drive(services, "3")
    services.jobs.views = [make_run(tmp_path, "b-train", "stopped", step=40)]
    assert "ETA -" in await drive(services, "3")


async def test_the_numbers_stand_below_each_other_where_there_is_room(services: FakeServices, tmp_path: Path) -> None:
    services.jobs.views = [make_run(tmp_path, "a-train", step=40)]

    async def check(app: SaoApp, pilot: Any) -> None:
        lines = app.screen.query_one(RunNumbers).text.splitlines()
        assert any(line.startswith("grad norm  0.83") for line in lines)

    await drive(services, "3", size=LARGE, then=check)


async def test_a_poll_waits_for_the_one_before(services: FakeServices, tmp_path: Path) -> None:
    services.jobs.views = [make_run(tmp_path, "a-train", step=4)]
    num_lists = 0

    class CountingJobs(FakeJobs):
        def list(self) -> list[Any]:
            nonlocal num_lists
            num_lists += 1
            return self.views

    services.jobs = CountingJobs(services.jobs.views)

    async def check(app: SaoApp, pilot: Any) -> None:
        nonlocal num_lists
        num_lists = 0
        assert isinstance(app.screen, TrainScreen)
        reader = app.screen._readers["jobs"]
        app.screen._readers["jobs"] = type("Busy", (), {"is_finished": False})()  # type: ignore[assignment]
        app.screen.poll()
        await settled(pilot)
        app.screen._readers["jobs"] = reader
        assert num_lists == 0

    await drive(services, "3", then=check)


async def test_log_and_table_can_be_reached_by_tab(services: FakeServices, tmp_path: Path) -> None:
    services.jobs.views = [make_run(tmp_path, "a-train", step=4)]

    async def check(app: SaoApp, pilot: Any) -> None:
        assert isinstance(app.focused, RunTable)
        await pilot.press("tab")
        assert isinstance(app.focused, LogView)

    await drive(services, "3", then=check)
