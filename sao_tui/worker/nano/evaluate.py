"""Measure whether a nano model follows its prompts: generate clips and ask the signal classifier."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file

from sao_tui.core.sounds import hearing, synth
from sao_tui.worker.nano.base import SECONDS_TOTAL

STEPS = 24
CFG_SCALE = 4.0


def evaluate(model_config: dict[str, Any], weights_file: Path, num_clips: int, seed: int) -> dict[str, Any]:
    """Generate `num_clips`, the base classes in turn, and count those that are recognised.

    Returns:
        `{"clips", "recognised", "share", "classes": {class: {"clips", "recognised", "heard"}}}`.
    """
    from stable_audio_tools.inference.generation import generate_diffusion_cond
    from stable_audio_tools.models.factory import create_model_from_config

    model = create_model_from_config(model_config)
    model.load_state_dict(load_file(weights_file), strict=True)
    model.eval()
    classes: dict[str, Any] = {}
    for index, kind in enumerate(synth.BASE_CLASSES):
        count = num_clips // len(synth.BASE_CLASSES) + (index < num_clips % len(synth.BASE_CLASSES))
        prompts = [synth.CAPTIONS[kind][i % len(synth.CAPTIONS[kind])] for i in range(count)]
        with torch.no_grad():
            audio_BCN = generate_diffusion_cond(
                model,
                steps=STEPS,
                cfg_scale=CFG_SCALE,
                conditioning=[{"prompt": prompt, "seconds_total": SECONDS_TOTAL} for prompt in prompts],
                batch_size=count,
                sample_size=model_config["sample_size"],
                seed=seed + index,
                device="cpu",
                sampler_type="euler",
            )
        heard = [hearing.classify(audio, model_config["sample_rate"]).kind for audio in audio_BCN.float().numpy()]
        classes[kind] = {"clips": count, "recognised": heard.count(kind), "heard": dict(Counter(heard))}
    recognised = sum(entry["recognised"] for entry in classes.values())
    return {"clips": num_clips, "recognised": recognised, "share": recognised / num_clips, "classes": classes}


def print_report(report: dict[str, Any]) -> None:
    """Print `report` as indented JSON."""
    print(json.dumps(report, indent=2))
