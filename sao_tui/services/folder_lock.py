"""The lock that all writers of a dataset folder take."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


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
