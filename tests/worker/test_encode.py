"""Pre-encoding: upstream reads the latents, and training sees what it would see with raw audio."""

from __future__ import annotations

import copy
import json
import zlib
from typing import Any

import numpy as np
import pytest

from tests.worker.conftest import Nano, of_kind

pytestmark = pytest.mark.worker


def test_every_clip_gets_latents_that_upstreams_dataset_reads(run_job, nano: Nano, tmp_path) -> None:
    from stable_audio_tools.data.dataset import LocalDatasetConfig, PreEncodedDataset

    latents = tmp_path / "latents"
    _, code, records = run_job(kind="encode", output=str(latents), batch_size=5)
    assert code == 0, records[-1]
    assert of_kind(records, "progress")[-1] == {**of_kind(records, "progress")[-1], "done": 12, "total": 12}
    dataset = PreEncodedDataset([LocalDatasetConfig("latents", str(latents))])
    assert len(dataset) == 12
    captions = [json.loads(line) for line in (nano.dataset / "metadata.jsonl").read_text().splitlines()]
    by_relpath = {line["audio_path"]: line["text"] for line in captions}
    for index in range(12):
        values, info = dataset[index]
        assert values.shape == (64, 128)
        assert values.dtype.is_floating_point and values.numpy().dtype == np.float32
        assert info["padding_mask"][0].shape == (128,)
        assert info["relpath"] in by_relpath
        assert info["prompt"] == by_relpath[info["relpath"]]
        assert info["seconds_total"] in (1, 2, 3)
        assert info["path"] == str(nano.dataset / info["relpath"])


def test_a_second_run_encodes_only_what_is_missing(run_job, nano: Nano, tmp_path) -> None:
    latents = tmp_path / "latents"
    run_job(kind="encode", output=str(latents))
    before = {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in latents.rglob("*.npy")}
    lost = latents / "clip3.wav.npy"
    lost.unlink()
    _, code, records = run_job(kind="encode", output=str(latents))
    assert code == 0
    assert any("11 of them encoded already" in record["message"] for record in of_kind(records, "log"))
    after = {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in latents.rglob("*.npy")}
    assert {path for path in before if before[path] != after[path]} == {lost}
    # The random draw of the bottleneck depends on the clip alone.
    assert after[lost][1] == before[lost][1]


def test_latents_of_another_autoencoder_are_not_mixed(run_job, nano: Nano, tmp_path) -> None:
    from safetensors.torch import load_file, save_file

    latents = tmp_path / "latents"
    run_job(kind="encode", output=str(latents))
    weights = load_file(nano.weights)
    name = next(name for name in weights if name.startswith("pretransform.") and name.endswith("bias"))
    weights[name] = weights[name] + 1
    save_file(weights, tmp_path / "other.safetensors")
    _, code, records = run_job(kind="encode", output=str(latents), base_weights=str(tmp_path / "other.safetensors"))
    assert code == 1
    assert "another autoencoder" in of_kind(records, "state")[-1]["reason"]


def test_an_unreadable_clip_is_left_out_and_named(run_job, nano: Nano, tmp_path) -> None:
    import shutil

    folder = tmp_path / "clips.npy"
    shutil.copytree(nano.dataset, folder)
    (folder / "clip4.wav").write_bytes(b"not audio")
    config = {**nano.dataset_config, "datasets": [{**nano.dataset_config["datasets"][0], "path": str(folder)}]}
    latents = tmp_path / "latents"
    _, code, records = run_job(kind="encode", output=str(latents), dataset_config=config)
    assert code == 0
    (warning,) = of_kind(records, "warning")
    assert str(folder / "clip4.wav") in warning["message"]
    assert len(list(latents.rglob("*.npy"))) == 11


def test_a_stop_keeps_what_is_encoded(run_job, make_job, monkeypatch) -> None:
    from sao_tui.worker import encode

    folder = make_job(kind="encode")
    save = encode.save

    def save_and_stop(*args: Any) -> None:
        save(*args)
        (folder.requests / "stop").touch()

    monkeypatch.setattr(encode, "save", save_and_stop)
    _, code, records = run_job(folder)
    assert code == 0
    last = of_kind(records, "state")[-1]
    assert (last["state"], last["step"], last["steps"]) == ("stopped", 1, 12)


def test_names_never_hold_what_upstream_replaces() -> None:
    from sao_tui.worker.encode import latent_name

    names = [latent_name(relpath) for relpath in ("a.npy/b.wav", "a%2Enpy/b.wav", "b.wav", "b.flac")]
    assert len(set(names)) == 4
    assert all(name.count(".npy") == 1 and name.endswith(".npy") for name in names)


@pytest.mark.parametrize("scale", [1.0, 2.5])
def test_raw_and_pre_encoded_training_see_the_same_latents(run_job, nano: Nano, tmp_path, monkeypatch, scale) -> None:
    import torch
    from stable_audio_tools.data.dataset import LocalDatasetConfig, PreEncodedDataset, SampleDataset
    from stable_audio_tools.training.factory import create_training_wrapper_from_config

    from sao_tui.worker.model import create_model, load_weights, read_weights

    config = copy.deepcopy(nano.config)
    config["model"]["pretransform"]["scale"] = scale
    latents = tmp_path / "latents"
    _, code, records = run_job(kind="encode", output=str(latents), model_config=config)
    assert code == 0, records[-1]

    model = create_model(config)
    load_weights(model, read_weights(nano.weights), nano.weights, print)
    seen: list[Any] = []
    randn_like = torch.randn_like
    monkeypatch.setattr(torch, "randn_like", lambda tensor, **k: (seen.append(tensor), randn_like(tensor, **k))[1])

    def input_of_dit(batch: Any, pre_encoded: bool, seed: int) -> Any:
        wrapper = create_training_wrapper_from_config(
            {**config, "training": {**config["training"], "pre_encoded": pre_encoded}}, model
        )
        monkeypatch.setattr(type(wrapper), "trainer", FakeTrainer())
        wrapper.log_dict = lambda *args, **kwargs: None
        seen.clear()
        torch.manual_seed(seed)
        wrapper.training_step(batch, 0)
        return seen[-1]

    encoded = PreEncodedDataset([LocalDatasetConfig("latents", str(latents))])
    (entry,) = [encoded[index] for index in range(12) if encoded[index][1]["relpath"] == "clip5.wav"]
    raw = SampleDataset(
        [LocalDatasetConfig("clips", str(nano.dataset))],
        config["sample_size"],
        config["sample_rate"],
        random_crop=False,
    )
    raw.augs = None  # the random phase
    (index,) = [i for i, name in enumerate(raw.filenames) if name.endswith("/clip5.wav")]
    audio, info = raw[index]
    from_raw = input_of_dit((audio[None], ({**info, "prompt": "x"},)), False, zlib.crc32(b"clip5.wav"))
    from_latents = input_of_dit((entry[0][None], (entry[1],)), True, 0)
    assert torch.allclose(from_raw, from_latents, atol=1e-6)
    assert from_raw.std() > 1e-3


class FakeTrainer:
    class _Optimizer:
        param_groups = ({"lr": 1.0},)

    optimizers = (_Optimizer(),)
