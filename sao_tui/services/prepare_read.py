"""Reading the clips of a prepare job in sections, so that a recording of hours fits the memory.

Shapes: N frames, C channels.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from sao_tui.core.errors import SaoError
from sao_tui.services.audio import UnreadableClipError, open_sound

if TYPE_CHECKING:
    from sao_tui.services.prepare_sound import Sound

FFMPEG_SUFFIXES = frozenset({".m4a", ".aac", ".wma", ".webm", ".mp4", ".mka"})
"""What only ffmpeg reads."""
SECTION_SECONDS = 60.0
DECODED_PREFIX = ".decoded-"
"""Of the folders with what ffmpeg decodes."""
FFMPEG_SECONDS = 1_800.0
INSTALL_FFMPEG = "Install ffmpeg (`apt install ffmpeg`) and prepare again, or convert the file to wav yourself."


@dataclass(frozen=True)
class OpenClip:
    """A clip that can be read once, from its beginning."""

    rate_hz: int
    num_channels: int
    num_frames: int
    codec: str
    """Container and encoding in lower case, such as `wav pcm_16`."""
    sections: Iterator[tuple[Sound, bool]]
    """Samples as [N, C], and whether they are the last."""


@contextmanager
def open_clip(path: Path, temporary: Path, *, whole: bool) -> Iterator[OpenClip]:
    """Open a clip by the library that reads it, or through ffmpeg.

    Args:
        temporary: Folder for what ffmpeg decodes.
        whole: Give everything as one section.

    Raises:
        SaoError: It is missing or damaged, or needs ffmpeg, which is not installed.
    """
    if path.suffix.lower() not in FFMPEG_SUFFIXES:
        with _open(path, whole=whole) as clip:
            yield clip
        return
    with TemporaryDirectory(prefix=DECODED_PREFIX, dir=temporary) as folder:
        decoded = Path(folder) / "clip.wav"
        decode_with_ffmpeg(path, decoded)
        with _open(decoded, whole=whole) as clip:
            yield OpenClip(clip.rate_hz, clip.num_channels, clip.num_frames, path.suffix[1:].lower(), clip.sections)


@contextmanager
def _open(path: Path, *, whole: bool) -> Iterator[OpenClip]:
    with open_sound(path) as sound:
        if sound.sample_rate_hz <= 0 or sound.num_channels <= 0:
            raise UnreadableClipError(path, "its header names no sample rate")
        size = -1 if whole else round(SECTION_SECONDS * sound.sample_rate_hz)

        def sections() -> Iterator[tuple[Sound, bool]]:
            num_left = sound.frames
            while True:
                block = sound.read(size)
                num_left -= len(block)
                # A header may promise more than the file holds.
                is_last = size < 0 or num_left <= 0 or len(block) < size
                yield block, is_last
                if is_last:
                    return

        yield OpenClip(sound.sample_rate_hz, sound.num_channels, sound.frames, sound.codec, sections())


def has_ffmpeg() -> bool:
    """Return whether ffmpeg is installed."""
    return shutil.which("ffmpeg") is not None


def decode_with_ffmpeg(path: Path, target: Path) -> None:
    """Decode the first sound track of a file to a wav of float samples.

    Raises:
        SaoError: ffmpeg is not installed, or cannot decode the file.
    """
    program = shutil.which("ffmpeg")
    if program is None:
        raise SaoError(f"{path.suffix.lower()} files need ffmpeg, which is not installed.", INSTALL_FFMPEG)
    # Local files only: a playlist in disguise must not make it fetch anything.
    given = ["-nostdin", "-v", "error", "-protocol_whitelist", "file,pipe"]
    sound_only = ["-vn", "-sn", "-dn", "-map", "0:a:0", "-map_metadata", "-1"]
    wanted = ["-c:a", "pcm_f32le", "-rf64", "auto", "-f", "wav", "-y"]
    source = b"file:" + os.fsencode(path.absolute())
    try:
        done = subprocess.run(
            [program, *given, "-i", source, *sound_only, *wanted, os.fsencode(target)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            timeout=FFMPEG_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise UnreadableClipError(path, f"ffmpeg took longer than {FFMPEG_SECONDS:.0f} s") from error
    if done.returncode != 0:
        said = done.stderr.decode(errors="replace").strip().splitlines()
        reason = said[-1].rsplit(": ", 1)[-1] if said else f"exit code {done.returncode}"
        raise UnreadableClipError(path, f"ffmpeg cannot decode it ({reason.rstrip('.')})")
