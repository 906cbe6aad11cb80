"""Writing files so that a crash at any moment leaves the old or the new content, never half of it."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any


def write_atomically(path: Path, data: bytes, *, durable: bool = True) -> None:
    """Replace `path` with `data` in one step.

    Args:
        durable: Also survive a power cut: fsync the file and its folder before returning.

    Raises:
        OSError: The folder is missing, read-only or full; `path` is as it was.
    """
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with part.open("wb") as file:
            file.write(data)
            file.flush()
            if durable:
                os.fsync(file.fileno())
        if path.exists():
            os.chmod(part, path.stat().st_mode & 0o7777)
        os.replace(part, path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
    if durable:
        sync_folder(path.parent)


def write_json(path: Path, value: Any, *, durable: bool = True) -> None:
    """Replace `path` with `value` as indented JSON.

    Raises:
        OSError: See write_atomically.
    """
    text = json.dumps(value, indent=2, ensure_ascii=False) + "\n"
    write_atomically(path, text.encode(), durable=durable)


def sync_folder(folder: Path) -> None:
    """Make a rename inside `folder` durable where the file system can."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError:
        # Some network and FUSE file systems refuse fsync on a folder; the rename itself has happened.
        pass
    finally:
        os.close(descriptor)
