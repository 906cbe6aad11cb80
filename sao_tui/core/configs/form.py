"""The fields of a config as a form shows them, read from the models and from the config at hand."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import NoneType
from typing import Annotated, Any, Literal, get_args, get_origin

from pydantic.fields import FieldInfo

from sao_tui.core.configs.base import Part

FieldKind = Literal["int", "float", "bool", "str", "choice", "list"]

_SECTIONS = (
    ("training.optimizer_configs", "Optimizer"),
    ("training.demo", "Demos"),
    ("training.arc", "ARC"),
    ("training", "Training"),
    ("model.conditioning", "Conditioning"),
    ("model.pretransform", "Autoencoder"),
    ("model", "Diffusion"),
    ("", "Audio"),
)
"""Beginning of a path -> heading, in the order of the form: what a fine-tune changes comes first."""


@dataclass(frozen=True)
class FieldSpec:
    """One field of a form."""

    path: str
    """Keys and list positions, joined by dots."""
    label: str
    help: str
    unit: str
    kind: FieldKind
    default: Any
    choices: tuple[str, ...]
    section: str
    required: bool
    is_set: bool
    """Whether the config at hand gives it; otherwise the default counts."""


def form_fields(model: type[Part], raw: Mapping[str, Any], section: str = "") -> list[FieldSpec]:
    """Return the fields of a config, those of one heading together.

    Args:
        raw: The config at hand; it decides which kinds of parts there are and how many.
        section: One heading for all; by default they go by the model config's parts.
    """
    found = list(_fields(model, raw, "", section))
    headings = [name for _, name in _SECTIONS]
    return sorted(found, key=lambda spec: headings.index(spec.section) if spec.section in headings else 0)


def part_of(annotation: Any, value: Any) -> type[Part] | None:
    """Return the model that an annotation means for a value; a tag such as `type` decides between several."""
    parts = [member for member in _members(annotation) if isinstance(member, type) and issubclass(member, Part)]
    if len(parts) == 1:
        return parts[0]
    for part in parts:
        for tag in ("type", "dataset_type"):
            field = part.model_fields.get(tag)
            if field is not None and isinstance(value, Mapping) and value.get(tag) in get_args(field.annotation):
                return part
    return None


def item_annotation(annotation: Any) -> Any:
    """Return what a list's annotation says of its items, None for no list."""
    for member in _members(annotation):
        if get_origin(member) is list:
            return get_args(member)[0]
    return None


def _fields(model: type[Part], raw: Mapping[str, Any], prefix: str, section: str) -> Iterator[FieldSpec]:
    for name, field in model.model_fields.items():
        path = f"{prefix}{name}"
        value = raw.get(name)
        if model.form_fields and name not in model.form_fields and name not in raw:
            continue
        part = part_of(field.annotation, value)
        items = item_annotation(field.annotation)
        if part is not None:
            if isinstance(value, Mapping):
                yield from _fields(part, value, f"{path}.", section)
        elif items is not None and isinstance(value, list) and part_of(items, value[0] if value else None):
            for index, item in enumerate(value):
                inner = part_of(items, item)
                if inner is not None and isinstance(item, Mapping):
                    yield from _fields(inner, item, f"{path}.{index}.", section)
        elif (kind := _kind(field.annotation)) is not None:
            yield _spec(path, name, field, kind, section or _section(path), is_set=name in raw)


def _spec(path: str, name: str, field: FieldInfo, kind: FieldKind, section: str, *, is_set: bool) -> FieldSpec:
    return FieldSpec(
        path=path,
        label=name.replace("_", " "),
        help=field.description or "",
        unit=_unit(field),
        kind=kind,
        default=None if field.is_required() else field.get_default(call_default_factory=True),
        choices=tuple(str(choice) for choice in _choices(field.annotation)),
        section=section,
        required=field.is_required(),
        is_set=is_set,
    )


def _section(path: str) -> str:
    return next(name for start, name in _SECTIONS if path.startswith(start))


def _members(annotation: Any) -> Iterator[Any]:
    """Yield the types that an annotation allows, without Annotated, unions and None around them."""
    origin = get_origin(annotation)
    if origin is Annotated:
        yield from _members(get_args(annotation)[0])
    elif origin is not None and origin is not Literal and origin not in (list, dict):
        for argument in get_args(annotation):
            yield from _members(argument)
    elif annotation is not NoneType:
        yield annotation


def _choices(annotation: Any) -> list[Any]:
    return [choice for member in _members(annotation) if get_origin(member) is Literal for choice in get_args(member)]


def _kind(annotation: Any) -> FieldKind | None:
    members = list(_members(annotation))
    if _choices(annotation):
        return "bool" if set(_choices(annotation)) <= {True, False} else "choice"
    for kind, types in (("bool", {bool}), ("int", {int}), ("float", {int, float}), ("str", {str})):
        if members and {member for member in members if get_origin(member) is not list} == types:
            return kind  # type: ignore[return-value]
    if any(get_origin(member) is list for member in members):
        return "list"
    return None


def _unit(field: FieldInfo) -> str:
    if isinstance(field.json_schema_extra, dict):
        return str(field.json_schema_extra.get("unit", ""))
    return _nested_unit(field.annotation)


def _nested_unit(annotation: Any) -> str:
    if get_origin(annotation) is Annotated:
        for extra in get_args(annotation)[1:]:
            if isinstance(extra, FieldInfo) and isinstance(extra.json_schema_extra, dict):
                return str(extra.json_schema_extra.get("unit", ""))
    return next((unit for argument in get_args(annotation) if (unit := _nested_unit(argument))), "")
