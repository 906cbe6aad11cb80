from __future__ import annotations

import contextlib
import importlib.util
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile

from sao_tui.services.playback import Playback
from sao_tui.services.players.command import command_players
from sao_tui.services.players.miniaudio import MiniaudioPlayer
from sao_tui.services.players.protocol import Player
from sao_tui.services.players.simpleaudio import SimpleaudioPlayer
from sao_tui.services.workspace import init_workspace

pytestmark = pytest.mark.system

RATE = 44_100
SAMPLES = np.random.default_rng(0).integers(-20_000, 20_000, (RATE * 2, 2), dtype=np.int16)

ALSA_TO_FILE = """
pcm.!default {{
    type plug
    slave.pcm {{
        type file
        slave.pcm {{ type null }}
        file "{file}"
        format "raw"
    }}
}}
"""

ALSA_TO_PULSE = """
pcm.!default { type pulse }
ctl.!default { type pulse }
"""


def player(name: str) -> Player:
    found: dict[str, Player] = {each.name: each for each in command_players()}
    found |= {"miniaudio": MiniaudioPlayer(), "simpleaudio": SimpleaudioPlayer()}
    return found[name]


def need(*programs: str, alsa_plugin: str = "") -> None:
    for program in programs:
        if not shutil.which(program):
            pytest.skip(f"the program {program} is not installed")
    folders = [Path("/usr/lib"), Path("/usr/lib64")]
    if alsa_plugin and not any(list(folder.glob(f"*/alsa-lib/{alsa_plugin}")) for folder in folders):
        pytest.skip(f"the ALSA plugin {alsa_plugin} is not installed (package libasound2-plugins)")


def need_player(name: str) -> None:
    why = player(name).why_not(os.environ)
    if why:
        pytest.skip(why)


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    path = tmp_path / "clip.wav"
    soundfile.write(path, SAMPLES, RATE)
    return path


@pytest.mark.parametrize("name", ["aplay", "simpleaudio"])
def test_alsa_gets_every_sample_of_the_clip(tmp_path: Path, clip: Path, name: str) -> None:
    need_player(name)
    captured = tmp_path / "captured.raw"
    config = tmp_path / "asound.conf"
    config.write_text(ALSA_TO_FILE.format(file=captured))
    environ = os.environ | {"ALSA_CONFIG_PATH": str(config)}
    playback = Playback(init_workspace(tmp_path / "workspace"), [player(name)], environ)
    handle = playback.play(clip)
    assert handle.player == name, handle.reasons
    playback.wait(30)
    heard = np.frombuffer(captured.read_bytes(), np.int16).reshape(-1, 2)
    # ALSA's buffer may be filled up with silence after the last sample.
    assert np.array_equal(heard[: len(SAMPLES)], SAMPLES)
    assert not heard[len(SAMPLES) :].any()


@pytest.mark.parametrize("name", ["miniaudio", "simpleaudio", "paplay", "aplay", "pw-play"])
def test_without_any_device_the_player_fails_with_its_reason(tmp_path: Path, clip: Path, name: str) -> None:
    need_player(name)
    config = tmp_path / "asound.conf"
    config.write_text("")
    environ = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "XDG_RUNTIME_DIR": str(tmp_path)}
    environ |= {"ALSA_CONFIG_PATH": str(config), "PULSE_SERVER": "tcp:127.0.0.1:1", "PYTHONPATH": python_path()}
    handle = Playback(init_workspace(tmp_path / "workspace"), [player(name)], environ).play(clip)
    assert handle.player == "null"
    assert len(handle.reasons) == 1 and len(handle.reasons[0]) > len(name) + 5


@pytest.fixture
def pulse(tmp_path: Path) -> Iterator[dict[str, str]]:
    """A PulseAudio of our own with a sink that goes nowhere; gives the environment that reaches it."""
    need("pulseaudio", "parec", "pactl")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    runtime = tmp_path / "pulse"
    runtime.mkdir(mode=0o700)
    environ = os.environ | {"HOME": str(runtime), "XDG_RUNTIME_DIR": str(runtime), "PULSE_RUNTIME_PATH": str(runtime)}
    environ["PYTHONPATH"] = python_path()
    environ.pop("PULSE_SERVER", None)
    log = (tmp_path / "pulse.log").open("wb")
    server = subprocess.Popen(
        [
            "pulseaudio", "-n", "--daemonize=no", "--exit-idle-time=-1", "--use-pid-file=no", "--disable-shm=yes",
            "-L", f"module-null-sink sink_name=test rate={RATE} format=s16le channels=2",
            "-L", f"module-native-protocol-tcp port={port} listen=127.0.0.1 auth-anonymous=1",
        ],
        env=environ, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
    )  # fmt: skip
    environ |= {"PULSE_SERVER": f"tcp:127.0.0.1:{port}"}
    try:
        deadline = time.monotonic() + 15
        while subprocess.run(["pactl", "info"], env=environ, capture_output=True).returncode:
            if server.poll() is not None or time.monotonic() > deadline:
                said = (tmp_path / "pulse.log").read_text()[-300:]
                pytest.skip(f"PulseAudio does not start here: {said}")
            time.sleep(0.05)
        yield environ
    finally:
        server.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            server.wait(5)
        if server.poll() is None:
            server.kill()
        log.close()


@pytest.mark.parametrize("name", ["paplay", "aplay", "simpleaudio", "miniaudio"])
def test_pulseaudio_gets_the_clip_bit_by_bit(tmp_path: Path, clip: Path, pulse: dict[str, str], name: str) -> None:
    need_player(name)
    if name in ("aplay", "simpleaudio"):
        need(alsa_plugin="libasound_module_pcm_pulse.so")
        config = tmp_path / "asound.conf"
        config.write_text(ALSA_TO_PULSE)
        pulse = pulse | {"ALSA_CONFIG_PATH": str(config)}
    captured = tmp_path / "captured.raw"
    with captured.open("wb") as file:
        recorder = subprocess.Popen(
            ["parec", "-d", "test.monitor", f"--rate={RATE}", "--format=s16le", "--channels=2", "--latency-msec=10"],
            env=pulse, stdout=file, stdin=subprocess.DEVNULL,
        )  # fmt: skip
        try:
            deadline = time.monotonic() + 10
            while captured.stat().st_size == 0 and time.monotonic() < deadline:
                time.sleep(0.02)
            playback = Playback(init_workspace(tmp_path / "workspace"), [player(name)], pulse)
            handle = playback.play(clip)
            assert handle.player == name, handle.reasons
            playback.wait(30)
            ended = captured.stat().st_size
            while captured.stat().st_size < ended + RATE * 2 and time.monotonic() < deadline + 30:
                time.sleep(0.02)
        finally:
            recorder.terminate()
            recorder.wait(5)
    data = captured.read_bytes()
    heard = np.frombuffer(data[: len(data) // 4 * 4], np.int16).reshape(-1, 2)
    assert share_heard(heard) > 0.95


def test_a_sound_server_that_plays_to_nobody_counts_as_no_device(
    tmp_path: Path, clip: Path, pulse: dict[str, str]
) -> None:
    load = ["pactl", "load-module", "module-null-sink", "sink_name=auto_null"]
    subprocess.run(load, env=pulse, check=True, capture_output=True)
    subprocess.run(["pactl", "set-default-sink", "auto_null"], env=pulse, check=True)
    handle = Playback(init_workspace(tmp_path / "workspace"), [player("paplay")], pulse).play(clip)
    assert (handle.player, handle.reasons) == ("null", ("the sound server has only its dummy output",))


def share_heard(heard: np.ndarray) -> float:
    """Return the share of the clip's 10 ms blocks that were captured bit by bit, wherever a late clock put them."""
    block = RATE // 100
    content = heard.tobytes()
    blocks = [SAMPLES[at : at + block].tobytes() for at in range(0, len(SAMPLES) - block + 1, block)]
    return sum(each in content for each in blocks) / len(blocks)


def python_path() -> str:
    return os.pathsep.join(filter(None, sys.path))


def test_simpleaudio_is_optional_and_said_so() -> None:
    why = SimpleaudioPlayer().why_not(os.environ)
    if importlib.util.find_spec("simpleaudio") and sys.version_info < (3, 12):
        assert why == ""
    else:
        assert "simpleaudio" in why
