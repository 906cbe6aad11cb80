"""The prepare dialog: options by keys, the live dry run, the job that goes on, and the new dataset."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import soundfile

from sao_tui.services.bundle import Services, build_services
from sao_tui.services.clips import refresh
from sao_tui.services.prepare_jobs import default_settings, start_prepare
from sao_tui.tui.studio.prepare import PrepareDialog
from sao_tui.tui.widgets.option_form import OptionForm
from tests.fakes.clips import files_below, read_lines, tone, write_clip, write_lines
from tests.fakes.jobs import fake_jobs
from tests.tui.helpers import LARGE, SMALL, app_over, real_workspace, screen_text, settled, wait_for

pytestmark = pytest.mark.tui

NUM_CLIPS = 6


@pytest.fixture
def services(tmp_path: Path) -> Iterator[Services]:
    made = real_workspace(tmp_path / "kicks")
    folder = made.workspace.dataset_folder
    for number in range(NUM_CLIPS):
        write_clip(folder / f"{number}.wav", tone(1.0, hz=200 + number, rate_hz=22_050), 22_050)
    write_lines(
        made.workspace.metadata_file, *({"audio_path": f"{n}.wav", "text": f"tone {n}"} for n in range(NUM_CLIPS))
    )
    refresh(made.clips, made.captions)
    yield made
    for job in made.jobs.list():
        if not job.is_final:
            made.jobs.kill(job.name)
            made.jobs.wait(job.name, timeout=20)


async def opened(pilot: Any) -> PrepareDialog:
    await settled(pilot)
    await pilot.press("p")
    await settled(pilot)
    dialog = pilot.app.screen
    assert isinstance(dialog, PrepareDialog)
    return dialog


async def planned(pilot: Any, dialog: PrepareDialog) -> None:
    await wait_for(pilot, lambda: dialog._plan is not None)
    await settled(pilot)


@pytest.mark.parametrize("size", [SMALL, LARGE], ids=str)
async def test_it_opens_with_what_suits_the_model_and_a_dry_run(services: Services, size: tuple[int, int]) -> None:
    async with app_over(services).run_test(size=size) as pilot:
        dialog = await opened(pilot)
        await planned(pilot, dialog)
        text = screen_text(pilot.app)
        assert f"{NUM_CLIPS} clips → {NUM_CLIPS} files" in text
        assert "8000 Hz, the model's" in text
        assert "resampled from 22050 to 8000 Hz" in text
        assert files_below(services.workspace.root / "dataset-prepared") == []


async def test_changing_an_option_changes_the_dry_run(services: Services) -> None:
    async with app_over(services).run_test(size=LARGE) as pilot:
        dialog = await opened(pilot)
        await planned(pilot, dialog)
        form = dialog.query_one(OptionForm)
        while form.current is not None and form.current.id != "slicing":
            await pilot.press("down")
        await pilot.press("enter")
        await pilot.pause()
        await pilot.press(*["backspace"] * 5, *"0.25")
        await pilot.press("enter")
        await pilot.pause()
        assert dialog._plan is None, "what is shown no longer holds"
        await planned(pilot, dialog)
        assert dialog._plan is not None and dialog._plan.num_files == 5 * NUM_CLIPS
        assert form.values["slicing"] == ("fixed", 0.25)


async def test_a_value_that_makes_no_sense_is_refused_where_it_is_typed(services: Services) -> None:
    async with app_over(services).run_test(size=SMALL) as pilot:
        dialog = await opened(pilot)
        await planned(pilot, dialog)
        await pilot.press("down", "enter")
        await pilot.pause()
        await pilot.press(*"fast", "enter")
        await pilot.pause()
        assert "fast is no number" in screen_text(pilot.app)
        await pilot.press("escape")
        await settled(pilot)
        assert pilot.app.screen is dialog


async def test_the_job_runs_and_its_folder_becomes_the_dataset(services: Services) -> None:
    async with app_over(services).run_test(size=SMALL) as pilot:
        dialog = await opened(pilot)
        await planned(pilot, dialog)
        await pilot.press("s")
        await wait_for(pilot, lambda: dialog._job is not None)
        assert dialog._job is not None
        services.jobs.wait(dialog._job.name, timeout=60)
        dialog.poll()
        await settled(pilot)
        text = screen_text(pilot.app)
        assert f"finished {'━' * 30} {NUM_CLIPS}/{NUM_CLIPS} clips" in text
        assert f"{NUM_CLIPS} of {NUM_CLIPS} clips became {NUM_CLIPS} files" in text
        await pilot.press("u")
        await settled(pilot)
        assert pilot.app.screen is not dialog
    fresh = build_services(services.workspace.root)
    assert fresh.workspace.dataset_folder == services.workspace.root / "dataset-prepared"
    assert soundfile.info(fresh.workspace.dataset_folder / "0.wav").samplerate == 8_000
    assert set(fresh.captions.all().values()) == {f"tone {number}" for number in range(NUM_CLIPS)}
    assert services.captions.get("0.wav") == "tone 0"
    assert services.captions.path == fresh.workspace.metadata_file, "the open dashboard has changed over too"
    config = fresh.workspace.dataset_config_file.read_text()
    assert '"path": "dataset-prepared/"' in config


async def test_in_place_asks_first_and_moves_nothing_on_escape(services: Services) -> None:
    async with app_over(services).run_test(size=SMALL) as pilot:
        dialog = await opened(pilot)
        await planned(pilot, dialog)
        await pilot.press("right")
        await planned(pilot, dialog)
        await pilot.press("s")
        await settled(pilot)
        assert "in place?" in screen_text(pilot.app)
        await pilot.press("escape")
        await settled(pilot)
        assert services.jobs.list() == []
        await pilot.press("s")
        await settled(pilot)
        await pilot.press("y")
        await wait_for(pilot, lambda: dialog._job is not None)
        assert dialog._job is not None
        services.jobs.wait(dialog._job.name, timeout=60)
        dialog.poll()
        await settled(pilot)
        await pilot.press("escape")
        await settled(pilot)
    assert soundfile.info(services.workspace.dataset_folder / "0.wav").samplerate == 8_000
    records = read_lines(services.workspace.metadata_file)
    assert records["0.wav"]["text"] == "tone 0"
    assert records["0.wav"]["source"].startswith("originals/")


async def test_an_output_folder_with_other_files_is_refused_in_the_dialog(services: Services) -> None:
    folder = services.workspace.root / "dataset-prepared"
    folder.mkdir()
    (folder / "notes.txt").touch()
    async with app_over(services).run_test(size=SMALL) as pilot:
        await opened(pilot)
        await wait_for(pilot, lambda: "holds other files" in screen_text(pilot.app))
        await pilot.press("s")
        await settled(pilot)
        assert services.jobs.list() == []


async def test_a_job_that_runs_is_shown_when_the_dialog_opens_again(services: Services) -> None:
    services.__dict__["jobs"] = fake_jobs(services.workspace, "--kind", "encode", "--step-seconds", "5")
    settings = default_settings(services.workspace)
    job = start_prepare(services, [f"{number}.wav" for number in range(NUM_CLIPS)], settings)
    async with app_over(services).run_test(size=SMALL) as pilot:
        dialog = await opened(pilot)
        assert dialog._job is not None and dialog._job.name == job.name
        assert job.name in screen_text(pilot.app)
        await pilot.press("escape")
        await settled(pilot)
        assert f"{job.name} goes on" in screen_text(pilot.app)
    assert not services.jobs.get(job.name).is_final
