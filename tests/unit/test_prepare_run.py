"""Preparing real clips: what the outputs are, what their lines say, and what happens to bad clips and full disks."""

from __future__ import annotations

import json
import os
import shutil
import socket
from pathlib import Path
from typing import Any

import numpy as np
import pyloudnorm
import pytest
import soundfile

from sao_tui.core.errors import SaoError
from sao_tui.core.preparing import PrepareSettings
from sao_tui.services import prepare_files
from sao_tui.services.prepare_finish import make_report, write_metadata
from sao_tui.services.prepare_journal import JOURNAL_NAME, Journal
from sao_tui.services.prepare_read import decode_with_ffmpeg
from sao_tui.services.prepare_run import PrepareRun
from sao_tui.services.records import read_records
from tests.fakes.clips import files_below, read_lines, tone, write_clip, write_lines, write_synthesised

needs_ffmpeg = pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="ffmpeg is not installed")


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    folder = tmp_path / "dataset"
    folder.mkdir()
    return folder


def settings(dataset: Path, **changes: Any) -> PrepareSettings:
    values = {"source": str(dataset), "output": str(dataset.parent / "out"), "workspace": str(dataset.parent)}
    return PrepareSettings(**{**values, **changes})


def run(dataset: Path, *clips: str, **changes: Any) -> PrepareRun:
    asked = settings(dataset, **changes)
    done = PrepareRun(asked, clips)
    assert done.run()
    write_metadata(done.journal.outcomes.values(), read_records(dataset / "metadata.jsonl"), asked)
    return done


def test_a_clip_is_resampled_and_keeps_caption_and_keys(dataset: Path) -> None:
    write_synthesised(dataset / "fx" / "sweep.wav")
    num_frames = soundfile.info(dataset / "fx" / "sweep.wav").frames
    line = {"audio_path": "fx/sweep.wav", "text": "a rising sweep", "bpm": 120, "sample_rate": 8000, "note": {"a": 1}}
    write_lines(dataset / "metadata.jsonl", line)
    run(dataset, "fx/sweep.wav", rate_hz=44_100)
    made = soundfile.info(dataset.parent / "out" / "fx" / "sweep.wav")
    assert (made.samplerate, made.subtype) == (44_100, "PCM_24")
    assert made.frames == pytest.approx(num_frames * 44_100 / 8_000, abs=1)
    record = read_lines(dataset.parent / "out" / "metadata.jsonl")["fx/sweep.wav"]
    assert record.pop("end_seconds") == pytest.approx(num_frames / 8_000, abs=1e-4)
    assert record == {
        **line,
        "sample_rate": 44_100,
        "source": "dataset/fx/sweep.wav",
        "start_seconds": 0.0,
        "prepared": ["resampled from 8000 to 44100 Hz", "converted from wav pcm_16 to wav pcm_24"],
    }


def test_resampling_keeps_the_tone(dataset: Path) -> None:
    write_clip(dataset / "a.wav", tone(1.0, hz=1_000, rate_hz=48_000), 48_000)
    run(dataset, "a.wav", rate_hz=44_100)
    sound, _ = soundfile.read(dataset.parent / "out" / "a.wav")
    expected = tone(1.0, hz=1_000, rate_hz=44_100)
    assert len(sound) == len(expected)
    assert np.abs(sound[2_000:-2_000] - expected[2_000:-2_000]).max() < 1e-3


def test_every_slice_has_its_source_and_the_time_range_of_its_sound(dataset: Path) -> None:
    sound = tone(3.0, hz=333)
    write_clip(dataset / "long.wav", sound)
    write_lines(dataset / "metadata.jsonl", {"audio_path": "long.wav", "text": "a drone"})
    run(dataset, "long.wav", slicing="fixed", slice_seconds=1.0)
    out = dataset.parent / "out"
    records = read_lines(out / "metadata.jsonl")
    assert list(records) == ["long-001.wav", "long-002.wav", "long-003.wav", "long-004.wav"]
    end = 0.0
    for name, record in records.items():
        assert (record["text"], record["source"]) == ("a drone", "dataset/long.wav")
        assert record["start_seconds"] == end
        end = record["end_seconds"]
        piece, rate = soundfile.read(out / name)
        start = round(record["start_seconds"] * rate)
        assert np.abs(piece - sound[start : start + len(piece)]).max() < 1e-4
        assert abs(piece[0]) < 0.05, "cut at a zero crossing"
    assert end == 3.0


def test_a_prepared_clip_prepared_again_names_the_first_recording(dataset: Path) -> None:
    write_clip(dataset / "long.wav", tone(3.0, hz=333))
    run(dataset, "long.wav", slicing="fixed", slice_seconds=1.0)
    first = dataset.parent / "out"
    again = PrepareSettings(str(first), str(dataset.parent / "again"), slicing="fixed", slice_seconds=0.5)
    second = PrepareRun(again, ["long-002.wav"])
    second.run()
    write_metadata(second.journal.outcomes.values(), read_records(first / "metadata.jsonl"), again)
    record = read_lines(dataset.parent / "again" / "metadata.jsonl")["long-002-001.wav"]
    assert record["source"] == "dataset/long.wav"
    assert record["start_seconds"] == pytest.approx(1.0, abs=0.01)
    assert record["end_seconds"] == pytest.approx(1.5, abs=0.02)


def test_loudness_and_format_are_as_asked(dataset: Path) -> None:
    noise = np.random.default_rng(1).normal(0, 0.03, (88_200, 2)).astype(np.float32)
    write_clip(dataset / "noise.flac", noise)
    run(dataset, "noise.flac", loudness_lufs=-18.0, format="flac", depth="16")
    made = dataset.parent / "out" / "noise.flac"
    assert soundfile.info(made).subtype == "PCM_16"
    assert pyloudnorm.Meter(44_100).integrated_loudness(soundfile.read(made)[0]) == pytest.approx(-18, abs=0.5)


def test_a_clip_that_is_right_already_is_copied_byte_by_byte(dataset: Path) -> None:
    write_clip(dataset / "a.wav")
    run(dataset, "a.wav", depth="16")
    assert (dataset.parent / "out" / "a.wav").read_bytes() == (dataset / "a.wav").read_bytes()


def test_clips_of_the_same_stem_get_names_that_differ(dataset: Path) -> None:
    write_clip(dataset / "a.wav", tone(1.0))
    write_clip(dataset / "a.flac", tone(0.5))
    write_clip(dataset / "b.wav", tone(2.0))
    write_clip(dataset / "b-001.wav", tone(0.3))
    run(dataset, "a.flac", "a.wav", "b-001.wav", "b.wav", slicing="fixed", slice_seconds=1.2)
    assert files_below(dataset.parent / "out") == [
        "a-flac.wav",
        "a-wav.wav",
        "b-001.wav",
        "b-001s.wav",
        "b-002.wav",
        "metadata.jsonl",
    ]
    assert soundfile.info(dataset.parent / "out" / "b-001.wav").duration == pytest.approx(0.3)


def test_the_same_sound_in_another_file_is_dropped_and_its_caption_is_kept(dataset: Path) -> None:
    write_clip(dataset / "a.wav")
    shutil.copy(dataset / "a.wav", dataset / "b.wav")
    write_clip(dataset / "c.flac", soundfile.read(dataset / "a.wav")[0])
    write_clip(dataset / "d.wav", tone(1.0, hz=441))
    write_lines(dataset / "metadata.jsonl", {"audio_path": "b.wav", "text": "a tone"})
    done = run(dataset, "a.wav", "b.wav", "c.flac", "d.wav", dedupe="exact")
    assert files_below(dataset.parent / "out") == ["a.wav", "d.wav", "metadata.jsonl"]
    assert done.journal.outcomes["c.flac"].duplicate_of == "a.wav"
    assert read_lines(dataset.parent / "out" / "metadata.jsonl")["a.wav"]["text"] == "a tone"


def test_silence_is_dropped_and_the_report_says_so(dataset: Path) -> None:
    write_clip(dataset / "quiet.wav", np.zeros(44_100, np.float32))
    done = run(dataset, "quiet.wav", trim=True)
    report = make_report(done.journal.outcomes.values(), 1, "out")
    assert report.num_dropped == 1
    assert [finding.id for finding in report.findings] == ["prepare-silent"]


def test_bad_clips_are_reported_by_name_and_the_rest_goes_on(dataset: Path) -> None:
    write_clip(dataset / "good.wav")
    (dataset / "bad.wav").write_bytes(b"RIFF" + b"\0" * 100)
    (dataset / "empty.wav").touch()
    (dataset / "text.flac").write_text("not a sound")
    done = run(dataset, "bad.wav", "empty.wav", "gone.wav", "good.wav", "text.flac")
    report = make_report(done.journal.outcomes.values(), 5, "out")
    assert files_below(dataset.parent / "out") == ["good.wav", "metadata.jsonl"]
    assert {finding.where for finding in report.findings} == {"bad.wav", "empty.wav", "gone.wav", "text.flac"}
    assert report.num_failed == 4


@pytest.mark.parametrize("name", ["[bold]x.wav", "übung שלום.wav", os.fsdecode(b"caf\xe9.wav"), "-n.wav"])
def test_names_of_all_kinds_are_kept(dataset: Path, name: str) -> None:
    sound = write_clip(dataset / "a.wav")
    sound.rename(dataset / name)
    run(dataset, name, rate_hz=22_050)
    assert (dataset.parent / "out" / name).exists()
    assert name in read_lines(dataset.parent / "out" / "metadata.jsonl")


@needs_ffmpeg
@pytest.mark.parametrize("suffix", [".m4a", ".webm", ".aac", ".wma"])
def test_what_only_ffmpeg_reads_is_converted(dataset: Path, suffix: str) -> None:
    import subprocess

    write_clip(dataset / "a.wav", tone(1.0, rate_hz=48_000), 48_000)
    encoding = ["-c:a", "libopus"] if suffix == ".webm" else []
    program = ["ffmpeg", "-v", "error", "-i", str(dataset / "a.wav"), *encoding, str(dataset / f"b{suffix}")]
    if subprocess.run(program, stdin=subprocess.DEVNULL).returncode:
        pytest.skip(f"this ffmpeg cannot write {suffix}")
    done = run(dataset, f"b{suffix}", rate_hz=44_100)
    sound, rate = soundfile.read(dataset.parent / "out" / "b.wav")
    assert rate == 44_100
    assert len(sound) / rate == pytest.approx(1.0, abs=0.15)
    assert f"converted from {suffix[1:]} to wav pcm_24" in done.journal.outcomes[f"b{suffix}"].outputs[0].done
    assert files_below(dataset.parent / "out") == ["b.wav", "metadata.jsonl"], "what was decoded is gone"


def test_without_ffmpeg_the_clip_is_named_with_the_way_out(dataset: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (dataset / "a.m4a").write_bytes(b"\0\0\0\x20ftypM4A ")
    monkeypatch.setenv("PATH", "")
    done = run(dataset, "a.m4a")
    (finding,) = make_report(done.journal.outcomes.values(), 1, "out").findings
    assert (finding.id, finding.where) == ("prepare-needs-ffmpeg", "a.m4a")
    assert "apt install ffmpeg" in finding.fix


@needs_ffmpeg
def test_a_playlist_in_disguise_makes_ffmpeg_fetch_nothing(dataset: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.2)
        url = f"http://127.0.0.1:{server.getsockname()[1]}/x.ts"
        tags = "#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n"
        (dataset / "a.m4a").write_text(f"{tags}{url}\n#EXT-X-ENDLIST\n")
        with pytest.raises(SaoError, match="ffmpeg cannot decode it"):
            decode_with_ffmpeg(dataset / "a.m4a", dataset / "out.wav")
        with pytest.raises(TimeoutError):
            server.accept()


def test_a_full_disk_ends_the_run_with_whole_files_and_the_rest_follows_when_there_is_space(
    dataset: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clips = [f"{number}.wav" for number in range(8)]
    for number, clip in enumerate(clips):
        write_clip(dataset / clip, tone(1.0, hz=200 + number))
    real, written = os.fsync, []

    def full(descriptor: int) -> None:
        written.append(descriptor)
        if len(written) > 4:
            raise OSError(28, "No space left on device")
        real(descriptor)

    with monkeypatch.context() as patched:
        patched.setattr(prepare_files.os, "fsync", full)
        with pytest.raises(SaoError, match="is full") as caught:
            PrepareRun(settings(dataset), clips).run()
    assert "--resume" in caught.value.hint
    out = dataset.parent / "out"
    left = files_below(out)
    assert 0 < len(left) < 8
    assert all(name.endswith(".wav") and not name.startswith(".") for name in left), "no part of a file is left"
    assert all(soundfile.info(out / name).frames == 44_100 for name in left)
    run(dataset, *clips)
    assert len(read_lines(out / "metadata.jsonl")) == 8


def test_an_output_that_cannot_be_written_is_refused_by_name(dataset: Path) -> None:
    write_clip(dataset / "a.wav")
    (dataset.parent / "out").write_text("a file in the way")
    with pytest.raises(SaoError, match="Cannot write"):
        PrepareRun(settings(dataset), ["a.wav"])


def test_a_run_that_is_stopped_goes_on_where_it_was(dataset: Path) -> None:
    clips = [f"{number}.wav" for number in range(6)]
    for number, clip in enumerate(clips):
        write_clip(dataset / clip, tone(0.5, hz=200 + number))
    seen: list[str] = []
    first = PrepareRun(
        settings(dataset), clips, should_stop=lambda: len(seen) >= 2, told=lambda outcome: seen.append(outcome.clip)
    )
    assert first.run() is False
    assert files_below(dataset.parent / "out") == ["0.wav", "1.wav"]
    again: list[str] = []
    second = PrepareRun(settings(dataset), clips, told=lambda outcome: again.append(outcome.clip))
    assert second.run() is True
    assert again == clips[2:]


def test_a_torn_line_of_the_journal_costs_only_its_clip(dataset: Path) -> None:
    for clip in ("a.wav", "b.wav"):
        write_clip(dataset / clip)
    run(dataset, "a.wav", "b.wav")
    journal = dataset.parent / "out" / JOURNAL_NAME
    journal.write_bytes(journal.read_bytes()[:-20])
    again: list[str] = []
    PrepareRun(settings(dataset), ["a.wav", "b.wav"], told=lambda outcome: again.append(outcome.clip)).run()
    assert again == ["b.wav"]
    known = Journal.read(journal)
    assert known is not None and set(known.outcomes) == {"a.wav", "b.wav"}


def test_a_clip_that_changed_is_done_again_and_a_failed_one_is_tried_again(dataset: Path) -> None:
    write_clip(dataset / "a.wav")
    (dataset / "b.wav").touch()
    run(dataset, "a.wav", "b.wav")
    write_clip(dataset / "a.wav", tone(2.0))
    write_clip(dataset / "b.wav", tone(0.5))
    run(dataset, "a.wav", "b.wav")
    out = dataset.parent / "out"
    assert [soundfile.info(out / name).duration for name in ("a.wav", "b.wav")] == [2.0, 0.5]


def test_other_settings_do_not_mix_with_what_is_there(dataset: Path) -> None:
    write_clip(dataset / "a.wav")
    run(dataset, "a.wav")
    with pytest.raises(SaoError, match="other settings"):
        PrepareRun(settings(dataset, rate_hz=22_050), ["a.wav"])


def test_sections_of_a_long_recording_make_the_same_slices_as_the_whole(
    dataset: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(3)
    write_clip(dataset / "hour.wav", (rng.normal(0, 0.1, 48_000 * 7)).astype(np.float32), 48_000)
    run(dataset, "hour.wav", max_seconds=2.0, output=str(dataset.parent / "whole"))
    monkeypatch.setattr("sao_tui.services.prepare_read.SECTION_SECONDS", 1.5)
    run(dataset, "hour.wav", max_seconds=2.0, output=str(dataset.parent / "sections"))
    joined = []
    for name in ("whole", "sections"):
        records = read_lines(dataset.parent / name / "metadata.jsonl")
        joined.append(np.concatenate([soundfile.read(dataset.parent / name / each)[0] for each in records]))
        assert all(record["end_seconds"] - record["start_seconds"] <= 2.0 for record in records.values())
        assert list(records.values())[-1]["end_seconds"] == pytest.approx(7.0, abs=1e-3)
    assert len(joined[0]) == len(joined[1])
    assert np.abs(joined[0] - joined[1]).max() < 1e-4


def test_the_journal_holds_plain_json(dataset: Path) -> None:
    write_clip(dataset / "a.wav")
    run(dataset, "a.wav")
    lines = (dataset.parent / "out" / JOURNAL_NAME).read_text().splitlines()
    assert json.loads(lines[0])["settings"]["rate_hz"] == 44_100
    assert json.loads(lines[1])["clip"] == "a.wav"


def test_two_jobs_do_not_write_into_one_folder(dataset: Path) -> None:
    write_clip(dataset / "a.wav")
    first = PrepareRun(settings(dataset), ["a.wav"])
    first.journal.open()
    try:
        with pytest.raises(SaoError, match="Another job"):
            PrepareRun(settings(dataset), ["a.wav"]).run()
    finally:
        first.journal.close()
