"""The cures: each fault shows without its cure and is gone with it, and a version without it is left alone."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest

from tests.worker.conftest import ROOT, Nano

pytestmark = pytest.mark.worker


@pytest.fixture(scope="module")
def parts(nano: Nano) -> Any:
    """A training wrapper and two raw clips as upstream's dataset gives them."""
    import torch
    from stable_audio_tools.data.dataset import LocalDatasetConfig, SampleDataset
    from stable_audio_tools.training.factory import create_training_wrapper_from_config

    from sao_tui.worker.model import create_model

    torch.manual_seed(0)
    wrapper = create_training_wrapper_from_config(nano.config, create_model(nano.config))
    wrapper.log_dict = lambda *args, **kwargs: None
    wrapper.__dict__["_trainer"] = None
    dataset = SampleDataset(
        [LocalDatasetConfig("clips", str(nano.dataset))],
        nano.config["sample_size"],
        nano.config["sample_rate"],
        random_crop=False,
    )
    items = [dataset[index] for index in range(2)]
    batch = (torch.stack([item[0] for item in items]), tuple({**item[1], "prompt": "x"} for item in items))
    return wrapper, batch


def training_step(parts: Any, monkeypatch: pytest.MonkeyPatch, step: Any) -> Any:
    """Make one training step; return the timesteps that the DiT saw."""
    wrapper, batch = parts

    class Trainer:
        optimizers = (type("Optimizer", (), {"param_groups": [{"lr": 1.0}]}),)

    monkeypatch.setattr(type(wrapper), "trainer", Trainer())
    seen = []
    forward = type(wrapper.diffusion).forward

    def spy(self: Any, x: Any, t: Any, *args: Any, **kwargs: Any) -> Any:
        seen.append(t)
        return forward(self, x, t, *args, **kwargs)

    monkeypatch.setattr(type(wrapper.diffusion), "forward", spy)
    step(wrapper, batch, 0)
    return seen[0]


def test_raw_training_crashes_on_the_padding_mask_without_its_cure(parts, monkeypatch) -> None:
    original = type(parts[0]).training_step.__wrapped__
    with pytest.raises(NotImplementedError, match="Only 3D, 4D and 5D input"):
        training_step(parts, monkeypatch, original)


def test_raw_training_sees_only_t_1_without_its_cure(parts, monkeypatch) -> None:
    from stable_audio_tools.inference.sampling import DistributionShift

    from sao_tui.worker.upstream import _with_wrapped_mask

    original = type(parts[0]).training_step.__wrapped__
    monkeypatch.setattr(DistributionShift, "time_shift", DistributionShift.time_shift.__wrapped__)
    wrapper, (reals, metadata) = parts
    # Far more samples than max_length, as in the real model; the mask is wrapped by hand.
    monkeypatch.setattr(wrapper.diffusion.dist_shift, "max_length", 256)
    parts = (wrapper, (reals, tuple(_with_wrapped_mask(entry) for entry in metadata)))
    assert training_step(parts, monkeypatch, original).min() > 0.999


def test_raw_training_sees_the_shift_of_its_latent_length(parts, monkeypatch) -> None:
    import torch

    wrapper = parts[0]
    lengths = []
    shift = type(wrapper.diffusion.dist_shift).time_shift

    def spy(self: Any, t: Any, length: int) -> Any:
        lengths.append(length)
        return shift(self, t, length)

    monkeypatch.setattr(type(wrapper.diffusion.dist_shift), "time_shift", spy)
    torch.manual_seed(3)
    t = torch.cat([training_step(parts, monkeypatch, type(wrapper).training_step) for _ in range(3)])
    assert set(lengths) == {128}
    assert t.min() > 0 and t.max() < 0.999
    assert type(wrapper.diffusion.dist_shift).__name__ == "DistributionShift"


def test_lengths_beyond_the_options_are_clamped() -> None:
    import torch
    from stable_audio_tools.inference.sampling import DistributionShift

    t, shift = torch.tensor([0.3]), DistributionShift(min_length=128, max_length=256)
    assert torch.equal(shift.time_shift(t, 10_000), shift.time_shift(t, 256))
    assert torch.equal(shift.time_shift(t, 1), shift.time_shift(t, 128))
    uncured = DistributionShift.time_shift.__wrapped__
    assert float(uncured(shift, t, 10_000)) == pytest.approx(1.0, abs=1e-6)
    assert torch.equal(uncured(shift, t, 200), shift.time_shift(t, 200))


def test_inverse_lr_takes_the_closed_form_and_survives_a_state_dict() -> None:
    import torch
    from stable_audio_tools.training import utils

    def optimizer() -> Any:
        return torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=2.0)

    if "is_cured" in vars(utils.InverseLR.__init__) or utils.InverseLR.__module__.startswith("sao_tui"):
        with pytest.raises(TypeError, match="positional arguments"):
            utils.InverseLR.__mro__[1](optimizer())
    used = optimizer()
    schedule = utils.create_scheduler_from_config(
        {"type": "InverseLR", "config": {"inv_gamma": 10, "power": 0.5, "warmup": 0.9}}, used
    )
    for step in range(4):
        expected = (1 - 0.9 ** (step + 1)) * 2.0 * (1 + step / 10) ** -0.5
        assert used.param_groups[0]["lr"] == pytest.approx(expected)
        used.step()
        schedule.step()
    again = optimizer()
    resumed = utils.InverseLR(again, inv_gamma=10, power=0.5, warmup=0.9)
    resumed.load_state_dict(schedule.state_dict())
    assert resumed.get_last_lr() == schedule.get_last_lr()


def test_a_loader_without_worker_processes_needs_its_cure(nano: Nano) -> None:
    from stable_audio_tools.data import dataset

    arguments = {"batch_size": 2, "sample_size": 16384, "sample_rate": 8000, "num_workers": 0}
    with pytest.raises(ValueError, match="persistent_workers option needs num_workers > 0"):
        dataset.create_dataloader_from_config.__wrapped__(nano.dataset_config, **arguments)
    assert len(dataset.create_dataloader_from_config(nano.dataset_config, **arguments)) == 6


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_the_text_encoder_gives_the_same_bits_under_autocast(parts, dtype) -> None:
    import torch

    conditioner = parts[0].diffusion.conditioner.conditioners["prompt"]
    plain, _ = conditioner(["a low tone"], "cpu")
    with torch.autocast("cpu", dtype=getattr(torch, dtype)):
        under, _ = conditioner(["a low tone"], "cpu")
    assert torch.equal(plain, under)


def test_folders_are_matched_as_folders(nano: Nano, tmp_path) -> None:
    import shutil

    from stable_audio_tools.data import dataset

    from sao_tui.worker.upstream import fence_paths

    module = tmp_path / "captions.py"
    module.write_text("import os\ndef get_custom_metadata(info, audio):\n    return {'prompt': 'of a'}\n")
    for name in ("a", "ab"):
        (tmp_path / name).mkdir()
        shutil.copy(nano.dataset / "clip1.wav", tmp_path / name / f"{name}.wav")
    entries = [
        {"id": "a", "path": str(tmp_path / "a"), "custom_metadata_module": str(module)},
        {"id": "ab", "path": str(tmp_path / "ab")},
    ]

    def prompts(config: dict[str, Any]) -> dict[str, Any]:
        loader = dataset.create_dataloader_from_config(config, 1, 16384, 8000, num_workers=0)
        items = [loader.dataset[index][1] for index in range(2)]
        return {item["path"].rsplit("/", 1)[1]: item.get("prompt") for item in items}

    config = {"dataset_type": "audio_dir", "datasets": entries}
    assert prompts(config) == {"a.wav": "of a", "ab.wav": "of a"}
    assert prompts(fence_paths(config)) == {"a.wav": "of a", "ab.wav": None}


def test_ranks_draw_different_numbers() -> None:
    from sao_tui.worker.upstream import seed_for_rank

    assert [seed_for_rank(42, env) for env in ({}, {"RANK": "3"}, {"SLURM_PROCID": "2"})] == [42, 45, 44]


def test_loss_info_is_off_on_one_device(nano: Nano) -> None:
    from sao_tui.worker.upstream import without_loss_info

    config = {**nano.config, "training": {**nano.config["training"], "log_loss_info": True}}
    assert without_loss_info(config)["training"]["log_loss_info"] is False
    assert config["training"]["log_loss_info"] is True


def test_cures_are_applied_once_and_leave_a_fixed_version_alone(monkeypatch) -> None:
    from stable_audio_tools.inference.sampling import DistributionShift
    from stable_audio_tools.training import utils
    from torch.optim.lr_scheduler import LRScheduler

    from sao_tui.worker import upstream

    assert upstream.apply_training_cures() == []
    monkeypatch.setattr(DistributionShift, "time_shift", lambda self, t, seq_len: t)
    assert not upstream.cure_shift_length()

    class FixedLR(LRScheduler):
        def get_lr(self) -> list[float]:
            return list(self.base_lrs)

    monkeypatch.setattr(utils, "InverseLR", FixedLR)
    assert not upstream.cure_inverse_lr()
    assert utils.InverseLR is FixedLR


def test_what_is_imported_late_is_there_when_it_is_used() -> None:
    code = (
        "from sao_tui.worker import upstream; upstream.import_training_modules(); import sys\n"
        "assert not any(name.startswith('wandb.') for name in sys.modules), 'wandb'\n"
        "assert not any(name.startswith('audiotools.') for name in sys.modules), 'audiotools'\n"
        "assert not any(name.startswith('torch._inductor.compile_fx') for name in sys.modules), 'inductor'\n"
        "import wandb; assert callable(wandb.Audio); import audiotools; assert audiotools.AudioSignal\n"
        "from stable_audio_tools.interface.aeiou import audio_spectrogram_image as draw\n"
        "import torch; assert draw(torch.zeros(2, 8000), sample_rate=8000) is not None\n"
    )
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
