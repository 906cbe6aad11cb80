"""Gives upstream's loaders the caption of each clip: name this file as `custom_metadata_module`.

It works alone, under upstream's own train.py too: standard library only, nothing of sao_tui. It never
raises, because upstream answers an exception here by trying another clip, for ever.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from typing import Any

METADATA_NAME = "metadata.jsonl"

_tables: dict[str, tuple[tuple[int, int, int], dict[str, str]]] = {}
_warned: set[str] = set()


def get_custom_metadata(info: dict[str, Any], audio: Any) -> dict[str, str]:
    """Return the caption of the clip in `info` as its prompt.

    The nearest metadata.jsonl above the clip that has a line for it decides. Pre-encoded clips are found
    by the path that they were encoded from, then by `relpath` near the latents; one that is found
    nowhere keeps the prompt that it was encoded with.
    """
    for table, key in _candidates(info):
        text = table.get(key)
        if text is not None:
            return {"prompt": text}
    clip = str(info.get("path") or info.get("relpath") or info.get("latent_filename") or "a clip")
    known = info.get("prompt")
    if isinstance(known, str):
        return {"prompt": known}
    _warn(clip, f"{clip} has no line in a {METADATA_NAME} above it; it trains without a caption")
    return {"prompt": ""}


def clip_key(folder: str, audio_path: str) -> str:
    """Return the absolute path that `audio_path` in the metadata.jsonl of `folder` stands for."""
    return os.path.normpath(os.path.join(folder, audio_path))


def _candidates(info: dict[str, Any]) -> Iterator[tuple[dict[str, str], str]]:
    path = info.get("path")
    if isinstance(path, str) and path:
        path = os.path.abspath(path)
        for folder in _parents(path):
            yield _table(folder), path
    relpath, latent = info.get("relpath"), info.get("latent_filename")
    if isinstance(relpath, str) and isinstance(latent, str):
        for parent in _parents(os.path.abspath(latent)):
            for folder in (parent, os.path.join(parent, "dataset")):
                yield _table(folder), clip_key(folder, relpath)


def _parents(path: str) -> Iterator[str]:
    folder = os.path.dirname(path)
    while True:
        yield folder
        parent = os.path.dirname(folder)
        if parent == folder:
            return
        folder = parent


def _table(folder: str) -> dict[str, str]:
    """Return absolute clip path -> caption of one folder's metadata.jsonl, empty where there is none."""
    file = os.path.join(folder, METADATA_NAME)
    try:
        status = os.stat(file)
        signature = (status.st_mtime_ns, status.st_size, status.st_ino)
        known = _tables.get(file)
        if known is None or known[0] != signature:
            known = (signature, _read(folder, file))
            _tables[file] = known
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except OSError as error:
        _warn(file, f"cannot read {file}: {error.strerror}")
        return {}
    return known[1]


def _read(folder: str, file: str) -> dict[str, str]:
    table: dict[str, str] = {}
    with open(file, "rb") as lines:
        for number, line in enumerate(lines, start=1):
            if not line.strip():
                continue
            try:
                record = json.loads(line.decode("utf-8-sig"))
                audio_path, text = record.get("audio_path"), record.get("text")
            except (ValueError, AttributeError):
                _warn(f"{file}:{number}", f"line {number} of {file} is not a JSON object; its clip has no caption")
                continue
            if isinstance(audio_path, str) and isinstance(text, str):
                table[clip_key(folder, audio_path)] = text
    return table


def _warn(topic: str, message: str) -> None:
    if topic not in _warned and len(_warned) < 20:
        _warned.add(topic)
        print(f"warning: {message}", file=sys.stderr, flush=True)
