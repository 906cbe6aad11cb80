"""Exports of real runs, compared tensor by tensor with what torch reads from the checkpoint."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sao_tui.services import checkpoints, models
from tests.worker.conftest import Nano

pytestmark = pytest.mark.worker

RunJob = Callable[..., tuple[Any, int, list[dict[str, Any]]]]


def config_with(nano: Nano, *, ema: bool) -> dict[str, Any]:
    config = copy.deepcopy(nano.config)
    config["training"]["use_ema"] = ema
    # A rate that moves EMA and online weights apart within three steps.
    config["training"]["optimizer_configs"]["diffusion"]["optimizer"]["config"]["lr"] = 0.1
    del config["training"]["optimizer_configs"]["diffusion"]["scheduler"]
    return config


_trained: dict[bool, Path] = {}
"""One run of each kind serves all tests of this file."""


def trained(run_job: RunJob, nano: Nano, *, ema: bool) -> Path:
    if ema not in _trained:
        folder, code, _ = run_job(max_steps=4, model_config=config_with(nano, ema=ema))
        assert code == 0
        (_trained[ema],) = folder.checkpoints.iterdir()
    return _trained[ema]


def state_of(checkpoint: Path) -> dict[str, Any]:
    import torch

    return dict(torch.load(checkpoint, weights_only=True)["state_dict"])


def online(state: dict[str, Any]) -> dict[str, Any]:
    return {name.removeprefix("diffusion."): t for name, t in state.items() if name.startswith("diffusion.")}


def assert_same(found: dict[str, Any], expected: dict[str, Any]) -> None:
    import torch

    assert found.keys() == expected.keys()
    for name, tensor in expected.items():
        assert found[name].dtype == tensor.dtype, name
        assert torch.equal(found[name], tensor), name


def test_a_run_with_ema_exports_its_ema_and_the_online_conditioner(run_job: RunJob, nano: Nano) -> None:
    import torch
    from safetensors.torch import load_file

    checkpoint = trained(run_job, nano, ema=True)
    report = checkpoints.export(checkpoint)
    state = state_of(checkpoint)
    expected = online(state)
    shadow = {f"model.{n.removeprefix('diffusion_ema.ema_model.')}": t for n, t in state.items() if "ema_model" in n}
    differing = [name for name, tensor in shadow.items() if not torch.equal(tensor, expected[name])]
    assert len(differing) > 100, "the EMA must not equal the online weights for this test to mean anything"
    assert_same(load_file(report.path), expected | shadow)
    assert (report.weights, report.tensors, report.verified) == ("ema", 357, True)


def test_a_run_without_ema_exports_its_weights_though_the_config_says_otherwise(run_job: RunJob, nano: Nano) -> None:
    from safetensors.torch import load_file

    checkpoint = trained(run_job, nano, ema=False)
    job_file = checkpoint.parent.parent / "job.json"
    job = json.loads(job_file.read_text())
    job["model_config"]["training"]["use_ema"] = True
    job_file.write_text(json.dumps(job))
    report = checkpoints.export(checkpoint)
    assert report.weights == "raw"
    assert_same(load_file(report.path), online(state_of(checkpoint)))


def test_upstreams_model_takes_an_export_strictly(run_job: RunJob, nano: Nano) -> None:
    from safetensors.torch import load_file

    from sao_tui.worker.model import create_model

    report = checkpoints.export(trained(run_job, nano, ema=True))
    assert report.config is not None
    config = json.loads(report.config.read_text())
    create_model(config).load_state_dict(load_file(report.path), strict=True)
    found = models.inspect(report.path, report.config)
    assert (found.kind, found.step, found.objective) == ("exported", 4, "rectified_flow")
    assert found.matches is not None
    assert found.matches.is_whole


def test_headers_of_real_files_agree_with_torch(run_job: RunJob, nano: Nano) -> None:
    checkpoint = trained(run_job, nano, ema=True)
    report = models.inspect(checkpoint)
    assert (report.kind, report.step, report.has_optimizer) == ("wrapped-ema", 4, True)
    assert report.header is not None
    shapes = {name: info.shape for name, info in report.header.tensors.items()}
    assert shapes == {name: tuple(tensor.shape) for name, tensor in state_of(checkpoint).items()}


def test_files_of_torch_save_in_all_their_forms_are_read(tmp_path: Path, nano: Nano) -> None:
    import torch

    from sao_tui.core.weights import read_header

    base = torch.arange(24, dtype=torch.bfloat16).reshape(4, 6)
    state = {
        "model.model.view": base[1:3, 2:4],
        "model.model.transposed": base.T,
        "model.model.parameter": torch.nn.Parameter(torch.ones(3)),
        "model.model.scalar": torch.tensor(3),
        "model.model.empty": torch.empty(0, 3),
        "model.model.eight": torch.ones(2).to(torch.float8_e4m3fn),
    }
    for protocol in (2, 4):
        path = tmp_path / f"{protocol}.ckpt"
        wrapped = {f"diffusion.{name}": tensor for name, tensor in state.items()}
        torch.save({"state_dict": wrapped, "global_step": 2**40}, path, pickle_protocol=protocol)
        header = read_header(path)
        assert {n: i.shape for n, i in header.tensors.items()} == {n: tuple(t.shape) for n, t in wrapped.items()}
        assert header.step == 2**40
        report = checkpoints.export(path)
        from safetensors.torch import load_file

        found = load_file(report.path)
        for name, tensor in state.items():
            assert found[name].shape == tensor.shape
            mine, theirs = found[name].reshape(-1), tensor.detach().reshape(-1)
            assert torch.equal(mine.view(torch.uint8), theirs.view(torch.uint8)), name
    torch.save(state, tmp_path / "old.pt", _use_new_zipfile_serialization=False)
    assert models.inspect(tmp_path / "old.pt").kind == "foreign"
