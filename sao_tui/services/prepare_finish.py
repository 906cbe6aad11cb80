"""What follows the sound of a prepare job: captions with their provenance, the split, the report, the new dataset."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sao_tui.core.errors import SaoError
from sao_tui.core.files import write_atomically, write_json
from sao_tui.core.findings import Finding
from sao_tui.core.preparing import PrepareSettings
from sao_tui.services.captions_lines import encode_record
from sao_tui.services.prepare_journal import ClipOutcome, Output

if TYPE_CHECKING:
    from sao_tui.services.workspace import Workspace

REPORT_NAME = "report.json"
MAX_NAMED = 200
"""Clips that get a finding of their own in a report; the rest is counted."""


def output_records(
    outcomes: Iterable[ClipOutcome], records: Mapping[str, Mapping[str, Any]], settings: PrepareSettings
) -> Iterator[dict[str, Any]]:
    """Give the metadata line of every output: all keys of its clip's line, and where it comes from.

    A clip without a caption takes that of a duplicate that was dropped for it. `source` is relative to the
    workspace where it is inside; of a clip that was prepared before, source and times are those of its first
    recording, so that slices of one recording are known as such.

    Args:
        outcomes: In the order of the lines.
        records: Line of each clip.
    """
    outcomes = list(outcomes)
    inherited = {
        outcome.duplicate_of: records[outcome.clip]["text"]
        for outcome in reversed(outcomes)
        if outcome.duplicate_of and records.get(outcome.clip, {}).get("text")
    }
    for outcome in outcomes:
        before = dict(records.get(outcome.clip, {}))
        if not before.get("text") and outcome.clip in inherited:
            before["text"] = inherited[outcome.clip]
        for output in outcome.outputs:
            yield _record(outcome.clip, output, before, settings)


def _record(clip: str, output: Output, before: Mapping[str, Any], settings: PrepareSettings) -> dict[str, Any]:
    record: dict[str, Any] = {"audio_path": output.relpath}
    record |= {name: value for name, value in before.items() if name != "audio_path"}
    # What upstream's tools write there about the file is wrong of another one.
    measured = {"duration": round(output.seconds, 3), "sample_rate": output.rate_hz}
    record |= {name: value for name, value in measured.items() if name in before}
    source, offset = before.get("source"), before.get("start_seconds")
    if not isinstance(source, str) or not isinstance(offset, int | float):
        source, offset = _source_path(clip, settings), 0.0
    done = [*before["prepared"]] if isinstance(before.get("prepared"), list) else []
    return record | {
        "source": source,
        "start_seconds": round(offset + output.start_seconds, 6),
        "end_seconds": round(offset + output.end_seconds, 6),
        "prepared": done + list(output.done),
    }


def _source_path(clip: str, settings: PrepareSettings) -> str:
    path = Path(settings.originals or settings.source) / clip
    root = Path(settings.workspace)
    return str(path.relative_to(root)) if settings.workspace and path.is_relative_to(root) else str(path)


def write_metadata(
    outcomes: Iterable[ClipOutcome], records: Mapping[str, Mapping[str, Any]], settings: PrepareSettings
) -> None:
    """Write metadata.jsonl of a new folder.

    Raises:
        OSError: The folder cannot be written; the file is as it was.
    """
    lines = [encode_record(record) + b"\n" for record in output_records(outcomes, records, settings)]
    write_atomically(Path(settings.output) / "metadata.jsonl", b"".join(lines))


def carry_over(outcomes: Iterable[ClipOutcome], settings: PrepareSettings) -> None:
    """Take how prompts are drawn, and which clips are held out, into a new folder.

    Raises:
        OSError: The folder cannot be written.
    """
    source, output = Path(settings.source), Path(settings.output)
    if (source / "prompts.json").is_file():
        shutil.copyfile(source / "prompts.json", output / "prompts.json")
    try:
        split = json.loads((source / "split.json").read_text(encoding="utf-8"))
        held_out = set(split["validation"])
    except (OSError, ValueError, KeyError, TypeError):
        # No split, or none that can be read: the lint says so of the dataset it belongs to.
        return
    validation = [output.relpath for outcome in outcomes if outcome.clip in held_out for output in outcome.outputs]
    write_json(output / "split.json", split | {"validation": sorted(validation)})


@dataclass(frozen=True)
class PrepareReport:
    """What a prepare job has made, for people and for `--json`."""

    output: str
    num_clips: int
    """Clips asked for."""
    num_done: int
    """Clips looked at."""
    num_files: int
    num_bytes: int
    seconds: float
    """Length of all outputs."""
    num_dropped: int
    num_failed: int
    findings: tuple[Finding, ...] = ()

    @property
    def in_words(self) -> str:
        """One sentence."""
        words = f"{self.num_done} of {self.num_clips} clips became {self.num_files} files"
        if self.num_dropped:
            words += f", {self.num_dropped} dropped"
        if self.num_failed:
            words += f", {self.num_failed} could not be read"
        return words + "."


def make_report(outcomes: Iterable[ClipOutcome], num_clips: int, output: str) -> PrepareReport:
    """Return the totals and what is to be known about single clips."""
    outcomes = list(outcomes)
    outputs = [each for outcome in outcomes for each in outcome.outputs]
    return PrepareReport(
        output=output,
        num_clips=num_clips,
        num_done=len(outcomes),
        num_files=len(outputs),
        num_bytes=sum(each.num_bytes for each in outputs),
        seconds=round(sum(each.seconds for each in outputs), 3),
        num_dropped=sum(bool(outcome.dropped) for outcome in outcomes),
        num_failed=sum(bool(outcome.error) for outcome in outcomes),
        findings=tuple(_findings(outcomes)),
    )


def _findings(outcomes: list[ClipOutcome]) -> Iterator[Finding]:
    found = [finding for outcome in outcomes for finding in outcome_findings(outcome)]
    errors = [finding for finding in found if finding.severity == "error"]
    others = [finding for finding in found if finding.severity != "error"]
    for group, severity in ((errors, "error"), (others, "info")):
        yield from group[:MAX_NAMED]
        if len(group) > MAX_NAMED:
            message = f"{len(group) - MAX_NAMED} more clips are like these; the journal names all of them."
            yield Finding("prepare-more", "error" if severity == "error" else "info", message)


def outcome_findings(outcome: ClipOutcome) -> Iterator[Finding]:
    """Give what is to be known about one clip."""
    clip = outcome.clip
    if outcome.error:
        what = "prepare-needs-ffmpeg" if "need ffmpeg" in outcome.error else "clip-unreadable"
        yield Finding(what, "error", f"{clip} cannot be read: {outcome.error.rstrip('.')}.", clip, outcome.hint)
    if outcome.dropped:
        rule = "prepare-duplicate" if outcome.duplicate_of else "prepare-silent"
        yield Finding(rule, "info", f"{clip} is dropped: {outcome.dropped}.", clip)
    for note in outcome.notes:
        yield Finding("prepare-less", "warning", f"{clip}: {note}", clip)


def write_report(folder: Path, report: PrepareReport) -> None:
    """Write a job's report into its folder.

    Raises:
        OSError: The disk is full or gone.
    """
    write_json(folder / REPORT_NAME, asdict(report))


def read_report(folder: Path) -> PrepareReport | None:
    """Return the report in a job's folder, None while there is none."""
    try:
        values = json.loads((folder / REPORT_NAME).read_text(encoding="utf-8"))
        findings = tuple(Finding(**each) for each in values.pop("findings"))
        return PrepareReport(**values, findings=findings)
    except (OSError, ValueError, KeyError, TypeError):
        return None


def use_dataset(workspace: Workspace, folder: Path) -> None:
    """Make `folder` the workspace's dataset, in sao.toml and in the dataset config; other keys stay.

    Raises:
        SaoError: The folder is missing, or a file cannot be read or written.
    """
    from sao_tui.services.new_configs import dataset_config
    from sao_tui.services.workspace import save_settings

    folder = folder.absolute()
    if not folder.is_dir():
        raise SaoError(f"The folder {folder} is missing.", "Prepare the clips first.")
    before = workspace.dataset_folder
    inside = folder.is_relative_to(workspace.root)
    relative = str(folder.relative_to(workspace.root)) if inside else str(folder)
    file = workspace.dataset_config_file
    try:
        config = json.loads(file.read_text(encoding="utf-8")) if file.exists() else None
    except (OSError, ValueError) as error:
        raise SaoError(f"{file} cannot be read: {error}.", "Correct it or remove it.") from error
    save_settings(workspace, **{"dataset.folder": relative})
    if config is None:
        config = dataset_config(workspace)
    for entry in config.get("datasets", []) if isinstance(config, dict) else []:
        if isinstance(entry, dict) and isinstance(entry.get("path"), str):
            path = Path(os.path.normpath(workspace.root / entry["path"]))
            if path == Path(os.path.normpath(before)):
                # Upstream tells folders apart by substring: the slash ends the name.
                entry["path"] = f"{relative}/"
    try:
        write_json(file, config)
    except OSError as error:
        raise SaoError(f"Cannot write {file}: {error.strerror}.", "Check its permissions.") from error
