"""Hashes of large files, computed once for each version of a file."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from sao_tui.core.errors import SaoError
from sao_tui.core.files import write_json

CACHE_NAME = "hashes.json"
_CHUNK_BYTES = 4 << 20


def sha256_of_file(path: Path, cache_folder: Path) -> str:
    """Return the SHA-256 of a file; size and time of its last change say whether an earlier result still holds.

    Raises:
        SaoError: The file cannot be read.
    """
    try:
        stat = path.stat()
        version = [stat.st_size, stat.st_mtime_ns]
        cache_file = cache_folder / CACHE_NAME
        cache = _read_cache(cache_file)
        known = cache.get(str(path))
        if isinstance(known, list) and known[:2] == version and isinstance(known[-1], str):
            return known[-1]
        digest = hashlib.sha256()
        with path.open("rb") as file:
            while chunk := file.read(_CHUNK_BYTES):
                digest.update(chunk)
    except OSError as error:
        raise SaoError(f"Cannot read {path}: {error.strerror}.", "Check that the file is there.") from error
    cache[str(path)] = [*version, digest.hexdigest()]
    try:
        cache_folder.mkdir(exist_ok=True)
        write_json(cache_file, cache, durable=False)
    except OSError:
        # Only a cache: the next one computes it again.
        pass
    return digest.hexdigest()


def sha256_of_json(value: Any) -> str:
    """Return the SHA-256 of a JSON value, whatever the order of its keys and its layout in a file."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


def _read_cache(path: Path) -> dict[str, Any]:
    try:
        cache = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return cache if isinstance(cache, dict) else {}
