"""Build Stable Audio Open Small at its real size with random weights: python -m scripts.realsize_model FOLDER.

Writes base_model.ckpt and base_model_config.json as a user downloads them, and `huggingface/`, a hub
cache with a text encoder of T5-base's size. Every number below is the published model's.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

NANO_CONFIG = Path(__file__).parents[1] / "configs" / "nano" / "base_model_config.json"


def real_config() -> dict[str, Any]:
    """Return SAO-small's base config: the nano model's with the real sizes put in."""
    config: dict[str, Any] = json.loads(NANO_CONFIG.read_text())
    config["sample_size"] = 524288
    config["sample_rate"] = 44100
    pretransform = config["model"]["pretransform"]["config"]
    pretransform["downsampling_ratio"] = 2048
    for part in ("encoder", "decoder"):
        pretransform[part]["config"] |= {"channels": 128, "c_mults": [1, 2, 4, 8, 16], "strides": [2, 4, 4, 8, 8]}
    diffusion = config["model"]["diffusion"]
    diffusion["distribution_shift_options"] = {"min_length": 256, "max_length": 4096}
    diffusion["config"] |= {"embed_dim": 1024, "depth": 16, "num_heads": 8}
    config["training"]["optimizer_configs"]["diffusion"]["optimizer"]["config"]["lr"] = 2e-4
    return config


def write_text_encoder(huggingface_home: Path) -> None:
    """Write a T5-base of random weights with a small Unigram tokenizer into a hub cache."""
    from transformers import T5Config, T5EncoderModel

    from sao_tui.worker.nano.text_encoder import write_text_encoder as write_small_text_encoder

    snapshot = write_small_text_encoder(huggingface_home, seed=0)
    size = T5Config(vocab_size=32128, d_model=768, d_kv=64, d_ff=3072, num_layers=12, num_heads=12)
    T5EncoderModel(size).save_pretrained(snapshot)


def write_base_model(folder: Path) -> None:
    """Write base_model.ckpt and its config."""
    import torch
    from stable_audio_tools.models.factory import create_model_from_config

    config = real_config()
    torch.manual_seed(0)
    model = create_model_from_config(config)
    torch.save({"state_dict": model.state_dict()}, folder / "base_model.ckpt")
    (folder / "base_model_config.json").write_text(json.dumps(config, indent=4))


if __name__ == "__main__":
    target = Path(sys.argv[1])
    # Both are read when huggingface_hub is first imported.
    os.environ["HF_HOME"] = str(target / "huggingface")
    os.environ["HF_HUB_OFFLINE"] = "1"
    write_text_encoder(target / "huggingface")
    write_base_model(target)
