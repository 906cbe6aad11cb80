"""Preparing the dataset where it is: originals are moved out first and never lost, captions follow."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import soundfile

from sao_tui.core.control import Control
from sao_tui.core.emit import Emitter
from sao_tui.core.errors import SaoError
from sao_tui.core.jobs import JobFolder, JobSpec
from sao_tui.core.preparing import PrepareSettings
from sao_tui.services import prepare_run
from sao_tui.services.prepare_files import move_original
from sao_tui.services.prepare_jobs import check_folders, default_settings, in_place, write_clips
from sao_tui.services.workspace import Workspace, init_workspace
from sao_tui.tasks.prepare import prepare
from tests.fakes.clips import files_below, read_lines, tone, write_clip, write_lines

STAMP = 1_700_000_000.0


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return init_workspace(tmp_path / "workspace")


def settings(workspace: Workspace, **changes: Any) -> PrepareSettings:
    return in_place(default_settings(workspace, **changes), workspace, clock=lambda: STAMP)


def do(workspace: Workspace, asked: PrepareSettings, *clips: str, name: str = "job") -> None:
    """Do a job in this process."""
    from dataclasses import asdict

    folder = JobFolder(workspace.runs_folder / name)
    folder.create(JobSpec("prepare", 0.0, asdict(asked), {}, {}, "python"))
    write_clips(folder.path, clips, {})
    emitter = Emitter(folder.events_file)
    try:
        prepare(folder, folder.read_spec(), emitter, Control(folder.requests))
    finally:
        emitter.close()


def originals(asked: PrepareSettings) -> Path:
    return Path(asked.originals)


def test_originals_move_out_and_captions_follow_to_the_slices(workspace: Workspace) -> None:
    clip = write_clip(workspace.dataset_folder / "loops" / "a.flac", tone(2.0, hz=333))
    before = clip.read_bytes()
    line = {"audio_path": "loops/a.flac", "text": "a drone", "bpm": 90}
    write_lines(workspace.metadata_file, line)
    asked = settings(workspace, slicing="fixed", slice_seconds=1.0)
    do(workspace, asked, "loops/a.flac")
    assert files_below(workspace.dataset_folder) == [
        "loops/a-001.wav",
        "loops/a-002.wav",
        "loops/a-003.wav",
        "metadata.jsonl",
    ]
    assert (originals(asked) / "loops" / "a.flac").read_bytes() == before
    records = read_lines(workspace.metadata_file)
    stamp = originals(asked).name
    for number in (1, 2, 3):
        record = records[f"loops/a-{number:03}.wav"]
        assert (record["text"], record["bpm"]) == ("a drone", 90)
        assert record["source"] == f"originals/{stamp}/loops/a.flac"
    assert read_lines(originals(asked) / "metadata.jsonl") == {"loops/a.flac": line}, "captions as they were"


def test_a_clip_that_is_right_stays_where_it_is(workspace: Workspace) -> None:
    clip = write_clip(workspace.dataset_folder / "a.wav", subtype="PCM_24")
    inode = clip.stat().st_ino
    asked = settings(workspace)
    do(workspace, asked, "a.wav")
    assert clip.stat().st_ino == inode
    assert files_below(originals(asked)) == []


def test_a_clip_of_the_same_name_takes_the_place_of_its_original(workspace: Workspace) -> None:
    write_clip(workspace.dataset_folder / "a.wav", tone(1.0, rate_hz=22_050), 22_050)
    write_lines(workspace.metadata_file, {"audio_path": "a.wav", "text": "a tone"})
    asked = settings(workspace)
    do(workspace, asked, "a.wav")
    assert soundfile.info(workspace.dataset_folder / "a.wav").samplerate == 44_100
    assert soundfile.info(originals(asked) / "a.wav").samplerate == 22_050
    record = read_lines(workspace.metadata_file)["a.wav"]
    assert (record["text"], record["end_seconds"]) == ("a tone", 1.0)
    do(workspace, asked, "a.wav", name="again")
    assert read_lines(workspace.metadata_file)["a.wav"] == record, "nothing is added twice"


def test_clips_that_are_not_selected_keep_their_names(workspace: Workspace) -> None:
    write_clip(workspace.dataset_folder / "x" / "a.flac", tone(1.0))
    other = write_clip(workspace.dataset_folder / "x" / "a.wav", tone(0.5))
    before = other.read_bytes()
    do(workspace, settings(workspace), "x/a.flac")
    assert other.read_bytes() == before
    assert files_below(workspace.dataset_folder) == ["metadata.jsonl", "x/a-flac.wav", "x/a.wav"]


def test_a_file_that_comes_up_under_the_name_of_an_output_is_not_replaced(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_clip(workspace.dataset_folder / "a.flac", tone(1.0))
    real = prepare_run.work_clip

    def work(*arguments: Any) -> Any:
        write_clip(workspace.dataset_folder / "a.wav", tone(0.5))
        return real(*arguments)

    monkeypatch.setattr(prepare_run, "work_clip", work)
    with pytest.raises(SaoError, match="come up meanwhile"):
        do(workspace, settings(workspace), "a.flac")
    assert soundfile.info(workspace.dataset_folder / "a.wav").duration == 0.5
    assert (workspace.dataset_folder / "a.flac").exists()


@pytest.mark.parametrize("moment", ["move_original", "commit"])
def test_a_job_killed_between_two_files_goes_on_from_the_original(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    write_clip(workspace.dataset_folder / "a.wav", tone(2.0, hz=333, rate_hz=22_050), 22_050)
    write_lines(workspace.metadata_file, {"audio_path": "a.wav", "text": "a drone"})
    asked = settings(workspace, slicing="fixed", slice_seconds=1.0)
    real = getattr(prepare_run, moment)

    class KilledError(BaseException):
        pass

    def die_after(*arguments: Any) -> None:
        real(*arguments)
        raise KilledError

    with monkeypatch.context() as patched:
        patched.setattr(prepare_run, moment, die_after)
        with pytest.raises(KilledError):
            do(workspace, asked, "a.wav")
    do(workspace, asked, "a.wav", name="resumed")
    assert soundfile.info(originals(asked) / "a.wav").samplerate == 22_050
    names = [name for name in files_below(workspace.dataset_folder) if name.endswith(".wav")]
    assert names == ["a-001.wav", "a-002.wav", "a-003.wav"]
    assert {read_lines(workspace.metadata_file)[name]["text"] for name in names} == {"a drone"}


def test_an_original_on_another_disk_is_copied_whole_before_it_leaves(tmp_path: Path) -> None:
    source = tmp_path / "a.wav"
    source.write_bytes(b"sound")

    def other_disk(*_: object) -> None:
        raise OSError(18, "Invalid cross-device link")

    move_original(source, tmp_path / "originals" / "a.wav", rename=other_disk)
    assert not source.exists()
    assert (tmp_path / "originals" / "a.wav").read_bytes() == b"sound"
    assert [path.name for path in (tmp_path / "originals").iterdir()] == ["a.wav"]


@pytest.mark.parametrize(
    ("output", "message"),
    [
        ("dataset", "is the dataset itself"),
        ("dataset/prepared", "lie in one another"),
        (".", "lie in one another"),
        ("full", "holds other files"),
        ("sao.toml", "is a file"),
    ],
)
def test_an_output_that_would_mix_with_other_files_is_refused(workspace: Workspace, output: str, message: str) -> None:
    (workspace.root / "full").mkdir()
    (workspace.root / "full" / "notes.txt").touch()
    with pytest.raises(SaoError, match=message):
        check_folders(default_settings(workspace, output=str(workspace.root / output)))
