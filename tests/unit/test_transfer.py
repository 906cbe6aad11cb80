"""Captions from and for other programs: matching, choices about what is there, and round trips that lose nothing."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from sao_tui.core.errors import SaoError
from sao_tui.services import captioning
from sao_tui.services.bundle import Services
from sao_tui.services.captions import CaptionConflict
from sao_tui.services.clips import refresh
from sao_tui.services.transfer import ImportPlan, apply_import, plan_import
from sao_tui.services.transfer_read import cell_value, detect_format, value_cell
from sao_tui.services.transfer_write import plan_export, write_export
from tests.fakes.clips import files_below, read_lines, sound_workspace, tone, write_clip, write_lines

CLIPS = ("drums/kick.wav", "drums/snare.wav", "fx/kick.wav", "fx/rise.flac")
FULL = {"audio_path": "drums/kick.wav", "text": "a kick, dry", "bpm": 120, "tags": ["a", "b"], "code": "007", "n": "12"}


@pytest.fixture
def services(tmp_path: Path) -> Services:
    made = sound_workspace(tmp_path / "workspace")
    for clip in CLIPS:
        write_clip(made.workspace.dataset_folder / clip, tone(0.1))
    refresh(made.clips, made.captions)
    return made


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "source"
    folder.mkdir()
    return folder


def lines(services: Services) -> dict[str, dict[str, Any]]:
    return read_lines(services.workspace.metadata_file)


def captions(services: Services) -> dict[str, str]:
    return services.captions.all()


def do_import(services: Services, source: Path, policy: Any = "mine", form: Any = None) -> ImportPlan:
    plan = plan_import(services, source, form)
    apply_import(services, plan, policy)
    return plan


def test_text_sidecars_beside_the_clips_and_in_a_txt_folder(services: Services) -> None:
    dataset = services.workspace.dataset_folder
    (dataset / "drums" / "kick.txt").write_text("  a kick\n", encoding="utf-8")
    (dataset / "drums" / "txt").mkdir()
    (dataset / "drums" / "txt" / "snare.txt").write_text("a snare")
    plan = do_import(services, dataset, form="txt")
    assert captions(services) == {"drums/kick.wav": "a kick", "drums/snare.wav": "a snare"}
    assert plan.without_row == ("fx/kick.wav", "fx/rise.flac")


def test_json_sidecars_bring_prompt_and_all_other_keys(services: Services, source: Path) -> None:
    (source / "fx").mkdir()
    (source / "fx" / "rise.json").write_text(json.dumps({"prompt": "a riser", "genre": "techno", "bpm": 145}))
    (source / "fx" / "broken.json").write_text("{")
    plan = do_import(services, source)
    assert plan.format == "json"
    line = {"audio_path": "fx/rise.flac", "text": "a riser", "genre": "techno", "bpm": 145}
    assert lines(services)["fx/rise.flac"] == line
    assert [row.where for row in plan.unmatched] == ["fx/broken.json"]


@pytest.mark.parametrize("path", ["audio_path", "file_name", "path"])
@pytest.mark.parametrize("text", ["text", "caption", "prompt"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_tables_are_read_by_the_names_of_their_columns(
    services: Services, source: Path, path: str, text: str, delimiter: str
) -> None:
    rows = [[path, "genre", text], ["drums/snare.wav", "", '"a snare, ""wet"""'], ["gone.wav", "x", "nothing"]]
    table = source / "mine.csv"
    table.write_text("\ufeff" + "\r\n".join(delimiter.join(row) for row in rows), encoding="utf-8")
    plan = do_import(services, table)
    assert lines(services)["drums/snare.wav"] == {"audio_path": "drums/snare.wav", "text": 'a snare, "wet"'}
    assert [row.reason for row in plan.unmatched] == ["gone.wav: no clip is called so"]


def test_a_table_without_a_column_of_paths_is_refused_with_its_columns(services: Services, source: Path) -> None:
    (source / "mine.csv").write_text("name of it,what\na,b\n")
    with pytest.raises(SaoError, match="its first line is name of it, what"):
        plan_import(services, source / "mine.csv")


@pytest.mark.parametrize("name", ["metadata.csv", "metadata.jsonl"])
def test_an_audiofolder_is_read_by_either_of_its_files(services: Services, source: Path, name: str) -> None:
    if name.endswith("csv"):
        (source / name).write_text("file_name,transcription\ndata/snare.wav,a snare\n")
    else:
        write_lines(source / name, {"file_name": "data/snare.wav", "transcription": "a snare"})
    do_import(services, source, form="audiofolder")
    assert captions(services) == {"drums/snare.wav": "a snare"}


def test_names_match_by_path_first_and_then_only_where_one_clip_has_them(services: Services, source: Path) -> None:
    write_lines(
        source / "a.jsonl",
        {"audio_path": "fx/kick.wav", "text": "by path"},
        {"audio_path": "old/place/snare.mp3", "text": "by name, another suffix"},
        {"audio_path": str(services.workspace.dataset_folder / "fx" / "rise.flac"), "text": "absolute"},
        {"audio_path": "elsewhere/kick.wav", "text": "of two"},
        {"audio_path": "drums\\\\kick.wav".replace("\\\\", "\\"), "text": "from Windows"},
    )
    plan = do_import(services, source / "a.jsonl")
    assert captions(services) == {
        "fx/kick.wav": "by path",
        "drums/snare.wav": "by name, another suffix",
        "fx/rise.flac": "absolute",
        "drums/kick.wav": "from Windows",
    }
    assert [row.reason for row in plan.unmatched] == ["elsewhere/kick.wav: several clips are called kick.wav"]


@pytest.mark.parametrize(
    ("policy", "kick", "snare"),
    [
        ("mine", {"text": "mine", "bpm": 100, "key": "Am"}, {"text": "theirs", "bpm": 90}),
        ("theirs", {"text": "theirs", "bpm": 90, "key": "Am"}, {"text": "theirs", "bpm": 90}),
        ("empty", {"text": "mine", "bpm": 100}, {"text": "theirs", "bpm": 90}),
    ],
)
def test_what_is_there_is_kept_or_replaced_as_chosen(
    services: Services, source: Path, policy: str, kick: dict[str, Any], snare: dict[str, Any]
) -> None:
    write_lines(services.workspace.metadata_file, {"audio_path": "drums/kick.wav", "text": "mine", "bpm": 100})
    refresh(services.clips, services.captions)
    write_lines(
        source / "a.jsonl",
        {"audio_path": "drums/kick.wav", "text": "theirs", "bpm": 90, "key": "Am"},
        {"audio_path": "drums/snare.wav", "text": "theirs", "bpm": 90},
    )
    plan = do_import(services, source / "a.jsonl", policy)
    assert plan.num_overwritten == 1
    found = lines(services)
    assert {name: found["drums/kick.wav"].get(name) for name in kick} == kick
    assert {name: found["drums/snare.wav"].get(name) for name in snare} == snare


def test_one_undo_takes_an_import_back(services: Services, source: Path) -> None:
    write_lines(services.workspace.metadata_file, {"audio_path": "drums/kick.wav", "text": "mine", "x": 1})
    refresh(services.clips, services.captions)
    write_lines(source / "a.jsonl", *({"audio_path": clip, "text": "theirs", "y": 2} for clip in CLIPS))
    do_import(services, source / "a.jsonl", "theirs")
    assert set(captions(services)) == set(CLIPS)
    moved = captioning.undo(services)
    assert moved is not None and moved.description == "import of a.jsonl"
    assert captions(services) == {"drums/kick.wav": "mine"}
    assert services.captions.record("drums/kick.wav") == {"audio_path": "drums/kick.wav", "text": "mine", "x": 1}


def test_a_caption_that_changed_since_the_preview_is_not_overwritten(services: Services, source: Path) -> None:
    write_lines(services.workspace.metadata_file, {"audio_path": "drums/kick.wav", "text": "seen"})
    refresh(services.clips, services.captions)
    write_lines(source / "a.jsonl", {"audio_path": "drums/kick.wav", "text": "theirs"})
    plan = plan_import(services, source / "a.jsonl")
    write_lines(services.workspace.metadata_file, {"audio_path": "drums/kick.wav", "text": "written meanwhile"})
    captioning.take_in(services)
    with pytest.raises(CaptionConflict):
        apply_import(services, plan, "theirs")
    assert lines(services)["drums/kick.wav"]["text"] == "written meanwhile"


def test_a_row_without_a_caption_takes_none_away(services: Services, source: Path) -> None:
    write_lines(services.workspace.metadata_file, {"audio_path": "drums/kick.wav", "text": "mine"})
    refresh(services.clips, services.captions)
    write_lines(source / "a.jsonl", {"audio_path": "drums/kick.wav", "bpm": 90})
    do_import(services, source / "a.jsonl", "theirs")
    assert lines(services)["drums/kick.wav"] == {"audio_path": "drums/kick.wav", "text": "mine", "bpm": 90}


@pytest.mark.parametrize("form", ["json", "csv", "jsonl", "audiofolder"])
def test_round_trips_keep_every_key(services: Services, tmp_path: Path, form: Any) -> None:
    records = [FULL, {"audio_path": "fx/rise.flac", "text": "ein Übergang, „leise“\nzwei Zeilen", "nested": {"a": [1]}}]
    write_lines(services.workspace.metadata_file, *records)
    refresh(services.clips, services.captions)
    target = tmp_path / "out"
    plan = plan_export(services, CLIPS, target, form, "copy" if form == "audiofolder" else "")
    write_export(services, plan)
    other = sound_workspace(tmp_path / "other")
    for clip in CLIPS:
        write_clip(other.workspace.dataset_folder / clip, tone(0.1))
    refresh(other.clips, other.captions)
    do_import(other, target / "captions.csv" if form == "csv" else target, form=form)
    assert lines(other) == {record["audio_path"]: record for record in records}


def test_text_sidecars_hold_the_caption_alone(services: Services, tmp_path: Path) -> None:
    write_lines(services.workspace.metadata_file, FULL)
    refresh(services.clips, services.captions)
    write_export(services, plan_export(services, CLIPS, tmp_path / "out", "txt"))
    assert files_below(tmp_path / "out") == ["drums/kick.txt"]
    assert (tmp_path / "out" / "drums" / "kick.txt").read_text() == "a kick, dry\n"


@pytest.mark.parametrize("placing", ["copy", "link"])
def test_clips_come_too_where_asked_and_doing_it_again_changes_nothing(
    services: Services, tmp_path: Path, placing: Any
) -> None:
    write_lines(services.workspace.metadata_file, FULL)
    refresh(services.clips, services.captions)
    plan = plan_export(services, CLIPS, tmp_path / "out", "txt", placing)
    for _ in range(2):
        write_export(services, plan)
    assert files_below(tmp_path / "out") == sorted([*CLIPS, "drums/kick.txt"])
    inode = (tmp_path / "out" / "drums" / "kick.wav").stat().st_ino
    is_same = inode == (services.workspace.dataset_folder / "drums" / "kick.wav").stat().st_ino
    assert is_same == (placing == "link")


def test_a_sidecar_with_other_words_is_not_overwritten_unasked(services: Services, tmp_path: Path) -> None:
    write_lines(services.workspace.metadata_file, FULL)
    refresh(services.clips, services.captions)
    theirs = tmp_path / "out" / "drums" / "kick.txt"
    theirs.parent.mkdir(parents=True)
    theirs.write_text("somebody's words")
    plan = plan_export(services, CLIPS, tmp_path / "out", "txt")
    with pytest.raises(SaoError, match="would be overwritten"):
        write_export(services, plan)
    assert theirs.read_text() == "somebody's words"
    write_export(services, plan, overwrite=True)
    assert theirs.read_text() == "a kick, dry\n"


def test_two_clips_that_would_share_a_sidecar_are_named(services: Services, tmp_path: Path) -> None:
    write_clip(services.workspace.dataset_folder / "drums" / "kick.flac", tone(0.1))
    write_lines(services.workspace.metadata_file, FULL, {"audio_path": "drums/kick.flac", "text": "another kick"})
    refresh(services.clips, services.captions)
    plan = plan_export(services, ["drums/kick.flac", "drums/kick.wav"], tmp_path / "out", "txt")
    assert [finding.id for finding in plan.findings] == ["export-shared-sidecar"]


def test_names_that_are_not_utf8_survive_a_table(services: Services, tmp_path: Path) -> None:
    name = os.fsdecode(b"caf\xe9.wav")
    write_clip(services.workspace.dataset_folder / "a.wav", tone(0.1)).rename(services.workspace.dataset_folder / name)
    write_lines(services.workspace.metadata_file)
    refresh(services.clips, services.captions)
    captioning.write(services, {name: "a café"}, "test")
    write_export(services, plan_export(services, [name], tmp_path / "t.csv", "csv"))
    captioning.undo(services)
    do_import(services, tmp_path / "t.csv")
    assert captions(services)[name] == "a café"


@pytest.mark.parametrize(
    ("form", "target", "message"),
    [
        ("audiofolder", "elsewhere", "holds its clips"),
        ("jsonl", "workspace/dataset", "has already"),
    ],
)
def test_targets_that_make_no_sense_are_refused(
    services: Services, tmp_path: Path, form: Any, target: str, message: str
) -> None:
    with pytest.raises(SaoError, match=message):
        plan_export(services, CLIPS, tmp_path / target, form)


def test_clips_are_never_copied_into_the_dataset(services: Services) -> None:
    with pytest.raises(SaoError, match="lies in the dataset"):
        plan_export(services, CLIPS, services.workspace.dataset_folder / "x", "txt", "copy")


def test_a_folder_without_captions_says_so(source: Path) -> None:
    with pytest.raises(SaoError, match="holds no captions"):
        detect_format(source)
    with pytest.raises(SaoError, match="is missing"):
        detect_format(source / "gone")


@pytest.mark.parametrize(
    "value", ["12", "a", "true", "", 12, 1.5, True, None, ["a"], {"b": 1}, '"x"', "-", "007", "[x"]
)
def test_a_cell_gives_back_the_value_it_was_made_of(value: Any) -> None:
    assert cell_value(value_cell(value)) == value
