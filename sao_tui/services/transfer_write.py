"""Writing captions, and clips where asked, as other programs read them; what is there with other content stays.

Formats are those of transfer_read. Sidecars of Stable Audio 3 and underfit lie beside the clips.
"""

from __future__ import annotations

import csv
import io
import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from sao_tui.core.errors import SaoError
from sao_tui.core.files import write_atomically
from sao_tui.core.findings import Finding
from sao_tui.services.captions_lines import encode_record
from sao_tui.services.records import Records, read_records
from sao_tui.services.transfer_read import TransferFormat, value_cell

if TYPE_CHECKING:
    from sao_tui.services.bundle import Services

Placing = Literal["", "copy", "link"]
Progress = Callable[[int, int], None]
_TABLE_NAMES = {"csv": "captions.csv", "audiofolder": "metadata.csv", "jsonl": "metadata.jsonl"}


@dataclass(frozen=True)
class ExportPlan:
    """What an export would write."""

    target: Path
    format: TransferFormat
    placing: Placing
    texts: dict[str, bytes]
    """Content by path relative to the target's folder."""
    clips: tuple[str, ...]
    """Clips that are copied or linked."""
    num_captioned: int
    findings: tuple[Finding, ...]

    @property
    def folder(self) -> Path:
        """Folder that everything goes to."""
        return self.target if self.format in ("txt", "json") or not self.target.suffix else self.target.parent

    @property
    def existing(self) -> list[str]:
        """Files that are there with other content."""
        return [relpath for relpath, data in self.texts.items() if _differs(self.folder / relpath, data)]


def plan_export(
    services: Services, relpaths: Sequence[str], target: Path, form: TransferFormat, placing: Placing = ""
) -> ExportPlan:
    """Return what exporting some clips would write.

    Args:
        target: A folder; for csv and jsonl also a file.
        placing: Whether the clips come too, as copies or as links.

    Raises:
        SaoError: The captions cannot be read, or the format needs the clips beside it.
    """
    target = target.absolute()
    dataset = services.workspace.dataset_folder
    is_file = bool(target.suffix) and form in ("csv", "jsonl") and not target.is_dir()
    if placing and (is_file or target.resolve() == dataset.resolve()):
        raise SaoError("Clips are copied or linked into a new folder only.", "Name a folder beside the dataset.")
    if placing and target.resolve().is_relative_to(dataset.resolve()):
        raise SaoError(f"{target} lies in the dataset.", "Name a folder beside the dataset.")
    if form == "audiofolder" and not placing and target.resolve() != dataset.resolve():
        raise SaoError("An audiofolder holds its clips.", "Add --copy or --link, or name the dataset folder.")
    if form == "jsonl" and target.resolve() in (dataset.resolve(), services.workspace.metadata_file.resolve()):
        raise SaoError("metadata.jsonl is what the dataset has already.", "Name another folder or file.")
    records = read_records(services.workspace.metadata_file)
    texts, findings = _contents(relpaths, records, form, target.name if is_file else "")
    num_captioned = sum(1 for relpath in relpaths if records.get(relpath, {}).get("text"))
    return ExportPlan(target, form, placing, texts, tuple(relpaths) if placing else (), num_captioned, tuple(findings))


def write_export(
    services: Services, plan: ExportPlan, *, overwrite: bool = False, progress: Progress = lambda done, total: None
) -> int:
    """Write what was planned and return the number of files; doing it again completes what was cut short.

    Raises:
        SaoError: A file is there with other content, or the target cannot be written.
    """
    existing = [] if overwrite else plan.existing
    if existing:
        others = f" and {len(existing) - 1} more files" if len(existing) > 1 else ""
        raise SaoError(
            f"{plan.folder / existing[0]}{others} would be overwritten.", "Add --overwrite, or name another folder."
        )
    total = len(plan.texts) + len(plan.clips)
    done = 0
    try:
        for relpath in plan.clips:
            _place(services.workspace.dataset_folder / relpath, plan.folder / relpath, plan.placing)
            done += 1
            progress(done, total)
        for relpath, data in plan.texts.items():
            path = plan.folder / relpath
            path.parent.mkdir(parents=True, exist_ok=True)
            if _differs(path, data) or not path.exists():
                # One table is worth a sync; of half a million sidecars each can be made again.
                write_atomically(path, data, durable=len(plan.texts) == 1)
            done += 1
            progress(done, total)
    except OSError as error:
        raise SaoError(
            f"Cannot write {error.filename or plan.folder}: {error.strerror}.",
            "Free some space or name another folder; doing it again completes it.",
        ) from error
    return total


def _contents(
    relpaths: Sequence[str], records: Records, form: TransferFormat, name: str
) -> tuple[dict[str, bytes], list[Finding]]:
    if form == "txt" or form == "json":
        return _sidecars(relpaths, records, form)
    lines = [{"audio_path": relpath, **_without_path(records.get(relpath, {}))} for relpath in relpaths]
    if form == "jsonl":
        data = b"".join(encode_record(line) + b"\n" for line in lines if len(line) > 1)
    else:
        data = _table(lines, "file_name" if form == "audiofolder" else "audio_path")
    return {name or _TABLE_NAMES[form]: data}, []


def _sidecars(relpaths: Sequence[str], records: Records, form: str) -> tuple[dict[str, bytes], list[Finding]]:
    texts: dict[str, bytes] = {}
    owners: dict[str, str] = {}
    findings = []
    for relpath in relpaths:
        keys = _without_path(records.get(relpath, {}))
        data = _sidecar(keys, form)
        if data is None:
            continue
        path = f"{os.path.splitext(relpath)[0]}.{form}"
        if texts.get(path, data) != data:
            message = f"{relpath} and {owners[path]} share {path}, which holds the caption of the latter."
            fix = "Rename one of them, or export another format."
            findings.append(Finding("export-shared-sidecar", "error", message, relpath, fix))
            continue
        texts[path] = data
        owners[path] = relpath
    return texts, findings


def _sidecar(keys: Mapping[str, Any], form: str) -> bytes | None:
    text = keys.get("text") or ""
    if form == "txt":
        return f"{text}\n".encode() if text else None
    if not keys:
        return None
    # underfit reads `prompt`; where the line has one beside its caption, both must survive.
    name = "text" if "prompt" in keys else "prompt"
    record = {name: text, **{key: value for key, value in keys.items() if key != "text"}} if text else dict(keys)
    return encode_record(record) + b"\n"


def _without_path(record: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in record.items() if name != "audio_path"}


def _table(lines: Sequence[Mapping[str, Any]], path_name: str) -> bytes:
    """Return lines as CSV: path and caption first, then every other key that a line has."""
    others = {name: None for line in lines for name in line if name not in ("audio_path", "text", path_name)}
    buffer = io.StringIO(newline="")
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow([path_name, "text", *others])
    for line in lines:
        cells = (value_cell(line[name]) if name in line else "" for name in others)
        writer.writerow([line["audio_path"], line.get("text") or "", *cells])
    return buffer.getvalue().encode("utf-8", "surrogateescape")


def _place(source: Path, target: Path, placing: Placing) -> None:
    """Put a clip into the target; one that is there with the same size stays."""
    if os.path.lexists(target):
        if target.exists() and target.stat().st_size == source.stat().st_size:
            return
        raise FileExistsError(17, "another file is there", str(target))
    target.parent.mkdir(parents=True, exist_ok=True)
    if placing == "link":
        try:
            os.link(source.resolve(), target)
        except OSError:
            # Another disk, or one without hard links.
            target.symlink_to(source.resolve())
        return
    part = target.with_name(f".{target.name}.part")
    try:
        shutil.copy2(source, part)
        os.replace(part, target)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


def _differs(path: Path, data: bytes) -> bool:
    try:
        return path.stat().st_size != len(data) or path.read_bytes() != data
    except OSError:
        return False
