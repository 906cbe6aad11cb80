"""Writing what a prepare job makes: each file appears whole or not at all, and no original is ever lost.

Shapes: N frames, C channels.
"""

from __future__ import annotations

import io
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from sao_tui.core.files import sync_folder
from sao_tui.core.preparing import PrepareSettings
from sao_tui.services.prepare_clip import Piece
from sao_tui.services.prepare_journal import Output

_SUBTYPES = {"16": "PCM_16", "24": "PCM_24", "float": "FLOAT"}
_SAMPLE_BYTES = {"16": 2, "24": 3, "float": 4}
MAX_HEADER_BYTES = 96
"""Of a wav file, its padding included; of float samples it is the longest."""


@dataclass(frozen=True)
class Part:
    """A file that is whole, under a name that no program looks at yet."""

    path: Path
    output: Output


def encode(piece: Piece, settings: PrepareSettings) -> bytes:
    """Return a piece as the content of a sound file."""
    import soundfile

    buffer = io.BytesIO()
    soundfile.write(
        buffer, piece.sound, piece.rate_hz, format=settings.format.upper(), subtype=_SUBTYPES[settings.depth]
    )
    return buffer.getvalue()


def estimated_bytes(num_frames: int, channels: int, settings: PrepareSettings) -> int:
    """Return the size of an output; of FLAC, which depends on the sound, the most that it can be."""
    return num_frames * channels * _SAMPLE_BYTES[settings.depth] + MAX_HEADER_BYTES


def describe(piece: Piece, relpath: str, num_bytes: int) -> Output:
    """Return what a piece is as a file."""
    num_frames, channels = piece.sound.shape
    return Output(
        relpath=relpath,
        seconds=round(num_frames / piece.rate_hz, 6),
        rate_hz=piece.rate_hz,
        channels=channels,
        num_bytes=num_bytes,
        start_seconds=piece.start_seconds,
        end_seconds=piece.end_seconds,
        done=piece.done,
    )


def write_part(piece: Piece, source: Path, folder: Path, relpath: str, settings: PrepareSettings) -> Part:
    """Write a piece beside its place; a piece of which nothing was changed has the bytes of its source.

    Raises:
        OSError: The disk is full or gone; nothing is left.
    """
    target = folder / relpath
    part = target.with_name(f".{target.name}.part")
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        data = source.read_bytes() if piece.is_unchanged else encode(piece, settings)
        with part.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
    except BaseException:
        part.unlink(missing_ok=True)
        raise
    return Part(part, describe(piece, relpath, len(data)))


def commit(part: Part, folder: Path) -> None:
    """Give a part its name.

    Raises:
        OSError: The folder cannot be written.
    """
    os.replace(part.path, folder / part.output.relpath)


def discard(parts: list[Part]) -> None:
    """Remove parts that are not wanted after all."""
    for part in parts:
        part.path.unlink(missing_ok=True)


def move_original(source: Path, target: Path, rename: Callable[[Path, Path], None] = os.replace) -> None:
    """Move a clip out of the dataset; on another disk it is copied whole before it leaves its place.

    Raises:
        OSError: The target cannot be written; the clip is where it was.
    """
    if target.exists():
        # It was moved before a job was killed; what is in its place is an output.
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        rename(source, target)
    except OSError as error:
        import errno

        if error.errno != errno.EXDEV:
            raise
        part = target.with_name(f".{target.name}.part")
        try:
            shutil.copy2(source, part)
            with part.open("rb") as file:
                os.fsync(file.fileno())
            os.replace(part, target)
        except BaseException:
            part.unlink(missing_ok=True)
            raise
        sync_folder(target.parent)
        source.unlink()
    sync_folder(target.parent)
