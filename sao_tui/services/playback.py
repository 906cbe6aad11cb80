"""Making a clip heard: tries the players in order, each in a child process, until one gets through to the end.

`play` waits until a player has started, so screens call it in a thread; the sound goes on without it.
"""

from __future__ import annotations

import contextlib
import os
import select
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from sao_tui.core.errors import SaoError
from sao_tui.services.players import null
from sao_tui.services.players.protocol import Player, PlayerInfo
from sao_tui.services.players.sound_server import has_only_dummy_output
from sao_tui.services.workspace import Workspace

_PROOF_SECONDS = 0.3
"""A program that has not failed by then has opened its device."""

_START_SECONDS = 15.0
_KILL_SECONDS = 0.5

_GIVE_UP_SECONDS = 30.0
"""For so long all players are left alone after all have failed: five processes a key press are too many."""


@dataclass(frozen=True)
class PlayHandle:
    """What became of a request to play."""

    player: str
    """Name of the player that plays; `null` when none does."""
    message: str
    """One sentence for the user."""
    reasons: tuple[str, ...] = ()
    """Why the players before it did not play, each with its name."""


class Playback:
    """Plays one file at a time."""

    def __init__(
        self,
        workspace: Workspace,
        players: Sequence[Player] | None = None,
        environ: Mapping[str, str] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Start nothing yet.

        Args:
            players: Those to try, in order; by default all, or the one that sao.toml names.
            environ: Environment of the players; by default this process's.
        """
        self._workspace = workspace
        self._players = players
        self._environ = os.environ if environ is None else environ
        self._clock = clock
        self._lock = threading.Lock()
        self._current: _Attempt | None = None
        self._failed: tuple[float, tuple[str, ...]] | None = None

    def available(self) -> list[PlayerInfo]:
        """Return every player with what is missing for it, the null player last.

        Raises:
            SaoError: sao.toml names a player that there is not.
        """
        infos = []
        for player in self._choose():
            why = player.why_not(self._environ)
            infos.append(PlayerInfo(player.name, not why, why))
        return [*infos, PlayerInfo(null.NAME, True, "")]

    def play(self, path: Path) -> PlayHandle:
        """Stop what plays, start `path` and return once it is heard or no player is left.

        Raises:
            SaoError: The file is missing or cannot be read, or sao.toml names a player that there is not.
        """
        from sao_tui.services.audio import probe

        path = path.absolute()
        probe(path)
        players = self._choose()
        with self._lock:
            previous, self._current = self._current, None
            if previous is not None:
                previous.cancel()
            known = self._known_failure()
            if known is not None:
                return PlayHandle(null.NAME, null.where_it_is(path, self._environ), known)
            attempt = _Attempt(players, path, self._environ, self._note_failure, self._clock)
            self._current = attempt
            attempt.start()
        return attempt.wait_until_settled()

    def stop(self) -> None:
        """Silence; nothing happens when nothing plays."""
        with self._lock:
            attempt, self._current = self._current, None
        if attempt is not None:
            attempt.cancel()

    def is_playing(self) -> bool:
        """Return whether a sound is on, or a player about to start."""
        attempt = self._current
        return attempt is not None and attempt.is_alive()

    def position_seconds(self) -> float | None:
        """Return how far into the clip the sound is, by the clock since a player started; None when nothing plays."""
        attempt = self._current
        if attempt is None or attempt.started is None or not attempt.is_alive():
            return None
        return self._clock() - attempt.started

    def status(self) -> PlayHandle | None:
        """Return what became of the last request by now; a player may fail after it had started."""
        attempt = self._current
        return attempt.handle if attempt is not None else None

    def wait(self, timeout_seconds: float | None = None) -> PlayHandle | None:
        """Wait until the sound has ended and return what became of it."""
        attempt = self._current
        if attempt is None:
            return None
        attempt.join(timeout_seconds)
        return attempt.handle

    def close(self) -> None:
        """Silence, for good."""
        self.stop()

    def _choose(self) -> Sequence[Player]:
        if self._players is not None:
            return self._players
        wanted = self._workspace.settings.player
        players = all_players()
        names = [player.name for player in players]
        if wanted in ("", "auto"):
            return players
        if wanted == null.NAME:
            return []
        if wanted not in names:
            raise SaoError(
                f"{self._workspace.settings_file} asks for the player {wanted}, which there is not.",
                f"Set [audio] player to one of: auto, {', '.join(names)}, {null.NAME}.",
            )
        return [player for player in players if player.name == wanted]

    def _note_failure(self, reasons: tuple[str, ...]) -> None:
        self._failed = (self._clock(), reasons)

    def _known_failure(self) -> tuple[str, ...] | None:
        failed = self._failed
        if failed is None or self._clock() - failed[0] > _GIVE_UP_SECONDS:
            return None
        return failed[1]


def all_players() -> list[Player]:
    """Return every player but the null one, in the order in which they are tried."""
    from sao_tui.services.players.command import command_players
    from sao_tui.services.players.miniaudio import MiniaudioPlayer
    from sao_tui.services.players.simpleaudio import SimpleaudioPlayer

    return [MiniaudioPlayer(), SimpleaudioPlayer(), *command_players()]


class _Attempt:
    """One file on its way through the players, in a thread of its own."""

    def __init__(
        self,
        players: Sequence[Player],
        path: Path,
        environ: Mapping[str, str],
        on_failure: Callable[[tuple[str, ...]], None],
        clock: Callable[[], float],
    ) -> None:
        self._players = players
        self._path = path
        self._environ = environ
        self._on_failure = on_failure
        self._reasons: list[str] = []
        self._settled = threading.Event()
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._cancelled = False
        self._thread = threading.Thread(target=self._run, name="playback", daemon=True)
        self._clock = clock
        self.handle: PlayHandle | None = None
        self.started: float | None = None
        """When a player began to sound."""

    def start(self) -> None:
        self._thread.start()

    def is_alive(self) -> bool:
        return self._thread.is_alive()

    def join(self, timeout_seconds: float | None) -> None:
        self._thread.join(timeout_seconds)

    def wait_until_settled(self) -> PlayHandle:
        self._settled.wait()
        return self.handle or PlayHandle(null.NAME, "Stopped.", tuple(self._reasons))

    def cancel(self) -> None:
        with self._lock:
            self._cancelled = True
            process = self._process
        if process is not None:
            _end(process)

    def _run(self) -> None:
        try:
            # Asked only where something could play: a dummy takes sound without a word, and nobody hears it.
            dummy = bool(self._players) and has_only_dummy_output(self._environ)
            if dummy:
                self._reasons.append("the sound server has only its dummy output")
            for player in () if dummy else self._players:
                reason = self._try(player)
                if reason is None or self._cancelled:
                    return
                self._reasons.append(f"{player.name}: {reason}")
            message = null.where_it_is(self._path, self._environ)
            self.handle = PlayHandle(null.NAME, message, tuple(self._reasons))
            self._on_failure(tuple(self._reasons))
        finally:
            self._settled.set()

    def _try(self, player: Player) -> str | None:
        """Play with one player to the end and return None, or why it failed."""
        why_not = player.why_not(self._environ)
        if why_not:
            return why_not
        with tempfile.TemporaryDirectory(prefix="sao-tui-play-") as scratch, tempfile.TemporaryFile() as stderr:
            try:
                process = self._spawn(player, player.argv(self._path, Path(scratch)), stderr)
            except SaoError as error:
                return error.message
            except OSError as error:
                return f"cannot be started: {error.strerror}"
            with process:
                started = self._has_started(player, process)
                if started:
                    self._settle(player)
                elif player.reports_start:
                    _end(process)
                code = process.wait()
            # A program may be done with a short clip before it counts as started.
            if self._cancelled or (code == 0 and (started or not player.reports_start)):
                self._settle(player)
                return None
            return _last_line(stderr) or f"ended with code {code}"

    def _spawn(self, player: Player, argv: list[str], stderr: IO[bytes]) -> subprocess.Popen[bytes]:
        # Our own children end when stdin closes, which it does when this process is gone.
        pipe = subprocess.PIPE if player.reports_start else subprocess.DEVNULL
        process = subprocess.Popen(argv, stdin=pipe, stdout=pipe, stderr=stderr, env=dict(self._environ))
        with self._lock:
            self._process = process
            cancelled = self._cancelled
        if cancelled:
            _end(process)
        return process

    def _has_started(self, player: Player, process: subprocess.Popen[bytes]) -> bool:
        if player.reports_start:
            assert process.stdout is not None  # noqa: S101
            ready, _, _ = select.select([process.stdout], [], [], _START_SECONDS)
            return bool(ready) and process.stdout.readline() == b"playing\n"
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(_PROOF_SECONDS)
            return False
        return True

    def _settle(self, player: Player) -> None:
        message = f"Playing {self._path.name} with {player.name}."
        self.handle = PlayHandle(player.name, message, tuple(self._reasons))
        self.started = self.started if self.started is not None else self._clock()
        self._settled.set()


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(_KILL_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()


def _last_line(stderr: IO[bytes]) -> str:
    """Return the last thing a player said, fit for one line of the dashboard."""
    stderr.seek(0)
    lines = [line.strip() for line in stderr.read().decode(errors="replace").splitlines() if line.strip()]
    return "".join(each for each in lines[-1] if each.isprintable())[:200] if lines else ""
