"""Suggest jobs in the real worker process: what is heard, resumed after a kill, stopped, and said of bad clips."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from sao_tui.core.jobs import JobFolder, JobSpec
from sao_tui.core.settings import SuggestSettings
from sao_tui.core.sounds import synth

pytestmark = pytest.mark.worker

RATE = 44_100


@pytest.fixture
def sounds(tmp_path: Path) -> Path:
    """Clips whose sound is known: the nano classes, a drum loop of four bars at 120 BPM, a pad in A minor."""
    folder = tmp_path / "sounds"
    folder.mkdir()
    rng = np.random.default_rng(5)
    for kind in ("low tone", "noise burst", "click train"):
        name = f"{kind.replace(' ', '_')}.wav"
        soundfile.write(folder / name, synth.make_clip(kind, rng).audio, synth.SAMPLE_RATE_HZ)
    seconds = np.arange(8 * RATE) / RATE
    loop = np.zeros(8 * RATE)
    hit = np.arange(RATE // 4) / RATE
    for beat in range(16):
        start = beat * RATE // 2
        noise = 0.3 * rng.normal(size=len(hit)) * np.exp(-hit * 200)
        loop[start : start + len(hit)] += np.sin(2 * np.pi * 60 * hit) * np.exp(-hit * 20) + noise
    soundfile.write(folder / "loop.wav", 0.5 * loop, RATE)
    notes = (220.0, 261.63, 329.63, 440.0, 523.25)
    pad = sum(np.sin(2 * np.pi * note * seconds) / (index + 1) for index, note in enumerate(notes))
    soundfile.write(folder / "pad.wav", 0.2 * pad * np.minimum(1, seconds), RATE)
    return folder


def make_job(
    folder: Path, clips: list[Path], captioner: str, options: dict[str, str] | None = None, vocabulary: str = ""
) -> JobFolder:
    job = JobFolder(folder)
    settings = SuggestSettings(captioner, options or {}, len(clips))
    job.create(JobSpec("suggest", 0.0, asdict(settings), {}, {}, sys.executable))
    lines = (json.dumps({"relpath": clip.name, "path": str(clip), "caption": ""}) + "\n" for clip in clips)
    (folder / "clips.jsonl").write_text("".join(lines))
    if vocabulary:
        (folder / "vocabulary.txt").write_text(vocabulary)
    return job


def work(job: JobFolder, **environ: str) -> int:
    return subprocess.run(
        [sys.executable, "-m", "sao_tui.worker", str(job.path)], env={**os.environ, **environ}, timeout=300
    ).returncode


def lines_of(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def texts(job: JobFolder) -> dict[str, str]:
    return {line["relpath"]: line["text"] for line in lines_of(job.path / "suggestions.jsonl")}


def events(job: JobFolder, kind: str) -> list[dict[str, Any]]:
    return [record for record in lines_of(job.events_file) if record["kind"] == kind]


def wait_until(is_so: Callable[[], bool], seconds: float = 120.0) -> None:
    deadline = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_the_signal_is_heard_and_put_into_words(sounds: Path, tmp_path: Path) -> None:
    job = make_job(tmp_path / "job", sorted(sounds.iterdir()), "signal")
    assert work(job) == 0
    said = texts(job)
    assert "tonal" in said["low_tone.wav"] and "deep" in said["low_tone.wav"]
    assert "noisy" in said["noise_burst.wav"]
    assert "percussive" in said["click_train.wav"] and "sharp attack" in said["click_train.wav"]
    assert "4-bar loop" in said["loop.wav"] and "120 BPM" in said["loop.wav"]
    assert "A minor" in said["pad.wav"] and "slow attack" in said["pad.wav"] and "BPM" not in said["pad.wav"]
    assert all(0 < line["confidence"] <= 1 for line in lines_of(job.path / "suggestions.jsonl"))
    assert events(job, "state")[-1]["state"] == "finished"
    assert events(job, "progress")[-1]["done"] == 5


def test_silence_and_the_shortest_clips_are_no_crash(tmp_path: Path) -> None:
    clips = []
    for index, samples in enumerate((np.zeros(RATE), np.full(RATE, 0.5), np.random.default_rng(1).normal(size=500))):
        clips.append(tmp_path / f"{index}.wav")
        soundfile.write(clips[-1], np.clip(samples, -1, 1), RATE)
    job = make_job(tmp_path / "job", clips, "signal")
    assert work(job) == 0
    assert len(texts(job)) == 3 and texts(job)["0.wav"] == ""
    assert events(job, "warning") == []


def test_names_and_embedded_tags_become_captions(sounds: Path, tmp_path: Path) -> None:
    mutagen = pytest.importorskip("mutagen.flac", reason="mutagen is not installed")
    clip = sounds / "03_SoftPad.flac"
    soundfile.write(clip, np.zeros(RATE), RATE)
    tagged = mutagen.FLAC(clip)
    tagged["genre"], tagged["bpm"] = "Ambient", "90"
    tagged.save()
    job = make_job(tmp_path / "job", [clip, sounds / "loop.wav"], "tags", {"folders": "0"})
    assert work(job) == 0
    assert texts(job) == {"03_SoftPad.flac": "soft pad, ambient, 90 BPM", "loop.wav": "loop"}


def test_without_mutagen_names_still_speak_and_a_sentence_says_so(sounds: Path, tmp_path: Path) -> None:
    (tmp_path / "shadow").mkdir()
    (tmp_path / "shadow" / "mutagen.py").write_text("raise ModuleNotFoundError('no mutagen', name='mutagen')\n")
    job = make_job(tmp_path / "job", [sounds / "loop.wav"], "tags")
    path = os.pathsep.join([str(tmp_path / "shadow"), os.environ.get("PYTHONPATH", "")])
    assert work(job, PYTHONPATH=path) == 0
    assert "mutagen" in events(job, "warning")[0]["message"]
    assert texts(job) == {"loop.wav": "loop"}


def test_a_package_that_is_missing_is_named_with_the_way_to_get_it(sounds: Path, tmp_path: Path) -> None:
    (tmp_path / "shadow").mkdir()
    (tmp_path / "shadow" / "librosa.py").write_text("raise ModuleNotFoundError('no', name='librosa')\n")
    job = make_job(tmp_path / "job", [sounds / "loop.wav"], "signal")
    assert work(job, PYTHONPATH=os.pathsep.join([str(tmp_path / "shadow"), os.environ.get("PYTHONPATH", "")])) == 1
    last = events(job, "state")[-1]
    assert last["state"] == "failed" and "librosa" in last["reason"] and last["hint"] == "pip install librosa"


def test_a_bad_clip_is_a_warning_that_names_it_and_the_others_go_on(sounds: Path, tmp_path: Path) -> None:
    (sounds / "broken.wav").write_bytes(b"RIFFnonsense")
    clips = [sounds / "broken.wav", sounds / "gone.wav", sounds / "low_tone.wav"]
    job = make_job(tmp_path / "job", clips, "signal")
    assert work(job) == 0
    warned = " ".join(record["message"] for record in events(job, "warning"))
    assert "broken.wav" in warned and "gone.wav is gone" in warned
    assert set(texts(job)) == {"low_tone.wav"}
    last = events(job, "state")[-1]
    assert last["state"] == "finished" and last["reason"] == "2 of 3 clips got no suggestion"


def test_a_job_without_one_suggestion_has_failed(tmp_path: Path) -> None:
    job = make_job(tmp_path / "job", [tmp_path / "gone.wav"], "signal")
    assert work(job) == 1
    assert events(job, "state")[-1]["state"] == "failed"


def test_a_killed_job_goes_on_where_it_was(sounds: Path, tmp_path: Path) -> None:
    clips = []
    for index in range(40):
        clips.append(sounds / f"copy{index}.wav")
        os.link(sounds / "loop.wav", clips[-1])
    job = make_job(tmp_path / "job", clips, "signal")
    file = job.path / "suggestions.jsonl"
    worker = subprocess.Popen([sys.executable, "-m", "sao_tui.worker", str(job.path)])
    wait_until(lambda: file.exists() and file.read_bytes().count(b"\n") >= 3)
    worker.send_signal(signal.SIGKILL)
    worker.wait()
    before = file.read_bytes()
    assert before.count(b"\n") < 40
    with file.open("ab") as out:
        out.write(b'{"relpath": "copy39.wav", "te')  # what a kill within a write would leave
    (job.requests / "stop").touch()
    assert work(job) == 0
    assert events(job, "state")[-1]["state"] == "stopped"
    (job.requests / "stop").unlink()
    assert work(job) == 0
    assert file.read_bytes().startswith(before)
    names = []
    for line in file.read_text().splitlines():
        try:
            names.append(json.loads(line)["relpath"])
        except ValueError:
            assert line == '{"relpath": "copy39.wav", "te'
    assert sorted(names) == sorted(clip.name for clip in clips)
    assert events(job, "state")[-1]["state"] == "finished"


def test_a_clip_name_that_is_not_utf8_is_captioned_and_can_be_warned_about(tmp_path: Path) -> None:
    odd = tmp_path / os.fsdecode(b"kick\xff.wav")
    soundfile.write(odd.open("wb"), np.sin(np.arange(RATE) / 10), RATE, format="WAV")
    job = make_job(tmp_path / "job", [odd, tmp_path / os.fsdecode(b"gone\xfe.wav")], "signal")
    assert work(job) == 0
    assert list(texts(job)) == [odd.name]
    assert "gone?.wav" in events(job, "warning")[0]["message"]
