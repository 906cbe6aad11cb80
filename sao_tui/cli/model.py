"""model list and inspect; checkpoint list, inspect and export."""

from __future__ import annotations

import argparse
import os
from dataclasses import asdict
from pathlib import Path
from typing import Any

from sao_tui.cli.answer import Answer, ProgressBar, table
from sao_tui.core.units import format_bytes
from sao_tui.services.workspace import open_workspace


def list_models(arguments: argparse.Namespace) -> Answer:
    """List weights in models/."""
    return _listing(arguments, of_runs=False)


def list_checkpoints(arguments: argparse.Namespace) -> Answer:
    """List checkpoints of all runs."""
    return _listing(arguments, of_runs=True)


def inspect(arguments: argparse.Namespace) -> Answer:
    """Say what a weights file is, without loading it; exit status 1 for what cannot be used."""
    from sao_tui.services.models import inspect as inspect_file

    found = inspect_file(arguments.file, arguments.config)
    lines = [found.message]
    usable = found.kind not in ("foreign", "truncated", "dangerous")
    if found.matches is not None:
        matches = found.matches
        lines.append(f"{matches.loaded}/{matches.expected} tensors match {arguments.config}")
        lines += [f"  missing: {name}" for name in matches.missing[:5]]
        lines += [f"  unexpected: {name}" for name in matches.unexpected[:5]]
        usable = usable and matches.loaded == matches.expected
    return Answer(found.as_dict(), lines, usable)


def export(arguments: argparse.Namespace) -> Answer:
    """Write the model inside a checkpoint as safetensors, and prove that it is the same."""
    from sao_tui.services.checkpoints import export as export_file

    bar = ProgressBar(quiet=arguments.json)
    report = export_file(
        arguments.file,
        arguments.output,
        arguments.weights,
        lambda done, total: bar("exporting", done * 100 // max(total, 1), 100),
    )
    bar.close()
    lines = [f"{report.path}: {report.tensors} tensors ({report.weights}), every byte compared."]
    return Answer(report.as_dict(), lines)


def _listing(arguments: argparse.Namespace, *, of_runs: bool) -> Answer:
    from sao_tui.services.checkpoints import list_checkpoints as list_files

    rows = [row for row in list_files(open_workspace(arguments.workspace)) if bool(row.job) == of_runs]
    cells = [
        (
            _shortest(row.path),
            "" if row.step is None else str(row.step),
            row.kind,
            format_bytes(row.num_bytes),
            row.message,
        )
        for row in rows
    ]
    documents: list[dict[str, Any]] = [{**asdict(row), "path": str(row.path)} for row in rows]
    empty = "No checkpoints yet: sao-tui train start" if of_runs else "models/ holds no weights."
    header = ("file", "step", "kind", "size", "what it is")
    return Answer({"checkpoints" if of_runs else "models": documents}, table(cells, header) if rows else [empty])


def _shortest(path: Path) -> str:
    """Return a path as it can be given to the next command."""
    return os.path.relpath(path) if path.is_relative_to(Path.cwd()) else str(path)
