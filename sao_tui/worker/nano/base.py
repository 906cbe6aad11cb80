"""Train the nano model's DiT on the base classes, and write base weights as a user would download them.

Shapes: B batch, C latent channels, L latent frames, N samples.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn import functional

from sao_tui.core.sounds import synth
from sao_tui.worker.nano.autoencoder import autoencoder_from

CLIPS_PER_CLASS = 300
BATCH_SIZE = 16
LEARNING_RATE = 1e-3
COOLDOWN = 0.3
EMA_DECAY = 0.998
PROMPT_DROPOUT = 0.1
SECONDS_TOTAL = 2
"""Whole seconds, rounded up, of every synthesised clip: what upstream's dataset reports for them."""
SAVE_EVERY = 250
HIGH_NOISE = 0.85
"""Times above this decide which way a sweep goes; a plain logit-normal draw hardly ever visits them."""


@dataclass(frozen=True)
class Cycle:
    """One cycle of the learning rate, which falls towards its end."""

    last_step: int
    high_noise_share: float
    """Share of the batch whose times are drawn evenly from HIGH_NOISE to 1."""


CYCLES = (Cycle(2_400, 0.0), Cycle(5_600, 0.0), Cycle(8_000, 0.5))


def build_model(model_config: dict[str, Any], autoencoder: Any) -> Any:
    """Return upstream's model of `model_config` with the trained autoencoder inside."""
    from stable_audio_tools.models.factory import create_model_from_config

    model: Any = create_model_from_config(model_config)
    model.pretransform.model.load_state_dict(autoencoder.state_dict())
    return model


def load_autoencoder(model_config: dict[str, Any], folder: Path) -> Any:
    """Return the autoencoder that was trained in `folder`, in single precision."""
    autoencoder = autoencoder_from(model_config)
    autoencoder.load_state_dict(torch.load(folder / "autoencoder.ckpt", weights_only=True)["model"])
    return autoencoder.eval()


def train(model_config: dict[str, Any], folder: Path, seed: int, cycles: Sequence[Cycle] = CYCLES) -> Path:
    """Train through all cycles, going on from a checkpoint in `folder`; return the weights' file."""
    torch.manual_seed(seed)
    autoencoder = load_autoencoder(model_config, folder)
    model = build_model(model_config, autoencoder)
    latents_BCL, captions = _encode_pool(autoencoder, seed)
    embeddings = _embed_captions(model)
    training = _Training(model, folder / "dit.ckpt")
    started, started_step = time.monotonic(), training.step
    recent: list[float] = []
    while training.step < cycles[-1].last_step:
        cycle = next(cycle for cycle in cycles if training.step < cycle.last_step)
        # Prompt dropout draws from the global generator: by step, a resumed run draws the same.
        torch.manual_seed(seed * 1_000_003 + training.step)
        generator = torch.Generator().manual_seed(seed * 1_000_003 + training.step)
        rows = torch.randint(len(latents_BCL), (BATCH_SIZE,), generator=generator)
        times_B = _draw_times(model, latents_BCL.shape[2], cycle.high_noise_share, generator)
        prompts = [embeddings[captions[row]] for row in rows]
        training.take_step(_loss(model, latents_BCL[rows], prompts, times_B, generator), cycle.last_step)
        recent.append(training.loss)
        if training.step % 50 == 0:
            rate = (training.step - started_step) / (time.monotonic() - started)
            report = {"step": training.step, "steps_per_second": round(rate, 2), "loss": round(np.mean(recent), 4)}
            print(json.dumps(report), flush=True)
            recent.clear()
        if training.step % SAVE_EVERY == 0 or training.step == cycles[-1].last_step:
            training.save()
    return training.file


class _Training:
    """What changes from step to step, and its checkpoint."""

    def __init__(self, model: Any, file: Path) -> None:
        self.model = model
        self.file = file
        self.step = 0
        self.loss = 0.0
        self.parameters = [*model.model.parameters(), *model.conditioner.parameters()]
        self.optimizer = torch.optim.AdamW(self.parameters, LEARNING_RATE, betas=(0.9, 0.95), weight_decay=0.01)
        self.averages = {name: value.detach().clone() for name, value in _trained_state(model).items()}
        if file.exists():
            saved = torch.load(file, weights_only=True)
            model.load_state_dict(saved["model"], strict=False)
            self.optimizer.load_state_dict(saved["optimizer"])
            self.averages, self.step = saved["averages"], saved["step"]

    def take_step(self, loss: Tensor, num_steps: int) -> None:
        """Follow the gradient of `loss` and move the averages along."""
        cooldown = min(1.0, (num_steps - self.step) / (COOLDOWN * num_steps))
        for group in self.optimizer.param_groups:
            group["lr"] = LEARNING_RATE * min(1.0, (self.step + 1) / 100) * cooldown
        self.optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(self.parameters, 1.0)
        self.optimizer.step()
        self.step += 1
        self.loss = float(loss)
        decay = min(EMA_DECAY, (1 + self.step) / (10 + self.step))
        for name, value in _trained_state(self.model).items():
            self.averages[name].lerp_(value.detach(), 1 - decay)

    def save(self) -> None:
        """Replace the checkpoint."""
        state = {
            "model": _trained_state(self.model),
            "optimizer": self.optimizer.state_dict(),
            "averages": self.averages,
            "step": self.step,
        }
        torch.save(state, self.file.with_suffix(".part"))
        os.replace(self.file.with_suffix(".part"), self.file)


def export(model_config: dict[str, Any], folder: Path, output: Path) -> Path:
    """Write averaged DiT, conditioner and half-precision autoencoder in `folder` as safetensors."""
    model = build_model(model_config, load_autoencoder(model_config, folder))
    averages = torch.load(folder / "dit.ckpt", weights_only=True)["averages"]
    model.load_state_dict(averages, strict=False)
    save_file({name: value.contiguous() for name, value in model.state_dict().items()}, output)
    return output


def _trained_state(model: Any) -> dict[str, Tensor]:
    return {name: value for name, value in model.state_dict().items() if not name.startswith("pretransform.")}


@torch.no_grad()
def _encode_pool(autoencoder: Any, seed: int) -> tuple[Tensor, list[str]]:
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
def _embed_captions(model: Any) -> dict[str, tuple[Tensor, Tensor]]:
    """Return the frozen text encoder's output for every caption."""
    captions = [caption for kind in synth.BASE_CLASSES for caption in synth.CAPTIONS[kind]]
    embedded_BTD, mask_BT = model.conditioner.conditioners["prompt"](captions, "cpu")
    return {caption: (embedded_BTD[i].float(), mask_BT[i]) for i, caption in enumerate(captions)}


def _draw_times(model: Any, num_frames: int, high_noise_share: float, generator: torch.Generator) -> Tensor:
    """Return a time in (0, 1) for each clip of a batch: logit-normal and shifted, some of them from HIGH_NOISE on."""
    times_B = torch.sigmoid(torch.randn(BATCH_SIZE, generator=generator))
    times_B = model.dist_shift.time_shift(times_B, num_frames)
    num_high = round(high_noise_share * BATCH_SIZE)
    times_B[:num_high] = HIGH_NOISE + (1 - HIGH_NOISE) * torch.rand(num_high, generator=generator)
    return times_B


def _loss(
    model: Any,
    latents_BCL: Tensor,
    prompts: Sequence[tuple[Tensor, Tensor]],
    times_B: Tensor,
    generator: torch.Generator,
) -> Tensor:
    """Return the rectified-flow loss: the velocity from data to noise at a time (Liu et al., 2022)."""
    seconds = model.conditioner.conditioners["seconds_total"]([SECONDS_TOTAL] * len(prompts), "cpu")
    noise_BCL = torch.randn(latents_BCL.shape, generator=generator)
    t = times_B[:, None, None]
    output_BCL = model(
        latents_BCL * (1 - t) + noise_BCL * t,
        times_B,
        cond={"prompt": [torch.stack(part) for part in zip(*prompts, strict=True)], "seconds_total": seconds},
        cfg_dropout_prob=PROMPT_DROPOUT,
        # At this size recomputing activations costs a third of the time and saves nothing that is short.
        use_checkpointing=False,
    )
    return functional.mse_loss(output_BCL, noise_BCL - latents_BCL)
