"""The demo workspace: synthesised clips of a class the nano base has not heard, ready to fine-tune."""

from __future__ import annotations

import io
import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sao_tui.core.errors import SaoError
from sao_tui.core.files import write_atomically, write_json
from sao_tui.services.new_configs import dataset_config
from sao_tui.services.shipped import shipped
from sao_tui.services.workspace import Workspace, init_workspace, save_settings

NUM_NEW_CLIPS = 48
NUM_OLD_CLIPS = 12
SEED = 2_024

Progress = Callable[[str, int, int], None]
"""Called with a stage in words, how much is done and of how much."""

TRAIN_TOML = """\
# One run of the demo: long enough to teach the nano model its new sound.
max_steps = 220
batch_size = 16
# Pre-encoded clips to train on; remove the line to encode on the fly.
{latents}
precision = "32-true"
seed = 42
num_workers = 0
checkpoint_every = 110
keep_checkpoints = 3
gradient_clip = 1.0
"""

FINE_TUNE_TRAINING: dict[str, Any] = {"lr": 5e-4, "warmup": 0.95}
"""Learning rate and warm-up of the demo's fine-tune; the base was trained at 1e-3."""


@dataclass(frozen=True)
class DemoReport:
    """What the demo workspace holds."""

    workspace: Workspace
    num_clips: int
    new_class: str


def write_demo(root: Path, progress: Progress | None = None) -> DemoReport:
    """Make the demo workspace at `root`; what is already there stays as it is.

    Raises:
        SaoError: The folder holds something else, or cannot be written.
    """
    if root.is_dir() and any(root.iterdir()) and not (root / "sao.toml").exists():
        raise SaoError(f"{root} holds other files.", "Name a new or an empty folder.")
    tell = progress or _silent
    try:
        workspace = init_workspace(root)
        _write_models(workspace)
        _write_configs(workspace)
        num_clips = _write_clips(workspace, tell)
    except OSError as error:
        raise SaoError(f"Cannot write the demo to {root}: {error.strerror}.", "Name a folder with room.") from error
    from sao_tui.core.sounds.synth import NEW_CLASS

    return DemoReport(workspace, num_clips, NEW_CLASS)


def _write_models(workspace: Workspace) -> None:
    for name in ("base_model.safetensors", "base_model_config.json"):
        target = workspace.models_folder / name
        if not target.exists():
            shutil.copyfile(shipped("nano", name), target)
    home = workspace.models_folder / "huggingface"
    if not home.exists():
        shutil.copytree(shipped("nano", "huggingface"), home)


def _write_configs(workspace: Workspace) -> None:
    settings = {
        "model.base_weights": "models/base_model.safetensors",
        "model.text_encoder_home": "models/huggingface",
    }
    save_settings(workspace, **settings)
    if not workspace.model_config_file.exists():
        config = json.loads(shipped("nano", "base_model_config.json").read_text())
        diffusion = config["training"]["optimizer_configs"]["diffusion"]
        diffusion["optimizer"]["config"]["lr"] = FINE_TUNE_TRAINING["lr"]
        diffusion["scheduler"]["config"]["warmup"] = FINE_TUNE_TRAINING["warmup"]
        write_json(workspace.model_config_file, config)
    if not workspace.dataset_config_file.exists():
        write_json(workspace.dataset_config_file, dataset_config(workspace))
    if not workspace.train_config_file.exists():
        write_atomically(workspace.train_config_file, TRAIN_TOML.format(latents='# latents = "latents"').encode())


def _write_clips(workspace: Workspace, tell: Progress) -> int:
    import soundfile

    from sao_tui.core.sounds.synth import SAMPLE_RATE_HZ

    lines, total = [], NUM_NEW_CLIPS + NUM_OLD_CLIPS
    for index, (relpath, caption, audio) in enumerate(_clips()):
        path = workspace.dataset_folder / relpath
        if not path.exists():
            path.parent.mkdir(exist_ok=True)
            buffer = io.BytesIO()
            soundfile.write(buffer, audio, SAMPLE_RATE_HZ, format="WAV", subtype="PCM_16")
            write_atomically(path, buffer.getvalue(), durable=False)
        record = {
            "audio_path": relpath,
            "text": caption,
            "duration": round(len(audio) / SAMPLE_RATE_HZ, 3),
            "sample_rate": SAMPLE_RATE_HZ,
        }
        lines.append(json.dumps(record, ensure_ascii=False))
        tell("writing clips", index + 1, total)
    if not workspace.metadata_file.exists():
        write_atomically(workspace.metadata_file, ("\n".join(lines) + "\n").encode())
    return total


def _clips() -> Iterator[tuple[str, str, Any]]:
    """Yield path, caption and samples of every clip; the same ones each time."""
    import numpy as np

    from sao_tui.core.sounds.synth import BASE_CLASSES, NEW_CLASS, make_clip

    rng = np.random.default_rng(SEED)
    for number in range(1, NUM_NEW_CLIPS + 1):
        clip = make_clip(NEW_CLASS, rng)
        yield f"warbles/warble-{number:02}.wav", clip.caption, clip.audio
    for number in range(1, NUM_OLD_CLIPS + 1):
        kind = BASE_CLASSES[number % len(BASE_CLASSES)]
        clip = make_clip(kind, rng)
        yield f"others/{kind.replace(' ', '-')}-{number:02}.wav", clip.caption, clip.audio


def _silent(_stage: str, _done: int, _total: int) -> None:
    pass
