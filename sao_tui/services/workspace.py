"""A workspace: one folder with the clips, configs, models, runs and generations of a fine-tune.

Opening one asks the disk only whether sao.toml is there; its settings are read when first needed.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from functools import cached_property
from pathlib import Path
from typing import Any

from sao_tui.core.errors import SaoError
from sao_tui.core.files import write_atomically

SETTINGS_NAME = "sao.toml"

_FOLDERS = ("dataset", "configs", "models", "runs", "generations", ".sao")

_KEYS = {
    "workspace.name": "name",
    "model.base_weights": "base_weights",
    "model.config": "model_config",
    "model.text_encoder_home": "text_encoder_home",
    "dataset.folder": "dataset_folder",
    "dataset.config": "dataset_config",
    "train.config": "train_config",
    "worker.python": "worker_python",
    "suggest.url": "suggest_url",
    "suggest.model": "suggest_model",
    "audio.player": "player",
    "ui.theme": "theme",
}
"""Dotted key in sao.toml -> field of WorkspaceSettings; `[keys]` is a table of its own."""

_FIRST_SETTINGS = """\
# Settings of this sao-tui workspace. Paths are relative to this folder; comments survive a save.

[workspace]
name = {name}

[model]
# Weights that training starts from, as downloaded.
base_weights = "models/base_model.ckpt"
config = "configs/model_config.json"
# Hugging Face cache folder that holds the text encoder; empty for your own (HF_HOME).
text_encoder_home = ""

[dataset]
folder = "dataset"
config = "configs/dataset_config.json"

[train]
config = "configs/train.toml"

[worker]
# Interpreter with torch and stable-audio-tools; empty for the one that runs the dashboard.
python = ""

[audio]
# auto, miniaudio, simpleaudio, pw-play, paplay, aplay or null.
player = "auto"

[ui]
theme = "sao-dark"

# Key of a binding by its id, such as `dataset.play = "p"`.
[keys]
"""


@dataclass(frozen=True)
class WorkspaceSettings:
    """What sao.toml says; a key that it leaves out has the value shown here."""

    name: str = ""
    """Shown in the status line; empty for the folder's name."""
    base_weights: str = "models/base_model.ckpt"
    """Weights that training starts from; empty for none."""
    model_config: str = "configs/model_config.json"
    """Upstream's model config of the base weights."""
    text_encoder_home: str = ""
    """Hugging Face cache folder that holds the text encoder; empty for the user's own."""
    dataset_folder: str = "dataset"
    """Folder of the clips, any depth."""
    dataset_config: str = "configs/dataset_config.json"
    """Upstream's dataset config."""
    train_config: str = "configs/train.toml"
    """Arguments of a training run (core/settings.TrainSettings)."""
    worker_python: str = ""
    """Interpreter that runs the worker; empty for the one that runs the dashboard."""
    suggest_url: str = ""
    """OpenAI-compatible endpoint that suggests captions; the key comes from the environment alone."""
    suggest_model: str = ""
    """Model of that endpoint."""
    player: str = "auto"
    """Player to use: auto, or the name of one."""
    theme: str = "sao-dark"
    """Colours of the dashboard."""
    keys: Mapping[str, str] = field(default_factory=dict)
    """Binding id -> keys."""


class Workspace:
    """Where everything of one workspace lies; all paths are absolute."""

    def __init__(self, root: Path) -> None:
        """Name the workspace at `root` without touching the disk; open_workspace checks that it is one."""
        self.root = root.absolute()

    @cached_property
    def settings(self) -> WorkspaceSettings:
        """What sao.toml says, read when first asked for.

        Raises:
            SaoError: sao.toml is missing, is not TOML, or holds an unknown key or a wrong type.
        """
        return _read_settings(self.settings_file)

    def reload(self) -> None:
        """Read sao.toml again at the next question."""
        self.__dict__.pop("settings", None)

    @property
    def name(self) -> str:
        """What the status line calls it."""
        return self.settings.name or self.root.name

    @property
    def settings_file(self) -> Path:
        """sao.toml."""
        return self.root / SETTINGS_NAME

    @property
    def dataset_folder(self) -> Path:
        """Folder of the clips."""
        return self._resolve(self.settings.dataset_folder)

    @property
    def metadata_file(self) -> Path:
        """metadata.jsonl, which holds the captions."""
        return self.dataset_folder / "metadata.jsonl"

    @property
    def configs_folder(self) -> Path:
        """Folder of upstream's configs and ours."""
        return self.root / "configs"

    @property
    def models_folder(self) -> Path:
        """Folder of base weights and exported models."""
        return self.root / "models"

    @property
    def runs_folder(self) -> Path:
        """Folder of jobs."""
        return self.root / "runs"

    @property
    def generations_folder(self) -> Path:
        """Folder of generated clips."""
        return self.root / "generations"

    @property
    def cache_folder(self) -> Path:
        """Folder that may be deleted at any time."""
        return self.root / ".sao"

    @property
    def latents_folder(self) -> Path:
        """Folder of pre-encoded clips; not a cache, they are expensive."""
        return self.root / "latents"

    @property
    def base_weights(self) -> Path | None:
        """Weights that training starts from, whether or not the file is there; None when set to nothing."""
        return self._resolve_optional(self.settings.base_weights)

    @property
    def model_config_file(self) -> Path:
        """Upstream's model config."""
        return self._resolve(self.settings.model_config)

    @property
    def dataset_config_file(self) -> Path:
        """Upstream's dataset config."""
        return self._resolve(self.settings.dataset_config)

    @property
    def train_config_file(self) -> Path:
        """Arguments of a training run."""
        return self._resolve(self.settings.train_config)

    @property
    def text_encoder_home(self) -> Path | None:
        """Hugging Face cache folder that holds the text encoder; None for the user's own."""
        return self._resolve_optional(self.settings.text_encoder_home)

    @property
    def worker_python(self) -> str:
        """Interpreter that runs the worker."""
        return self.settings.worker_python or sys.executable

    def _resolve(self, path: str) -> Path:
        return self.root / Path(path).expanduser()

    def _resolve_optional(self, path: str) -> Path | None:
        return self._resolve(path) if path else None


def open_workspace(root: Path) -> Workspace:
    """Return the workspace in the folder `root`.

    Raises:
        SaoError: There is no sao.toml in it.
    """
    workspace = Workspace(root)
    if not workspace.settings_file.is_file():
        missing = "" if root.is_dir() else " (there is no such folder)"
        raise SaoError(
            f"{root} is not a sao-tui workspace: it has no {SETTINGS_NAME}{missing}.",
            f"Make one with `sao-tui init {root}`, or try the demo with `sao-tui demo {root}`.",
        )
    return workspace


def init_workspace(root: Path) -> Workspace:
    """Make `root` a workspace; folders and files that are there stay as they are.

    Raises:
        SaoError: The folder cannot be made or written to.
    """
    workspace = Workspace(root)
    try:
        workspace.root.mkdir(parents=True, exist_ok=True)
        for folder in _FOLDERS:
            (workspace.root / folder).mkdir(exist_ok=True)
        if not workspace.settings_file.exists():
            text = _FIRST_SETTINGS.format(name=_quote(workspace.root.name))
            write_atomically(workspace.settings_file, text.encode())
    except OSError as error:
        raise SaoError(
            f"Cannot make a workspace in {root}: {error.strerror}: {error.filename}.",
            "Choose a folder that you may write to, with space left on its disk.",
        ) from error
    return workspace


def save_settings(workspace: Workspace, **changes: Any) -> None:
    """Write settings by dotted key, `save_settings(ws, **{"ui.theme": "sao-light"})`; comments stay.

    Args:
        changes: None removes a key. `keys.ID` sets the keys of a binding.

    Raises:
        SaoError: A key is unknown, a value has the wrong type, or the file cannot be written.
    """
    import tomlkit
    from tomlkit.exceptions import TOMLKitError

    path = workspace.settings_file
    try:
        document = tomlkit.parse(path.read_text(encoding="utf-8"))
        for dotted, value in changes.items():
            section, _, key = dotted.partition(".")
            if section not in document:
                document[section] = tomlkit.table()
            table: Any = document[section]
            if value is None:
                table.pop(key, None)
            else:
                table[key] = value
        text = tomlkit.dumps(document)
    except (TOMLKitError, UnicodeDecodeError, TypeError, AttributeError) as error:
        raise _not_settings(path, str(error)) from error
    except OSError as error:
        raise _cannot(path, "read", error) from error
    _to_settings(path, document.unwrap())
    try:
        write_atomically(path, text.encode())
    except OSError as error:
        raise _cannot(path, "write", error) from error
    workspace.reload()


def _read_settings(path: Path) -> WorkspaceSettings:
    try:
        return _to_settings(path, _parse_toml(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise _cannot(path, "read", error) from error
    except ValueError as error:  # TOML errors of both parsers, and bytes that are not UTF-8.
        raise _not_settings(path, str(error)) from error


def _parse_toml(text: str) -> dict[str, Any]:
    if sys.version_info >= (3, 11):
        import tomllib  # An eighth of tomlkit's import time, which is on the way to the first paint.

        return tomllib.loads(text)
    import tomlkit

    return tomlkit.parse(text).unwrap()


def _to_settings(path: Path, document: dict[str, Any]) -> WorkspaceSettings:
    values: dict[str, Any] = {}
    for section, table in document.items():
        if section == "keys":
            values["keys"] = _flat_keys(path, table)
            continue
        if not isinstance(table, dict):
            raise _unknown_key(path, section)
        for key, value in table.items():
            dotted = f"{section}.{key}"
            if dotted not in _KEYS:
                raise _unknown_key(path, dotted)
            if not isinstance(value, str):
                raise _wrong_type(path, dotted, value)
            values[_KEYS[dotted]] = value
    return WorkspaceSettings(**values)


def _flat_keys(path: Path, table: Any, prefix: str = "") -> dict[str, str]:
    """Return `[keys]` flat: an id with dots may be written as a dotted key, which TOML nests."""
    if not isinstance(table, dict):
        raise _wrong_type(path, "keys", table, "a table of binding ids and keys")
    flat: dict[str, str] = {}
    for key, value in table.items():
        if isinstance(value, dict):
            flat |= _flat_keys(path, value, f"{prefix}{key}.")
        elif isinstance(value, str):
            flat[prefix + key] = value
        else:
            raise _wrong_type(path, f"keys.{prefix}{key}", value)
    return flat


def _unknown_key(path: Path, key: str) -> SaoError:
    import difflib

    close = difflib.get_close_matches(key, _KEYS, n=1)
    known = f"Did you mean {close[0]}?" if close else f"Known keys: {', '.join(_KEYS)}."
    return SaoError(f"{path} has an unknown key: {key}.", known)


def _wrong_type(path: Path, key: str, value: Any, wanted: str = "text in quotes") -> SaoError:
    return SaoError(f"{path}: {key} must be {wanted}, not {value!r}.", "Correct it in a text editor.")


def _not_settings(path: Path, why: str) -> SaoError:
    return SaoError(f"{path} is not valid TOML: {why}.", "Correct it in a text editor.")


def _cannot(path: Path, verb: str, error: OSError) -> SaoError:
    return SaoError(f"Cannot {verb} {path}: {error.strerror}.", "Check its permissions and the space on its disk.")


def _quote(text: str) -> str:
    """Return `text` as a TOML string: JSON's escapes are a subset of TOML's basic strings."""
    import json

    return json.dumps(text.encode(errors="replace").decode())


assert set(_KEYS.values()) | {"keys"} == {each.name for each in fields(WorkspaceSettings)}  # noqa: S101
