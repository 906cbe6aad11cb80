"""Replacing a file without losing what another program has saved there in the last microsecond."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

_AT_FDCWD = -100
_RENAME_EXCHANGE = 2


def replace_expected(part: Path, path: Path, is_expected: Callable[[Path], bool]) -> bool:
    """Put `part` in the place of `path` if the file there is the expected one; return whether it was.

    The two are exchanged in one step and the old one is looked at afterwards, so there is no moment in
    which a save of another program could be overwritten. Where the system exchanges no files (NFS, not
    Linux), the look comes right before the step.

    Raises:
        OSError: The folder cannot be written.
    """
    if not is_expected(path):
        return False
    if not path.exists() or not _exchange(part, path):
        os.replace(part, path)
        return True
    if is_expected(part):
        part.unlink()
        return True
    # What came in between goes back to its place; ours stays aside.
    if not _exchange(part, path):
        os.replace(part, path)
    return False


def _exchange(one: Path, other: Path) -> bool:
    """Exchange two files in one step; return False where the system cannot.

    Raises:
        OSError: It could, but may not.
    """
    import ctypes
    import errno

    try:
        rename = ctypes.CDLL(None, use_errno=True).renameat2
    except (OSError, AttributeError):
        return False
    if not rename(_AT_FDCWD, os.fsencode(one), _AT_FDCWD, os.fsencode(other), _RENAME_EXCHANGE):
        return True
    code = ctypes.get_errno()
    if code in (errno.ENOSYS, errno.EINVAL, errno.ENOTSUP, errno.ENOENT):
        return False
    raise OSError(code, os.strerror(code), os.fspath(other))
