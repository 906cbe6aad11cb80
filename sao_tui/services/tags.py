"""Tags of sound files, by mutagen: one set of names whatever the container.

Names: title, artist, album, genre, bpm, key, comment. Sources: ID3v2.4 frames (mp3, and the id3 chunk of wav and
aiff), the INFO list of wav (Microsoft's RIFF specification), Vorbis comments (flac, ogg, opus) and iTunes atoms (m4a).
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

TAG_NAMES = ("title", "artist", "album", "genre", "bpm", "key", "comment")

_MAX_LENGTH = 500
_MAX_INFO_BYTES = 64 << 10
_ID3 = {"TIT2": "title", "TPE1": "artist", "TALB": "album", "TCON": "genre", "TBPM": "bpm", "TKEY": "key"}
_INFO = {b"INAM": "title", b"IART": "artist", b"IPRD": "album", b"IGNR": "genre", b"ICMT": "comment", b"IKEY": "key"}
_ATOMS = {
    "\xa9nam": "title",
    "\xa9ART": "artist",
    "\xa9alb": "album",
    "\xa9gen": "genre",
    "tmpo": "bpm",
    "\xa9cmt": "comment",
    "----:com.apple.iTunes:initialkey": "key",
}
_COMMENTS = {
    "title": "title",
    "artist": "artist",
    "album": "album",
    "genre": "genre",
    "bpm": "bpm",
    "tempo": "bpm",
    "key": "key",
    "initialkey": "key",
    "comment": "comment",
    "description": "comment",
}


def read_tags(path: Path) -> dict[str, str]:
    """Return the tags of a file by our names; empty where it has none or they are damaged.

    Damaged tags are no error: the samples beside them may be sound.
    """
    found: dict[str, str] = {}
    try:
        with open(path, "rb") as file:
            if file.read(4) in (b"RIFF", b"RF64", b"BW64"):
                found |= _read_info(file)
            file.seek(0)
            found |= _read_with_mutagen(file)
    except OSError:
        return {}
    return {name: found[name] for name in TAG_NAMES if found.get(name)}


def _read_with_mutagen(file: Any) -> dict[str, str]:
    import mutagen

    try:
        tags = mutagen.File(file)
        content = None if tags is None else tags.tags
        if content is None:
            return {}
        pairs = list(_pairs(content))
    except OSError:
        raise
    except Exception:
        # mutagen meets damaged files with whatever its parsers run into (struct.error, IndexError, MutagenError…).
        return {}
    found: dict[str, str] = {}
    for name, value in pairs:
        text = _clean(value)
        if text:
            found.setdefault(name, text)
    return found


def _pairs(tags: Any) -> Iterable[tuple[str, Any]]:
    from mutagen.id3 import ID3
    from mutagen.mp4 import MP4Tags

    if isinstance(tags, ID3):
        frames: Any = tags
        yield from ((_ID3[frame.FrameID], frame) for frame in frames.values() if frame.FrameID in _ID3)
        # Players keep numbers and settings in comments that have a description.
        yield from (("comment", frame) for frame in frames.getall("COMM") if not frame.desc)
        return
    names: Mapping[str, str] = _ATOMS if isinstance(tags, MP4Tags) else _COMMENTS
    for key, values in tags.items():
        name = names.get(key if isinstance(tags, MP4Tags) else str(key).lower())
        if name:
            yield name, ", ".join(_as_text(value) for value in (values if isinstance(values, list) else [values]))


def _as_text(value: Any) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def _clean(value: Any) -> str:
    """Return one printable line: tags come from anywhere and are shown, stored as JSON and put into captions."""
    text = str(value).replace("\0", " ")
    return " ".join(text.split())[:_MAX_LENGTH].encode(errors="replace").decode()


def _read_info(file: Any) -> dict[str, str]:
    """Return the INFO list of a wav file, which mutagen passes over."""
    found: dict[str, str] = {}
    end = os.fstat(file.fileno()).st_size
    offset = 12
    while offset + 12 <= end:
        file.seek(offset)
        name, num_bytes, kind = struct.unpack("<4sI4s", file.read(12))
        if name == b"LIST" and kind == b"INFO":
            body = file.read(min(num_bytes - 4, _MAX_INFO_BYTES)) if num_bytes > 4 else b""
            found |= _parse_info(body)
        offset += 8 + num_bytes + (num_bytes & 1)
    return found


def _parse_info(body: bytes) -> dict[str, str]:
    found: dict[str, str] = {}
    at = 0
    while at + 8 <= len(body):
        key, size = struct.unpack_from("<4sI", body, at)
        raw = body[at + 8 : at + 8 + size].split(b"\0", 1)[0]
        if key in _INFO:
            try:
                found[_INFO[key]] = _clean(raw.decode("utf-8"))
            except UnicodeDecodeError:
                found[_INFO[key]] = _clean(raw.decode("cp1252", "replace"))
        at += 8 + size + (size & 1)
    return found
