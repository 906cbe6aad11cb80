from __future__ import annotations

import os
import sys
import time
import wave
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest
import soundfile

from sao_tui.core.errors import SaoError
from sao_tui.services.playback import Playback
from sao_tui.services.players.command import CommandPlayer
from sao_tui.services.players.pcm import load_pcm
from sao_tui.services.workspace import Workspace, init_workspace, save_settings

NO_SSH = {key: value for key, value in os.environ.items() if not key.startswith("SSH_")}


class ScriptPlayer:
    """A player whose child runs a line of Python."""

    def __init__(self, name: str, script: str, *, reports_start: bool = False, missing: str = "") -> None:
        self.name = name
        self.reports_start = reports_start
        self._script = script
        self._missing = missing

    def why_not(self, environ: Mapping[str, str]) -> str:
        return self._missing

    def argv(self, path: Path, scratch_folder: Path) -> list[str]:
        return [sys.executable, "-c", f"import os, sys, time; {self._script}", str(path)]


PLAYS = "time.sleep(60)"
FAILS = "print('noise\\n\\x1b[31mno device ', file=sys.stderr); sys.exit(1)"


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return init_workspace(tmp_path)


@pytest.fixture
def clip(workspace: Workspace) -> Path:
    path = workspace.dataset_folder / "a clip.wav"
    soundfile.write(path, np.zeros(800), 8000)
    return path


def until(condition: Callable[[], bool], seconds: float = 10) -> bool:
    deadline = time.monotonic() + seconds
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.01)
    return condition()


def test_the_first_player_that_works_plays(workspace: Workspace, clip: Path) -> None:
    playback = Playback(workspace, [ScriptPlayer("one", PLAYS), ScriptPlayer("two", PLAYS)])
    handle = playback.play(clip)
    assert (handle.player, handle.message) == ("one", "Playing a clip.wav with one.")
    assert playback.is_playing()
    playback.stop()
    assert until(lambda: not playback.is_playing())


def test_a_player_that_fails_is_followed_by_the_next_with_the_reason_kept(workspace: Workspace, clip: Path) -> None:
    players = [
        ScriptPlayer("absent", PLAYS, missing="not installed"),
        ScriptPlayer("broken", FAILS),
        ScriptPlayer("mute", "sys.exit(3)"),
        ScriptPlayer("crashing", "os.kill(os.getpid(), 11)"),
        ScriptPlayer("good", PLAYS),
    ]
    playback = Playback(workspace, players)
    handle = playback.play(clip)
    playback.stop()
    assert handle.player == "good"
    assert handle.reasons == (
        "absent: not installed",
        "broken: [31mno device",
        "mute: ended with code 3",
        "crashing: ended with code -11",
    )


def test_a_player_that_fails_after_it_started_is_followed_by_the_next(workspace: Workspace, clip: Path) -> None:
    late = ScriptPlayer("late", f"time.sleep(0.6); {FAILS}")
    playback = Playback(workspace, [late, ScriptPlayer("next", PLAYS)])
    assert playback.play(clip).player == "late"
    assert until(lambda: (status := playback.status()) is not None and status.player == "next")
    playback.close()


def test_a_program_that_is_done_with_a_short_clip_at_once_has_played_it(workspace: Workspace, clip: Path) -> None:
    playback = Playback(workspace, [ScriptPlayer("quick", "sys.exit(0)"), ScriptPlayer("never", FAILS)])
    assert playback.play(clip).player == "quick"


def test_a_child_counts_as_playing_only_when_it_says_so(workspace: Workspace, clip: Path) -> None:
    players = [
        ScriptPlayer("silent", "sys.exit(0)", reports_start=True),
        ScriptPlayer("slow", "time.sleep(0.5); print('playing', flush=True); time.sleep(60)", reports_start=True),
    ]
    playback = Playback(workspace, players)
    handle = playback.play(clip)
    assert handle.player == "slow"
    assert handle.reasons == ("silent: ended with code 0",)
    playback.stop()


def test_playing_another_clip_stops_the_first(workspace: Workspace, clip: Path, tmp_path: Path) -> None:
    marks = tmp_path / "pids"
    marks.mkdir()
    player = ScriptPlayer("one", f"open(os.path.join({str(marks)!r}, str(os.getpid())), 'w'); {PLAYS}")
    playback = Playback(workspace, [player])
    playback.play(clip)
    assert until(lambda: len(os.listdir(marks)) == 1)
    playback.play(clip)
    assert until(lambda: len(os.listdir(marks)) == 2)
    playback.stop()
    assert until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in os.listdir(marks)))


def test_without_a_device_the_message_says_where_the_file_is(workspace: Workspace, clip: Path) -> None:
    handle = Playback(workspace, [ScriptPlayer("broken", FAILS)], NO_SSH).play(clip)
    assert handle.player == "null"
    assert handle.message == f"No sound device here. The file is {clip}"
    assert handle.reasons == ("broken: [31mno device",)


@pytest.mark.parametrize(
    ("connection", "start"),
    [
        ("10.0.0.9 5000 10.0.0.7 22", "scp 'ann@10.0.0.7:"),
        ("fe80::1 5000 fe80::2 2222", "scp -P 2222 'ann@[fe80::2]:"),
    ],
)
def test_over_ssh_the_message_is_the_command_that_copies_the_file(
    workspace: Workspace, clip: Path, connection: str, start: str
) -> None:
    environ = NO_SSH | {"SSH_CONNECTION": connection, "USER": "ann"}
    handle = Playback(workspace, [], environ).play(clip)
    assert handle.message.endswith(f"{start}{clip}' .")


def test_after_all_have_failed_they_are_left_alone_for_a_while(
    workspace: Workspace, clip: Path, tmp_path: Path
) -> None:
    tries = tmp_path / "tries"
    now = [0.0]
    player = ScriptPlayer("broken", f"open({str(tries)!r}, 'a').write('x'); {FAILS}")
    playback = Playback(workspace, [player], NO_SSH, lambda: now[0])
    for second in (0, 10, 29):
        now[0] = second
        assert playback.play(clip).player == "null"
    assert tries.read_text() == "x"
    now[0] = 31
    playback.play(clip)
    assert tries.read_text() == "xx"


def test_a_damaged_or_missing_clip_is_an_error_before_any_player_is_tried(workspace: Workspace) -> None:
    bad = workspace.dataset_folder / "bad.wav"
    bad.write_text("no sound")
    for path in (bad, workspace.dataset_folder / "absent.wav"):
        with pytest.raises(SaoError, match=path.name):
            Playback(workspace, [ScriptPlayer("one", PLAYS)]).play(path)


def test_sao_toml_may_name_the_player(workspace: Workspace, clip: Path) -> None:
    save_settings(workspace, **{"audio.player": "null"})
    assert [info.name for info in Playback(workspace).available()] == ["null"]
    assert Playback(workspace).play(clip).player == "null"
    save_settings(workspace, **{"audio.player": "aplay"})
    assert [info.name for info in Playback(workspace).available()] == ["aplay", "null"]
    save_settings(workspace, **{"audio.player": "gramophone"})
    with pytest.raises(SaoError, match="gramophone") as caught:
        Playback(workspace).play(clip)
    assert "miniaudio" in caught.value.hint


def test_players_are_tried_in_this_order_and_say_what_they_lack(workspace: Workspace) -> None:
    infos = Playback(workspace, environ={"PATH": "/nowhere"}).available()
    assert [info.name for info in infos] == ["miniaudio", "simpleaudio", "pw-play", "paplay", "aplay", "null"]
    aplay = next(info for info in infos if info.name == "aplay")
    assert (aplay.ok, aplay.why) == (False, "the program aplay is not installed")


def test_our_own_child_says_why_it_cannot_play(workspace: Workspace, clip: Path) -> None:
    from sao_tui.services.players.protocol import child_argv

    class Unknown(ScriptPlayer):
        def argv(self, path: Path, scratch_folder: Path) -> list[str]:
            return child_argv("gramophone", path)

    handle = Playback(workspace, [Unknown("unknown", "", reports_start=True)], NO_SSH).play(clip)
    assert handle.reasons == ("unknown: There is no player gramophone.",)


def test_programs_get_a_16_bit_wav_of_what_they_may_not_know(workspace: Workspace, tmp_path: Path) -> None:
    samples = np.random.default_rng(0).integers(-32768, 32768, (800, 2), dtype=np.int16)
    plain, floats, flac = (workspace.dataset_folder / name for name in ("a.wav", "f.wav", "c.flac"))
    soundfile.write(plain, samples, 8000, subtype="PCM_16")
    soundfile.write(floats, samples / 32768, 8000, subtype="FLOAT")
    soundfile.write(flac, samples, 8000, subtype="PCM_16")
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    aplay, paplay = CommandPlayer("aplay", ("-q",)), CommandPlayer("paplay", suffixes=frozenset({".flac"}))
    assert aplay.argv(plain, scratch) == ["aplay", "-q", str(plain)]
    assert paplay.argv(flac, scratch) == ["paplay", str(flac)]
    for source in (floats, flac):
        converted = aplay.argv(source, scratch)[-1]
        assert converted == str(scratch / "converted.wav")
        with wave.open(converted) as file:
            assert (file.getsampwidth(), file.getnchannels(), file.getframerate()) == (2, 2, 8000)
            assert file.readframes(800) == samples.tobytes()


def test_more_than_two_channels_are_cut_to_the_first_two(workspace: Workspace) -> None:
    path = workspace.dataset_folder / "six.wav"
    samples = np.random.default_rng(0).uniform(-1, 1, (80, 6))
    soundfile.write(path, samples, 8000, subtype="PCM_16")
    pcm = load_pcm(path)
    assert pcm.num_channels == 2
    assert np.array_equal(np.frombuffer(pcm.data, "<i2").reshape(-1, 2), soundfile.read(path, dtype="int16")[0][:, :2])
