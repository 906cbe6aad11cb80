"""Players that come with the sound system: pw-play, paplay and aplay."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from pathlib import Path

from sao_tui.core.errors import SaoError
from sao_tui.services.players.pcm import is_plain_wav, load_pcm, write_wav


class CommandPlayer:
    """Plays with a program; sound that it may not know is handed over as a 16-bit wav."""

    reports_start = False

    def __init__(self, name: str, options: tuple[str, ...] = (), suffixes: frozenset[str] = frozenset()) -> None:
        """Name the program, and the suffixes beside 16-bit wav that it is known to read itself."""
        self.name = name
        self._options = options
        self._suffixes = suffixes

    def why_not(self, environ: Mapping[str, str]) -> str:
        """Return what is missing for it."""
        found = shutil.which(self.name, path=environ.get("PATH"))
        return "" if found else f"the program {self.name} is not installed"

    def argv(self, path: Path, scratch_folder: Path) -> list[str]:
        """Return the command that plays `path`.

        Raises:
            SaoError: The file cannot be read, or not be converted.
        """
        if not is_plain_wav(path) and os.path.splitext(path)[1].lower() not in self._suffixes:
            converted = scratch_folder / "converted.wav"
            try:
                write_wav(load_pcm(path), converted)
            except OSError as error:
                raise SaoError(f"Cannot convert {path} to wav: {error.strerror}.", "Free some space.") from error
            path = converted
        return [self.name, *self._options, str(path)]


def command_players() -> list[CommandPlayer]:
    """Return the programs in the order in which they are tried."""
    by_libsndfile = frozenset({".flac", ".ogg"})
    return [
        CommandPlayer("pw-play", suffixes=by_libsndfile),
        CommandPlayer("paplay", ("--client-name=sao-tui",), by_libsndfile),
        CommandPlayer("aplay", ("-q",)),
    ]
