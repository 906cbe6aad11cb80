"""Train the nano model's autoencoder on every kind of synthesised sound.

As in SAO-small the autoencoder is general and frozen afterwards: it hears all classes, also the one
that the diffusion model will not. Shapes: B batch, C channels, N samples, L latent frames.
"""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from stable_audio_tools.models.autoencoders import create_autoencoder_from_config
from torch import Tensor

from sao_tui.core.sounds import hearing, synth
from sao_tui.worker.nano import filterbank

CROP = 4_096
BATCH_SIZE = 8
POOL_SIZE = 4_200
LEARNING_RATE = 1.5e-3
COOLDOWN = 0.3
"""Share of the steps, at the end, over which the learning rate falls linearly to zero."""
KL_WEIGHT = 1e-5
"""Small enough that the posterior does not collapse on sounds this sparse."""
INITIAL_NOISE = -3.0
"""Bias of the encoder's scale outputs: latents start almost free of noise."""
WAVEFORM_WEIGHT = 2.0
FFT_SIZES = (512, 256, 128, 64)
LOG_GAIN = 50.0
"""Amplitudes below 1 / LOG_GAIN count almost linearly: a plain log would spend the model on silence."""
SAVE_EVERY = 200


def autoencoder_from(model_config: dict[str, Any]) -> Any:
    """Return the untrained autoencoder that `model_config` describes as its pretransform."""
    pretransform = model_config["model"]["pretransform"]
    return create_autoencoder_from_config({"sample_rate": model_config["sample_rate"], "model": pretransform["config"]})


def make_pool(num_clips: int, seed: int) -> Tensor:
    """Return clips of all classes in turn as int16, shape [clips, N]."""
    rng = np.random.default_rng(seed)
    kinds = (*synth.BASE_CLASSES, synth.NEW_CLASS)
    clips = [synth.pad(synth.make_clip(kinds[i % len(kinds)], rng).audio) for i in range(num_clips)]
    return torch.from_numpy((np.stack(clips) * 32_767).astype(np.int16))


def train(
    model_config: dict[str, Any],
    folder: Path,
    num_steps: int,
    seed: int,
    pool_size: int = POOL_SIZE,
    stop_after: int | None = None,
) -> Path:
    """Train for `num_steps` in all, going on from a checkpoint in `folder`; return the weights' file.

    Args:
        stop_after: Leave off at this step of the `num_steps`, for a later call to go on from.
    """
    torch.manual_seed(seed)
    # Not .train(): the gradient checkpointing that it turns on only costs time at this size.
    model = autoencoder_from(model_config).eval()
    filterbank.initialise(model, INITIAL_NOISE)
    optimizer = torch.optim.AdamW(model.parameters(), LEARNING_RATE, betas=(0.8, 0.99), weight_decay=1e-4)
    checkpoint_path = folder / "autoencoder.ckpt"
    step = 0
    if checkpoint_path.exists():
        saved = torch.load(checkpoint_path, weights_only=True)
        model.load_state_dict(saved["model"])
        optimizer.load_state_dict(saved["optimizer"])
        step = saved["step"]
    pool = make_pool(pool_size, seed)
    last_step = min(num_steps, stop_after or num_steps)
    started, started_step = time.monotonic(), step
    while step < last_step:
        # The bottleneck draws its noise from the global generator: by step, a resumed run draws the same.
        torch.manual_seed(seed * 1_000_003 + step)
        _set_learning_rate(optimizer, step, num_steps)
        losses = _train_step(model, optimizer, _batch(pool, seed, step))
        step += 1
        if step % 50 == 0:
            rate = (step - started_step) / (time.monotonic() - started)
            print(json.dumps({"step": step, "steps_per_second": round(rate, 2), **losses}), flush=True)
        if step % SAVE_EVERY == 0 or step == last_step:
            _save({"model": model.state_dict(), "optimizer": optimizer.state_dict(), "step": step}, checkpoint_path)
    return checkpoint_path


def _save(state: dict[str, Any], file: Path) -> None:
    torch.save(state, file.with_suffix(".part"))
    os.replace(file.with_suffix(".part"), file)


@torch.no_grad()
def recognised(model: Any, num_clips: int = 70, seed: int = 99) -> dict[str, float]:
    """Return, per class, the share of fresh clips that are still recognised after a round trip."""
    rng = np.random.default_rng(seed)
    model.eval()
    shares: dict[str, float] = {}
    kinds = (*synth.BASE_CLASSES, synth.NEW_CLASS)
    for kind in kinds:
        clips = [synth.pad(synth.make_clip(kind, rng).audio) for _ in range(num_clips // len(kinds))]
        audio_BCN = torch.from_numpy(np.stack(clips))[:, None].repeat(1, 2, 1)
        decoded_BCN = model.decode(model.encode(audio_BCN)).numpy()
        heard = [hearing.classify(clip, synth.SAMPLE_RATE_HZ).kind for clip in decoded_BCN]
        shares[kind] = heard.count(kind) / len(heard)
    return shares


def _batch(pool: Tensor, seed: int, step: int) -> Tensor:
    """Return a batch that depends on seed and step alone, so that a resumed run sees the same."""
    generator = torch.Generator().manual_seed(seed * 1_000_003 + step)
    rows = torch.randint(len(pool), (BATCH_SIZE,), generator=generator)
    starts = torch.randint(pool.shape[1] - CROP, (BATCH_SIZE,), generator=generator)
    gains = 0.5 + torch.rand(BATCH_SIZE, 1, generator=generator)
    crops = torch.stack([pool[row, start : start + CROP] for row, start in zip(rows, starts, strict=True)])
    mono_BN = crops.float() / 32_767 * gains
    return mono_BN[:, None].repeat(1, 2, 1)


def _train_step(model: Any, optimizer: torch.optim.Optimizer, audio_BCN: Tensor) -> dict[str, float]:
    latents_BCL, info = model.encode(audio_BCN, return_info=True)
    decoded_BCN = model.decode(latents_BCL)
    spectral = _spectral_loss(decoded_BCN[:, 0], audio_BCN[:, 0])
    waveform = (decoded_BCN - audio_BCN).square().mean() / audio_BCN.square().mean().clamp(min=1e-4)
    loss = spectral + WAVEFORM_WEIGHT * waveform + KL_WEIGHT * info["kl"]
    optimizer.zero_grad()
    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 5.0)
    optimizer.step()
    names = {"spectral": spectral, "waveform": waveform, "kl": info["kl"], "latent_std": latents_BCL.std()}
    return {name: round(float(value), 4) for name, value in names.items()}


def _spectral_loss(decoded_BN: Tensor, audio_BN: Tensor) -> Tensor:
    """Return spectral convergence plus the distance of compressed magnitudes, over FFT_SIZES."""
    total = decoded_BN.new_zeros(())
    for size in FFT_SIZES:
        window = torch.hann_window(size)
        made, real = (
            torch.stft(x, size, size // 4, window=window, return_complex=True).abs() / (size / 4)
            for x in (decoded_BN, audio_BN)
        )
        convergence = torch.linalg.vector_norm(made - real) / torch.linalg.vector_norm(real).clamp(min=1.0)
        total = total + convergence + (torch.log1p(LOG_GAIN * made) - torch.log1p(LOG_GAIN * real)).abs().mean()
    return total / len(FFT_SIZES)


def _set_learning_rate(optimizer: torch.optim.Optimizer, step: int, num_steps: int) -> None:
    warmup = min(1.0, (step + 1) / 100)
    cooldown = min(1.0, (num_steps - step) / (COOLDOWN * num_steps))
    for group in optimizer.param_groups:
        group["lr"] = LEARNING_RATE * warmup * cooldown
