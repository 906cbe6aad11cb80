"""Train the nano model's DiT on the base classes, and write base weights as a user would download them.

Shapes: B batch, C latent channels, L latent frames, N samples.
"""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn import functional

from sao_tui.core.sounds import synth
from sao_tui.worker.nano.autoencoder import autoencoder_from

CLIPS_PER_CLASS = 500
BATCH_SIZE = 24
LEARNING_RATE = 1e-3
COOLDOWN = 0.3
EMA_DECAY = 0.998
PROMPT_DROPOUT = 0.1
SECONDS_TOTAL = 2
"""Whole seconds, rounded up, of every synthesised clip: what upstream's dataset reports for them."""
SAVE_EVERY = 250


def build_model(model_config: dict[str, Any], autoencoder: nn.Module) -> nn.Module:
    """Return upstream's model of `model_config` with the trained autoencoder inside."""
    from stable_audio_tools.models.factory import create_model_from_config

    model: nn.Module = create_model_from_config(model_config)
    model.pretransform.model.load_state_dict(autoencoder.state_dict())
    return model


def load_autoencoder(model_config: dict[str, Any], folder: Path) -> nn.Module:
    """Return the autoencoder that was trained in `folder`, in single precision."""
    autoencoder = autoencoder_from(model_config)
    autoencoder.load_state_dict(torch.load(folder / "autoencoder.ckpt", weights_only=True)["model"])
    return autoencoder.eval()


def train(model_config: dict[str, Any], folder: Path, num_steps: int, seed: int) -> Path:
    """Train for `num_steps` in all, going on from a checkpoint in `folder`; return the weights' file."""
    torch.manual_seed(seed)
    autoencoder = load_autoencoder(model_config, folder)
    model = build_model(model_config, autoencoder)
    latents_BCL, captions = _encode_pool(autoencoder, seed)
    embeddings = _embed_captions(model)
    parameters = [*model.model.parameters(), *model.conditioner.parameters()]
    optimizer = torch.optim.AdamW(parameters, LEARNING_RATE, betas=(0.9, 0.95), weight_decay=0.01)
    averages = {name: value.detach().clone() for name, value in _trained_state(model).items()}
    checkpoint_path, step = folder / "dit.ckpt", 0
    if checkpoint_path.exists():
        saved = torch.load(checkpoint_path, weights_only=True)
        model.load_state_dict(saved["model"], strict=False)
        optimizer.load_state_dict(saved["optimizer"])
        averages, step = saved["averages"], saved["step"]
    started, started_step, recent = time.monotonic(), step, []
    while step < num_steps:
        cooldown = min(1.0, (num_steps - step) / (COOLDOWN * num_steps))
        for group in optimizer.param_groups:
            group["lr"] = LEARNING_RATE * min(1.0, (step + 1) / 100) * cooldown
        generator = torch.Generator().manual_seed(seed * 1_000_003 + step)
        rows = torch.randint(len(latents_BCL), (BATCH_SIZE,), generator=generator)
        loss = _loss(model, latents_BCL[rows], [captions[row] for row in rows], embeddings, generator)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        step += 1
        decay = min(EMA_DECAY, (1 + step) / (10 + step))
        for name, value in _trained_state(model).items():
            averages[name].lerp_(value.detach(), 1 - decay)
        recent.append(float(loss))
        if step % 50 == 0:
            rate = (step - started_step) / (time.monotonic() - started)
            print(
                json.dumps({"step": step, "steps_per_second": round(rate, 2), "loss": round(np.mean(recent), 4)}),
                flush=True,
            )
            recent.clear()
        if step % SAVE_EVERY == 0 or step == num_steps:
            state = {
                "model": _trained_state(model),
                "optimizer": optimizer.state_dict(),
                "averages": averages,
                "step": step,
            }
            torch.save(state, checkpoint_path.with_suffix(".part"))
            os.replace(checkpoint_path.with_suffix(".part"), checkpoint_path)
    return checkpoint_path


def export(model_config: dict[str, Any], folder: Path, output: Path) -> Path:
    """Write averaged DiT, conditioner and half-precision autoencoder in `folder` as safetensors."""
    model = build_model(model_config, load_autoencoder(model_config, folder))
    averages = torch.load(folder / "dit.ckpt", weights_only=True)["averages"]
    model.load_state_dict(averages, strict=False)
    save_file({name: value.contiguous() for name, value in model.state_dict().items()}, output)
    return output


def _trained_state(model: nn.Module) -> dict[str, Tensor]:
    return {name: value for name, value in model.state_dict().items() if not name.startswith("pretransform.")}


@torch.no_grad()
def _encode_pool(autoencoder: nn.Module, seed: int) -> tuple[Tensor, list[str]]:
    """Return latents [clips, C, L] of synthesised clips of the base classes, and their captions."""
    rng = np.random.default_rng(seed)
    kinds = [kind for kind in synth.BASE_CLASSES for _ in range(CLIPS_PER_CLASS)]
    clips = [synth.make_clip(kind, rng) for kind in kinds]
    batches = []
    for start in range(0, len(clips), 20):
        audio_BN = torch.from_numpy(np.stack([synth.pad(clip.audio) for clip in clips[start : start + 20]]))
        batches.append(autoencoder.encode(audio_BN[:, None].repeat(1, 2, 1)))
    return torch.cat(batches), [clip.caption for clip in clips]


@torch.no_grad()
def _embed_captions(model: nn.Module) -> dict[str, tuple[Tensor, Tensor]]:
    """Return the frozen text encoder's output for every caption."""
    captions = [caption for kind in synth.BASE_CLASSES for caption in synth.CAPTIONS[kind]]
    embedded_BTD, mask_BT = model.conditioner.conditioners["prompt"](captions, "cpu")
    return {caption: (embedded_BTD[i].float(), mask_BT[i]) for i, caption in enumerate(captions)}


def _loss(
    model: nn.Module,
    latents_BCL: Tensor,
    captions: list[str],
    embeddings: dict[str, tuple[Tensor, Tensor]],
    generator: torch.Generator,
) -> Tensor:
    """Return the rectified-flow loss: the velocity from data to noise at a random time (Liu et al., 2022)."""
    batch_size = len(captions)
    seconds = model.conditioner.conditioners["seconds_total"]([SECONDS_TOTAL] * batch_size, "cpu")
    prompts = [torch.stack(part) for part in zip(*(embeddings[caption] for caption in captions), strict=True)]
    times_B = torch.sigmoid(torch.randn(batch_size, generator=generator))
    times_B = model.dist_shift.time_shift(times_B, latents_BCL.shape[2])
    noise_BCL = torch.randn(latents_BCL.shape, generator=generator)
    t = times_B[:, None, None]
    output_BCL = model(
        latents_BCL * (1 - t) + noise_BCL * t,
        times_B,
        cond={"prompt": prompts, "seconds_total": seconds},
        cfg_dropout_prob=PROMPT_DROPOUT,
    )
    return functional.mse_loss(output_BCL, noise_BCL - latents_BCL)
