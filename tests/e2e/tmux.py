"""A real terminal to drive the dashboard in: tmux with a server of its own."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import time
import uuid
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType

import pytest

needs_tmux = pytest.mark.skipif(shutil.which("tmux") is None, reason="tmux is not installed (apt install tmux)")


class Tmux:
    """One session of one window; use it as a context manager."""

    def __init__(self, argv: Sequence[str], *, columns: int, rows: int, cwd: Path) -> None:
        """Start `argv` in a window of `columns` x `rows`."""
        self._server = f"sao-{uuid.uuid4().hex[:12]}"
        environment = {key: value for key, value in os.environ.items() if key not in ("TMUX", "NO_COLOR")}
        command = f"{shlex.join(argv)}; echo; echo exited $?; exec sleep 3600"
        self._tmux(
            *("new-session", "-d", "-x", str(columns), "-y", str(rows), "-c", str(cwd), command),
            environment=environment,
        )

    def __enter__(self) -> Tmux:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._tmux("kill-server")

    def _tmux(self, *arguments: str, environment: dict[str, str] | None = None) -> str:
        argv = ["tmux", "-L", self._server, "-f", "/dev/null", *arguments]
        done = subprocess.run(
            argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, env=environment, timeout=30
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def keys(self, *names: str) -> None:
        """Press keys by tmux's names: `1`, `Enter`, `Escape`, `C-p`."""
        self._tmux("send-keys", *names)

    def press(self, name: str) -> str:
        """Press a key and return the screen once it has changed.

        Textual runs the action of a key after letters that were typed right behind it.
        """
        before = self.screen()
        self.keys(name)
        return self.wait_until(lambda screen: screen != before, f"what {name} does")

    def type(self, text: str) -> str:
        """Type `text` as it is and return the screen once it shows it."""
        self._tmux("send-keys", "-l", text)
        return self.wait_for(text)

    def screen(self) -> str:
        """Return what the screen shows."""
        return self._tmux("capture-pane", "-p")

    def wait_for(self, *texts: str, seconds: float = 60.0) -> str:
        """Return the screen as soon as it shows all `texts`."""
        return self.wait_until(lambda screen: all(text in screen for text in texts), f"{texts}", seconds=seconds)

    def wait_until(self, wanted: Callable[[str], bool], what: str, *, seconds: float = 60.0) -> str:
        """Return the screen as soon as it is as wanted."""
        deadline = time.monotonic() + seconds
        while True:
            screen = self.screen()
            if wanted(screen):
                return screen
            assert time.monotonic() < deadline, f"{what} did not come within {seconds:.0f} s; the screen:\n{screen}"
            time.sleep(0.1)
