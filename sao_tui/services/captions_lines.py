"""One line of metadata.jsonl: read strictly, written with all the keys that it had."""

from __future__ import annotations

import json
import os
import posixpath
from collections.abc import Mapping
from typing import Any

BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_ENCODER = json.JSONEncoder(ensure_ascii=False)


class BadLineError(ValueError):
    """A line is no JSON object with a caption in it; the message says what it is instead."""


def parse_line(line: bytes) -> dict[str, Any]:
    """Return the object in a line.

    Raises:
        BadLineError: It is no JSON object, or its text is no string.
    """
    try:
        record = json.loads(line.removeprefix(BYTE_ORDER_MARK).decode())
    except (ValueError, RecursionError) as error:
        raise BadLineError(f"is not JSON ({error})") from error
    if not isinstance(record, dict):
        raise BadLineError("is not a JSON object")
    text = record.get("text")
    if text is not None and not isinstance(text, str):
        raise BadLineError(f"has a text that is no string: {text!r}")
    if text and not is_unicode(text):
        raise BadLineError(f"has a text with half a character in it: {text!a}")
    return record


def is_unicode(text: str) -> bool:
    """Return whether text holds whole characters only: no tokenizer and no index takes half of one."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def encode_record(record: Mapping[str, Any]) -> bytes:
    """Return a record as one line of JSON without its newline."""
    try:
        return _ENCODER.encode(record).encode()
    except UnicodeEncodeError:
        # A file name that is not UTF-8 has lone surrogates in Python: JSON can only escape them.
        return json.dumps(record).encode()


def replace_record(line: bytes, record: Mapping[str, Any]) -> bytes:
    """Return `line` with another record in it; a byte order mark and the line's ending stay."""
    mark = BYTE_ORDER_MARK if line.startswith(BYTE_ORDER_MARK) else b""
    ending = line[len(line.rstrip(b"\r\n")) :]
    return mark + encode_record(record) + ending


def relpath_of(audio_path: str, folder: str) -> str:
    """Return the relpath that a line means: absolute paths and detours like `./a.wav` are tolerated.

    Args:
        folder: The dataset folder.
    """
    if not audio_path.startswith("/") and "./" not in audio_path and "//" not in audio_path:
        return audio_path
    folder = posixpath.normpath(folder)
    whole = posixpath.normpath(posixpath.join(folder, audio_path))
    return whole[len(folder) + 1 :] if whole.startswith(f"{folder}/") else whole


def record_relpath(record: Mapping[str, Any], folder: str) -> str | None:
    """Return the relpath of the clip that a record is about, None when it is about none."""
    audio_path = record.get("audio_path")
    return relpath_of(audio_path, os.fspath(folder)) if isinstance(audio_path, str) else None


def compact_json(value: Any) -> bytes:
    """Return a value as JSON without white space, for files of our own."""
    import msgspec

    try:
        return msgspec.json.encode(value)
    except (UnicodeEncodeError, msgspec.MsgspecError):
        return json.dumps(value, separators=(",", ":")).encode()


def from_json(data: bytes) -> Any:
    """Return the value of compact_json.

    Raises:
        ValueError: It is no JSON.
    """
    import msgspec

    try:
        return msgspec.json.decode(data)
    except (UnicodeDecodeError, msgspec.MsgspecError):
        return json.loads(data)
