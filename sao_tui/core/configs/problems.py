"""What is wrong with a config, in words: pydantic's errors with their paths, and the nearest known key."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, Literal

from pydantic import TypeAdapter, ValidationError
from pydantic_core import ErrorDetails

from sao_tui.core.configs.base import Part
from sao_tui.core.configs.form import item_annotation, part_of

_EXPECTED = {
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "bool_type": "true or false",
    "string_type": "text in quotes",
    "list_type": "a list in [ ]",
    "dict_type": "an object in { }",
    "model_type": "an object in { }",
    "model_attributes_type": "an object in { }",
}


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong, or odd, about a config."""

    path: str
    """Field, its keys joined by dots; empty for the whole."""
    message: str
    """A sentence without the file's name."""
    fix: str
    id: Literal["config-unknown-key", "config-invalid", "config-odd", "dataset-nested-path"] = "config-invalid"
    severity: Literal["error", "warning"] = "error"


def problems_of(annotation: Any, raw: Any) -> list[Problem]:
    """Return what keeps `raw` from being a config of the given model, in the order of the file."""
    try:
        TypeAdapter(annotation).validate_python(raw)
    except ValidationError as error:
        grouped: dict[tuple[Any, ...], list[ErrorDetails]] = {}
        for details in error.errors(include_url=False):
            grouped.setdefault(_real_path(details, raw), []).append(details)
        return [_problem(path, details, annotation, raw) for path, details in grouped.items()]
    return []


def _real_path(details: ErrorDetails, raw: Any) -> tuple[Any, ...]:
    """Return an error's place in the file: pydantic also puts the names of union members into it."""
    path: list[Any] = []
    value = raw
    last = len(details["loc"]) - 1
    for index, key in enumerate(details["loc"]):
        if _has(value, key):
            value = value[key]
        elif not (index == last and details["type"] == "missing"):
            continue
        path.append(key)
    return tuple(path)


def _has(value: Any, key: Any) -> bool:
    if isinstance(value, list):
        return isinstance(key, int) and key < len(value)
    return isinstance(value, Mapping) and key in value


def _problem(path: tuple[Any, ...], details: Sequence[ErrorDetails], annotation: Any, raw: Any) -> Problem:
    dotted = ".".join(map(str, path))
    first = details[0]
    known = _known_keys(annotation, raw, path[:-1])
    match first["type"]:
        case "extra_forbidden":
            fix = _place_of(annotation, raw, path) or _nearest(str(path[-1]), known)
            return Problem(dotted, f"{dotted} is not a known key", fix, "config-unknown-key")
        case "missing":
            return Problem(dotted, f"{dotted} is missing", f"Add {path[-1]}.")
        case "union_tag_not_found":
            tag = str(first.get("ctx", {}).get("discriminator", "type")).strip("'")
            return Problem(dotted, f"{_join(dotted, tag)} is missing", f"Add {tag}.")
        case "union_tag_invalid":
            return _unknown_tag(dotted, first)
        case "literal_error":
            return _not_among(dotted, first)
        case _:
            expected = _expected(details)
            message = f"{dotted or 'the config'} must be {expected}, not {_shown(first['input'])}"
            return Problem(dotted, message, f"Give {expected}.")


def _nearest(key: str, known: Sequence[str]) -> str:
    near = get_close_matches(key, known, 1)
    if near:
        return f"Did you mean {near[0]}?"
    return "Remove it." if len(known) > 12 else f"Remove it, or use one of: {', '.join(sorted(known))}."


def _place_of(annotation: Any, raw: Any, path: Sequence[Any]) -> str:
    """Return where a key belongs that was put too deep, empty if nowhere above."""
    for depth in range(len(path) - 2, -1, -1):
        if path[-1] in _known_keys(annotation, raw, path[:depth]):
            return f"It belongs in {'.'.join(map(str, path[:depth]))}." if depth else "It belongs at the top level."
    return ""


def _unknown_tag(dotted: str, details: ErrorDetails) -> Problem:
    context = details.get("ctx", {})
    tag = str(context.get("discriminator", "type")).strip("'")
    found, known = str(context.get("tag", "")), str(context.get("expected_tags", "")).replace("'", "")
    near = get_close_matches(found, known.split(", "), 1)
    fix = f"Did you mean {near[0]}?" if near else f"Use one of: {known}."
    return Problem(_join(dotted, tag), f'{_join(dotted, tag)} has the unknown value "{found}"', fix)


def _not_among(dotted: str, details: ErrorDetails) -> Problem:
    known = str(details.get("ctx", {}).get("expected", "")).replace("'", "").replace(" or ", ", ")
    near = get_close_matches(str(details["input"]), known.split(", "), 1)
    fix = f"Did you mean {near[0]}?" if near else f"Use one of: {known}."
    return Problem(dotted, f"{dotted} has the unknown value {_shown(details['input'])}", fix)


def _expected(details: Sequence[ErrorDetails]) -> str:
    for kind in ("float_type", "list_type"):
        if any(item["type"] == kind for item in details):
            return _EXPECTED[kind]
    first = details[0]
    if first["type"] in _EXPECTED:
        return _EXPECTED[first["type"]]
    context = first.get("ctx", {})
    limits = {"ge": "at least", "gt": "more than", "le": "at most", "lt": "less than"}
    for key, words in limits.items():
        if key in context:
            return f"{words} {context[key]}"
    return first["msg"].removeprefix("Input should be ").removeprefix("Value error, ").lower()


def _shown(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 40 else text[:37] + "..."


def _join(dotted: str, key: str) -> str:
    return f"{dotted}.{key}" if dotted else key


def _known_keys(annotation: Any, raw: Any, path: Sequence[Any]) -> list[str]:
    value = raw
    for key in path:
        part = part_of(annotation, value) if isinstance(value, Mapping) else None
        if isinstance(key, int):
            annotation = item_annotation(annotation)
        elif part is not None and key in part.model_fields:
            annotation = part.model_fields[key].annotation
        else:
            return []
        value = value[key]
    found: type[Part] | None = part_of(annotation, value)
    return list(found.model_fields) if found is not None else []
