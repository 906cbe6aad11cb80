"""Our worker trains exactly as upstream's train.py does: the same losses from the same seed, config and data."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.worker.conftest import Nano, of_kind

pytestmark = pytest.mark.worker

NUM_STEPS = 20
BATCH_SIZE = 2


def test_raw_audio_gives_the_losses_of_upstreams_loop(run_job, nano: Nano, tmp_path) -> None:
    _, code, records = run_job(max_steps=NUM_STEPS, batch_size=BATCH_SIZE)
    assert code == 0, records[-1]
    check_losses(records, upstream_losses(nano, nano.config, nano.dataset_config, tmp_path))


def test_pre_encoded_latents_give_the_losses_of_upstreams_loop(run_job, nano: Nano, tmp_path) -> None:
    latents = tmp_path / "latents"
    _, code, records = run_job(kind="encode", output=str(latents))
    assert code == 0, records[-1]
    _, code, records = run_job(max_steps=NUM_STEPS, batch_size=BATCH_SIZE, latents=str(latents))
    assert code == 0, records[-1]

    (entry,) = nano.dataset_config["datasets"]
    data = {"dataset_type": "pre_encoded", "datasets": [{**entry, "path": str(latents)}]}
    config = {**nano.config, "training": {**nano.config["training"], "pre_encoded": True}}
    check_losses(records, upstream_losses(nano, config, data, tmp_path))


def check_losses(records: list[dict[str, Any]], expected: list[float]) -> None:
    losses = [record["loss"] for record in of_kind(records, "metric")]
    assert len(set(losses)) == len(losses) == NUM_STEPS
    assert losses == pytest.approx(expected, rel=0, abs=1e-6)


def upstream_losses(
    nano: Nano, model_config: dict[str, Any], dataset_config: dict[str, Any], folder: Path
) -> list[float]:
    """Train as upstream's train.py does, call by call, with the cures applied (see the nano fixture)."""
    import pytorch_lightning as pl
    from stable_audio_tools.data import dataset
    from stable_audio_tools.models import create_model_from_config
    from stable_audio_tools.models.utils import copy_state_dict, load_ckpt_state_dict
    from stable_audio_tools.training import create_training_wrapper_from_config

    losses: list[float] = []

    class Losses(pl.Callback):
        def on_train_batch_end(self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
            losses.append(float(outputs["loss"]))

    pl.seed_everything(42, workers=True)
    loader = dataset.create_dataloader_from_config(
        dataset_config,
        batch_size=BATCH_SIZE,
        num_workers=0,
        sample_rate=model_config["sample_rate"],
        sample_size=model_config["sample_size"],
        audio_channels=model_config.get("audio_channels", 2),
    )
    model = create_model_from_config(model_config)
    copy_state_dict(model, load_ckpt_state_dict(str(nano.weights)))
    wrapper = create_training_wrapper_from_config(model_config, model)
    trainer = pl.Trainer(
        devices=1,
        accelerator="cpu",
        strategy="auto",
        precision="32-true",
        accumulate_grad_batches=1,
        callbacks=[Losses()],
        logger=False,
        log_every_n_steps=1,
        max_epochs=10_000_000,
        max_steps=NUM_STEPS,
        default_root_dir=folder,
        gradient_clip_val=0.0,
        reload_dataloaders_every_n_epochs=0,
        num_sanity_val_steps=0,
        enable_progress_bar=False,
    )
    trainer.fit(wrapper, loader, None)
    return losses
