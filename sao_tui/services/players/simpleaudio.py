"""simpleaudio: ALSA directly; built from source, and only sound up to Python 3.11."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from sao_tui.services.players.pcm import load_pcm
from sao_tui.services.players.protocol import child_argv


class SimpleaudioPlayer:
    """Plays with the library simpleaudio."""

    name = "simpleaudio"
    reports_start = True

    def why_not(self, environ: Mapping[str, str]) -> str:
        """Return what is missing for it."""
        if sys.version_info >= (3, 12):
            return "simpleaudio crashes on Python 3.12 and newer"
        if not importlib.util.find_spec("simpleaudio"):
            return "the package simpleaudio is not installed (the extra `audio`, which compiles against ALSA)"
        return ""

    def argv(self, path: Path, scratch_folder: Path) -> list[str]:
        """Return the command that plays `path`."""
        return child_argv(self.name, path)


def play(path: Path, on_start: Callable[[], None]) -> None:
    """Play to the end; runs in the child."""
    import simpleaudio

    pcm = load_pcm(path)
    playing = simpleaudio.play_buffer(pcm.data, pcm.num_channels, 2, pcm.sample_rate_hz)
    on_start()
    playing.wait_done()
