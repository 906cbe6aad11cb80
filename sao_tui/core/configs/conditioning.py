"""Conditioners: how text and numbers become what the DiT listens to."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from sao_tui.core.configs.base import Channels, Number, Part, Tokens

T5Name = Literal[
    "t5-small",
    "t5-base",
    "t5-large",
    "t5-3b",
    "t5-11b",
    "google/flan-t5-small",
    "google/flan-t5-base",
    "google/flan-t5-large",
    "google/flan-t5-xl",
    "google/flan-t5-xxl",
    "google/t5-v1_1-xl",
    "google/t5-v1_1-xxl",
]


class T5Config(Part):
    """Arguments of the T5 text conditioner."""

    t5_model_name: T5Name = "t5-base"
    """Text encoder; its width follows from its name."""
    max_length: Tokens = 128
    """Captions are cut after this many tokens."""
    enable_grad: bool = False
    """Train the text encoder too; it is not saved in checkpoints."""
    project_out: bool = False
    """Add a linear layer even where widths agree."""
    output_dim: Channels | None = None
    """Width it puts out, where it differs from cond_dim."""


class NumberConfig(Part):
    """Arguments of a number conditioner."""

    min_val: Number = 0
    """Smallest value; lower ones are raised to it."""
    max_val: Number = 1
    """Largest value; higher ones are lowered to it."""
    output_dim: Channels | None = None
    """Width it puts out, where it differs from cond_dim."""


class IntConfig(Part):
    """Arguments of an integer conditioner."""

    min_val: int = 0
    """Smallest value."""
    max_val: int = 512
    """Largest value."""
    output_dim: Channels | None = None
    """Width it puts out, where it differs from cond_dim."""


class ListConfig(Part):
    """Arguments of a choice conditioner."""

    options: list[str]
    """Texts that it knows; others share one embedding."""
    output_dim: Channels | None = None
    """Width it puts out, where it differs from cond_dim."""


class T5Conditioner(Part):
    """Text through a T5 encoder."""

    id: str
    """Key of the clip's metadata that it reads."""
    type: Literal["t5"]
    """Kind of conditioner."""
    config: T5Config
    """Its arguments."""


class NumberConditioner(Part):
    """A number through an embedding."""

    id: str
    """Key of the clip's metadata that it reads."""
    type: Literal["number"]
    """Kind of conditioner."""
    config: NumberConfig
    """Its arguments."""


class IntConditioner(Part):
    """A whole number through a table."""

    id: str
    """Key of the clip's metadata that it reads."""
    type: Literal["int"]
    """Kind of conditioner."""
    config: IntConfig
    """Its arguments."""


class ListConditioner(Part):
    """One of a list of texts through a table."""

    id: str
    """Key of the clip's metadata that it reads."""
    type: Literal["list"]
    """Kind of conditioner."""
    config: ListConfig
    """Its arguments."""


class OtherConditioner(Part):
    """A conditioner from another package."""

    id: str
    """Key of the clip's metadata that it reads."""
    type: Literal["clap_text", "clap_audio", "phoneme", "lut", "pretransform", "source_mix"]
    """Kind of conditioner."""
    config: dict[str, Any]
    """Its arguments, handed on as they are."""


Conditioner = Annotated[
    T5Conditioner | NumberConditioner | IntConditioner | ListConditioner | OtherConditioner,
    Field(discriminator="type"),
]


class ConditioningConfig(Part):
    """All conditioners of a model."""

    configs: list[Conditioner]
    """The conditioners, each reading one key of a clip's metadata."""
    cond_dim: Channels
    """Width that every conditioner puts out."""
    default_keys: dict[str, str] = {}
    """Key to read instead where a conditioner's own is missing."""
    pre_encoded_keys: list[str] = []
    """Keys whose values are embeddings already."""
