"""The lines of metadata.jsonl, and the lock that its writers take."""

from __future__ import annotations

import fcntl
import json
import os
import posixpath
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sao_tui.core.errors import SaoError
from sao_tui.core.unicode import is_unicode


class MetadataLines:
    """Every line of one metadata.jsonl with its bytes, and the captions found in them.

    A clip that has several lines has the caption of the last one, and an edit changes all of them.
    """

    def __init__(self, data: bytes, path: Path, dataset_folder: Path) -> None:
        """Take the file's content apart.

        Raises:
            SaoError: A line is no JSON object, its text is no string, or no line at all names a clip.
        """
        self._path = path
        self._folder = os.fspath(dataset_folder)
        self._raw = _split_at_newlines(data)
        self._texts: dict[str, str] = {}
        self._numbers: dict[str, int] = {}
        self._earlier: dict[str, list[int]] = {}
        num_records = 0
        for number, line in enumerate(self._raw):
            if line.isspace():
                continue
            num_records += 1
            record = self._parse(number)
            if isinstance(record.get("audio_path"), str):
                self._note(number, record)
        if num_records and not self._numbers:
            raise SaoError(
                f"{path} names no clip: none of its {num_records} lines has an `audio_path`.",
                'Each line needs the clip relative to the dataset folder: {"audio_path": "kick.wav", "text": "…"}.',
            )

    def get(self, relpath: str) -> str | None:
        """Return a clip's caption, None when no line names the clip."""
        return self._texts.get(relpath)

    def captions(self) -> dict[str, str]:
        """Return the captions that are not empty, by relpath."""
        return {relpath: text for relpath, text in self._texts.items() if text}

    def changes(self, captions: Mapping[str, str | None]) -> dict[int, bytes]:
        """Return the new bytes of the lines that `captions` touches, by line; later ones than the last are new.

        Args:
            captions: Text by relpath; None takes a line away again unless it holds more than a caption.
        """
        changed: dict[int, bytes] = {}
        num_lines = len(self._raw)
        for relpath, text in captions.items():
            if relpath not in self._numbers:
                if text is not None:
                    changed[num_lines] = encode_record({"audio_path": relpath, "text": text}) + b"\n"
                    num_lines += 1
                continue
            for number in (*self._earlier.get(relpath, ()), self._numbers[relpath]):
                changed[number] = self._changed_line(number, text)
        last = len(self._raw) - 1
        if num_lines > len(self._raw) and last >= 0:
            line = changed.get(last, self._raw[last])
            if line and not line.endswith(b"\n"):
                changed[last] = line + b"\n"
        return changed

    def render(self, changed: Mapping[int, bytes]) -> bytes:
        """Return the file's content with `changed` lines in it."""
        lines = self._raw + [b""] * (max((*changed, -1)) + 1 - len(self._raw))
        for number, line in changed.items():
            lines[number] = line
        return b"".join(lines)

    def apply(self, changed: Mapping[int, bytes]) -> None:
        """Make `changed` lines this object's own, once they are on the disk."""
        for number in sorted(changed):
            if number < len(self._raw):
                self._forget(number)
                self._raw[number] = changed[number]
            else:
                self._raw.append(changed[number])
            if changed[number]:
                record = self._parse(number)
                if isinstance(record.get("audio_path"), str):
                    self._note(number, record)

    def _changed_line(self, number: int, text: str | None) -> bytes:
        """Return a line with another text; other keys, their order and the line's ending stay."""
        line = self._raw[number]
        record = self._parse(number)
        if text is None and record.keys() <= {"audio_path", "text"}:
            return b""
        mark = b"\xef\xbb\xbf" if line.startswith(b"\xef\xbb\xbf") else b""
        ending = line[len(line.rstrip(b"\r\n")) :]
        return mark + encode_record(record | {"text": text or ""}) + ending

    def _note(self, number: int, record: dict[str, Any]) -> None:
        relpath = self._relpath(record["audio_path"])
        known = self._numbers.get(relpath)
        if known is not None and known != number:
            self._earlier.setdefault(relpath, []).append(min(known, number))
            if known > number:
                return
        self._numbers[relpath] = number
        self._texts[relpath] = record.get("text") or ""

    def _forget(self, number: int) -> None:
        """Drop a line whose bytes are replaced; its clip's other lines stay known."""
        line = self._raw[number]
        if not line or line.isspace():
            return
        audio_path = self._parse(number).get("audio_path")
        if not isinstance(audio_path, str):
            return
        relpath = self._relpath(audio_path)
        earlier = self._earlier.get(relpath, [])
        if number in earlier:
            earlier.remove(number)
        elif self._numbers.get(relpath) == number:
            del self._numbers[relpath], self._texts[relpath]

    def _relpath(self, audio_path: str) -> str:
        """Return the relpath that a line means: absolute paths and detours like `./a.wav` are tolerated."""
        if not audio_path.startswith("/") and "./" not in audio_path and "//" not in audio_path:
            return audio_path
        whole = posixpath.normpath(posixpath.join(self._folder, audio_path))
        folder = posixpath.normpath(self._folder)
        return whole[len(folder) + 1 :] if whole.startswith(f"{folder}/") else whole

    def _parse(self, number: int) -> dict[str, Any]:
        line = self._raw[number]
        try:
            record = json.loads(line.decode("utf-8-sig" if number == 0 else "utf-8"))
        except (ValueError, RecursionError) as error:
            raise self._bad_line(number, f"is not JSON ({error})") from error
        if not isinstance(record, dict):
            raise self._bad_line(number, "is not a JSON object")
        text = record.get("text")
        if text is not None and not isinstance(text, str):
            raise self._bad_line(number, f"has a text that is no string: {text!r}")
        if text and not is_unicode(text):
            raise self._bad_line(number, f"has a text with half a character in it: {text!a}")
        return record

    def _bad_line(self, number: int, what: str) -> SaoError:
        return SaoError(
            f"Line {number + 1} of {self._path} {what}.",
            f"Correct line {number + 1} in a text editor; captions are not written before.",
        )


def encode_record(record: dict[str, Any]) -> bytes:
    """Return a record as one line of JSON without its newline."""
    try:
        return json.dumps(record, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        # A file name that is not UTF-8 has lone surrogates in Python: JSON can only escape them.
        return json.dumps(record).encode()


@contextmanager
def lock_folder(folder: Path, cache_folder: Path) -> Iterator[None]:
    """Keep other processes of ours from writing in `folder` until the block ends.

    The folder itself is locked, so that two workspaces over one dataset see each other; where the file
    system locks no folders (NFS), a file in `cache_folder` is.

    Raises:
        OSError: Neither can be opened.
    """
    descriptor = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
    except OSError:
        os.close(descriptor)
        cache_folder.mkdir(exist_ok=True)
        descriptor = os.open(cache_folder / "captions.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        fcntl.flock(descriptor, fcntl.LOCK_EX)
    try:
        yield
    finally:
        os.close(descriptor)


def _split_at_newlines(data: bytes) -> list[bytes]:
    """Split as JSON lines are split: a lone carriage return inside a line is white space."""
    lines = [line + b"\n" for line in data.split(b"\n")]
    lines[-1] = lines[-1][:-1]
    return lines if lines[-1] else lines[:-1]
