"""What all parts of upstream's configs have in common: unknown keys are refused, key order is remembered."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, ClassVar

from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, model_validator

Number = int | float
"""A number as JSON writes it: 1 stays 1, 1.0 stays 1.0."""

Count = Annotated[int, Field(ge=1)]
NonNegative = Annotated[int, Field(ge=0)]
Probability = Annotated[Number, Field(ge=0, le=1)]
Hertz = Annotated[int, Field(gt=0, json_schema_extra={"unit": "Hz"})]
Samples = Annotated[int, Field(gt=0, json_schema_extra={"unit": "samples"})]
Channels = Annotated[int, Field(gt=0, json_schema_extra={"unit": "channels"})]
Latents = Annotated[int, Field(gt=0, json_schema_extra={"unit": "latent frames"})]
Steps = Annotated[int, Field(ge=1, json_schema_extra={"unit": "steps"})]
Seconds = Annotated[Number, Field(ge=0, json_schema_extra={"unit": "s"})]
Tokens = Annotated[int, Field(gt=0, json_schema_extra={"unit": "tokens"})]
Scale = Annotated[Number, Field(json_schema_extra={"unit": "x"})]


class Part(BaseModel):
    """A JSON object of a config."""

    model_config = ConfigDict(
        extra="forbid", strict=True, protected_namespaces=(), use_attribute_docstrings=True, validate_assignment=False
    )

    form_fields: ClassVar[tuple[str, ...]] = ()
    """Fields that a form always shows; others only where they are set. Empty for all."""

    _keys: tuple[str, ...] = PrivateAttr(default=())

    @model_validator(mode="wrap")
    @classmethod
    def _remember_keys(cls, data: Any, handler: Callable[[Any], Part]) -> Part:
        part = handler(data)
        if isinstance(data, dict):
            part._keys = tuple(data)
        return part

    def dump(self) -> dict[str, Any]:
        """Return the object as its file has it: the same keys in the same order, no defaults added."""
        later = [name for name in self.model_fields_set if name not in self._keys]
        return {name: _plain(getattr(self, name)) for name in (*self._keys, *sorted(later))}


class OpenPart(Part):
    """A JSON object to which upstream's forks add keys of their own."""

    model_config = ConfigDict(extra="allow")


def _plain(value: Any) -> Any:
    if isinstance(value, Part):
        return value.dump()
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return value
