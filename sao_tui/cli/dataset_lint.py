"""dataset lint: what is wrong with clips and captions, and its cure."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from sao_tui.cli.answer import Answer, ProgressBar, from_findings

if TYPE_CHECKING:
    from sao_tui.services.bundle import Services

_MAX_CLIPS = 100


def add_commands(commands: Any) -> None:
    """Add them to the commands of `dataset`."""
    from sao_tui.cli.parser import command

    lint = command(commands, "lint", "dataset_lint:lint", "check clips and captions, or cure what a rule has found")
    lint.add_argument("--no-measure", action="store_true", help="look only at headers, captions and what is measured")
    lint.add_argument("--fix", metavar="RULE", help="cure this finding: correct captions, or set clips aside")
    lint.add_argument("--phrase", default="", help="with --fix caption-invariant: what to take out of every caption")
    lint.add_argument("--dry-run", action="store_true", help="with --fix: only say what would change")


def lint(arguments: argparse.Namespace) -> Answer:
    """Check clips and captions; with --fix, cure one finding."""
    from sao_tui.services.bundle import build_services
    from sao_tui.services.lint_fixes import rule_ids
    from sao_tui.services.lint_report import lint_dataset

    services = build_services(arguments.workspace)
    bar = ProgressBar(quiet=arguments.json)
    report = lint_dataset(services, bar, measure=not arguments.no_measure)
    bar.close()
    if arguments.fix:
        return _fix(services, arguments)
    answer = from_findings(report.findings)
    documents: list[dict[str, Any]] = []
    for found in report.found:
        rows = services.clips.rows(rule_ids(services, found.finding.id)[:_MAX_CLIPS]) if found.num_clips else []
        extra = {"num_clips": found.num_clips, "clips": [row.relpath for row in rows]}
        documents.append(asdict(found.finding) | extra | ({"phrase": found.phrase} if found.phrase else {}))
    document = {
        "ok": report.is_ok,
        "findings": documents,
        "num_clips": report.num_clips,
        "num_unmeasured": report.num_unmeasured,
    }
    return Answer(document, answer.lines, answer.ok)


def _fix(services: Services, arguments: argparse.Namespace) -> Answer:
    from sao_tui.services.lint_fixes import caption_fixes, clips_to_set_aside
    from sao_tui.services.lint_rules import BY_ID

    rule = BY_ID.get(arguments.fix)
    if rule is not None and rule.fix_kind == "aside":
        return _set_aside(services, clips_to_set_aside(services, rule.id), dry_run=arguments.dry_run)
    fixes = caption_fixes(services, arguments.fix, arguments.phrase.casefold())
    if fixes and not arguments.dry_run:
        from sao_tui.services.captioning import write

        expected = {fix.relpath: fix.before for fix in fixes}
        write(services, {fix.relpath: fix.after for fix in fixes}, f"lint: {arguments.fix}", expected=expected)
    lines = [f"{fix.relpath}: {fix.before!r} -> {fix.after!r}" for fix in fixes]
    verb = "would change" if arguments.dry_run else "changed"
    document = {"rule": arguments.fix, "written": not arguments.dry_run, "captions": [asdict(fix) for fix in fixes]}
    return Answer(document, [*lines, f"{len(fixes)} captions {verb}."])


def _set_aside(services: Services, relpaths: list[str], *, dry_run: bool) -> Answer:
    from sao_tui.services.set_aside import FOLDER_NAME, set_aside

    if dry_run:
        document: dict[str, Any] = {"written": False, "set_aside": relpaths, "failed": []}
        return Answer(document, [*relpaths, f"{len(relpaths)} clips would go to {FOLDER_NAME}/."])
    done = set_aside(services.workspace, relpaths)
    services.clips.scan()
    failed = [{"clip": relpath, "reason": reason} for relpath, reason in done.failed]
    lines = [f"{len(done.moved)} clips went to {done.folder}; move them back to have them again."]
    lines += [f"{relpath} stays: {reason}." for relpath, reason in done.failed]
    document = {"written": True, "set_aside": list(done.moved), "failed": failed, "folder": str(done.folder)}
    return Answer(document, lines, ok=not done.failed)
