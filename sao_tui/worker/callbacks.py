"""What happens between two steps: metrics, checkpoints, stopping."""

from __future__ import annotations

import math
import os
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch

from sao_tui.core.errors import SaoError
from sao_tui.core.settings import TrainSettings
from sao_tui.worker.checkpoint import checkpoint_path, remove_old
from sao_tui.worker.control import Control
from sao_tui.worker.emit import Emitter

RATE_WINDOW_STEPS = 20


class Metrics(pl.Callback):
    """Reports each optimizer step's numbers, and fails the run when the loss is no longer a number."""

    def __init__(self, emitter: Emitter, every: int, clock: Callable[[], float] = time.perf_counter) -> None:
        self._emitter = emitter
        self._every = max(1, every)
        self._clock = clock
        self._step = 0
        self._step_seconds = 0.0
        self._data_seconds = 0.0
        self._last_end = clock()
        self._learning_rate: float | None = None
        self._grad_norm: torch.Tensor | None = None
        self._ends: deque[tuple[int, float]] = deque(maxlen=RATE_WINDOW_STEPS + 1)

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Start the clock."""
        self._step = trainer.global_step
        self._last_end = self._clock()
        self._ends.append((self._step, self._last_end))

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Note how long the batch was waited for."""
        self._data_seconds += self._clock() - self._last_end

    def on_before_optimizer_step(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, optimizer: torch.optim.Optimizer
    ) -> None:
        """Note what the step is made with; Lightning clips the gradients and sets the next rate after this."""
        self._learning_rate = float(optimizer.param_groups[0]["lr"])
        if self._is_due(trainer.global_step + 1, trainer):
            self._grad_norm = gradient_norm(optimizer)

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Report the step if one was made."""
        step = trainer.global_step
        if step == self._step or not self._is_due(step, trainer):
            self._end_batch(step)
            return
        loss = step_loss(trainer)
        self._end_batch(step)
        self._emitter.metric(
            step=step,
            loss=loss,
            lr=self._learning_rate,
            grad_norm=None if self._grad_norm is None else float(self._grad_norm),
            step_seconds=round(self._step_seconds + self._data_seconds, 6),
            data_seconds=round(self._data_seconds, 6),
            steps_per_second=self._steps_per_second(),
            epoch=trainer.current_epoch,
            **memory(),
        )
        self._step_seconds = self._data_seconds = 0.0
        if loss is not None and not math.isfinite(loss):
            raise SaoError(
                f"The loss became {loss} at step {step}",
                "Lower the learning rate, or train in 32-true or bf16-mixed; resume from the last checkpoint.",
            )

    def _is_due(self, step: int, trainer: pl.Trainer) -> bool:
        return step % self._every == 0 or step == trainer.max_steps

    def _end_batch(self, step: int) -> None:
        """Close the books of a batch; the next one's waiting begins."""
        now = self._clock()
        self._step_seconds += now - self._last_end
        self._last_end = now
        if step != self._step:
            self._step = step
            self._ends.append((step, now))

    def _steps_per_second(self) -> float | None:
        (first_step, first), (last_step, last) = self._ends[0], self._ends[-1]
        return round((last_step - first_step) / (last - first), 4) if last > first else None


class Checkpoints(pl.Callback):
    """Writes checkpoints, and stops the run when asked, after one more."""

    def __init__(self, emitter: Emitter, control: Control, folder: Path, settings: TrainSettings, config: Any) -> None:
        self._emitter = emitter
        self._control = control
        self._folder = folder
        self._settings = settings
        self._model_config = config
        self._last_step = 0
        self._saved_step = 0
        self.was_stopped = False

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Report that steps begin, and take signals back from Lightning, which registers its own until now."""
        self._control.listen()
        self._last_step = self._saved_step = trainer.global_step
        self._emitter.state("running", trainer.global_step, self._settings.max_steps)

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Save and stop after whole optimizer steps only: half an accumulation cannot be resumed."""
        step = trainer.global_step
        if step == self._last_step:
            return
        self._last_step = step
        if self._control.should_stop() and step < self._settings.max_steps:
            self._emitter.state("stopping", step, self._settings.max_steps)
            self.was_stopped = trainer.should_stop = True
            # Lightning goes on to min_steps or min_epochs otherwise.
            trainer.fit_loop.min_epochs = trainer.fit_loop.epoch_loop.min_steps = 0
        is_last = step >= self._settings.max_steps or self.was_stopped
        every = self._settings.checkpoint_every
        if is_last or (every > 0 and step % every == 0):
            self.save(trainer, is_last=is_last)

    def on_save_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Keep the model config in the checkpoint, under the key that upstream's train.py uses."""
        checkpoint["model_config"] = self._model_config

    def save(self, trainer: pl.Trainer, *, is_last: bool) -> None:
        """Write a checkpoint of this step.

        Raises:
            SaoError: There is no room for it, and there will be no later one.
        """
        step = trainer.global_step
        loss = step_loss(trainer)
        if loss is not None and not math.isfinite(loss):
            raise SaoError(
                f"The loss became {loss} at step {step}; it was not saved",
                "Lower the learning rate and resume from the last checkpoint.",
            )
        path = checkpoint_path(self._folder, step)
        try:
            trainer.save_checkpoint(path)
        except OSError as error:
            message = f"The checkpoint of step {step} could not be written: {error.strerror or error}"
            if is_last:
                raise SaoError(message, "Free some space, then resume from the last checkpoint.") from error
            self._emitter.warning(message, "Free some space; the run goes on and older checkpoints are kept.")
            return
        self._saved_step = step
        self._emitter.checkpoint(path, step)
        for removed in remove_old(self._folder, self._settings.keep_checkpoints):
            self._emitter.log(f"{removed.name} removed: {self._settings.keep_checkpoints} newer ones are kept")


def step_loss(trainer: pl.Trainer) -> float | None:
    """Return the loss that the wrapper logged last; None for one that logs none."""
    loss = trainer.callback_metrics.get("train/loss")
    return None if loss is None else float(loss)


def gradient_norm(optimizer: torch.optim.Optimizer) -> torch.Tensor | None:
    """Return the 2-norm of all gradients together, None where there are none."""
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    gradients = [parameter.grad.detach() for parameter in parameters if parameter.grad is not None]
    if not gradients:
        return None
    return torch.linalg.vector_norm(torch.stack(torch._foreach_norm(gradients)))


def memory() -> dict[str, int | None]:
    """Return the memory fields of a metric event."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        rss = pages * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError):
        rss = None
    cuda = torch.cuda.is_available() and torch.cuda.is_initialized()
    return {
        "rss_bytes": rss,
        "vram_allocated_bytes": torch.cuda.memory_allocated() if cuda else None,
        "vram_reserved_bytes": torch.cuda.memory_reserved() if cuda else None,
    }
