"""The gate before a start, and the whole look-over."""

from __future__ import annotations

import json
import os
from collections import namedtuple
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sao_tui.core.findings import Finding, is_ok
from sao_tui.core.settings import TrainSettings
from sao_tui.services import doctor, doctor_machine, gpu
from sao_tui.services.workspace import Workspace, init_workspace, save_settings
from tests.fakes.nano_weights import arc_config, nano_config, write_base, write_wrapped

Find = Callable[..., list[Finding]]


@pytest.fixture(autouse=True)
def machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A machine where all is well, told without asking this one."""
    monkeypatch.setattr(gpu, "read_gpus", lambda: gpu.GpuReading("ok", ""))
    python = tmp_path / "python"
    answer_as(python, {})
    monkeypatch.setattr(Workspace, "worker_python", str(python))


def answer_as(python: Path, versions: dict[str, str | None], version: tuple[int, int, int] = (3, 11, 7)) -> None:
    """Make `python` an interpreter that says so of itself."""
    known = {**doctor_machine.TESTED, "setuptools": "81.0.0", **versions}
    answer = json.dumps({"python": version, "versions": known})
    python.write_text(f"#!/bin/sh\necho noise\necho '{answer}'\n")
    python.chmod(0o755)


def write_wav(path: Path, *, loud: bool = True, seconds: float = 0.5) -> None:
    import soundfile

    path.parent.mkdir(parents=True, exist_ok=True)
    time = np.arange(int(8_000 * seconds)) / 8_000
    soundfile.write(path, np.sin(2 * np.pi * 440 * time) * (0.5 if loud else 0), 8_000)


def write_captions(workspace: Workspace, *names: str) -> None:
    lines = [json.dumps({"audio_path": name, "text": f"sound {name}"}) for name in names]
    workspace.metadata_file.write_text("".join(f"{line}\n" for line in lines))


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    """Return a workspace from which a run could start."""
    from sao_tui.core import metadata_module

    workspace = init_workspace(tmp_path / "ws")
    save_settings(workspace, **{"model.base_weights": "models/base_model.ckpt"})
    workspace.reload()
    write_base(workspace.models_folder / "base_model.ckpt", nano_config())
    workspace.model_config_file.write_text(json.dumps(nano_config()))
    entry = {"id": "clips", "path": "dataset/", "custom_metadata_module": metadata_module.__file__}
    workspace.dataset_config_file.write_text(json.dumps({"dataset_type": "audio_dir", "datasets": [entry]}))
    workspace.train_config_file.write_text("batch_size = 4\n")
    names = [f"{index}.wav" for index in range(4)]
    for name in names:
        write_wav(workspace.dataset_folder / name)
    write_captions(workspace, *names)
    return workspace


def gate(workspace: Workspace, **changes: Any) -> list[Finding]:
    settings = TrainSettings(base_weights=str(workspace.base_weights), batch_size=4)
    return doctor.check_before_start(workspace, replace(settings, **changes))


def one(findings: list[Finding], name: str) -> Finding:
    (found,) = [finding for finding in findings if finding.id == name]
    assert found.message.endswith(".")
    return found


def test_a_workspace_in_order_has_no_findings(workspace: Workspace) -> None:
    assert gate(workspace) == []
    assert [finding.id for finding in doctor.check_all(workspace) if finding.severity != "info"] == []


def test_progress_is_told_by_stage(workspace: Workspace) -> None:
    seen: list[str] = []
    doctor.check_all(workspace, lambda stage, done, total: seen.append(stage))
    assert list(dict.fromkeys(seen)) == ["workspace", "configs", "weights", "clips", "listening", "machine", "done"]


def test_a_folder_that_is_no_workspace_is_one_finding(tmp_path: Path) -> None:
    (finding,) = doctor.check_all(Workspace(tmp_path))
    assert (finding.id, finding.severity) == ("workspace-invalid", "error")


def test_a_fresh_workspace_names_everything_that_is_missing(tmp_path: Path) -> None:
    names = {finding.id for finding in doctor.check_all(init_workspace(tmp_path / "ws"))}
    assert {"config-missing", "dataset-empty"} <= names


def test_an_empty_folder_stops_the_start(workspace: Workspace) -> None:
    for clip in workspace.dataset_folder.glob("*.wav"):
        clip.unlink()
    found = one(gate(workspace), "dataset-empty")
    assert found.severity == "error"
    assert str(workspace.dataset_folder) in found.message


def test_a_missing_dataset_folder_stops_the_start(workspace: Workspace) -> None:
    for file in workspace.dataset_folder.iterdir():
        file.unlink()
    workspace.dataset_folder.rmdir()
    findings = gate(workspace)
    assert one(findings, "dataset-empty").severity == "error"
    assert one(findings, "dataset-missing").severity == "error"


def test_a_dataset_without_captions_stops_the_start(workspace: Workspace) -> None:
    workspace.metadata_file.unlink()
    found = one(gate(workspace), "caption-missing")
    assert found.severity == "error"
    assert str(workspace.metadata_file) in found.message
    write_captions(workspace, "0.wav", "1.wav")
    found = one(gate(workspace), "caption-missing")
    assert found.severity == "warning"
    assert "2 of 4 clips have no caption: 2.wav, 3.wav" in found.message


def test_a_corrupt_clip_stops_the_start_and_is_named(workspace: Workspace) -> None:
    (workspace.dataset_folder / "2.wav").write_bytes(b"RIFF\x10\0\0\0WAVEjunk and no sound")
    found = one(gate(workspace), "clip-unreadable")
    assert (found.severity, found.where) == ("error", "2.wav")
    assert "2.wav" in found.message
    assert "dataset" in found.fix


def test_a_clip_damaged_below_a_sound_header_is_found_too(workspace: Workspace) -> None:
    import soundfile

    path = workspace.dataset_folder / "long.flac"
    soundfile.write(path, np.random.default_rng(0).uniform(-0.5, 0.5, 40_000), 8_000)
    data = bytearray(path.read_bytes())
    path.write_bytes(data[: len(data) // 3])
    write_captions(workspace, *[f"{index}.wav" for index in range(4)], "long.flac")
    assert one(gate(workspace), "clip-unreadable").where == "long.flac"


def test_many_corrupt_clips_are_named_a_few_and_counted(workspace: Workspace) -> None:
    for index in range(9):
        (workspace.dataset_folder / f"bad{index}.wav").write_bytes(b"RIFF")
    found = [finding for finding in gate(workspace) if finding.id == "clip-unreadable"]
    assert len(found) == 6
    assert found[-1].message.startswith("4 more clips cannot be read: bad5.wav")


def test_files_that_upstream_passes_over_are_named(workspace: Workspace) -> None:
    (workspace.dataset_folder / "song.m4a").write_bytes(b"x")
    found = one(gate(workspace), "clip-unsupported")
    assert (found.severity, "song.m4a" in found.message) == ("warning", True)


def test_a_clip_whose_samples_are_no_numbers_stops_the_start(workspace: Workspace) -> None:
    import soundfile

    samples = np.full(8_000, np.nan, dtype=np.float32)
    soundfile.write(workspace.dataset_folder / "nan.wav", samples, 8_000, subtype="FLOAT")
    found = one(gate(workspace), "clip-unreadable")
    assert (found.severity, found.where) == ("error", "nan.wav")
    assert "no numbers" in found.message


def test_silent_clips_are_named_and_only_silence_stops_the_start(workspace: Workspace) -> None:
    write_wav(workspace.dataset_folder / "1.wav", loud=False)
    found = one(gate(workspace), "clip-silent")
    assert (found.severity, found.where) == ("warning", "1.wav")
    for index in range(4):
        write_wav(workspace.dataset_folder / f"{index}.wav", loud=False)
    assert one(gate(workspace), "clip-silent").severity == "error"


def test_fewer_clips_than_a_batch_stop_the_start(workspace: Workspace) -> None:
    found = one(gate(workspace, batch_size=5), "dataset-too-small")
    assert found.severity == "error"
    assert "Set batch_size to 4 or less" in found.fix
    config = json.loads(workspace.dataset_config_file.read_text()) | {"drop_last": False}
    workspace.dataset_config_file.write_text(json.dumps(config))
    assert is_ok(gate(workspace, batch_size=5))


def test_latents_are_counted_in_place_of_clips(workspace: Workspace) -> None:
    assert one(gate(workspace, latents="latents"), "latents-missing").severity == "error"
    (workspace.root / "latents").mkdir()
    for index in range(3):
        (workspace.root / "latents" / f"{index}.npy").write_bytes(b"x")
    assert "3 latents" in one(gate(workspace, latents="latents"), "dataset-too-small").message
    assert is_ok(gate(workspace, latents="latents", batch_size=3))


def change_dataset(workspace: Workspace, **changes: Any) -> None:
    config = json.loads(workspace.dataset_config_file.read_text())
    config["datasets"][0] |= changes
    workspace.dataset_config_file.write_text(json.dumps(config))


def test_a_config_that_loses_the_captions_stops_the_start(workspace: Workspace) -> None:
    change_dataset(workspace, custom_metadata_module=None)
    assert one(gate(workspace), "caption-module-missing").severity == "error"
    change_dataset(workspace, custom_metadata_module="gone.py")
    assert "gone.py" in one(gate(workspace), "caption-module-missing").message


def test_a_config_of_another_folder_is_pointed_out(workspace: Workspace) -> None:
    change_dataset(workspace, path="models")
    assert one(gate(workspace), "dataset-elsewhere").severity == "warning"


def test_a_broken_metadata_file_stops_the_start(workspace: Workspace) -> None:
    workspace.metadata_file.write_text("{not json\n")
    assert one(gate(workspace), "dataset-unreadable").severity == "error"


def test_an_unknown_key_stops_the_start(workspace: Workspace) -> None:
    workspace.model_config_file.write_text(json.dumps(nano_config(use_emma=True)))
    assert one(gate(workspace), "config-unknown-key").severity == "error"


def test_a_faulty_train_file_does_not_count_for_a_start_that_has_its_settings(workspace: Workspace) -> None:
    workspace.train_config_file.write_text("batch_sise = 4\n")
    assert gate(workspace) == []
    assert one(doctor.check_all(workspace), "config-unknown-key").severity == "error"


def test_wrong_weights_stop_the_start(workspace: Workspace) -> None:
    base = workspace.models_folder / "base_model.ckpt"
    write_wrapped(base)
    assert one(gate(workspace), "weights-wrapped").severity == "error"
    write_base(base, arc_config())
    assert one(gate(workspace), "objective-arc").severity == "error"
    base.unlink()
    assert one(gate(workspace), "weights-missing").severity == "error"
    write_base(base, nano_config())
    config = nano_config()
    config["model"]["diffusion"]["config"]["depth"] = 2
    workspace.model_config_file.write_text(json.dumps(config))
    assert one(gate(workspace), "weights-mismatch").severity == "error"
    resumed = gate(workspace, base_weights=None, resume_from=str(base))
    assert one(resumed, "resume-not-wrapped").severity == "error"


def test_weights_named_like_the_arc_model_are_pointed_out(workspace: Workspace) -> None:
    file = write_base(workspace.models_folder / "model.ckpt")
    assert one(gate(workspace, base_weights=str(file)), "objective-unknown").severity == "warning"


def test_a_missing_text_encoder_folder_stops_the_start(workspace: Workspace) -> None:
    assert one(gate(workspace, text_encoder_home="models/gone"), "text-encoder-missing").severity == "error"


def test_a_python_without_torch_stops_the_start(workspace: Workspace) -> None:
    answer_as(Path(workspace.worker_python), {"torch": None, "stable-audio-tools": None})
    found = one(gate(workspace), "worker-python")
    assert found.severity == "error"
    assert "has no torch and no stable-audio-tools" in found.message


@pytest.mark.parametrize("content", ["#!/bin/sh\nexit 3\n", "#!/bin/sh\necho hello\n"])
def test_a_python_that_does_not_answer_stops_the_start(workspace: Workspace, content: str) -> None:
    Path(workspace.worker_python).write_text(content)
    assert one(gate(workspace), "worker-python").severity == "error"
    Path(workspace.worker_python).unlink()
    assert "cannot be run" in one(gate(workspace), "worker-python").message


def test_this_python_answers() -> None:
    import sys

    assert doctor_machine.ask_worker_python(sys.executable).python == sys.version_info[:3]


def test_versions_that_are_not_tested_are_named(workspace: Workspace) -> None:
    python = Path(workspace.worker_python)
    answer_as(python, {"torch": "2.7.1+cu126"})
    assert gate(workspace) == []
    answer_as(python, {"torch": "2.9.1"}, (3, 12, 1))
    found = one(gate(workspace), "versions")
    assert found.severity == "warning"
    assert "Python 3.12.1" in found.message
    assert "torch 2.9.1 (tested 2.7.1)" in found.message
    answer_as(python, {"setuptools": "82.0.1"})
    assert one(gate(workspace), "versions").severity == "error"


def test_a_disk_that_checkpoints_would_fill_is_told(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    disk = namedtuple("disk", "f_bavail f_frsize f_blocks")

    def with_megabytes(number: int) -> list[Finding]:
        monkeypatch.setattr(os, "statvfs", lambda _: disk(number, 1_000_000, 10_000))
        return gate(workspace)

    # A wrapped nano checkpoint has 41 MB; three are kept and a fourth is written before the first goes.
    assert one(with_megabytes(60), "disk-low").severity == "error"
    assert one(with_megabytes(120), "disk-low").severity == "warning"
    assert with_megabytes(200) == []


def test_too_little_memory_is_told(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    host = gpu.HostSample(None, 1_000_000_000, 999_000_000, None, None)
    monkeypatch.setattr(gpu, "read_host", lambda folder=None: host)
    assert "This machine has 1.0 MB" in one(gate(workspace), "memory-low").message
    full = gpu.GpuReading("ok", "", (gpu.GpuSample(0, "H", 80_000_000_000, 79_999_000_000),))
    monkeypatch.setattr(gpu, "read_gpus", lambda: full)
    assert one(gate(workspace), "memory-low").message.startswith("The GPU has 1.0 MB")


def test_a_machine_without_gpu_or_player_is_information(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    from sao_tui.services import playback

    monkeypatch.setattr(gpu, "read_gpus", lambda: gpu.GpuReading("no-driver", "No NVIDIA driver on this machine."))
    monkeypatch.setattr(playback, "all_players", list)
    findings = doctor.check_all(workspace)
    assert one(findings, "gpu-none").severity == "info"
    assert one(findings, "audio-none").severity == "info"
    assert is_ok(findings)
    monkeypatch.setattr(gpu, "read_gpus", lambda: gpu.GpuReading("error", "The driver does not answer."))
    assert one(doctor.check_all(workspace), "gpu-error").severity == "warning"


def test_errors_come_first(workspace: Workspace) -> None:
    (workspace.dataset_folder / "song.m4a").write_bytes(b"x")
    severities = [finding.severity for finding in gate(workspace, batch_size=99)]
    assert severities == sorted(severities, key=["error", "warning", "info"].index)
