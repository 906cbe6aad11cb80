"""What the import and export dialogs say."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.content import Content

from sao_tui.tui.text import fit, one_line

if TYPE_CHECKING:
    from sao_tui.services.transfer import ImportMatch, ImportPlan, Policy
    from sao_tui.services.transfer_write import ExportPlan

POLICY_WORDS: dict[Policy, str] = {
    "mine": "keep mine where both have a caption",
    "theirs": "take theirs where both have a caption",
    "empty": "touch only clips without a caption",
}
MAX_UNMATCHED = 3
"""Rows without a clip that are shown by name, before the captions."""


def counted(number: int, noun: str) -> str:
    """Return a number with its noun."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def import_text(plan: ImportPlan, policy: Policy) -> Content:
    """Return the totals of an import in three lines."""
    first = f"{counted(len(plan.matches), 'clip')} found ({plan.format}): {counted(plan.num_new, 'new caption')}"
    if plan.num_overwritten:
        first += f", {plan.num_overwritten:,} unlike yours"
    others = f"{counted(len(plan.unmatched), 'row')} without a clip, "
    others += f"{counted(len(plan.without_row), 'clip')} without a row"
    return Content.assemble((first, "bold"), "\n", others, "\n", ("choice: ", "$text-muted"), POLICY_WORDS[policy])


def import_preview(plan: ImportPlan, policy: Policy, width: int, num_lines: int) -> Content:
    """Return some rows without a clip, then captions before and after."""
    lines = [
        Content.styled(fit(f"? {row.where}: {row.reason}", width), "$text-warning")
        for row in plan.unmatched[:MAX_UNMATCHED]
    ]
    changes = sorted((match for match in plan.matches if not match.is_same), key=lambda match: not match.overwrites)
    for match in changes:
        if len(lines) + 3 > num_lines:
            break
        lines += _change(match, policy, width)
    return Content("\n").join(lines)


def _change(match: ImportMatch, policy: Policy, width: int) -> list[Content]:
    lines = [Content.styled(fit(match.relpath, width, from_end=True), "bold")]
    is_taken = not match.before or policy == "theirs"
    if match.before:
        mark = "-" if is_taken else "="
        lines.append(Content.styled(fit(f"{mark} {match.before}", width), "$text-error" if is_taken else ""))
    if is_taken:
        lines.append(Content.styled(fit(f"+ {match.after}", width), "$text-success"))
    else:
        lines.append(Content.styled(fit(f"  {match.after} (theirs, not taken)", width), "$text-muted"))
    return lines


def export_text(plan: ExportPlan, existing: int) -> Content:
    """Return the totals of an export."""
    first = f"{counted(len(plan.texts), 'file')} with {counted(plan.num_captioned, 'caption')}"
    if plan.clips:
        first += f", {counted(len(plan.clips), 'clip')} {'copied' if plan.placing == 'copy' else 'linked'}"
    lines = [(first, "bold"), (f"\n{one_line(str(plan.folder))}", "")]
    if existing:
        lines.append((f"\n{counted(existing, 'file')} there with other content", "$text-warning"))
    elif plan.findings:
        lines.append((f"\n{one_line(plan.findings[0].message)}", "$text-error"))
    return Content.assemble(*lines)
