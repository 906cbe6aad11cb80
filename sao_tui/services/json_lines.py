"""A child process that is spoken to in JSON lines over its stdin and stdout."""

from __future__ import annotations

import json
import queue
import subprocess
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from sao_tui.core.errors import SaoError
from sao_tui.services.endings import Ending, explain_ending, read_log_tail

_LEAVE_SECONDS = 0.5
_TERMINATE_SECONDS = 2.0


class JsonLinesProcess:
    """One running child; its stderr goes to a file, because anything else would draw over the screen."""

    def __init__(self, command: Sequence[str], environment: Mapping[str, str], folder: Path, log_file: Path) -> None:
        """Start `command` in `folder`.

        Raises:
            SaoError: It cannot be started.
        """
        self._log_file = log_file
        self._replies: queue.Queue[dict[str, Any] | None] = queue.Queue()
        self._write_lock = threading.Lock()
        try:
            log_file.parent.mkdir(parents=True, exist_ok=True)
            with log_file.open("wb") as log:
                self._process = subprocess.Popen(
                    list(command),
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=log,
                    cwd=folder,
                    env=dict(environment),
                )
        except OSError as error:
            raise SaoError(
                f"Cannot start {command[0]}: {error.strerror}.",
                "Set [worker] python in sao.toml to an interpreter with torch and stable-audio-tools.",
            ) from error
        threading.Thread(target=self._read, name="json-lines", daemon=True).start()

    @property
    def is_alive(self) -> bool:
        """Whether the child still runs."""
        return self._process.poll() is None

    def send(self, message: Mapping[str, Any]) -> None:
        """Write one line; a child that has gone is noticed when its reply is waited for."""
        data = json.dumps(message, ensure_ascii=False).encode() + b"\n"
        with self._write_lock:
            try:
                assert self._process.stdin is not None  # noqa: S101
                self._process.stdin.write(data)
                self._process.stdin.flush()
            except (OSError, ValueError):
                # ValueError: closed by us meanwhile.
                pass

    def receive(self, timeout: float) -> dict[str, Any] | None:
        """Return the next reply, None when there is none within `timeout` seconds.

        Raises:
            EOFError: The child has closed its output, which it does by ending.
        """
        try:
            reply = self._replies.get(timeout=timeout)
        except queue.Empty:
            return None
        if reply is None:
            # Whoever asks next must hear it too.
            self._replies.put(None)
            raise EOFError
        return reply

    def ending(self) -> Ending:
        """Return why the child has ended, after it has closed its output."""
        try:
            code = self._process.wait(timeout=_TERMINATE_SECONDS)
        except subprocess.TimeoutExpired:
            return Ending("It closed its output.", f"Read {self._log_file}.")
        tail = read_log_tail(self._log_file)
        return explain_ending(code if code >= 0 else None, -code if code < 0 else None, tail)

    def close(self) -> None:
        """End the child: by closing its input, then by signals."""
        with self._write_lock:
            try:
                assert self._process.stdin is not None  # noqa: S101
                self._process.stdin.close()
            except OSError:
                # What was still to be written has no reader any more.
                pass
        for end, seconds in ((None, _LEAVE_SECONDS), (self._process.terminate, _TERMINATE_SECONDS)):
            if end is not None:
                end()
            try:
                self._process.wait(timeout=seconds)
                return
            except subprocess.TimeoutExpired:
                continue
        self._process.kill()
        self._process.wait()

    def _read(self) -> None:
        """Hand replies over as they come; what is no JSON object was printed by a library."""
        assert self._process.stdout is not None  # noqa: S101
        with self._process.stdout as stdout:
            for line in stdout:
                try:
                    reply = json.loads(line)
                except ValueError:
                    continue
                if isinstance(reply, dict):
                    self._replies.put(reply)
        self._replies.put(None)
