"""Whole lines of metadata.jsonl, with all their keys, for what works on more than captions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sao_tui.core.errors import SaoError
from sao_tui.services.captions_lines import BadLineError, parse_line, record_relpath

if TYPE_CHECKING:
    from sao_tui.core.preparing import PrepareSettings
    from sao_tui.services.prepare_journal import ClipOutcome
    from sao_tui.services.workspace import Workspace

Records = dict[str, dict[str, Any]]
"""Line by relpath, relative to the folder of the file."""


def read_records(path: Path) -> Records:
    """Return the lines of a metadata.jsonl; of several lines for one clip the last. A missing file has none.

    Raises:
        SaoError: It cannot be read, or a line is no JSON object.
    """
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise SaoError(f"Cannot read {path}: {error.strerror}.", "Check its permissions.") from error
    records: Records = {}
    for number, line in enumerate(data.removeprefix(b"\xef\xbb\xbf").split(b"\n"), start=1):
        if not line.strip():
            continue
        try:
            record = parse_line(line)
        except BadLineError as error:
            raise SaoError(f"Line {number} of {path} {error}.", f"Correct line {number} in a text editor.") from error
        relpath = record_relpath(record, str(path.parent))
        if relpath is not None:
            records[relpath] = record
    return records


def follow_in_place(
    workspace: Workspace, outcomes: Iterable[ClipOutcome], snapshot: Mapping[str, Any], settings: PrepareSettings
) -> None:
    """Bring captions to the clips that took the place of others; what was brought before stays as it is now.

    Args:
        snapshot: Line of each clip before the job.

    Raises:
        SaoError: metadata.jsonl cannot be read or written.
    """
    from sao_tui.services.captions import CaptionStore
    from sao_tui.services.prepare_finish import output_records

    outcomes = list(outcomes)
    current = read_records(workspace.metadata_file)
    # Captions written while the job ran count; other keys are those of before, so that nothing is added twice.
    before = {
        outcome.clip: {**snapshot.get(outcome.clip, {}), **_text_of(current.get(outcome.clip))} for outcome in outcomes
    }
    new = {
        record["audio_path"]: record for record in output_records(outcomes, before, settings) if "prepared" in record
    }
    changed = {
        relpath: {name: value for name, value in record.items() if name != "audio_path"}
        for relpath, record in new.items()
        if not _is_brought(current.get(relpath), record)
    }
    if changed:
        CaptionStore(workspace).set_records(changed, "captions of prepared clips")


def _text_of(record: Mapping[str, Any] | None) -> dict[str, Any]:
    return {"text": record["text"]} if record and "text" in record else {}


def _is_brought(current: Mapping[str, Any] | None, record: Mapping[str, Any]) -> bool:
    keys = ("source", "start_seconds", "end_seconds", "prepared")
    return current is not None and all(current.get(key) == record[key] for key in keys)
