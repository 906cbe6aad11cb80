"""Names and shapes of the tensors that upstream builds from a model config, by arithmetic instead of torch.

Follows stable-audio-tools 0.0.19: models/dit.py, transformer.py, autoencoders.py, conditioners.py. Parts
whose inner structure belongs to other packages (a DAC encoder, a CLAP conditioner) are named in
`unknown_prefixes` and left out of comparisons.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sao_tui.core.weights.header import TensorInfo, is_buffer
from sao_tui.core.weights.oobleck import add_autoencoder
from sao_tui.core.weights.shapes import Shape, Shapes
from sao_tui.core.weights.transformer import add_dit

T5_DIMS = {
    "t5-small": 512,
    "t5-base": 768,
    "t5-large": 1024,
    "t5-3b": 1024,
    "t5-11b": 1024,
    "google/t5-v1_1-xl": 2048,
    "google/t5-v1_1-xxl": 4096,
    "google/flan-t5-small": 512,
    "google/flan-t5-base": 768,
    "google/flan-t5-large": 1024,
    "google/flan-t5-3b": 1024,
    "google/flan-t5-11b": 1024,
    "google/flan-t5-xl": 2048,
    "google/flan-t5-xxl": 4096,
}
"""Width of each text encoder that upstream's T5 conditioner takes."""


@dataclass(frozen=True)
class ExpectedTensors:
    """State dict of a model that does not exist yet."""

    shapes: Mapping[str, Shape]
    unknown_prefixes: tuple[str, ...] = ()

    @property
    def num_parameters(self) -> int:
        """Trainable numbers, buffers left out."""
        total = 0
        for name, shape in self.shapes.items():
            if not is_buffer(name, self.shapes):
                count = 1
                for size in shape:
                    count *= size
                total += count
        return total

    def knows(self, name: str) -> bool:
        """Return whether `name` lies in a part whose tensors are known."""
        return not name.startswith(self.unknown_prefixes) if self.unknown_prefixes else True


@dataclass(frozen=True)
class Match:
    """How the tensors of a file fit a config."""

    loaded: int
    """Tensors with the expected name and shape."""
    expected: int
    missing: tuple[str, ...]
    """Expected and absent, or of another shape."""
    unexpected: tuple[str, ...]

    @property
    def is_whole(self) -> bool:
        """Whether every tensor fits and none is left over."""
        return not self.missing and not self.unexpected


def expected_tensors(model_config: Mapping[str, Any]) -> ExpectedTensors:
    """Return names and shapes of the core weights that a diffusion_cond config describes.

    Raises:
        KeyError, TypeError, ValueError: The config is not valid; check it first.
    """
    shapes: Shapes = {}
    unknown: list[str] = []
    model = model_config["model"]
    diffusion = model["diffusion"]
    if diffusion["type"] == "dit":
        add_dit(shapes, "model.model.", diffusion["config"])
    else:
        unknown.append("model.")
    if model.get("conditioning") is not None:
        _add_conditioner(shapes, unknown, model["conditioning"])
    if model.get("pretransform") is not None:
        _add_pretransform(shapes, unknown, model["pretransform"])
    return ExpectedTensors(shapes, tuple(unknown))


def compare(expected: ExpectedTensors, tensors: Mapping[str, TensorInfo]) -> Match:
    """Return how `tensors`, named as core weights, fit."""
    missing: list[str] = []
    for name, shape in expected.shapes.items():
        found = tensors.get(name)
        if found is None:
            missing.append(name)
        elif found.shape != shape:
            missing.append(f"{name} {_as_text(shape)}, the file has {_as_text(found.shape)}")
    unexpected = tuple(name for name in tensors if name not in expected.shapes and expected.knows(name))
    num_known = len(expected.shapes)
    return Match(num_known - len(missing), num_known, tuple(missing), unexpected)


def _as_text(shape: Sequence[int]) -> str:
    return "x".join(map(str, shape)) or "scalar"


def _add_conditioner(shapes: Shapes, unknown: list[str], conditioning: Mapping[str, Any]) -> None:
    for entry in conditioning["configs"]:
        prefix = f"conditioner.conditioners.{entry['id']}."
        config = {"output_dim": conditioning["cond_dim"], **entry["config"]}
        width: int = config["output_dim"]
        match entry["type"]:
            case "t5":
                inner = T5_DIMS[config.get("t5_model_name", "t5-base")]
                if inner != width or config.get("project_out", False):
                    shapes[f"{prefix}proj_out.weight"] = (width, inner)
                    shapes[f"{prefix}proj_out.bias"] = (width,)
            case "number":
                shapes[f"{prefix}embedder.embedding.0.weights"] = (128,)
                shapes[f"{prefix}embedder.embedding.1.weight"] = (width, 257)
                shapes[f"{prefix}embedder.embedding.1.bias"] = (width,)
            case "int":
                size = config.get("max_val", 512) - config.get("min_val", 0) + 1
                shapes[f"{prefix}int_embedder.weight"] = (size, width)
            case "list":
                shapes[f"{prefix}embedder.weight"] = (len(config["options"]) + 1, width)
            case _:
                unknown.append(prefix)


def _add_pretransform(shapes: Shapes, unknown: list[str], pretransform: Mapping[str, Any]) -> None:
    if pretransform["type"] == "autoencoder":
        add_autoencoder(shapes, unknown, "pretransform.model.", pretransform["config"])
    elif pretransform["type"] != "patched":
        unknown.append("pretransform.")
