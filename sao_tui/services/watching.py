"""Noticing that other programs add, change or remove clips: by the system's notices, else by looking now and then."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

QUIET_MS = 400
"""Changes that follow each other closer than this count as one."""
ASK_MS = 250
"""How often a watch asks whether to stop."""
POLL_SECONDS = 30.0
"""Between two looks at a folder that gives no notice."""

Changed = Callable[[list[str] | None], None]
"""Called with the changed folders relative to the watched one, which is "" itself; None for any of them."""

_SILENT_SYSTEMS = frozenset(
    [
        "9p",
        "afs",
        "ceph",
        "cifs",
        "coda",
        "davfs",
        "drvfs",
        "fuse.davfs2",
        "fuse.gcsfuse",
        "fuse.glusterfs",
        "fuse.rclone",
        "fuse.s3fs",
        "fuse.sshfs",
        "glusterfs",
        "lustre",
        "ncpfs",
        "nfs",
        "nfs4",
        "smb3",
        "smbfs",
        "v9fs",
        "virtiofs",
        "vboxsf",
    ]
)
"""File systems where other machines write: the system notices only what this one does."""


def watch_folders(
    folder: Path,
    on_change: Changed,
    should_stop: Callable[[], bool],
    say: Callable[[str], None] = lambda _text: None,
    poll_seconds: float = POLL_SECONDS,
) -> None:
    """Call `on_change` whenever clips below `folder` come, change or go, until `should_stop` says so.

    metadata.jsonl and hidden files do not count: captions have a watch of their own.

    Args:
        say: Called once with a sentence when the folder gives no notice and is looked at now and then instead.
        poll_seconds: Between those looks.

    Raises:
        SaoError: Of `on_change`.
    """
    kind = file_system_of(folder)
    reason = f"it is on {kind}" if kind in _SILENT_SYSTEMS else _watch(folder, on_change, should_stop)
    if reason:
        say(f"Changes in {folder.name} are looked for every {poll_seconds:.0f} s: {reason}.")
        _poll(on_change, should_stop, poll_seconds)


def watch_folder(folder: Path, on_change: Callable[[], None], should_stop: Callable[[], bool]) -> None:
    """Call `on_change` whenever clips below `folder` come, change or go; see watch_folders.

    Raises:
        SaoError: Of `on_change`.
    """
    watch_folders(folder, lambda _folders: on_change(), should_stop)


def file_system_of(folder: Path, mounts: Path = Path("/proc/self/mountinfo")) -> str:
    """Return the kind of file system that a folder is on, such as ext4 or nfs4; empty where that is not known."""
    real = os.fsencode(os.path.realpath(folder))
    best, kind = b"", ""
    try:
        lines = mounts.read_bytes().splitlines()
    except OSError:
        return ""
    for line in lines:
        before, _, after = line.partition(b" - ")
        fields = before.split()
        if len(fields) < 5 or not after:
            continue
        # Blanks and the like in paths are octal: \\040.
        point = fields[4].decode("unicode_escape").encode("latin-1") if b"\\" in fields[4] else fields[4]
        inside = real == point or real.startswith(point.rstrip(b"/") + b"/")
        # Of two mounts at one place the later one is what is seen.
        if inside and len(point) >= len(best):
            best, kind = point, after.split()[0].decode(errors="replace")
    return kind


def _watch(folder: Path, on_change: Changed, should_stop: Callable[[], bool]) -> str:
    """Watch until told to stop, or return why the system gives no notice."""
    from watchfiles import watch

    root = os.path.realpath(folder)
    try:
        notices = watch(
            folder,
            watch_filter=lambda _change, path: _is_of_interest(path),
            debounce=QUIET_MS,
            rust_timeout=ASK_MS,
            yield_on_timeout=True,
            raise_interrupt=False,
        )
        for changes in notices:
            if should_stop():
                return ""
            if changes:
                on_change(_folders_of({path for _, path in changes}, {os.fspath(folder), root}))
    except OSError as error:
        return (error.strerror or str(error)).lower()
    return ""


def _folders_of(paths: set[str], roots: set[str]) -> list[str] | None:
    """Return the folders that hold the paths, relative to the watched folder; None where one is elsewhere."""
    found: set[str] = set()
    for path in paths:
        if "\ufffd" in path:
            return None  # A name that is not UTF-8: watchfiles does not say which.
        parent = os.path.dirname(path)
        root = next((each for each in roots if parent == each or parent.startswith(each.rstrip("/") + "/")), None)
        if root is None:
            return None
        found.add(parent[len(root.rstrip("/")) + 1 :])
    return sorted(found)


def _poll(on_change: Changed, should_stop: Callable[[], bool], poll_seconds: float) -> None:
    while not should_stop():
        deadline = time.monotonic() + poll_seconds
        while time.monotonic() < deadline:
            if should_stop():
                return
            time.sleep(min(ASK_MS / 1000, poll_seconds))
        on_change(None)


def _is_of_interest(path: str) -> bool:
    name = os.path.basename(path)
    return name != "metadata.jsonl" and not name.startswith(".")
