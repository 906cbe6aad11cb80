"""The training loop: what it reports, how it stops, resumes and fails."""

from __future__ import annotations

import copy
import errno
from pathlib import Path
from typing import Any

import pytest

from tests.worker.conftest import Nano, of_kind

pytestmark = pytest.mark.worker


@pytest.fixture
def without_ema(nano: Nano) -> dict[str, Any]:
    config = copy.deepcopy(nano.config)
    config["training"]["use_ema"] = False
    return config


def states(records: list[dict[str, Any]]) -> list[str]:
    return [record["state"] for record in of_kind(records, "state")]


def test_a_run_reports_each_step_and_ends_with_a_checkpoint(run_job, nano: Nano) -> None:
    folder, code, records = run_job(max_steps=3)
    assert code == 0
    assert states(records) == ["starting", "running", "finished"]
    metrics = of_kind(records, "metric")
    assert [record["step"] for record in metrics] == [1, 2, 3]
    for record in metrics:
        assert record["loss"] > 0
        assert record["grad_norm"] > 0
        assert record["step_seconds"] > record["data_seconds"] > 0
        assert record["rss_bytes"] > 1e8
        assert record["vram_allocated_bytes"] is None
    # InverseLR: base rate x warm-up, as the step was made with.
    assert metrics[0]["lr"] == pytest.approx(0.001 * (1 - 0.995), rel=1e-3)
    (checkpoint,) = of_kind(records, "checkpoint")
    assert checkpoint == {**checkpoint, "path": str(folder.checkpoints / "step=00000003.ckpt"), "step": 3}
    messages = [record["message"] for record in of_kind(records, "log")]
    assert any(message.startswith("357/357 tensors loaded from " + str(nano.weights)) for message in messages)


def test_a_checkpoint_has_the_keys_of_upstreams_and_is_read_without_running_code(run_job, nano: Nano) -> None:
    import torch

    folder, _, _ = run_job(max_steps=1)
    (path,) = folder.checkpoints.iterdir()
    content = torch.load(path, weights_only=True)
    assert content["global_step"] == 1
    assert content["model_config"]["model"] == nano.config["model"]
    assert len(content["optimizer_states"]) == 1
    assert {name.split(".")[0] for name in content["state_dict"]} == {"diffusion", "diffusion_ema", "losses"}


def test_old_checkpoints_go_once_newer_ones_are_whole(run_job) -> None:
    folder, _, records = run_job(max_steps=4, checkpoint_every=1, keep_checkpoints=2)
    assert sorted(path.name for path in folder.checkpoints.iterdir()) == ["step=00000003.ckpt", "step=00000004.ckpt"]
    assert [record["step"] for record in of_kind(records, "checkpoint")] == [1, 2, 3, 4]


def test_a_stop_is_obeyed_after_the_step_and_a_checkpoint(run_job, make_job, monkeypatch) -> None:
    folder = make_job(max_steps=50)
    stop_after(folder, 2, monkeypatch)
    _, code, records = run_job(folder)
    assert code == 0
    assert states(records) == ["starting", "running", "stopping", "stopped"]
    assert of_kind(records, "metric")[-1]["step"] == 2
    assert of_kind(records, "state")[-1]["step"] == 2
    assert [path.name for path in folder.checkpoints.iterdir()] == ["step=00000002.ckpt"]
    assert records.index(of_kind(records, "checkpoint")[0]) < records.index(of_kind(records, "state")[-1])


def test_a_stop_waits_for_the_end_of_an_accumulation(run_job, make_job, monkeypatch) -> None:
    folder = make_job(max_steps=50, batch_size=2, accumulate_batches=3)
    stop_after(folder, 1, monkeypatch)
    _, code, records = run_job(folder)
    assert code == 0
    assert [record["step"] for record in of_kind(records, "metric")] == [1]


@pytest.mark.parametrize("has_ema", [True, False], ids=["ema", "no-ema"])
def test_a_resumed_run_goes_on_with_step_optimizer_and_ema(
    run_job, nano: Nano, without_ema, monkeypatch, has_ema
) -> None:
    import torch

    from sao_tui.worker import callbacks

    config = nano.config if has_ema else without_ema
    folder, _, _ = run_job(max_steps=2, model_config=config)
    path = folder.checkpoints / "step=00000002.ckpt"
    saved = torch.load(path, weights_only=True)

    resumed: dict[str, Any] = {}

    def capture(self: Any, trainer: Any, pl_module: Any) -> None:
        resumed["step"] = trainer.global_step
        resumed["state"] = {name: value.clone() for name, value in pl_module.state_dict().items()}
        resumed["optimizer"] = copy.deepcopy(trainer.optimizers[0].state_dict())

    monkeypatch.setattr(callbacks.Metrics, "on_train_epoch_start", capture, raising=False)
    resumed_folder, code, records = run_job(max_steps=3, model_config=config, resume_from=str(path))
    assert code == 0, records[-1]
    assert resumed["step"] == 2
    assert set(resumed["state"]) == set(saved["state_dict"])
    assert all(torch.equal(resumed["state"][name], value) for name, value in saved["state_dict"].items())
    assert any(name.startswith("diffusion_ema.") for name in saved["state_dict"]) == has_ema
    before = saved["optimizer_states"][0]["state"]
    assert resumed["optimizer"]["state"].keys() == before.keys()
    for index, moments in before.items():
        for name, value in moments.items():
            assert torch.equal(resumed["optimizer"]["state"][index][name], value)
    assert [record["step"] for record in of_kind(records, "metric")] == [3]
    rate = of_kind(records, "metric")[0]["lr"]
    assert rate == pytest.approx(0.001 * (1 - 0.995**3), rel=1e-3)
    assert torch.load(resumed_folder.checkpoints / "step=00000003.ckpt", weights_only=True)["global_step"] == 3


def test_a_toggled_ema_is_refused_on_resume(run_job, without_ema) -> None:
    folder, _, _ = run_job(max_steps=1, model_config=without_ema)
    path = str(folder.checkpoints / "step=00000001.ckpt")
    _, code, records = run_job(max_steps=2, resume_from=path)
    assert code == 1
    assert "no EMA" in of_kind(records, "state")[-1]["reason"]
    _, code, records = run_job(max_steps=1, resume_from=path, model_config=without_ema)
    assert code == 1
    assert "is at step 1 of 1 already" in of_kind(records, "state")[-1]["reason"]


def test_base_weights_are_refused_as_a_resume_point_and_a_checkpoint_as_base(run_job, nano: Nano, tmp_path) -> None:
    import torch
    from safetensors.torch import load_file

    bare = tmp_path / "base.ckpt"
    torch.save({"state_dict": load_file(nano.weights)}, bare)
    _, code, records = run_job(resume_from=str(bare))
    assert (code, of_kind(records, "state")[-1]["state"]) == (1, "failed")
    assert "without an optimizer" in of_kind(records, "state")[-1]["reason"]

    wrapped = tmp_path / "wrapped.ckpt"
    torch.save({"state_dict": {"diffusion." + k: v for k, v in load_file(nano.weights).items()}}, wrapped)
    _, code, records = run_job(base_weights=str(wrapped))
    assert code == 1
    assert "only 0 of 357 tensors match" in of_kind(records, "state")[-1]["reason"]
    assert "resume from it" in of_kind(records, "state")[-1]["hint"]


def test_a_file_that_could_run_code_is_refused(run_job, tmp_path) -> None:
    import pickle

    path = tmp_path / "bad.ckpt"
    path.write_bytes(pickle.dumps({"state_dict": Path}))
    _, code, records = run_job(base_weights=str(path))
    assert code == 1
    assert str(path) in of_kind(records, "state")[-1]["reason"]


def test_fewer_clips_than_a_batch_fail_with_the_numbers(run_job) -> None:
    _, code, records = run_job(batch_size=13)
    assert code == 1
    last = of_kind(records, "state")[-1]
    assert "12 audio files" in last["reason"]
    assert "batch_size to 12" in last["hint"]


def test_a_loss_that_is_no_number_fails_and_is_not_saved(run_job, nano: Nano, tmp_path) -> None:
    from safetensors.torch import load_file, save_file

    weights = load_file(nano.weights)
    name = "model.model.preprocess_conv.weight"
    weights[name] = weights[name] * float("nan")
    save_file(weights, tmp_path / "nan.safetensors")
    folder, code, records = run_job(base_weights=str(tmp_path / "nan.safetensors"), checkpoint_every=1)
    assert code == 1
    assert "The loss became nan at step 1" in of_kind(records, "state")[-1]["reason"]
    assert of_kind(records, "metric")[0]["loss"] is None
    assert list(folder.checkpoints.iterdir()) == []


def test_a_full_disk_costs_a_checkpoint_and_not_the_run(run_job, monkeypatch) -> None:
    import torch

    save, calls = torch.save, []

    def save_or_fail(content: Any, file: Any, *args: Any, **kwargs: Any) -> None:
        calls.append(file)
        if len(calls) == 2:
            file.write(b"half of it")
            raise OSError(errno.ENOSPC, "No space left on device")
        save(content, file, *args, **kwargs)

    monkeypatch.setattr(torch, "save", save_or_fail)
    folder, code, records = run_job(max_steps=3, checkpoint_every=1)
    assert code == 0
    assert [record["step"] for record in of_kind(records, "checkpoint")] == [1, 3]
    (warning,) = [w for w in of_kind(records, "warning") if "could not be written" in w["message"]]
    assert "step 2" in warning["message"]
    assert sorted(path.name for path in folder.checkpoints.iterdir()) == ["step=00000001.ckpt", "step=00000003.ckpt"]


def test_captions_that_do_not_reach_the_model_stop_the_run(run_job, nano: Nano) -> None:
    (entry,) = nano.dataset_config["datasets"]
    config = {**nano.dataset_config, "datasets": [{"id": entry["id"], "path": entry["path"]}]}
    _, code, records = run_job(dataset_config=config)
    assert code == 1
    assert "captions do not reach the model" in of_kind(records, "state")[-1]["reason"]


def test_a_broken_clip_is_named_and_the_run_goes_on(run_job, nano: Nano, tmp_path) -> None:
    import shutil

    folder = tmp_path / "with_broken"
    shutil.copytree(nano.dataset, folder)
    (folder / "clip5.wav").write_bytes(b"RIFF....WAVE")
    config = {**nano.dataset_config, "datasets": [{**nano.dataset_config["datasets"][0], "path": str(folder)}]}
    _, code, records = run_job(dataset_config=config, max_steps=3)
    assert code == 0
    (warning,) = of_kind(records, "warning")
    assert str(folder / "clip5.wav") in warning["message"]


def test_a_dataset_of_silence_fails_instead_of_hanging(run_job, nano: Nano, tmp_path) -> None:
    import numpy as np
    import soundfile

    folder = tmp_path / "silent"
    folder.mkdir()
    for index in range(4):
        soundfile.write(folder / f"{index}.wav", np.zeros(8000), 8000)
    config = {**nano.dataset_config, "datasets": [{**nano.dataset_config["datasets"][0], "path": str(folder)}]}
    _, code, records = run_job(dataset_config=config)
    assert code == 1
    assert "silent or unreadable" in of_kind(records, "state")[-1]["reason"]


def stop_after(folder: Any, step: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ask the job to stop while it makes the given step."""
    from sao_tui.worker import callbacks

    begin = callbacks.Metrics.on_train_batch_start

    def ask(self: Any, trainer: Any, *args: Any) -> None:
        if trainer.global_step == step - 1:
            (folder.requests / "stop").touch()
        begin(self, trainer, *args)

    monkeypatch.setattr(callbacks.Metrics, "on_train_batch_start", ask)


def test_recomputation_is_left_out_only_where_it_saves_little(nano: Nano) -> None:
    from stable_audio_tools.models import transformer

    from sao_tui.worker.recomputation import activation_bytes, left_out_if_cheap

    upstreams = transformer.checkpoint
    with left_out_if_cheap(nano.config, 8) as is_left_out:
        assert is_left_out and transformer.checkpoint is not upstreams
    assert transformer.checkpoint is upstreams
    real = copy.deepcopy(nano.config)
    real["sample_size"] = 524_288
    real["model"]["pretransform"]["config"]["downsampling_ratio"] = 2048
    real["model"]["diffusion"]["config"].update(embed_dim=1024, depth=16)
    assert activation_bytes(real, 1) == pytest.approx(1.94e9, rel=0.05)
    with left_out_if_cheap(real, 1) as is_left_out:
        assert not is_left_out and transformer.checkpoint is upstreams
