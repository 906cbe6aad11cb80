"""Reads, checks and writes configs, and lists their fields for the form; pydantic is imported at first use."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from sao_tui.core.errors import SaoError
from sao_tui.core.files import write_atomically
from sao_tui.core.findings import Finding
from sao_tui.core.settings import TrainSettings
from sao_tui.services.shipped import shipped

if TYPE_CHECKING:
    from sao_tui.core.configs.base import Part
    from sao_tui.core.configs.dataset import AudioDirDataset, PreEncodedDataset, WebDatasetConfig
    from sao_tui.core.configs.form import FieldSpec
    from sao_tui.core.configs.model import ModelConfig
    from sao_tui.core.configs.problems import Problem
    from sao_tui.services.workspace import Workspace

ConfigKind = Literal["train", "model", "dataset"]
KINDS: tuple[ConfigKind, ...] = ("train", "model", "dataset")

CHECK_HINT = "Correct the file, or see all findings with `sao-tui config check`."


def load_model_config(path: Path) -> ModelConfig:
    """Return a model config.

    Raises:
        SaoError: It is missing, not JSON, or not valid; the first fault is named.
    """
    from sao_tui.core.configs.model import ModelConfig

    raw = read_json(path)
    _require_ok(check_model_config(raw, str(path)))
    return ModelConfig.model_validate(raw)


def load_dataset_config(path: Path) -> AudioDirDataset | PreEncodedDataset | WebDatasetConfig:
    """Return a dataset config.

    Raises:
        SaoError: It is missing, not JSON, or not valid; the first fault is named.
    """
    from sao_tui.core.configs.dataset import DATASET_CONFIG

    raw = read_json(path)
    _require_ok(check_dataset_config(raw, str(path)))
    return DATASET_CONFIG.validate_python(raw)


def dump(config: Part) -> dict[str, Any]:
    """Return a config as its file has it: the same keys, order and numbers."""
    return config.dump()


def read_json(path: Path) -> dict[str, Any]:
    """Return a JSON config unchecked.

    Raises:
        SaoError: It is missing or no JSON object.
    """
    text = _read_text(path)
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise SaoError(f"{path} is not JSON: {error}.", "Correct the file where the message says.") from error
    if not isinstance(value, dict):
        raise SaoError(f"{path} holds no JSON object.", "A config begins with { and ends with }.")
    return value


def save_json(path: Path, config: Mapping[str, Any]) -> None:
    """Replace a JSON config, indented as it was.

    Raises:
        SaoError: It cannot be written; the file is as it was.
    """
    indent = 4
    if path.exists() and (found := re.search(r"\n( +)\S", _read_text(path))):
        indent = len(found[1])
    text = json.dumps(config, indent=indent, ensure_ascii=False) + "\n"
    _write(path, text)


def load_train_settings(path: Path) -> TrainSettings:
    """Return the arguments of a run; what the file leaves out has its default.

    Raises:
        SaoError: It is missing, not TOML, or not valid; the first fault is named.
    """
    raw = read_toml(path)
    _require_ok(check_train_settings(raw, str(path)))
    return TrainSettings(**raw)


def save_train_settings(path: Path, settings: TrainSettings) -> None:
    """Write the arguments of a run; comments and order stay, a value of None removes its key.

    Raises:
        SaoError: The file is no TOML, or cannot be written.
    """
    import tomlkit

    document = _parse_toml(path) if path.exists() else tomlkit.document()
    plain = TrainSettings()
    for name, value in asdict(settings).items():
        if value is None:
            document.pop(name, None)
        elif name in document:
            if document[name] != value:
                document[name] = value
        elif value != getattr(plain, name) or not path.exists():
            document[name] = value
    _write(path, tomlkit.dumps(document))


def read_toml(path: Path) -> dict[str, Any]:
    """Return a TOML file unchecked.

    Raises:
        SaoError: It is missing or not TOML.
    """
    unwrapped = _parse_toml(path).unwrap()
    return dict(unwrapped)


def check_model_config(raw: Mapping[str, Any], where: str) -> list[Finding]:
    """Return what is wrong with a model config.

    Args:
        where: Its file, for the messages.
    """
    from sao_tui.core.configs.model import ModelConfig
    from sao_tui.core.configs.problems import problems_of
    from sao_tui.core.configs.rules import model_problems

    problems = problems_of(ModelConfig, raw) or list(model_problems(ModelConfig.model_validate(raw)))
    return _findings(problems, where)


def check_dataset_config(raw: Mapping[str, Any], where: str) -> list[Finding]:
    """Return what is wrong with a dataset config.

    Args:
        where: Its file, for the messages.
    """
    from sao_tui.core.configs.dataset import DATASET_CONFIG, DatasetConfig
    from sao_tui.core.configs.problems import problems_of
    from sao_tui.core.configs.rules import dataset_problems

    problems = problems_of(DatasetConfig, raw) or list(dataset_problems(DATASET_CONFIG.validate_python(raw)))
    return _findings(problems, where)


def check_train_settings(raw: Mapping[str, Any], where: str = "train.toml") -> list[Finding]:
    """Return what is wrong with the arguments of a run.

    Args:
        where: Their file, for the messages.
    """
    from sao_tui.core.configs.problems import problems_of
    from sao_tui.core.configs.rules import train_problems
    from sao_tui.core.configs.train import TrainConfig

    problems = problems_of(TrainConfig, raw) or list(train_problems(TrainConfig.model_validate(raw)))
    return _findings(problems, where)


def check_workspace_configs(workspace: Workspace) -> list[Finding]:
    """Return what is wrong with the three configs of a workspace, a missing one included."""
    findings: list[Finding] = []
    for file, read, check in (
        (workspace.model_config_file, read_json, check_model_config),
        (workspace.dataset_config_file, read_json, check_dataset_config),
        (workspace.train_config_file, read_toml, check_train_settings),
    ):
        if not file.exists():
            fix = "Put base_model_config.json into models/ and run `sao-tui config new`."
            findings.append(Finding("config-missing", "error", f"{file} does not exist.", str(file), fix))
            continue
        try:
            findings += check(read(file), str(file))
        except SaoError as error:
            findings.append(Finding("config-invalid", "error", error.message, str(file), error.hint))
    return findings


def fields_of(kind: ConfigKind, raw: Mapping[str, Any] | None = None) -> list[FieldSpec]:
    """Return the fields of a config for the form, those under one heading together.

    Args:
        raw: The config at hand: it decides which parts, such as conditioners, there are. By default one
            of SAO-small's shape.
    """
    from sao_tui.core.configs.dataset import DatasetConfig
    from sao_tui.core.configs.form import form_fields, part_of
    from sao_tui.core.configs.model import ModelConfig
    from sao_tui.core.configs.train import TrainConfig

    if kind == "train":
        return form_fields(TrainConfig, raw or {}, "Run")
    if kind == "model":
        return form_fields(ModelConfig, read_json(shipped("nano", "base_model_config.json")) if raw is None else raw)
    raw = {"dataset_type": "audio_dir", "datasets": [{}]} if raw is None else raw
    part = part_of(DatasetConfig, raw)
    return [] if part is None else form_fields(part, raw, "Dataset")


def get_value(config: Mapping[str, Any], path: str, default: Any = None) -> Any:
    """Return the value at a FieldSpec's path, `default` where the config does not give it."""
    value: Any = config
    for key in path.split("."):
        try:
            value = value[int(key)] if isinstance(value, list) else value[key]
        except (KeyError, IndexError, ValueError, TypeError):
            return default
    return value


def set_value(config: dict[str, Any], path: str, value: Any) -> None:
    """Set the value at a FieldSpec's path in place; objects on the way are made where they are missing.

    Raises:
        SaoError: The path leads through a value that is no object, or past the end of a list.
    """
    *parents, last = path.split(".")
    target: Any = config
    try:
        for key in parents:
            target = target[int(key)] if isinstance(target, list) else target.setdefault(key, {})
        if isinstance(target, list):
            target[int(last)] = value
        else:
            target[last] = value
    except (IndexError, ValueError, TypeError, AttributeError) as error:
        raise SaoError(f"{path} cannot be set in this config.", "Edit the file itself.") from error


def _findings(problems: Iterable[Problem], where: str) -> list[Finding]:
    name = Path(where).name
    return [
        Finding(
            problem.id,
            problem.severity,
            f"{name}: {problem.message}.",
            f"{name}: {problem.path}" if problem.path else where,
            problem.fix,
        )
        for problem in problems
    ]


def _require_ok(findings: Iterable[Finding]) -> None:
    for finding in findings:
        if finding.severity == "error":
            raise SaoError(finding.message, finding.fix or CHECK_HINT)


def _parse_toml(path: Path) -> Any:
    import tomlkit
    from tomlkit.exceptions import TOMLKitError

    try:
        return tomlkit.parse(_read_text(path))
    except TOMLKitError as error:
        raise SaoError(f"{path} is not TOML: {error}.", "Correct the file where the message says.") from error


def _read_text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise SaoError(f"{path} does not exist.", "Check the path in sao.toml, or make a new one.") from error
    except UnicodeDecodeError as error:
        raise SaoError(f"{path} is no text file.", "Check the path in sao.toml.") from error
    except OSError as error:
        raise SaoError(f"{path} cannot be read: {error.strerror}.", "Check its permissions.") from error


def _write(path: Path, text: str) -> None:
    try:
        write_atomically(path, text.encode())
    except OSError as error:
        raise SaoError(f"{path} cannot be written: {error.strerror}.", "Check space and permissions.") from error
