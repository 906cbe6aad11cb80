"""Training: upstream's factories and wrapper under Lightning, as upstream's train.py does it, made safe."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from sao_tui.core.errors import SaoError
from sao_tui.core.jobs import JobFolder, JobSpec
from sao_tui.core.settings import TrainSettings
from sao_tui.worker import upstream
from sao_tui.worker.control import Control
from sao_tui.worker.data import check_paths, check_size, create_loader, training_data_config, training_model_config
from sao_tui.worker.emit import Emitter
from sao_tui.worker.recomputation import left_out_if_cheap
from sao_tui.worker.startup import num_threads, prepare_environment


def train(folder: JobFolder, spec: JobSpec, emitter: Emitter, control: Control) -> None:
    """Run the training that `spec` asks for to its end, or until it is asked to stop.

    Raises:
        SaoError: The run cannot begin or cannot go on.
    """
    settings = TrainSettings(**spec.settings)
    emitter.state("starting", 0, settings.max_steps)
    data_config = training_data_config(spec.dataset_config, settings.latents)
    check_paths(data_config, settings.base_weights, settings.resume_from)
    prepare_environment(settings.text_encoder_home, spec.model_config)
    upstream.import_training_modules()
    run = _Run(folder, settings, spec.model_config, data_config, emitter, control)
    try:
        stopped = run.execute()
    except upstream.UnusableDataError as error:
        raise SaoError(
            f"{upstream.MAX_REPLACEMENTS} clips in a row are silent or unreadable, {error} among them",
            "Run `sao-tui doctor`, which names the clips.",
        ) from error
    except ValueError as error:
        if "not found in batch metadata" not in str(error):
            raise
        raise SaoError(
            f"The captions do not reach the model: {error}",
            "Set custom_metadata_module in the dataset config; `sao-tui config new` writes it.",
        ) from error
    state, reason = ("stopped", "Stopped on request") if stopped else ("finished", "")
    emitter.state(state, run.step, settings.max_steps, reason)  # type: ignore[arg-type]


class _Run:
    """One call of Lightning's fit and what leads to it, in the order in which upstream's train.py draws numbers."""

    def __init__(
        self,
        folder: JobFolder,
        settings: TrainSettings,
        model_config: dict[str, Any],
        data_config: dict[str, Any],
        emitter: Emitter,
        control: Control,
    ) -> None:
        self._folder = folder
        self._settings = settings
        self._data_config = data_config
        self._emitter = emitter
        self._control = control
        self._model_config = self._configured(model_config)
        self.step = 0

    def execute(self) -> bool:
        """Train; return whether it was stopped on request."""
        import pytorch_lightning as pl
        import torch

        cures = upstream.apply_training_cures()
        upstream.cure_endless_replacement(self._warn_of_replaced)
        self._emitter.log(f"cured in stable-audio-tools: {', '.join(cures) or 'nothing'}")
        torch.set_num_threads(num_threads())
        start_step = self._check_resume()
        # A resumed run draws other clips and noise than the steps before it did.
        pl.seed_everything(upstream.seed_for_rank(self._settings.seed, dict(os.environ)) + start_step, workers=True)
        loader = self._create_loader()
        held_out = self._hold_out(loader)
        wrapper = self._create_wrapper()
        if self._control.should_stop():
            return True
        return self._fit(wrapper, loader, held_out)

    def _fit(self, wrapper: Any, loader: Any, held_out: Any) -> bool:
        from sao_tui.worker.callbacks import Checkpoints
        from sao_tui.worker.trainer import create_trainer

        checkpoints = Checkpoints(
            self._emitter, self._control, self._folder.checkpoints, self._settings, self._model_config
        )
        callbacks: list[Any] = [checkpoints]
        if held_out is not None:
            from sao_tui.worker.held_out import HeldOutLoss

            callbacks.append(
                HeldOutLoss(held_out, self._settings.batch_size, self._settings.held_out_every, self._emitter)
            )
        trainer = create_trainer(self._settings, self._folder.path, self._emitter, callbacks)
        with left_out_if_cheap(self._model_config, self._settings.batch_size):
            trainer.fit(wrapper, loader, ckpt_path=self._settings.resume_from)
        self.step = trainer.global_step
        return checkpoints.was_stopped

    def _configured(self, model_config: dict[str, Any]) -> dict[str, Any]:
        if "training" not in model_config:
            raise SaoError("The model config has no training section", "Add one; the base model's config has it.")
        return training_model_config(model_config, self._data_config)

    def _check_resume(self) -> int:
        """Return the step to begin at."""
        from sao_tui.worker import checkpoint
        from sao_tui.worker.model import read_torch_file

        checkpoint.remove_torn(self._folder.checkpoints)
        if self._settings.resume_from is None:
            return 0
        path = Path(self._settings.resume_from)
        saved = read_torch_file(path)
        self.step = checkpoint.check_resumable(saved, self._model_config, self._settings.max_steps, path)
        kept, asked = checkpoint.learning_rate(saved), _learning_rate(self._model_config)
        if kept is not None and asked is not None and kept != asked:
            self._emitter.warning(
                f"The learning rate stays {kept:g}, as in {path.name}; {asked:g} in the model config has no effect",
                "Start from exported weights instead of resuming to change it.",
            )
        self._emitter.log(f"resuming from {path} at step {self.step}")
        return self.step

    def _create_loader(self) -> Any:
        loader = create_loader(self._data_config, self._model_config, self._settings)
        self._emitter.log(f"{len(loader.dataset)} clips, {len(loader)} batches of {self._settings.batch_size}")
        return loader

    def _hold_out(self, loader: Any) -> Any | None:
        """Return the dataset of held-out clips, and see that enough is left for a batch."""
        if self._settings.held_out is None:
            return None
        from sao_tui.worker.held_out import hold_out

        folders = [entry["path"] for entry in self._data_config["datasets"]]
        held_out = hold_out(loader.dataset, Path(self._settings.held_out), folders, self._folder.path)
        check_size(loader, self._data_config, self._settings.batch_size)
        num_held_out = 0 if held_out is None else len(held_out)
        self._emitter.log(f"{len(loader.dataset)} clips to train on, {num_held_out} held out to measure the loss on")
        return held_out

    def _create_wrapper(self) -> Any:
        from stable_audio_tools.training.factory import create_training_wrapper_from_config

        from sao_tui.worker.model import create_model, load_weights, read_weights

        model = create_model(self._model_config)
        if self._settings.resume_from is None:
            if self._settings.base_weights is None:
                raise SaoError("No weights to start from", "Set base_weights, or resume_from.")
            base = Path(self._settings.base_weights)
            load_weights(model, read_weights(base), base, self._emitter.log)
        return create_training_wrapper_from_config(self._model_config, model)

    def _warn_of_replaced(self, file: str) -> None:
        self._emitter.warning(
            f"{file} is silent or unreadable; another clip takes its place", "Repair or remove it; see worker.log."
        )


def _learning_rate(model_config: dict[str, Any]) -> float | None:
    training = model_config["training"]
    configs = training.get("optimizer_configs")
    rate = configs["diffusion"]["optimizer"]["config"].get("lr") if configs else training.get("learning_rate")
    return float(rate) if rate is not None else None
