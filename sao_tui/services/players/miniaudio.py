"""miniaudio: comes as a wheel, talks to PulseAudio, ALSA and JACK by itself."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Generator, Mapping
from pathlib import Path

from sao_tui.services.players.pcm import load_pcm
from sao_tui.services.players.protocol import child_argv

_BUFFER_MS = 100


class MiniaudioPlayer:
    """Plays with the library miniaudio."""

    name = "miniaudio"
    reports_start = True

    def why_not(self, environ: Mapping[str, str]) -> str:
        """Return what is missing for it."""
        return "" if importlib.util.find_spec("miniaudio") else "the package miniaudio is not installed"

    def argv(self, path: Path, scratch_folder: Path) -> list[str]:
        """Return the command that plays `path`."""
        return child_argv(self.name, path)


def play(path: Path, on_start: Callable[[], None]) -> None:
    """Play to the end; runs in the child."""
    import threading

    import miniaudio

    pcm = load_pcm(path)
    frame_bytes = 2 * pcm.num_channels
    ended = threading.Event()

    def stream() -> Generator[bytes, int, None]:
        num_frames = yield b""
        at = 0
        while at < len(pcm.data):
            chunk = pcm.data[at : at + num_frames * frame_bytes]
            at += len(chunk)
            num_frames = yield chunk
        ended.set()

    device = miniaudio.PlaybackDevice(
        output_format=miniaudio.SampleFormat.SIGNED16,
        nchannels=pcm.num_channels,
        sample_rate=pcm.sample_rate_hz,
        buffersize_msec=_BUFFER_MS,
        app_name="sao-tui",
    )
    source = stream()
    next(source)
    device.start(source)
    on_start()
    # A device that stops asking for samples must not keep the child for ever.
    ended.wait(len(pcm.data) / frame_bytes / pcm.sample_rate_hz + 10)
    # The last chunk has been handed over, not heard: wait for the device's own buffer.
    threading.Event().wait(3 * _BUFFER_MS / 1000)
    device.close()
