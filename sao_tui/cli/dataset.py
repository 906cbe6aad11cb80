"""dataset scan, list, show, caption, lint."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sao_tui.cli.answer import Answer, ProgressBar, from_findings, table
from sao_tui.core.errors import SaoError
from sao_tui.core.units import format_duration

if TYPE_CHECKING:
    from sao_tui.services.bundle import Services
    from sao_tui.services.clips import ClipRow


def scan(arguments: argparse.Namespace) -> Answer:
    """Bring the index of clips up to date."""
    services, bar = _services(arguments), ProgressBar(quiet=arguments.json)
    found = _scan(services, bar)
    counts = services.clips.counts()
    document = {**asdict(found), **asdict(counts)}
    lines = [
        f"{counts.num_clips} clips, {counts.num_captioned} with a caption, {counts.num_unreadable} unreadable, "
        f"{format_duration(counts.total_seconds)} of sound."
    ]
    lines += [f"Skipped: {folder}" for folder in found.skipped_folders]
    return Answer(document, lines)


def list_clips(arguments: argparse.Namespace) -> Answer:
    """List the clips that a filter leaves."""
    services = _services(arguments)
    _scan(services, ProgressBar(quiet=True))
    ids = services.clips.ids(" ".join(arguments.filter))
    rows = services.clips.rows(ids[: arguments.limit] if arguments.limit else ids)
    header = ("clip", "seconds", "rate", "ch", "caption")
    cells = [
        (row.relpath, f"{row.seconds:.2f}", str(row.sample_rate_hz), str(row.num_channels), row.error or row.caption)
        for row in rows
    ]
    lines = table(cells, header) if rows else ["No clip matches."]
    if len(rows) < len(ids):
        lines.append(f"… {len(ids) - len(rows)} more")
    return Answer({"num_clips": len(ids), "clips": [_document(row) for row in rows]}, lines)


def show_clip(arguments: argparse.Namespace) -> Answer:
    """Show one clip with the prompt the model will see."""
    from sao_tui.cli.dataset_analysis import show_lines
    from sao_tui.services.clip_facts import read_facts
    from sao_tui.services.measuring import measure_clip

    services = _services(arguments)
    row = _find(services, arguments.clip)
    if not row.error:
        measure_clip(services, row)
    facts = read_facts(services, row.relpath)
    document = _document(row) | facts.document()
    lines = [f"{name}: {value}" for name, value in (_document(row) | {"path": str(facts.path)}).items()]
    return Answer(document, lines + show_lines(facts), ok=not row.error)


def caption(arguments: argparse.Namespace) -> Answer:
    """Write a caption; returns when it is durable."""
    from sao_tui.services import captioning

    services = _services(arguments)
    row = _find(services, arguments.clip)
    captioning.write(services, {row.relpath: arguments.text})
    services.captions.close()
    return Answer({"clip": row.relpath, "caption": arguments.text}, [f"{row.relpath}: {arguments.text}"])


def lint(arguments: argparse.Namespace) -> Answer:
    """Check clips and captions."""
    from sao_tui.services.doctor import check_dataset

    bar = ProgressBar(quiet=arguments.json)
    findings = check_dataset(_services(arguments).workspace, bar)
    bar.close()
    return from_findings(findings)


def _services(arguments: argparse.Namespace) -> Services:
    from sao_tui.services.bundle import build_services

    return build_services(arguments.workspace)


def _scan(services: Services, bar: ProgressBar) -> Any:
    from sao_tui.services.captioning import mirror_all

    found = services.clips.scan(lambda done, total: bar("scanning", done, total))
    mirror_all(services.clips, services.captions)
    bar.close()
    return found


def _find(services: Services, clip: str) -> ClipRow:
    """Return the clip named relative to the dataset folder or as a path."""
    from sao_tui.services.captioning import mirror_all

    services.clips.scan()
    mirror_all(services.clips, services.captions)
    folder = services.workspace.dataset_folder
    candidates = [clip]
    for path in (Path(clip).expanduser(), services.workspace.root / clip):
        if path.resolve().is_relative_to(folder.resolve()):
            candidates.append(str(path.resolve().relative_to(folder.resolve())))
    for name in candidates:
        row = services.clips.row_for(name)
        if row is not None:
            return row
    raise SaoError(f"There is no clip {clip} in {folder}.", "sao-tui dataset list shows all clips.")


def _document(row: ClipRow) -> dict[str, Any]:
    document = asdict(row)
    del document["id"]
    return document
