"""Bringing captions in from other programs: a preview first, then one durable step that one undo takes back."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from sao_tui.core.errors import SaoError
from sao_tui.core.findings import Finding
from sao_tui.services.captions_lines import is_unicode
from sao_tui.services.transfer_match import ClipMatcher
from sao_tui.services.transfer_read import BadRow, ImportRow, TransferFormat, read_source

if TYPE_CHECKING:
    from sao_tui.services.bundle import Services

Policy = Literal["mine", "theirs", "empty"]
"""mine keeps captions and keys that there are, and brings what is missing; theirs replaces them; empty touches
only clips without a caption."""
MAX_NAMED = 50


@dataclass(frozen=True)
class ImportMatch:
    """A row and its clip."""

    relpath: str
    row: ImportRow
    before: str
    """Caption that the clip has, empty for none."""

    @property
    def after(self) -> str:
        """Caption of the row."""
        return str(self.row.keys.get("text") or "")

    @property
    def overwrites(self) -> bool:
        """Whether the clip has another caption already."""
        return bool(self.before and self.after and self.before != self.after)

    @property
    def is_same(self) -> bool:
        """Whether the caption would not change."""
        return not self.after or self.before == self.after


@dataclass(frozen=True)
class ImportPlan:
    """What an import would do."""

    source: Path
    format: TransferFormat
    matches: tuple[ImportMatch, ...]
    """One a clip, the last row winning."""
    unmatched: tuple[BadRow, ...]
    """Rows without a clip, or that cannot be used."""
    without_row: tuple[str, ...]
    """Clips that the source says nothing about."""

    @property
    def num_new(self) -> int:
        """Clips that would get their first caption."""
        return sum(1 for match in self.matches if match.after and not match.before)

    @property
    def num_overwritten(self) -> int:
        """Captions that `theirs` would replace."""
        return sum(1 for match in self.matches if match.overwrites)

    @property
    def findings(self) -> list[Finding]:
        """What does not fit."""
        found = [
            Finding("import-unmatched", "warning", f"{row.where}: {row.reason}.", row.where)
            for row in self.unmatched[:MAX_NAMED]
        ]
        if len(self.unmatched) > MAX_NAMED:
            message = f"{len(self.unmatched) - MAX_NAMED} more rows have no clip or cannot be used."
            found.append(Finding("import-unmatched", "warning", message))
        if not self.matches:
            message = f"No row of {self.source} is about a clip of this dataset."
            fix = "Paths are compared relative to the dataset folder, then by name."
            found.insert(0, Finding("import-nothing", "error", message, str(self.source), fix))
        return found


def plan_import(services: Services, source: Path, form: TransferFormat | None = None) -> ImportPlan:
    """Return what importing from a file or a folder would do; the index must be fresh.

    Raises:
        SaoError: The source cannot be read, or the index cannot.
    """
    given = read_source(source.absolute(), form)
    clips = services.clips
    captions: dict[str, str] = dict(clips.captions_of(clips.ids()))
    matcher = ClipMatcher(list(captions), services.workspace.dataset_folder)
    matches: dict[str, ImportMatch] = {}
    unmatched = list(given.bad_rows)
    for row in given.rows:
        relpath, reason = matcher.find(row, given.folder)
        if relpath and not is_unicode(str(row.keys.get("text") or "")):
            relpath, reason = "", "its caption is not UTF-8"
        if relpath:
            matches[relpath] = ImportMatch(relpath, row, captions[relpath])
        else:
            unmatched.append(BadRow(row.where, f"{row.name}: {reason}"))
    without = tuple(relpath for relpath in captions if relpath not in matches)
    return ImportPlan(source, given.format, tuple(matches.values()), tuple(unmatched), without)


def apply_import(services: Services, plan: ImportPlan, policy: Policy) -> int:
    """Write what was planned, durably and in one step; return how many clips changed.

    Raises:
        CaptionConflict: Another program changed one of the captions since the preview; nothing is written.
        SaoError: The captions cannot be written; they are as they were.
    """
    from sao_tui.services.captioning import write_records

    records: dict[str, dict[str, Any]] = {}
    expected: dict[str, str] = {}
    for match in plan.matches:
        keys = _keys_to_write(services, match, policy)
        if keys:
            records[match.relpath] = keys
            if "text" in keys:
                expected[match.relpath] = match.before
    if not records:
        return 0
    return write_records(services, records, f"import of {os.path.basename(plan.source)}", expected)


def import_notes(plan: ImportPlan, policy: Policy) -> list[str]:
    """Return what people should know of an import beside its number of clips."""
    notes = []
    if plan.num_overwritten and policy != "theirs":
        notes.append(f"{plan.num_overwritten} captions that differ were kept.")
    if plan.unmatched:
        notes.append(f"{len(plan.unmatched)} rows have no clip or cannot be used.")
    if plan.without_row:
        notes.append(f"{len(plan.without_row)} clips have no row.")
    return notes


def _keys_to_write(services: Services, match: ImportMatch, policy: Policy) -> dict[str, Any]:
    """Return the keys that a clip's line gets."""
    keys = {name: value for name, value in match.row.keys.items() if name != "audio_path"}
    if not keys.get("text"):
        # A row without a caption never takes one away.
        keys.pop("text", None)
    if policy == "empty" and match.before:
        return {}
    if policy == "mine":
        if match.before:
            keys.pop("text", None)
        if keys:
            known = services.captions.record(match.relpath)
            keys = {name: value for name, value in keys.items() if name not in known or not known[name]}
    return keys


def check_format(name: str) -> TransferFormat:
    """Return a format by its name.

    Raises:
        SaoError: There is no such format.
    """
    from sao_tui.services.transfer_read import FORMATS

    for form in FORMATS:
        if form == name:
            return form
    raise SaoError(f"{name} is no format of captions.", f"There are {', '.join(FORMATS)}.")
