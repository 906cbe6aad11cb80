"""Finding the sound files under a dataset folder, as stable-audio-tools would, without its traps."""

from __future__ import annotations

import hashlib
import marshal
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from sao_tui.services.audio import READABLE_SUFFIXES, UNREADABLE_SUFFIXES

FoundFile = tuple[bytes, int, int, int]
"""Name, size in bytes, time of the last change in ns, inode. A tuple: half a million are made in a scan."""

_SOUND_SUFFIXES = tuple(os.fsencode(suffix) for suffix in sorted(READABLE_SUFFIXES | UNREADABLE_SUFFIXES))
_COMMON_ENDS = frozenset(each for suffix in _SOUND_SUFFIXES if len(suffix) == 4 for each in (suffix, suffix.upper()))
"""Looked up in place of comparing every suffix with every name."""
_DOT = ord(".")
_DIGEST_BYTES = 16
_SAME_IN_EVERY_RUN = 2
"""Version of marshal's format that does not depend on how often an object is in use."""


@dataclass(frozen=True)
class FoundFolder:
    """One folder with its own sound files."""

    relpath: bytes
    """Empty for the dataset folder itself; it keeps the bytes of the disk."""
    files: list[FoundFile]
    """By name."""
    error: str = ""
    """Why it could not be listed."""
    folders: tuple[bytes, ...] = ()
    """Paths of the folders inside."""
    links: tuple[bytes, ...] = ()
    """Paths of links to folders inside."""
    summary: tuple[bytes, int] | None = None
    """Digest and number of files, where the files themselves were left out."""

    @property
    def prefix(self) -> bytes:
        """What comes before a name in a relpath."""
        return self.relpath + b"/" if self.relpath else b""

    def digest(self) -> bytes:
        """Return what differs when a file comes, goes or changes."""
        data = marshal.dumps(self.files, _SAME_IN_EVERY_RUN)
        return hashlib.blake2b(data, digest_size=_DIGEST_BYTES).digest()


def walk(
    root: str, start: bytes = b"", lister: Callable[[bytes], FoundFolder | None] = lambda _relpath: None
) -> Iterator[FoundFolder]:
    """Give every folder below `root` once, a folder before those inside it, otherwise by path.

    Links to folders are followed, as upstream does, after all real folders and never to one that was
    given before: a loop ends, and a clip keeps the path without the link.

    Args:
        start: Folder to begin with, relative to `root`; relpaths stay relative to `root`.
        lister: Gives a folder that somebody else has listed, None for any other.
    """
    seen: set[tuple[int, int]] = set()
    real, linked = [start], list[bytes]()
    root_bytes = os.fsencode(root)
    while real or linked:
        relpath = real.pop() if real else linked.pop(0)
        try:
            status = os.stat(os.path.join(root_bytes, relpath) if relpath else root_bytes)
            if (status.st_dev, status.st_ino) in seen:
                continue
            seen.add((status.st_dev, status.st_ino))
            found = lister(relpath) or _list(root_bytes, relpath)
        except OSError as error:
            yield FoundFolder(relpath, [], error.strerror or str(error))
            continue
        real.extend(reversed(found.folders))
        linked.extend(found.links)
        yield found


def list_folder(root: str, relpath: bytes) -> FoundFolder:
    """Return one folder without those inside it."""
    try:
        return _list(os.fsencode(root), relpath)
    except OSError as error:
        return FoundFolder(relpath, [], error.strerror or str(error))


def is_sound_name(name: bytes) -> bool:
    """Return whether a file of this name is listed as a clip."""
    return (name[-4:] in _COMMON_ENDS or name.lower().endswith(_SOUND_SUFFIXES)) and not name.startswith(b".")


def _list(root: bytes, relpath: bytes) -> FoundFolder:
    files: list[FoundFile] = []
    folders: list[bytes] = []
    links: list[bytes] = []
    prefix = relpath + b"/" if relpath else b""
    add_file = files.append
    with os.scandir(os.path.join(root, relpath) if relpath else root) as entries:
        for entry in entries:
            name = entry.name
            try:
                # The first test is is_sound_name for nearly every file, without the cost of a call.
                if ((name[-4:] in _COMMON_ENDS and name[0] != _DOT) or is_sound_name(name)) and entry.is_file():
                    status = entry.stat()
                    add_file((name, status.st_size, status.st_mtime_ns, status.st_ino))
                elif entry.is_dir():
                    (links if entry.is_symlink() else folders).append(prefix + name)
            except OSError:
                # Gone since it was listed, or a link into a loop: upstream passes over it too.
                continue
    files.sort()
    # As paths sort: `a-b/x` comes before `a/x`.
    folders.sort(key=lambda path: path + b"/")
    return FoundFolder(relpath, files, "", tuple(folders), tuple(sorted(links)))
