"""The nano model as shipped: small, whole, and made by code that can make it again."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from sao_tui.core.sounds import synth
from sao_tui.worker.nano import autoencoder, filterbank

pytestmark = pytest.mark.worker

NANO = Path(__file__).resolve().parents[2] / "configs" / "nano"


@pytest.fixture(scope="module")
def model_config() -> dict:
    return json.loads((NANO / "base_model_config.json").read_text())


def test_the_shipped_files_stay_below_12_megabytes() -> None:
    assert sum(file.stat().st_size for file in NANO.rglob("*.safetensors")) <= 12_000_000


def test_the_filterbank_passes_low_sounds_before_any_training(model_config: dict) -> None:
    torch.manual_seed(0)
    model = autoencoder.autoencoder_from(model_config).eval()
    filterbank.initialise(model, noise_bias=-8.0)
    seconds = torch.arange(synth.SAMPLE_SIZE) / synth.SAMPLE_RATE_HZ
    tone = torch.sin(2 * torch.pi * 440 * seconds)[None, None].repeat(1, 2, 1)
    with torch.no_grad():
        decoded = model.decode(model.encode(tone))
    inner = slice(1_000, -1_000)
    error = (decoded - tone)[..., inner].square().mean() / tone[..., inner].square().mean()
    assert error < 0.15


def test_mdct_halves_of_neighbouring_frames_cancel_their_aliases() -> None:
    basis = filterbank.mdct_basis(8)
    first, second = basis[:, :8], basis[:, 8:]
    assert torch.allclose(first.T @ first + second.T @ second, torch.eye(8), atol=1e-5)
    assert torch.allclose(basis @ basis.T, torch.eye(8), atol=1e-5)


def test_autoencoder_training_resumes_where_it_stopped(tmp_path: Path, model_config: dict) -> None:
    straight = autoencoder.train(model_config, _folder(tmp_path / "straight"), 4, seed=5, pool_size=14)
    halves = _folder(tmp_path / "halves")
    autoencoder.train(model_config, halves, 4, seed=5, pool_size=14, stop_after=2)
    resumed = autoencoder.train(model_config, halves, 4, seed=5, pool_size=14)
    first, second = (torch.load(path, weights_only=True)["model"] for path in (straight, resumed))
    assert first.keys() == second.keys()
    assert all(torch.equal(first[name], second[name]) for name in first)


def _folder(path: Path) -> Path:
    path.mkdir()
    return path
