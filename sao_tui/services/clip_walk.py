"""Finding the sound files under a dataset folder, as stable-audio-tools would, without its traps."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass

from sao_tui.services.audio import READABLE_SUFFIXES, UNREADABLE_SUFFIXES

_SOUND_SUFFIXES = tuple(os.fsencode(suffix) for suffix in sorted(READABLE_SUFFIXES | UNREADABLE_SUFFIXES))


@dataclass(frozen=True)
class FoundFile:
    """One sound file; its relpath keeps the bytes of the disk."""

    relpath: bytes
    num_bytes: int
    mtime_ns: int


@dataclass(frozen=True)
class FoundFolder:
    """One folder with its own sound files."""

    relpath: bytes
    """Empty for the dataset folder itself."""
    files: list[FoundFile]
    error: str = ""
    """Why it could not be listed."""


def walk(root: str) -> Iterator[FoundFolder]:
    """Give every folder below `root` once.

    Links to folders are followed, as upstream does, after all real folders and never to one that was
    given before: a loop ends, and a clip keeps the path without the link.
    """
    seen: set[tuple[int, int]] = set()
    real, linked = [b""], list[bytes]()
    root_bytes = os.fsencode(root)
    while real or linked:
        relpath = real.pop() if real else linked.pop(0)
        path = os.path.join(root_bytes, relpath) if relpath else root_bytes
        try:
            status = os.stat(path)
            if (status.st_dev, status.st_ino) in seen:
                continue
            seen.add((status.st_dev, status.st_ino))
            files, folders, links = _list(path, relpath + b"/" if relpath else b"")
        except OSError as error:
            yield FoundFolder(relpath, [], error.strerror or str(error))
            continue
        real.extend(reversed(folders))
        linked.extend(links)
        yield FoundFolder(relpath, files)


def _list(path: bytes, prefix: bytes) -> tuple[list[FoundFile], list[bytes], list[bytes]]:
    files: list[FoundFile] = []
    folders: list[bytes] = []
    links: list[bytes] = []
    with os.scandir(path) as entries:
        for entry in entries:
            try:
                if entry.is_dir():
                    (links if entry.is_symlink() else folders).append(prefix + entry.name)
                elif _is_sound(entry.name) and entry.is_file():
                    status = entry.stat()
                    files.append(FoundFile(prefix + entry.name, status.st_size, status.st_mtime_ns))
            except OSError:
                # Gone since it was listed, or a link into a loop: upstream passes over it too.
                continue
    files.sort(key=lambda file: file.relpath)
    return files, sorted(folders), sorted(links)


def _is_sound(name: bytes) -> bool:
    return name.lower().endswith(_SOUND_SUFFIXES) and not name.startswith(b".")
