"""What a prepare job has done so far, clip by clip: the file that a killed job goes on from.

`.prepare.jsonl` in the output folder (in place: in the folder of the originals) holds the settings in its
first line and one outcome a line after it. A torn last line is an ordinary end of file.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from sao_tui.core.errors import SaoError
from sao_tui.core.preparing import PrepareSettings, read_settings

JOURNAL_NAME = ".prepare.jsonl"


@dataclass(frozen=True)
class Output:
    """One file that a clip became."""

    relpath: str
    """Relative to the output folder."""
    seconds: float
    rate_hz: int
    channels: int
    num_bytes: int
    start_seconds: float
    """In the clip."""
    end_seconds: float
    done: tuple[str, ...] = ()


@dataclass(frozen=True)
class ClipOutcome:
    """What became of one clip."""

    clip: str
    """Relative to the dataset folder."""
    outputs: tuple[Output, ...] = ()
    dropped: str = ""
    """Why there is no output although the clip can be read."""
    duplicate_of: str = ""
    """The earlier clip with the same sound."""
    error: str = ""
    """Why it could not be read."""
    hint: str = ""
    notes: tuple[str, ...] = ()
    """What is less than was asked, in sentences."""
    digest: str = ""
    seconds: float = 0.0
    """Length of the clip."""
    version: tuple[int, int] = (0, 0)
    """Bytes and mtime_ns of the clip: another version is done again."""

    @classmethod
    def from_record(cls, record: dict[str, Any]) -> ClipOutcome:
        """Return the outcome that a line of the journal holds."""
        outputs = tuple(Output(**{**each, "done": tuple(each["done"])}) for each in record["outputs"])
        rest = {"outputs": outputs, "notes": tuple(record["notes"]), "version": tuple(record["version"])}
        return cls(**{**record, **rest})


@dataclass
class Journal:
    """The outcomes in one journal, and its open end."""

    path: Path
    settings: PrepareSettings
    taken: tuple[str, ...] = ()
    """Clips in the output folder that were there before the job and are not its own."""
    outcomes: dict[str, ClipOutcome] = field(default_factory=dict)
    _descriptor: int = -1

    @classmethod
    def read(cls, path: Path) -> Journal | None:
        """Return a journal as it is on the disk, None when there is none.

        Raises:
            SaoError: It cannot be read, or is not ours.
        """
        try:
            lines = _whole_lines(path)
            first = next(lines, None)
            if first is None:
                return None
            journal = cls(path, read_settings(first["settings"]), tuple(first["taken"]))
            for record in lines:
                outcome = ClipOutcome.from_record(record)
                journal.outcomes[outcome.clip] = outcome
        except FileNotFoundError:
            return None
        except OSError as error:
            raise SaoError(f"Cannot read {path}: {error.strerror}.", "Check its permissions.") from error
        except (ValueError, KeyError, TypeError) as error:
            raise SaoError(f"{path} is not the journal of a prepare job.", "Name another output folder.") from error
        return journal

    def open(self) -> None:
        """Begin the file, or go on at its end; it is locked until it is closed.

        Raises:
            SaoError: Another job has it open.
            OSError: It cannot be written.
        """
        flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
        self._descriptor = os.open(self.path, flags, 0o644)
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise SaoError(
                f"Another job prepares clips into {self.path.parent}.", "Wait for it, or stop it: sao-tui train list."
            ) from error
        except OSError:
            # A file system without locks.
            pass
        size = os.fstat(self._descriptor).st_size
        if not size:
            self._append({"settings": asdict(self.settings), "taken": self.taken})
        elif os.pread(self._descriptor, 1, size - 1) != b"\n":
            # The line that a killed job left: what it was about is done again.
            _write_all(self._descriptor, b"\n")

    def add(self, outcome: ClipOutcome) -> None:
        """Write an outcome down; it is durable when this returns.

        Raises:
            OSError: The disk is full or gone.
        """
        self._append(asdict(outcome))
        self.outcomes[outcome.clip] = outcome

    def close(self) -> None:
        """Close the file."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def _append(self, record: dict[str, Any]) -> None:
        _write_all(self._descriptor, json.dumps(record).encode() + b"\n")
        os.fdatasync(self._descriptor)


def _write_all(descriptor: int, data: bytes) -> None:
    written = os.write(descriptor, data)
    while written < len(data):
        # A disk that is all but full takes a part first and refuses the rest with an error.
        written += os.write(descriptor, data[written:])


def _whole_lines(path: Path) -> Iterator[dict[str, Any]]:
    with path.open("rb") as file:
        for line in file:
            try:
                record = json.loads(line)
            except ValueError:
                # Torn by a killed job or a full disk.
                continue
            if isinstance(record, dict):
                yield record
