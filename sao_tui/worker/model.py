"""The model: built by upstream's factory, its weights loaded strictly and counted."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from sao_tui.core.errors import SaoError
from sao_tui.core.weights import WeightsError, read_header
from sao_tui.worker import upstream

Weights = dict[str, torch.Tensor]


def create_model(model_config: dict[str, Any]) -> Any:
    """Return the untrained model that `model_config` describes.

    Raises:
        SaoError: Upstream refuses the config, or the text encoder cannot be had.
    """
    upstream.import_model_modules()
    from stable_audio_tools.models.factory import create_model_from_config

    try:
        return create_model_from_config(model_config)
    except OSError as error:
        if "t5" not in str(error).lower() and "huggingface" not in str(error).lower():
            raise
        raise SaoError(
            "The text encoder cannot be loaded: " + str(error).splitlines()[0],
            "Connect to the network once, or set text_encoder_home to a Hugging Face cache folder that holds it.",
        ) from error
    except (AssertionError, KeyError, NotImplementedError, TypeError, UnboundLocalError) as error:
        raise SaoError(
            f"stable-audio-tools refuses the model config: {type(error).__name__}: {error}",
            "Check it with `sao-tui config check`.",
        ) from error


def _what_is_wrong(path: Path) -> str:
    """Return why torch cannot read a file: torch's own words name neither."""
    try:
        read_header(path)
    except WeightsError as problem:
        return str(problem)
    except OSError as problem:
        return f"cannot be read: {problem.strerror}"
    return "cannot be read: it is damaged"


def read_torch_file(path: Path, *, mapped: bool = True) -> dict[str, Any]:
    """Return what a torch file holds; nothing in it is executed.

    Args:
        mapped: Leave the tensors on the disk until they are read; the file must stay.

    Raises:
        SaoError: The file is missing, cut off, not torch's or holds more than tensors and plain values.
    """
    try:
        content = torch.load(path, map_location="cpu", weights_only=True, mmap=mapped)
    except FileNotFoundError as error:
        raise SaoError(f"{path} does not exist", "Choose a file that does.") from error
    except pickle.UnpicklingError as error:
        raise SaoError(
            f"{path} holds more than weights and could run code when loaded",
            "Use the safetensors version of these weights.",
        ) from error
    except (RuntimeError, OSError, EOFError, ValueError) as error:
        raise SaoError(
            f"{path} {_what_is_wrong(path)}", "Download or copy it again, or choose another file."
        ) from error
    if not isinstance(content, dict):
        raise SaoError(f"{path} holds no weights", "Choose a checkpoint.")
    return content


def read_weights(path: Path) -> Weights:
    """Return the tensors of a model file, whether safetensors, a bare state dict or one in `state_dict`.

    Raises:
        SaoError: See read_torch_file.
    """
    if path.suffix == ".safetensors":
        from safetensors import SafetensorError
        from safetensors.torch import load_file

        try:
            return load_file(path)
        except FileNotFoundError as error:
            raise SaoError(f"{path} does not exist", "Choose a file that does.") from error
        except (SafetensorError, OSError) as error:
            raise SaoError(f"{path} cannot be read: {error}", "Download or copy it again.") from error
    content = read_torch_file(path)
    content = content.get("state_dict", content)
    return {name: value for name, value in content.items() if isinstance(value, torch.Tensor)}


def is_wrapped(weights: Weights) -> bool:
    """Return whether these are a training checkpoint's tensors instead of a model's."""
    return any(name.startswith("diffusion.model.") for name in weights)


def unwrap(weights: Weights) -> Weights:
    """Return the model's tensors out of a checkpoint's: the EMA for the DiT where there is one."""
    model = {name.removeprefix("diffusion."): value for name, value in weights.items() if name.startswith("diffusion.")}
    prefix = "diffusion_ema.ema_model."
    averaged = {"model." + name.removeprefix(prefix): v for name, v in weights.items() if name.startswith(prefix)}
    return {**model, **averaged}


def load_weights(model: Any, weights: Weights, source: Path, log: Callable[[str], None]) -> None:
    """Load every tensor, or none and refuse.

    Args:
        source: Named in messages.
        log: Told how many tensors were loaded.

    Raises:
        SaoError: Names or shapes differ from the model's.
    """
    expected = model.state_dict()
    matching = [name for name, value in weights.items() if name in expected and value.shape == expected[name].shape]
    if len(matching) != len(expected) or len(matching) != len(weights):
        raise SaoError(_mismatch(weights, expected, len(matching), source), _mismatch_hint(weights))
    model.load_state_dict(weights, strict=True)
    log(f"{len(matching)}/{len(expected)} tensors loaded from {source}")


def _mismatch(weights: Weights, expected: Weights, num_matching: int, source: Path) -> str:
    missing = [name for name in expected if name not in weights]
    unexpected = [name for name in weights if name not in expected]
    shapes = [name for name in weights if name in expected and weights[name].shape != expected[name].shape]
    examples = [
        *(f"{name} is missing" for name in missing[:1]),
        *(f"{name} is unexpected" for name in unexpected[:1]),
        *(f"{name} is {list(weights[name].shape)}, not {list(expected[name].shape)}" for name in shapes[:1]),
    ]
    return f"{source}: only {num_matching} of {len(expected)} tensors match the model config ({'; '.join(examples)})"


def _mismatch_hint(weights: Weights) -> str:
    if is_wrapped(weights):
        return "This is a training checkpoint: resume from it, or export it first."
    return "Use the model config that belongs to this file."
