"""Every caption that a clip has had: replaced ones are added to a hidden file beside metadata.jsonl.

It lies there, not in the cache, because it cannot be made again, and goes where the dataset goes. It is
written after an edit is durable and acknowledged by nobody: when it cannot be, editing goes on and
`problem` says so.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from sao_tui.core.errors import SaoError
from sao_tui.core.files import write_atomically
from sao_tui.services.captions_lines import compact_json, from_json

HISTORY_NAME = ".captions-history.jsonl"
MAX_BYTES = 1 << 26
"""Beyond this, the older half is dropped when there is time."""
_WRITE_BYTES = 1 << 20


@dataclass(frozen=True)
class Earlier:
    """A caption that a clip once had."""

    when: float
    """Unix time at which it was replaced."""
    text: str


class CaptionHistory:
    """The replaced captions of one dataset folder. Its writers hold the folder's lock."""

    def __init__(self, folder: Path) -> None:
        """Read nothing yet."""
        self._path = folder / HISTORY_NAME
        self.problem = ""
        """Why the last replaced captions were not kept, empty when they were."""

    def add(self, replaced: Iterable[tuple[str, str]], when: float) -> None:
        """Add replaced captions by relpath; empty ones are passed over."""
        lines = (_line(when, relpath, text) for relpath, text in replaced if text)
        try:
            self._append(lines)
            self.problem = ""
        except OSError as error:
            self.problem = f"Earlier captions are not kept: {self._path}: {error.strerror}."

    def add_torn(self, torn: bytes, when: float) -> None:
        """Keep the half line that a crash has left in metadata.jsonl, before it is cut off."""
        line = compact_json({"at": when, "torn": torn.decode(errors="replace")}) + b"\n"
        try:
            self._append([line])
        except OSError as error:
            self.problem = f"A torn line is not kept: {self._path}: {error.strerror}."

    def of(self, relpath: str) -> list[Earlier]:
        """Return the captions that a clip once had, the last replaced first.

        Raises:
            SaoError: The file cannot be read.
        """
        needle = b'"audio_path":' + compact_json(relpath) + b","
        found: list[Earlier] = []
        try:
            with self._path.open("rb") as file:
                for line in file:
                    if needle in line:
                        found += _parse(line, relpath)
        except FileNotFoundError:
            return []
        except OSError as error:
            raise SaoError(f"Cannot read {self._path}: {error.strerror}.", "Check its permissions.") from error
        found.reverse()
        return found

    def tidy(self) -> None:
        """Drop the older half of a history that has grown too large."""
        try:
            if self._path.stat().st_size <= MAX_BYTES:
                return
            with self._path.open("rb") as file:
                file.seek(-MAX_BYTES // 2, os.SEEK_END)
                file.readline()
                write_atomically(self._path, file.read(), durable=False)
        except OSError:
            # It stays too large until next time; an edit must not fail for it.
            return

    def _append(self, lines: Iterable[bytes]) -> None:
        pending = bytearray()
        for line in lines:
            pending += line
            if len(pending) > _WRITE_BYTES:
                self._write(pending)
                pending.clear()
        if pending:
            self._write(pending)

    def _write(self, block: bytearray) -> None:
        descriptor = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            os.write(descriptor, block)
        finally:
            os.close(descriptor)


def _line(when: float, relpath: str, text: str) -> bytes:
    parts = (b'{"at":', b"%.3f" % when, b',"audio_path":', compact_json(relpath), b',"text":', compact_json(text))
    return b"".join((*parts, b"}\n"))


def _parse(line: bytes, relpath: str) -> list[Earlier]:
    try:
        record = from_json(line)
        if record["audio_path"] == relpath:
            return [Earlier(float(record["at"]), str(record["text"]))]
    except (ValueError, TypeError, KeyError):
        # Half a line that a crash has left: the others are whole.
        pass
    return []
