"""dataset import and export: captions from and for other programs."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sao_tui.cli.answer import Answer, ProgressBar, from_findings
from sao_tui.cli.parser import command

if TYPE_CHECKING:
    from sao_tui.services.bundle import Services
    from sao_tui.services.transfer import ImportPlan, Policy
    from sao_tui.services.transfer_write import Placing

FORMATS = ("jsonl", "txt", "json", "csv", "audiofolder")
MAX_SHOWN = 20
"""Captions that a dry run shows to people; `--json` has all."""


def add_commands(commands: Any) -> None:
    """Add them to the commands of `dataset`."""
    added = command(commands, "import", "dataset_transfer:import_captions", "bring captions in from other programs")
    added.add_argument("source", type=Path, help="csv or jsonl file, or a folder with sidecars or an audiofolder")
    added.add_argument("--format", choices=FORMATS, help="told by what is there otherwise")
    added.add_argument("--dry-run", action="store_true", help="show what would change, write nothing")
    choice = added.add_mutually_exclusive_group()
    choice.add_argument("--overwrite", action="store_true", help="take their captions where both have one")
    choice.add_argument("--only-empty", action="store_true", help="touch only clips without a caption")
    added = command(commands, "export", "dataset_transfer:export_captions", "write captions for other programs")
    added.add_argument("target", type=Path, help="folder; for csv and jsonl also a file")
    added.add_argument("filter", nargs="*", help="clips to export, as in `dataset list`; all by default")
    added.add_argument("--format", choices=FORMATS, required=True)
    placing = added.add_mutually_exclusive_group()
    placing.add_argument("--copy", action="store_true", help="copy the clips too")
    placing.add_argument("--link", action="store_true", help="link the clips too, without using space")
    added.add_argument("--overwrite", action="store_true", help="replace files that are there with other content")


def import_captions(arguments: argparse.Namespace) -> Answer:
    """Bring captions in, or show what that would change."""
    from sao_tui.services.transfer import apply_import, import_notes, plan_import

    services = _fresh_services(arguments)
    plan = plan_import(services, arguments.source, arguments.format)
    policy: Policy = "theirs" if arguments.overwrite else "empty" if arguments.only_empty else "mine"
    found = from_findings(plan.findings, good="")
    document = found.document | _plan_document(plan, policy)
    lines = list(filter(None, found.lines))
    if arguments.dry_run:
        lines += _preview(plan)
        return Answer(document | {"num_changed": None}, lines, found.ok)
    num_changed = apply_import(services, plan, policy) if found.ok else 0
    lines.append(f"{num_changed} of {len(plan.matches)} clips that match have changed ({plan.format}).")
    lines += import_notes(plan, policy)
    if plan.num_overwritten and policy == "mine":
        lines.append("hint: --overwrite takes theirs.")
    return Answer(document | {"num_changed": num_changed}, lines, found.ok)


def _plan_document(plan: ImportPlan, policy: str) -> dict[str, Any]:
    return {
        "source": str(plan.source),
        "format": plan.format,
        "policy": policy,
        "num_matched": len(plan.matches),
        "num_new": plan.num_new,
        "num_overwritten": plan.num_overwritten,
        "unmatched": [{"where": row.where, "reason": row.reason} for row in plan.unmatched],
        "clips_without_row": list(plan.without_row),
        "changes": [
            {"clip": match.relpath, "before": match.before, "after": match.after, "where": match.row.where}
            for match in plan.matches
            if not match.is_same
        ],
    }


def _preview(plan: ImportPlan) -> list[str]:
    changes = [match for match in plan.matches if not match.is_same]
    lines = []
    for match in changes[:MAX_SHOWN]:
        lines.append(match.relpath)
        if match.before:
            lines.append(f"  - {match.before}")
        lines.append(f"  + {match.after}")
    if len(changes) > MAX_SHOWN:
        lines.append(f"… {len(changes) - MAX_SHOWN} more")
    lines.append(
        f"{len(plan.matches)} rows match ({plan.format}): {plan.num_new} new captions, {plan.num_overwritten} differ; "
        f"{len(plan.unmatched)} rows without a clip, {len(plan.without_row)} clips without a row."
    )
    return lines


def export_captions(arguments: argparse.Namespace) -> Answer:
    """Write captions, and clips where asked, in another format."""
    from sao_tui.services.transfer_write import plan_export, write_export

    services = _fresh_services(arguments)
    clips = services.clips.relpaths(services.clips.ids(" ".join(arguments.filter)))
    placing: Placing = "copy" if arguments.copy else "link" if arguments.link else ""
    plan = plan_export(services, clips, arguments.target, arguments.format, placing)
    bar = ProgressBar(quiet=arguments.json)
    num_files = write_export(
        services, plan, overwrite=arguments.overwrite, progress=lambda done, total: bar("writing", done, total)
    )
    bar.close()
    found = from_findings(plan.findings, good="")
    totals = {"target": str(plan.target), "format": plan.format, "num_files": num_files, "num_clips": len(clips)}
    line = f"{num_files} files with {plan.num_captioned} captions of {len(clips)} clips: {plan.target}"
    return Answer(found.document | totals, [*filter(None, found.lines), line], found.ok)


def _fresh_services(arguments: argparse.Namespace) -> Services:
    from sao_tui.services.bundle import build_services
    from sao_tui.services.clips import refresh

    services = build_services(arguments.workspace)
    bar = ProgressBar(quiet=arguments.json)
    refresh(services.clips, services.captions, lambda done, total: bar("scanning", done, total))
    bar.close()
    return services
