"""Whole lines of metadata.jsonl, with all their keys, for what works on more than captions."""

from __future__ import annotations

import json
import posixpath
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sao_tui.core.errors import SaoError

if TYPE_CHECKING:
    from sao_tui.core.preparing import PrepareSettings
    from sao_tui.services.captions import CaptionStore
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
            record = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise _bad_line(path, number, f"is not JSON ({error})") from error
        if not isinstance(record, dict):
            raise _bad_line(path, number, "is not a JSON object")
        if isinstance(record.get("audio_path"), str):
            records[relative_path(record["audio_path"], str(path.parent))] = record
    return records


def relative_path(audio_path: str, folder: str) -> str:
    """Return a clip's path relative to the folder; absolute paths and detours like `./a.wav` are tolerated."""
    if not audio_path.startswith("/") and "./" not in audio_path and "//" not in audio_path:
        return audio_path
    whole = posixpath.normpath(posixpath.join(folder, audio_path))
    start = f"{posixpath.normpath(folder)}/"
    return whole.removeprefix(start)


def write_records(store: CaptionStore, records: Mapping[str, Mapping[str, Any]], description: str) -> int:
    """Write lines by relpath in one durable step that one undo takes back; return how many captions changed.

    Raises:
        SaoError: The file cannot be read or written; it is as it was.
    """
    texts = {relpath: str(record.get("text") or "") for relpath, record in records.items()}
    return store.set_many(texts, description)


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
    changed = {path: record for path, record in new.items() if not _is_brought(current.get(path), record)}
    if changed:
        write_records(CaptionStore(workspace), changed, "captions of prepared clips")


def _text_of(record: Mapping[str, Any] | None) -> dict[str, Any]:
    return {"text": record["text"]} if record and "text" in record else {}


def _is_brought(current: Mapping[str, Any] | None, record: Mapping[str, Any]) -> bool:
    keys = ("source", "start_seconds", "end_seconds", "prepared")
    return current is not None and all(current.get(key) == record[key] for key in keys)


def _bad_line(path: Path, number: int, what: str) -> SaoError:
    return SaoError(f"Line {number} of {path} {what}.", f"Correct line {number} in a text editor.")
