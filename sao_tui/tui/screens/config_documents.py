"""The config files behind the form: read, checked and saved in the screen's workers."""

from __future__ import annotations

import copy
import dataclasses
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from textual.content import Content

from sao_tui.core.errors import SaoError
from sao_tui.core.findings import Finding
from sao_tui.core.settings import TrainSettings
from sao_tui.tui.widgets.config_form import FormField, show_value

if TYPE_CHECKING:
    from sao_tui.services.configs import ConfigKind
    from sao_tui.services.workspace import Workspace


@dataclass(frozen=True)
class Document:
    """One config file with the fields that the form shows of it."""

    kind: ConfigKind
    path: Path
    raw: dict[str, Any]
    """What it says, unchecked."""
    fields: tuple[FormField, ...]

    def values(self) -> dict[str, Any]:
        """Return the values of the form's fields; a default where the file does not give one."""
        from sao_tui.services.configs import get_value

        return {field.key: get_value(self.raw, field_path(field.key), field.default) for field in self.fields}

    def changed(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Return the raw config with the form's values where they differ."""
        from sao_tui.services.configs import get_value, set_value

        raw: dict[str, Any] = copy.deepcopy(self.raw)
        for field in self.fields:
            path = field_path(field.key)
            value = values.get(field.key, field.default)
            if value == get_value(self.raw, path, field.default):
                continue
            if value is None:
                _remove(raw, path)
            else:
                set_value(raw, path, value)
        return raw

    def check(self, raw: Mapping[str, Any]) -> list[Finding]:
        """Return what is wrong with `raw` in this document's place."""
        from sao_tui.services import configs

        if self.kind == "train":
            return configs.check_train_settings(raw, str(self.path))
        if self.kind == "model":
            return configs.check_model_config(raw, str(self.path))
        return configs.check_dataset_config(raw, str(self.path))

    def errors(self, findings: Sequence[Finding]) -> dict[str, str]:
        """Return the errors that are about one field, by the field's key."""
        name = f"{self.path.name}: "
        wrong = {
            (finding.where or "").removeprefix(name): finding.message.removeprefix(name)
            for finding in reversed(findings)
            if finding.severity == "error"
        }
        return {field.key: wrong[field_path(field.key)] for field in self.fields if field_path(field.key) in wrong}

    def save(self, raw: dict[str, Any]) -> None:
        """Write `raw` in this document's place.

        Raises:
            SaoError: It has an error that the file has not, or the file cannot be written.
        """
        from sao_tui.services.configs import save_json, save_train_settings

        known = {finding.message for finding in self.check(self.raw)}
        for finding in self.check(raw):
            if finding.severity == "error" and finding.message not in known:
                raise SaoError(f"Not written. {finding.message}", finding.fix or "Correct the field marked with !.")
        if self.kind == "train":
            names = {field.name for field in dataclasses.fields(TrainSettings)}
            save_train_settings(self.path, TrainSettings(**{key: raw[key] for key in raw if key in names}))
        else:
            save_json(self.path, raw)


def field_key(kind: ConfigKind, path: str) -> str:
    """Return a field's key in the form."""
    return f"{kind}:{path}"


def field_path(key: str) -> str:
    """Return a field's path in its file."""
    return key.split(":", 1)[1]


def read_documents(workspace: Workspace) -> tuple[list[Document], dict[ConfigKind, SaoError]]:
    """Read the configs of a workspace; those that cannot be read are left out, with the reason of each."""
    from sao_tui.services.configs import KINDS, read_json, read_toml
    from sao_tui.services.new_configs import missing_model_config

    files: dict[ConfigKind, Path] = {
        "train": workspace.train_config_file,
        "model": workspace.model_config_file,
        "dataset": workspace.dataset_config_file,
    }
    documents: list[Document] = []
    errors: dict[ConfigKind, SaoError] = {}
    for kind in KINDS:
        try:
            raw = read_toml(files[kind]) if kind == "train" else read_json(files[kind])
            documents.append(Document(kind, files[kind], raw, _fields(kind, raw)))
        except SaoError as error:
            missing = missing_model_config(workspace) if kind == "model" else None
            if missing is None and not files[kind].exists():
                missing = SaoError(error.message, "Press m to make it, or correct its path in sao.toml.")
            errors[kind] = missing or error
    return documents, errors


def parse_value(field: FormField, text: str) -> Any:
    """Return what was typed as a value of the field's kind.

    Raises:
        ValueError: It is not one; the text says what is wanted.
    """
    text = text.strip()
    if field.kind in ("int", "float"):
        return _parse_number(field, text)
    if field.kind == "list":
        return [_parse_item(each.strip()) for each in text.split(",") if each.strip()]
    return None if text in ("", "-") and field.default is None else text


def _parse_number(field: FormField, text: str) -> int | float | None:
    if text in ("", "-") and field.default is None:
        return None
    try:
        return int(text.replace("_", "")) if field.kind == "int" else float(text)
    except ValueError:
        wanted = "a whole number" if field.kind == "int" else "a number, such as 0.5 or 1e-5"
        raise ValueError(f"This must be {wanted}.") from None


def _parse_item(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def _fields(kind: ConfigKind, raw: Mapping[str, Any]) -> tuple[FormField, ...]:
    from sao_tui.services.configs import fields_of

    specs = fields_of(kind, raw)
    num_same = Counter((spec.section, spec.label) for spec in specs)
    return tuple(
        FormField(
            field_key(kind, spec.path),
            spec.label if num_same[spec.section, spec.label] == 1 else _longer_label(spec.path),
            spec.section,
            spec.help,
            spec.unit,
            spec.kind,
            spec.default,
            spec.choices,
        )
        for spec in specs
    )


def _longer_label(path: str) -> str:
    """Return a label for one of several fields of the same name: what it belongs to stands before it."""
    keys = [key for key in path.split(".") if key not in ("config", "configs")]
    first = next((at for at in range(len(keys) - 2, 0, -1) if not keys[at].isdigit()), 0)
    return " ".join(keys[first:]).replace("_", " ")


def _remove(raw: dict[str, Any], path: str) -> None:
    """Leave a field out, as its default is to have none."""
    from sao_tui.services.configs import get_value

    parent, _, last = path.rpartition(".")
    place = get_value(raw, parent) if parent else raw
    if isinstance(place, dict):
        place.pop(last, None)


def files_text(documents: Sequence[Document], root: Path, num_changed: int) -> Content:
    """Return the line above the form."""
    names = [str(each.path.relative_to(root) if each.path.is_relative_to(root) else each.path) for each in documents]
    changed = f"{num_changed} changed, w writes" if num_changed else "as on the disk"
    return Content(" · ".join([changed, *names]))


def problems_text(problems: Sequence[SaoError]) -> Content:
    """Return what stands in the form's place when no file can be shown."""
    lines = [f"{problem.message}\n{problem.hint}" for problem in problems]
    return Content("\n\n".join([*lines, "Press m to make the configs that are missing."]))


def field_texts(field: FormField | None) -> tuple[Content, Content]:
    """Return the two lines about the field under the cursor: its help, and its facts."""
    if field is None:
        return Content(""), Content("")
    parts = [f"default {show_value(field.default)}", field.unit, field.key.replace(":", ".", 1)]
    title = Content.assemble((field.label, "bold"), f"  {field.help}")
    return title, Content(" · ".join(part for part in parts if part))


def error_text(error: str, *, is_edited: bool) -> Content:
    """Return the line below a field: what is wrong with it, and while it is typed in, the keys."""
    if not is_edited:
        return Content.styled(error, "$text-error")
    if error:
        return Content.assemble((error, "$text-error"), ("  escape leaves it as it was", "$text-muted"))
    return Content.styled("enter takes it · escape leaves it as it was", "$text-muted")


def model_json(documents: Sequence[Document], values: Mapping[str, Any]) -> Content:
    """Return the model's config as it would be written."""
    texts = [
        json.dumps(each.changed(values), indent=2, ensure_ascii=False) for each in documents if each.kind == "model"
    ]
    return Content(texts[0] if texts else "The model's config cannot be shown: there is none, or it cannot be read.")


def findings_text(findings: Sequence[Finding]) -> Content:
    """Return findings as the list below the form shows them."""
    if not findings:
        return Content.styled("Nothing found: these configs can be trained with.", "$text-success")
    colours = {"error": "$text-error", "warning": "$text-warning", "info": "$text-muted"}
    lines = []
    for finding in findings:
        fix = f"\n        {finding.fix}" if finding.fix else ""
        lines.append(Content.assemble((f"{finding.severity:7} ", colours[finding.severity]), finding.message, fix))
    return Content("\n").join(lines)
