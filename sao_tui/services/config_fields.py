"""Single fields of the configs by path: `train.max_steps`, `model.training.use_ema`, `dataset.random_crop`."""

from __future__ import annotations

import difflib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sao_tui.core.errors import SaoError
from sao_tui.services import configs

if TYPE_CHECKING:
    from sao_tui.core.configs.form import FieldSpec
    from sao_tui.services.workspace import Workspace


def read_fields(workspace: Workspace) -> dict[str, Any]:
    """Return every field with its value, or its default where the config does not give it.

    Raises:
        SaoError: A config cannot be read.
    """
    values = {}
    for kind in configs.KINDS:
        raw = _read(workspace, kind)
        for field in configs.fields_of(kind, raw):
            values[f"{kind}.{field.path}"] = configs.get_value(raw, field.path, field.default)
    return values


def write_field(workspace: Workspace, path: str, text: str) -> tuple[Any, Any]:
    """Change one field; return its old and its new value.

    Raises:
        SaoError: There is no such field, or the config would not be valid with this value.
    """
    kind, _, rest = path.partition(".")
    if kind not in configs.KINDS:
        raise SaoError(
            f"There is no field {path}.", f"Fields begin with {', '.join(configs.KINDS)}: sao-tui config show"
        )
    raw = _read(workspace, kind)
    fields = {field.path: field for field in configs.fields_of(kind, raw)}
    if rest not in fields:
        close = difflib.get_close_matches(rest, fields, 1, 0.5)
        hint = f"Did you mean {kind}.{close[0]}?" if close else f"sao-tui config show {kind}. lists all."
        raise SaoError(f"There is no field {path}.", hint)
    old = configs.get_value(raw, rest, fields[rest].default)
    known = {(finding.id, finding.where, finding.message) for finding in _check(workspace, kind, raw)}
    value = _parse(fields[rest], text)
    configs.set_value(raw, rest, value)
    for finding in _check(workspace, kind, raw):
        if finding.severity == "error" and (finding.id, finding.where, finding.message) not in known:
            raise SaoError(finding.message, finding.fix)
    _save(workspace, kind, raw)
    return old, value


def _file(workspace: Workspace, kind: str) -> Path:
    files = {
        "train": workspace.train_config_file,
        "model": workspace.model_config_file,
        "dataset": workspace.dataset_config_file,
    }
    return files[kind]


def _read(workspace: Workspace, kind: str) -> dict[str, Any]:
    file = _file(workspace, kind)
    return configs.read_toml(file) if kind == "train" else configs.read_json(file)


def _check(workspace: Workspace, kind: str, raw: dict[str, Any]) -> list[Any]:
    check = {
        "train": configs.check_train_settings,
        "model": configs.check_model_config,
        "dataset": configs.check_dataset_config,
    }[kind]
    return check(raw, str(_file(workspace, kind)))


def _save(workspace: Workspace, kind: str, raw: dict[str, Any]) -> None:
    file = _file(workspace, kind)
    if kind == "train":
        from sao_tui.core.settings import TrainSettings

        configs.save_train_settings(file, TrainSettings(**raw))
    else:
        configs.save_json(file, raw)


def _parse(field: FieldSpec, text: str) -> Any:
    """Return the value that `text` stands for: JSON, or the text itself for fields of text."""
    if field.kind in ("str", "choice"):
        return text
    try:
        return json.loads(text.lower() if field.kind == "bool" else text)
    except ValueError:
        raise SaoError(f"{text} is not a value for {field.path}.", f"It takes {field.kind}.") from None
