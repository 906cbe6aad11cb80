"""Pictures of the dialogs that prepare, import and export."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot

from sao_tui.core.findings import Finding
from sao_tui.services import prepare_plan
from sao_tui.services.bundle import Services
from sao_tui.services.clips import refresh
from sao_tui.services.jobs import JobView
from sao_tui.services.prepare_finish import PrepareReport
from sao_tui.tui.studio.prepare import PrepareDialog
from sao_tui.tui.studio.prepare_workers import JobRead
from tests.fakes.clips import tone, write_clip, write_lines, write_synthesised
from tests.tui.helpers import LARGE, SMALL, app_over, real_workspace, rested, settled, wait_for

pytestmark = pytest.mark.snapshot

SIZES = pytest.mark.parametrize("size", [SMALL, LARGE], ids=["80x24", "120x36"])
KINDS = ("low tone", "high tone", "rising sweep", "falling sweep")
CSV = """\
file_name,caption,bpm
sweeps/rising-sweep-2.wav,a rising [bold]sweep,120
tones/low-tone-0.wav,another low tone,
gone.wav,nothing,
"""


@pytest.fixture
def services(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Services:
    monkeypatch.setattr(prepare_plan, "_free_bytes", lambda _folder: 74_300_000_000)
    made = real_workspace(tmp_path / "kicks")
    folder = made.workspace.dataset_folder
    lines = []
    for number, kind in enumerate(KINDS):
        relpath = f"{kind.split()[1]}s/{kind.replace(' ', '-')}-{number}.wav"
        write_synthesised(folder / relpath, kind, number)
        lines.append({"audio_path": relpath, "text": f"a {kind}"})
    write_clip(folder / "drones" / "long drone.wav", tone(5.0, hz=90, rate_hz=22_050), 22_050)
    (folder / "broken.wav").write_bytes(b"RIFF")
    write_lines(made.workspace.metadata_file, *lines[:2])
    (made.workspace.root / "theirs.csv").write_text(CSV)
    refresh(made.clips, made.captions)
    return made


def keys(*pressed: str) -> Any:
    async def run_before(pilot: Pilot[Any]) -> None:
        await settled(pilot)
        for key in pressed:
            await pilot.press(key)
            await settled(pilot)
        screen = pilot.app.screen
        if isinstance(screen, PrepareDialog) and screen._job is None:
            await wait_for(pilot, lambda: screen._plan is not None)
        await rested(pilot)

    return run_before


@SIZES
def test_options_with_their_dry_run(snap_compare: Any, services: Services, size: tuple[int, int]) -> None:
    run_before = keys("p", "down", "down", "right")
    assert snap_compare(app_over(services), terminal_size=size, run_before=run_before)


@SIZES
def test_a_job_that_has_ended(snap_compare: Any, services: Services, size: tuple[int, int]) -> None:
    words = "5 of 6 clips became 8 files, 1 could not be read."
    job = JobView("20260101-120000-prepare", "prepare", "finished", 6, 6, words, "", None, Path("/x"), 0.0)
    finding = Finding("clip-unreadable", "error", "broken.wav cannot be read: no [bold]RIFF header.", "broken.wav")
    report = PrepareReport("/data/kicks/dataset-prepared", 6, 6, 8, 2_400_000, 11.5, 0, 1, (finding,))

    async def run_before(pilot: Pilot[Any]) -> None:
        await keys("p")(pilot)
        pilot.app.screen.post_message(JobRead(job, report))
        await rested(pilot)

    assert snap_compare(app_over(services), terminal_size=size, run_before=run_before)


@SIZES
def test_an_import_before_it_is_written(snap_compare: Any, services: Services, size: tuple[int, int]) -> None:
    run_before = keys("I", *"theirs.csv", "enter", "tab")
    assert snap_compare(app_over(services), terminal_size=size, run_before=run_before)


@SIZES
def test_an_export_before_it_is_written(
    snap_compare: Any, services: Services, size: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    from sao_tui.services.transfer_write import ExportPlan

    monkeypatch.setattr(ExportPlan, "folder", Path("/data/kicks/export"))
    assert snap_compare(app_over(services), terminal_size=size, run_before=keys("E"))
