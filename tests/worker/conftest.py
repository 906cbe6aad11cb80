"""A nano model with random weights and a few synthesised clips, made once for all worker tests."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

ROOT = Path(__file__).parents[2]
NANO = ROOT / "configs" / "nano"
os.environ.setdefault("OMP_NUM_THREADS", "1")
# Read once, when the first of the test modules imports huggingface_hub.
os.environ["HF_HOME"] = str((NANO / "huggingface").resolve())
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ.setdefault("TORCHINDUCTOR_COMPILE_THREADS", "1")


@dataclass(frozen=True)
class Nano:
    """What a job needs."""

    config: dict[str, Any]
    weights: Path
    home: Path
    dataset: Path
    dataset_config: dict[str, Any]


@pytest.fixture(scope="session")
def nano(tmp_path_factory: pytest.TempPathFactory) -> Nano:
    from sao_tui.worker import upstream
    from sao_tui.worker.startup import prepare_environment

    folder = tmp_path_factory.mktemp("nano")
    config = json.loads((NANO / "base_model_config.json").read_text())
    home = NANO / "huggingface"
    prepare_environment(str(home), config)
    upstream.import_training_modules()
    upstream.apply_training_cures()

    import torch
    from safetensors.torch import save_file

    from sao_tui.worker.model import create_model

    torch.set_num_threads(1)
    torch.manual_seed(0)
    weights = folder / "base_model.safetensors"
    state = create_model(config).state_dict()
    for value in state.values():
        # A fresh DiT ignores its prompt: the last layer of each branch starts at zero.
        if value.is_floating_point() and not value.any():
            value.normal_(std=0.02)
    save_file(state, weights)
    dataset = write_dataset(folder / "dataset")
    entry = {
        "id": "clips",
        "path": str(dataset),
        "custom_metadata_module": str(ROOT / "sao_tui" / "core" / "metadata_module.py"),
    }
    return Nano(
        config, weights, home, dataset, {"dataset_type": "audio_dir", "datasets": [entry], "random_crop": False}
    )


@pytest.fixture
def make_job(nano: Nano, tmp_path: Path) -> Callable[..., Any]:
    """Return a function that makes a job folder; keywords override settings, model_config, dataset_config."""
    from sao_tui.core.jobs import JobFolder, JobSpec
    from sao_tui.core.settings import EncodeSettings, TrainSettings

    def make(kind: str = "train", **changes: Any) -> JobFolder:
        model_config = changes.pop("model_config", nano.config)
        dataset_config = changes.pop("dataset_config", nano.dataset_config)
        home = str(nano.home)
        if kind == "train":
            defaults: dict[str, Any] = {"max_steps": 3, "batch_size": 4, "checkpoint_every": 100, "device": "cpu"}
            if "resume_from" not in changes:
                defaults["base_weights"] = str(nano.weights)
            settings: Any = TrainSettings(**{**defaults, "text_encoder_home": home, **changes})
        else:
            changes.setdefault("output", str(tmp_path / "latents"))
            settings = EncodeSettings(
                **{"base_weights": str(nano.weights), "text_encoder_home": home, "device": "cpu", **changes}
            )
        spec = JobSpec(kind, 0.0, asdict(settings), model_config, dataset_config, "python")  # type: ignore[arg-type]
        folder = JobFolder(tmp_path / f"job-{len(list(tmp_path.glob('job-*')))}")
        folder.create(spec)
        return folder

    return make


@pytest.fixture
def run_job(make_job: Callable[..., Any]) -> Callable[..., tuple[Any, int, list[dict[str, Any]]]]:
    """Return a function that runs a job in this process and returns its folder, exit code and events."""
    from sao_tui.worker.__main__ import run_job as run
    from sao_tui.worker.emit import Emitter

    def run_one(folder: Any = None, **changes: Any) -> tuple[Any, int, list[dict[str, Any]]]:
        folder = folder or make_job(**changes)
        code = run(folder, Emitter(folder.events_file))
        return folder, code, events(folder)

    return run_one


def events(folder: Any) -> list[dict[str, Any]]:
    return [json.loads(line) for line in folder.events_file.read_text().splitlines()]


def of_kind(records: list[dict[str, Any]], kind: str) -> list[dict[str, Any]]:
    return [record for record in records if record["kind"] == kind]


def write_dataset(folder: Path, num_clips: int = 12) -> Path:
    """Write clips of one to two seconds with captions; one of them lies in a folder of its own."""
    import soundfile

    from sao_tui.core.sounds import synth

    rng = np.random.default_rng(7)
    (folder / "more").mkdir(parents=True)
    lines = []
    for index in range(num_clips):
        clip = synth.make_clip(synth.BASE_CLASSES[index % len(synth.BASE_CLASSES)], rng)
        name = f"more/clip{index}.wav" if index == 0 else f"clip{index}.wav"
        soundfile.write(folder / name, clip.audio, synth.SAMPLE_RATE_HZ)
        lines.append(json.dumps({"audio_path": name, "text": clip.caption}))
    (folder / "metadata.jsonl").write_text("\n".join(lines) + "\n")
    return folder
