"""The dry run says what the job then does; starting, using the new folder, near duplicates, the command line."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from sao_tui.cli import main
from sao_tui.core.errors import SaoError
from sao_tui.core.preparing import PrepareSettings
from sao_tui.services import prepare_plan
from sao_tui.services.analysis_fingerprint import Fingerprinter
from sao_tui.services.bundle import Services, build_services
from sao_tui.services.clips import refresh
from sao_tui.services.prepare_finish import carry_over, use_dataset
from sao_tui.services.prepare_jobs import default_settings, start_prepare
from sao_tui.services.prepare_near import near_duplicates
from sao_tui.services.prepare_plan import plan_prepare
from sao_tui.services.prepare_run import PrepareRun
from tests.fakes.clips import files_below, read_lines, sound_workspace, synthesised, tone, write_clip, write_lines

CLIPS = ("a.wav", "bad.wav", "copy of a.wav", "long.flac", "quiet.wav")


@pytest.fixture
def services(tmp_path: Path) -> Services:
    made = sound_workspace(tmp_path / "workspace")
    folder = made.workspace.dataset_folder
    write_clip(folder / "a.wav", tone(1.0))
    write_clip(folder / "copy of a.wav", tone(1.0))
    write_clip(folder / "long.flac", tone(30.0, hz=333, rate_hz=22_050), 22_050)
    write_clip(folder / "quiet.wav", np.zeros(44_100, np.float32))
    (folder / "bad.wav").write_bytes(b"RIFF")
    refresh(made.clips, made.captions)
    return made


def rows(services: Services) -> Any:
    return services.clips.rows(services.clips.ids())


def run_cli(services: Services, capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, dict[str, Any]]:
    code = main([*words, "-w", str(services.workspace.root), "--json"])
    return code, json.loads(capsys.readouterr().out)


def test_the_dry_run_names_what_the_job_then_makes(services: Services) -> None:
    settings = default_settings(services.workspace, trim=True, dedupe="exact")
    plan = plan_prepare(services, rows(services), settings)
    assert plan.is_exact
    assert not Path(settings.output).exists()
    run = PrepareRun(settings, CLIPS)
    assert run.run()
    planned = {outcome.clip: [output.relpath for output in outcome.outputs] for outcome in plan.outcomes}
    made = {clip: [output.relpath for output in outcome.outputs] for clip, outcome in run.journal.outcomes.items()}
    assert planned == made
    assert made["long.flac"] == ["long-001.wav", "long-002.wav", "long-003.wav"]
    assert (plan.num_dropped, plan.num_failed, plan.num_files) == (2, 1, 4)
    sizes = sum((Path(settings.output) / name).stat().st_size for names in made.values() for name in names)
    assert sizes <= plan.num_bytes <= sizes * 1.01 + 1_000


def test_a_sample_is_scaled_to_all_clips_by_their_length(services: Services) -> None:
    for number in range(40):
        write_clip(services.workspace.dataset_folder / f"n{number}.wav", tone(1.0, hz=200 + number))
    refresh(services.clips, services.captions)
    settings = default_settings(services.workspace)
    some = [row for row in rows(services) if row.relpath.startswith("n")]
    exact = plan_prepare(services, some, settings)
    estimated = plan_prepare(services, some, settings, max_listened=7)
    assert len(estimated.outcomes) <= 7
    assert not estimated.is_exact
    assert estimated.num_files == exact.num_files == 40
    assert estimated.num_bytes == pytest.approx(exact.num_bytes, rel=0.01)


def test_outputs_that_do_not_fit_the_disk_are_an_error(services: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prepare_plan, "_free_bytes", lambda _folder: 65_000_000)
    plan = plan_prepare(services, rows(services), default_settings(services.workspace))
    assert not plan.fits
    assert (plan.findings[0].id, plan.findings[0].severity) == ("disk-full", "error")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"rate_hz": 100}, "no sample rate"),
        ({"channels": 6}, "6 channels"),
        ({"format": "flac", "depth": "float"}, "no floating-point"),
        ({"slicing": "fixed"}, "need a length"),
        ({"slicing": "fixed", "slice_seconds": 0.05}, "shorter than the least length"),
        ({"loudness_lufs": 3.0}, "no loudness"),
        ({"peak_dbfs": 1.0}, "no ceiling"),
        ({"trim_dbfs": 0.0}, "no silence"),
        ({"min_seconds": -1.0}, "below 0"),
    ],
)
def test_settings_that_make_no_sense_are_refused(services: Services, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(SaoError, match=message):
        default_settings(services.workspace, **changes)


def test_settings_begin_with_what_the_model_hears(services: Services) -> None:
    config = {"sample_rate": 8_000, "sample_size": 16_384}
    services.workspace.model_config_file.write_text(json.dumps(config))
    settings = default_settings(services.workspace)
    assert (settings.rate_hz, settings.max_seconds) == (8_000, 2.048)


def test_nothing_selected_starts_nothing(services: Services) -> None:
    with pytest.raises(SaoError, match="No clip is selected"):
        start_prepare(services, [], default_settings(services.workspace))
    assert services.jobs.list() == []


def test_the_new_folder_becomes_the_dataset_and_other_keys_of_the_configs_stay(services: Services) -> None:
    workspace = services.workspace
    entry = {"id": "x", "path": "dataset/", "custom_metadata_module": "m.py", "mine": 1}
    other = {"id": "y", "path": "/elsewhere/"}
    config = {"dataset_type": "audio_dir", "datasets": [entry, other], "random_crop": False}
    workspace.dataset_config_file.write_text(json.dumps(config))
    (workspace.root / "new").mkdir()
    use_dataset(workspace, workspace.root / "new")
    assert workspace.dataset_folder == workspace.root / "new"
    assert "# Hugging Face cache folder" in workspace.settings_file.read_text(), "comments stay"
    config["datasets"] = [entry | {"path": "new/"}, other]
    assert json.loads(workspace.dataset_config_file.read_text()) == config


def test_a_folder_that_is_missing_does_not_become_the_dataset(services: Services) -> None:
    with pytest.raises(SaoError, match="is missing"):
        use_dataset(services.workspace, services.workspace.root / "gone")
    assert services.workspace.dataset_folder.name == "dataset"


def test_the_split_and_the_ways_of_prompting_come_along(services: Services) -> None:
    dataset = services.workspace.dataset_folder
    split = {"version": 1, "seed": 7, "fraction": 0.1, "by": "folder", "validation": ["long.flac"]}
    (dataset / "split.json").write_text(json.dumps(split))
    (dataset / "prompts.json").write_text('{"trigger": "zap"}')
    settings = default_settings(services.workspace)
    run = PrepareRun(settings, CLIPS)
    run.run()
    carry_over(run.journal.outcomes.values(), settings)
    output = Path(settings.output)
    held_out = ["long-001.wav", "long-002.wav", "long-003.wav"]
    assert json.loads((output / "split.json").read_text()) == split | {"validation": held_out}
    assert (output / "prompts.json").read_text() == '{"trigger": "zap"}'


def analyse(services: Services, *clips: str) -> None:
    """Put fingerprints into the index, as the analysis does."""
    database = services.clips.database
    for clip in clips:
        sound, rate = soundfile.read(services.workspace.dataset_folder / clip, dtype="float32")
        fingerprinter = Fingerprinter(rate)
        fingerprinter.feed(sound)
        row = services.clips.row_for(clip)
        assert row is not None
        found = database.query("SELECT num_bytes, mtime_ns FROM clips WHERE id = ?", [row.id])
        num_bytes, mtime_ns = next(iter(found))
        query = "INSERT INTO analysis (clip_id, num_bytes, mtime_ns, fingerprint) VALUES (?, ?, ?, ?)"
        database.write_many(query, [(row.id, num_bytes, mtime_ns, fingerprinter.finish())])


def test_near_duplicates_are_found_by_the_fingerprints_of_the_analysis(tmp_path: Path) -> None:
    services = sound_workspace(tmp_path / "workspace")
    folder = services.workspace.dataset_folder
    sweep = synthesised("rising sweep")
    write_clip(folder / "a.wav", sweep, 8_000)
    write_clip(folder / "b.ogg", sweep * 0.7, 8_000, subtype=None)
    write_clip(folder / "c.wav", synthesised("low tone"), 8_000)
    refresh(services.clips, services.captions)
    clips = ["a.wav", "b.ogg", "c.wav"]
    with pytest.raises(SaoError, match="3 of 3 clips have not been analysed"):
        near_duplicates(services, clips)
    analyse(services, *clips)
    assert near_duplicates(services, clips) == {"b.ogg": "a.wav"}
    plan = plan_prepare(services, rows(services), default_settings(services.workspace, dedupe="near"))
    assert [outcome.dropped for outcome in plan.outcomes] == ["", "nearly the same sound as a.wav", ""]


def test_a_dry_run_on_the_command_line_writes_nothing_and_fails_for_bad_clips(
    services: Services, capsys: pytest.CaptureFixture[str]
) -> None:
    code, document = run_cli(services, capsys, "dataset", "prepare", "--dry-run", "--slice", "1", "--format", "flac")
    assert code == 1
    assert document["ok"] is False
    assert {clip["clip"]: len(clip["outputs"]) for clip in document["clips"]} == {
        "a.wav": 1,
        "bad.wav": 0,
        "copy of a.wav": 1,
        "long.flac": document["num_files"] - 2,
        "quiet.wav": 0,
    }
    assert [finding["where"] for finding in document["findings"] if finding["severity"] == "error"] == ["bad.wav"]
    assert not (services.workspace.root / "dataset-prepared").exists()


def test_the_command_line_prepares_what_a_filter_leaves_and_makes_it_the_dataset(
    services: Services, capsys: pytest.CaptureFixture[str]
) -> None:
    write_lines(services.workspace.metadata_file, {"audio_path": "a.wav", "text": "a tone"})
    words = (
        "dataset",
        "prepare",
        "name:a.wav",
        "--wait",
        "--rate",
        "22050",
        "--channels",
        "2",
        "--bits",
        "16",
        "--use",
    )
    code, document = run_cli(services, capsys, *words)
    assert (code, document["state"]) == (0, "finished")
    fresh = build_services(services.workspace.root)
    assert fresh.workspace.dataset_folder.name == "dataset-prepared"
    made = soundfile.info(fresh.workspace.dataset_folder / "a.wav")
    assert (made.samplerate, made.channels, made.subtype) == (22_050, 2, "PCM_16")
    assert read_lines(fresh.workspace.metadata_file)["a.wav"]["text"] == "a tone"
    code, report = run_cli(services, capsys, "dataset", "prepare", "--report", document["job"])
    assert (code, report["num_files"]) == (0, document["num_files"])
    _, listed = run_cli(services, capsys, "train", "list")
    assert [(job["kind"], job["state"]) for job in listed["jobs"]] == [("prepare", "finished")]


@pytest.mark.parametrize(
    "words",
    [
        ("--slice", "sometimes"),
        ("--channels", "5"),
        ("--output", "dataset/inside"),
        ("--loudness", "12"),
        ("--resume", "nothing"),
        ("--in-place", "--output", "x"),
    ],
)
def test_wrong_requests_are_refused_with_a_hint(
    services: Services, capsys: pytest.CaptureFixture[str], words: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(services.workspace.root)
    assert main(["dataset", "prepare", *words, "-w", str(services.workspace.root)]) == 2
    said = capsys.readouterr().err
    assert said.startswith("error: ") and "\nhint: " in said
    assert services.jobs.list() == []


def test_import_and_export_on_the_command_line(services: Services, capsys: pytest.CaptureFixture[str]) -> None:
    root = services.workspace.root
    (root / "t.csv").write_text("path,prompt\na.wav,a tone\nno.wav,x\n")
    code, document = run_cli(services, capsys, "dataset", "import", str(root / "t.csv"), "--dry-run")
    assert (code, document["num_new"], document["num_changed"]) == (0, 1, None)
    assert document["changes"] == [{"clip": "a.wav", "before": "", "after": "a tone", "where": "t.csv:2"}]
    code, document = run_cli(services, capsys, "dataset", "import", str(root / "t.csv"))
    assert (code, document["num_changed"]) == (0, 1)
    code, document = run_cli(services, capsys, "dataset", "export", str(root / "out"), "--format", "txt")
    assert (code, files_below(root / "out")) == (0, ["a.txt"])
    (root / "t.csv").write_text("path,prompt\nno.wav,x\n")
    code, document = run_cli(services, capsys, "dataset", "import", str(root / "t.csv"))
    assert (code, document["ok"], document["findings"][0]["id"]) == (1, False, "import-nothing")


def test_settings_survive_the_description_of_a_job() -> None:
    from dataclasses import asdict

    from sao_tui.core.preparing import read_settings

    settings = PrepareSettings("a", "b", loudness_lufs=-16.0, dedupe="near")
    assert read_settings(json.loads(json.dumps(asdict(settings)))) == settings
    with pytest.raises(SaoError, match="no prepare job"):
        read_settings({"max_steps": 3})


def test_surrogates_in_names_pass_through_a_job(services: Services) -> None:
    name = os.fsdecode(b"\xff.wav")
    write_clip(services.workspace.dataset_folder / "x.wav").rename(services.workspace.dataset_folder / name)
    job = start_prepare(services, [name], default_settings(services.workspace))
    assert services.jobs.wait(job.name, timeout=60).state == "finished"
    assert (services.workspace.root / "dataset-prepared" / name).exists()
