"""Reading events.jsonl while another process writes it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from sao_tui.core.errors import SaoError


class EventTail:
    """Follows one job's events; any number of tails may follow the same file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._offset_bytes = 0
        self.num_bad_lines = 0
        """Complete lines so far that were not a JSON object; a crash can leave one."""

    def read_new(self, max_records: int = 2_000) -> list[dict[str, Any]]:
        """Return events appended since the last call, oldest first; a torn last line waits.

        Args:
            max_records: Bound of one call; an empty answer means that everything has been read.

        Raises:
            SaoError: The file is there and cannot be read.
        """
        records: list[dict[str, Any]] = []
        try:
            with self._path.open("rb") as file:
                if self._offset_bytes > file.seek(0, 2):
                    # Shorter than what was read: another file has taken the place of the one followed so far.
                    self._offset_bytes = 0
                file.seek(self._offset_bytes)
                while len(records) < max_records and (line := file.readline()).endswith(b"\n"):
                    self._offset_bytes += len(line)
                    record = _parse(line)
                    if record is None:
                        self.num_bad_lines += 1
                    else:
                        records.append(record)
        except FileNotFoundError:
            return []
        except OSError as error:
            raise SaoError(
                f"Cannot read {self._path}: {error.strerror}", "Check that the disk is there and you may read the file."
            ) from error
        return records


def read_last_events(path: Path, num_bytes: int = 65_536) -> list[dict[str, Any]]:
    """Return the events in the last `num_bytes` of a file, oldest first; none when it cannot be read."""
    try:
        with path.open("rb") as file:
            start = max(0, file.seek(0, 2) - num_bytes)
            file.seek(start)
            data = file.read(num_bytes)
    except OSError:
        return []
    lines = data.splitlines(keepends=True)
    whole = [line for line in lines[1 if start else 0 :] if line.endswith(b"\n")]
    return [record for record in map(_parse, whole) if record is not None]


def _parse(line: bytes) -> dict[str, Any] | None:
    """Return the event in a line, None when there is none."""
    try:
        record = json.loads(line)
    except ValueError:
        return None
    return record if isinstance(record, dict) else None
