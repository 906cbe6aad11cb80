"""Every cure for stable-audio-tools 0.0.19, one function each: the symptom, its cause, and what we do.

A cure looks for the fault before it touches anything, so that a version without it is left alone; each
returns whether it did something. Nothing of upstream is imported before a function here is called.
"""

from __future__ import annotations

import functools
import importlib
import importlib.util
import inspect
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import ModuleType
from typing import Any

RARELY_USED = ("wandb", "audiotools", "k_diffusion.evaluation")
"""Modules that upstream imports for features that the worker does not use."""
MAX_REPLACEMENTS = 50
"""Clips that may be unusable in a row before a loader gives up."""


class UnusableDataError(BaseException):
    """So many clips in a row are unusable that the loader would look for a good one for ever.

    Not an Exception, because upstream's loader catches those and tries the next clip.
    """


def apply_cures() -> list[str]:
    """Apply the cures that generating and encoding need too; return the names of those that did something."""
    return _apply([cure_t5_under_autocast])


def apply_training_cures() -> list[str]:
    """Apply all cures for training; return the names of those that did something."""
    return _apply(
        [
            cure_t5_under_autocast,
            cure_inverse_lr,
            cure_shift_length,
            cure_raw_training_step,
            cure_loader_without_workers,
            cure_endless_replacement,
        ]
    )


def import_model_modules() -> None:
    """Import upstream's model code without what it drags along unused."""
    defer_unused_imports()
    with _deferred_compile():
        importlib.import_module("stable_audio_tools")
        importlib.import_module("stable_audio_tools.models.transformer")


def import_training_modules() -> None:
    """Import upstream's data and training code without what it drags along unused."""
    import_model_modules()
    for name in ("data.dataset", "training.diffusion"):
        importlib.import_module(f"stable_audio_tools.{name}")


def defer_unused_imports() -> bool:
    """Symptom: importing the trainer takes 18 CPU seconds. Cause: wandb, audiotools, CLIP, matplotlib for demos.

    Each is replaced by a module that imports the real one at its first use.
    """
    deferred = False
    for name in RARELY_USED:
        deferred |= _defer(name, functions_only=False)
    return _defer("stable_audio_tools.interface.aeiou", functions_only=True) or deferred


def cure_t5_under_autocast() -> bool:
    """Symptom: `value cannot be converted to type at::Half without overflow` in the text encoder.

    Cause: the fp16 T5 runs under the trainer's bf16 autocast, whose smallest number newer transformers put
    into an fp16 mask. The text encoder runs without autocast, which gives the same bits where both work.
    """
    import torch
    from stable_audio_tools.models.conditioners import T5Conditioner

    forward = T5Conditioner.forward
    if _is_cured(forward) or "enabled=False" in _source(forward):
        return False

    def without_autocast(self: Any, texts: list[str], device: Any) -> Any:
        with torch.autocast(torch.device(device).type, enabled=False):
            return forward(self, texts, device)

    T5Conditioner.forward = _cured(without_autocast, forward)
    return True


def cure_inverse_lr() -> bool:
    """Symptom: `LRScheduler.__init__() takes from 2 to 3 positional arguments but 4 were given`.

    Cause: InverseLR passes `verbose`, which torch 2.7 no longer takes. It is passed on without it.
    """
    import torch
    from stable_audio_tools.training import utils
    from torch.optim.lr_scheduler import LRScheduler

    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    try:
        utils.InverseLR(optimizer)
        return False
    except TypeError:
        pass

    class InverseLR(utils.InverseLR):
        def __init__(
            self,
            optimizer: torch.optim.Optimizer,
            inv_gamma: float = 1.0,
            power: float = 1.0,
            warmup: float = 0.0,
            final_lr: float = 0.0,
            last_epoch: int = -1,
        ) -> None:
            if not 0.0 <= warmup < 1:
                raise ValueError("Invalid value for warmup")
            self.inv_gamma, self.power, self.warmup, self.final_lr = inv_gamma, power, warmup, final_lr
            LRScheduler.__init__(self, optimizer, last_epoch)

    utils.InverseLR = InverseLR
    return True


def cure_shift_length() -> bool:
    """Symptom: timesteps beyond the range that distribution_shift_options describe, in the end t = 1 everywhere.

    Cause: DistributionShift.time_shift extrapolates beyond min_length and max_length. The length is clamped.
    """
    import torch
    from stable_audio_tools.inference.sampling import DistributionShift

    time_shift = DistributionShift.time_shift
    half = torch.full((1,), 0.5)
    shift = DistributionShift()
    if torch.equal(shift.time_shift(half, shift.max_length), shift.time_shift(half, 100 * shift.max_length)):
        return False

    def clamped(self: Any, t: torch.Tensor, seq_len: int) -> torch.Tensor:
        return time_shift(self, t, min(max(seq_len, self.min_length), self.max_length))

    DistributionShift.time_shift = _cured(clamped, time_shift)
    return True


def cure_raw_training_step() -> bool:
    """Symptoms: `Only 3D, 4D and 5D input Tensors supported (got 2D)`; then, in silence, t = 1.0 at every step.

    Causes: training on raw audio takes the first sample of each padding mask for the mask, and shifts the
    timesteps by the length in samples where the length in latents is meant.
    """
    from stable_audio_tools.training.diffusion import DiffusionCondTrainingWrapper

    step = DiffusionCondTrainingWrapper.training_step
    source = _source(step)
    wraps_masks = '[md["padding_mask"][0] for md in metadata]' in source and "first_padding_mask" not in source
    shifts_by_samples = "time_shift(t, reals.shape[2])" in source
    if _is_cured(step) or not (wraps_masks or shifts_by_samples):
        return False

    def training_step(self: Any, batch: Any, batch_idx: int) -> Any:
        if self.pre_encoded:
            return step(self, batch, batch_idx)
        reals, metadata = batch
        if wraps_masks:
            metadata = tuple(_with_wrapped_mask(entry) for entry in metadata)
        with _latent_shift(self.diffusion, shifts_by_samples):
            return step(self, (reals, metadata), batch_idx)

    DiffusionCondTrainingWrapper.training_step = _cured(training_step, step)
    return True


def cure_loader_without_workers() -> bool:
    """Symptom: `persistent_workers option needs num_workers > 0` with num_workers 0.

    Cause: create_dataloader_from_config always asks for persistent workers. While it runs, the DataLoader
    that it finds drops the wish; nor does it pin memory where there is no GPU to pin it for.
    """
    import torch
    from stable_audio_tools.data import dataset

    create = dataset.create_dataloader_from_config
    if _is_cured(create) or "persistent_workers=True" not in _source(create):
        return False
    loader_class = torch.utils.data.DataLoader

    def make_loader(*args: Any, **kwargs: Any) -> Any:
        kwargs["persistent_workers"] = kwargs.get("persistent_workers", False) and kwargs.get("num_workers", 0) > 0
        kwargs["pin_memory"] = kwargs.get("pin_memory", False) and torch.cuda.is_available()
        return loader_class(*args, **kwargs)

    def create_dataloader(*args: Any, **kwargs: Any) -> Any:
        module: Any = torch.utils.data
        module.DataLoader = make_loader
        try:
            return create(*args, **kwargs)
        finally:
            module.DataLoader = loader_class

    dataset.create_dataloader_from_config = _cured(create_dataloader, create)
    return True


def cure_endless_replacement(on_replaced: Callable[[str], None] | None = None) -> bool:
    """Symptom: a hang that floods the log, or a RecursionError, when clips are silent or unreadable.

    Cause: a clip that cannot be used is replaced by a random other one, without a word and without end.
    After MAX_REPLACEMENTS in a row the loader raises UnusableDataError.

    Args:
        on_replaced: Told the file of each clip that another took the place of.
    """
    from stable_audio_tools.data.dataset import PreEncodedDataset, SampleDataset

    did = False
    for dataset in (SampleDataset, PreEncodedDataset):
        get_item = dataset.__getitem__
        if not _is_cured(get_item) and "random.randrange(len(self))" in _source(get_item):
            dataset.__getitem__ = _bounded(get_item)
            did = True
        dataset.on_replaced = staticmethod(on_replaced) if on_replaced else None
    return did


def fence_paths(dataset_config: dict[str, Any]) -> dict[str, Any]:
    """Symptom: clips get the captions of another folder.

    Cause: folders are matched as substrings, so that `a` matches `ab`. Each gets a trailing slash.
    """
    datasets = [
        {**entry, "path": entry["path"].rstrip("/") + "/"} if "path" in entry else entry
        for entry in dataset_config.get("datasets", [])
    ]
    return {**dataset_config, "datasets": datasets}


def without_loss_info(model_config: dict[str, Any]) -> dict[str, Any]:
    """Symptom: `EinopsError w b c n` at the first step.

    Cause: training.log_loss_info expects an axis of devices, which one device does not have. It is off.
    """
    training = {**model_config["training"], "log_loss_info": False}
    return {**model_config, "training": training}


def seed_for_rank(seed: int, environment: dict[str, str]) -> int:
    """Symptom: all ranks draw the same timesteps. Cause: train.py seeds by SLURM_PROCID alone."""
    return seed + int(environment.get("RANK") or environment.get("SLURM_PROCID") or 0)


class _LatentLengthShift:
    """A DistributionShift that is asked with lengths in samples."""

    def __init__(self, shift: Any, downsampling_ratio: int) -> None:
        self._shift = shift
        self._downsampling_ratio = downsampling_ratio

    def time_shift(self, t: Any, seq_len: int) -> Any:
        """Shift by the length in latents."""
        return self._shift.time_shift(t, seq_len // self._downsampling_ratio)


@contextmanager
def _latent_shift(diffusion: Any, is_needed: bool) -> Iterator[None]:
    shift, pretransform = diffusion.dist_shift, diffusion.pretransform
    if not is_needed or shift is None or pretransform is None:
        yield
        return
    diffusion.dist_shift = _LatentLengthShift(shift, pretransform.downsampling_ratio)
    try:
        yield
    finally:
        diffusion.dist_shift = shift


def _with_wrapped_mask(entry: dict[str, Any]) -> dict[str, Any]:
    mask = entry["padding_mask"]
    return entry if isinstance(mask, list) else {**entry, "padding_mask": [mask]}


def _bounded(get_item: Callable[[Any, int], Any]) -> Callable[[Any, int], Any]:
    asked: list[str] = []
    told: set[str] = set()

    def bounded(self: Any, index: int) -> Any:
        asked.append(self.filenames[index])
        try:
            if len(asked) > MAX_REPLACEMENTS:
                raise UnusableDataError(asked[0])
            if len(asked) == 2 and self.on_replaced and asked[0] not in told:
                told.add(asked[0])
                self.on_replaced(asked[0])
            return get_item(self, index)
        finally:
            asked.pop()

    return _cured(bounded, get_item)


class _DeferredModule(ModuleType):
    """Stands for a module until something of it is used."""

    def __getattr__(self, name: str) -> Any:
        # Whoever asks for the path is about to import a submodule, which needs the real parent.
        if name.startswith("__") and name != "__path__":
            raise AttributeError(name)
        if self.__dict__["_functions_only"]:
            return lambda *args, **kwargs: getattr(_load(self.__name__), name)(*args, **kwargs)
        return getattr(_load(self.__name__), name)


def _defer(name: str, *, functions_only: bool) -> bool:
    """Put a deferred module in the place of `name` unless it is imported already or not installed."""
    parent = name.rpartition(".")[0]
    if name in sys.modules or importlib.util.find_spec(name.partition(".")[0]) is None:
        return False
    module = _DeferredModule(name)
    if not parent:
        module.__spec__ = importlib.util.find_spec(name)
    module.__dict__["_functions_only"] = functions_only
    sys.modules[name] = module
    return True


def _load(name: str) -> ModuleType:
    """Return the real module that a deferred one stands for."""
    if isinstance(sys.modules.get(name), _DeferredModule):
        del sys.modules[name]
    return importlib.import_module(name)


@contextmanager
def _deferred_compile() -> Iterator[None]:
    """Compile at the first call: upstream compiles flex attention, which it may never call, at its import."""
    import torch

    compile_now = torch.compile

    def compile_later(function: Callable[..., Any], **options: Any) -> Callable[..., Any]:
        compiled: list[Callable[..., Any]] = []

        @functools.wraps(function)
        def call(*args: Any, **kwargs: Any) -> Any:
            if not compiled:
                compiled.append(compile_now(function, **options))
            return compiled[0](*args, **kwargs)

        return call

    torch.compile = compile_later  # type: ignore[assignment]
    try:
        yield
    finally:
        torch.compile = compile_now


def _apply(cures: Sequence[Callable[[], bool]]) -> list[str]:
    return [cure.__name__ for cure in cures if cure()]


def _cured(function: Callable[..., Any], original: Callable[..., Any]) -> Callable[..., Any]:
    functools.update_wrapper(function, original)
    function.is_cured = True  # type: ignore[attr-defined]
    return function


def _is_cured(function: Callable[..., Any]) -> bool:
    return getattr(function, "is_cured", False)


def _source(function: Callable[..., Any]) -> str:
    """Return the source of `function`, empty where there is none to read: then nothing is cured."""
    try:
        return inspect.getsource(function)
    except (OSError, TypeError):
        return ""
