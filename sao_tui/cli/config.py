"""config new, check, show, set."""

from __future__ import annotations

import argparse

from sao_tui.cli.answer import Answer, from_findings, table
from sao_tui.services.workspace import Workspace, open_workspace


def new(arguments: argparse.Namespace) -> Answer:
    """Write the configs that are missing; exit status 1 when there is nothing to make the model config from."""
    from sao_tui.services.new_configs import missing_model_config, write_missing_configs

    workspace = open_workspace(arguments.workspace)
    written = write_missing_configs(workspace)
    lines = [f"Wrote {path}" for path in written]
    missing = missing_model_config(workspace)
    if missing:
        lines += [missing.message, missing.hint]
    document = {"written": [str(path) for path in written], "complete": missing is None}
    return Answer(document, lines or ["All configs are there already."], missing is None)


def check(arguments: argparse.Namespace) -> Answer:
    """Check all configs."""
    from sao_tui.services.configs import check_workspace_configs

    return from_findings(check_workspace_configs(_workspace(arguments)))


def show(arguments: argparse.Namespace) -> Answer:
    """Show fields with their values."""
    from sao_tui.services.config_fields import read_fields

    values = read_fields(_workspace(arguments))
    kind_prefix = f"{(arguments.field or '').rstrip('.')}."
    named = {path: value for path, value in values.items() if path.startswith(kind_prefix)}
    wanted = named or {path: value for path, value in values.items() if (arguments.field or "") in path}
    rows = [(path, "" if value is None else str(value)) for path, value in wanted.items()]
    return Answer(wanted, table(rows, ("field", "value")) if rows else ["No such field."], ok=bool(wanted))


def set_field(arguments: argparse.Namespace) -> Answer:
    """Change one field after checking the value."""
    from sao_tui.services.config_fields import write_field

    old, value = write_field(_workspace(arguments), arguments.field, arguments.value)
    document = {"field": arguments.field, "old": old, "new": value}
    return Answer(document, [f"{arguments.field}: {old} -> {value}"])


def _workspace(arguments: argparse.Namespace) -> Workspace:
    return open_workspace(arguments.workspace)
