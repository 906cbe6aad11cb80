"""A child process that reads headers while the parent writes rows.

It also keeps a damaged file that crashes a decoder, and what decoders print, away from the dashboard. Requests and
answers are msgpack with their length before them; the child ends with its input.
"""

from __future__ import annotations

import os
import struct
import subprocess
import sys
from collections.abc import Sequence
from typing import IO, Any

from sao_tui.services.clip_headers import Header, HeaderReader, suffix_of
from sao_tui.services.clip_walk import FoundFile

Request = list[tuple[bytes, Sequence[FoundFile]]]
"""For each folder what comes before its names in their relpaths, and its files."""

_LENGTH = struct.Struct("<Q")
_MAX_CRASHES = 40
"""After so many it is not the files' fault."""
_CRASHED = "it is damaged: reading it crashes the decoder"


class HeaderProcess:
    """The parent's end: one request at a time, whose answer may be fetched later."""

    def __init__(self, root: str, command: Sequence[str] = ()) -> None:
        """Start nothing yet.

        Args:
            command: What to run in place of this module, without the dataset folder, which comes last.
        """
        self._root = root
        self._command = [*(command or (sys.executable, "-m", "sao_tui.services.header_process")), root]
        self._process: subprocess.Popen[bytes] | None = None
        self._num_crashes = 0
        self._reader = HeaderReader(root)

    def ask(self, request: Request) -> None:
        """Send a request; its answer must be fetched before the next."""
        try:
            if self._process is None:
                self._process = subprocess.Popen(
                    self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, cwd=os.sep
                )
            assert self._process.stdin is not None  # noqa: S101
            _send(self._process.stdin, [(prefix, [file[:2] for file in files]) for prefix, files in request])
        except OSError:
            # It has ended, or could not be started: that is dealt with when the answer is fetched.
            pass

    def answer(self, request: Request) -> list[list[Header]]:
        """Return the headers that were asked for, folder by folder."""
        import msgspec

        answer = _receive(self._process.stdout) if self._process and self._process.stdout else None
        if answer is not None:
            return msgspec.msgpack.decode(answer, type=list[list[Header]])
        self.close()
        self._num_crashes += 1
        if self._num_crashes > _MAX_CRASHES:
            return [self._reader.read(prefix, files) for prefix, files in request]
        return self._without_the_file_that_crashes(request)

    def close(self) -> None:
        """End the child."""
        self._reader.close()
        process, self._process = self._process, None
        if process is not None and process.stdin is not None and process.stdout is not None:
            process.kill()
            try:
                process.stdin.close()
            except OSError:
                # What was still to be written has no reader any more.
                pass
            process.stdout.close()
            process.wait()

    def _without_the_file_that_crashes(self, request: Request) -> list[list[Header]]:
        """Ask for halves of a request that ended the child, down to the one file that does it."""
        if len(request) > 1:
            middle = len(request) // 2
            return [*self._ask_again(request[:middle]), *self._ask_again(request[middle:])]
        prefix, files = request[0]
        if len(files) > 1:
            middle = len(files) // 2
            halves = [self._ask_again([(prefix, some)])[0] for some in (files[:middle], files[middle:])]
            return [[*halves[0], *halves[1]]]
        return [[(0.0, 0, 0, suffix_of(name), _CRASHED) for name, *_ in files]]

    def _ask_again(self, request: Request) -> list[list[Header]]:
        self.ask(request)
        return self.answer(request)


def _send(pipe: IO[bytes], message: Any) -> None:
    import msgspec

    data = msgspec.msgpack.encode(message)
    pipe.write(_LENGTH.pack(len(data)) + data)
    pipe.flush()


def _receive(pipe: IO[bytes]) -> bytes | None:
    """Return the next message, None when the other end has gone."""
    head = pipe.read(_LENGTH.size)
    if len(head) < _LENGTH.size:
        return None
    length = _LENGTH.unpack(head)[0]
    data = pipe.read(length)
    return data if len(data) == length else None


def main() -> None:
    """Answer requests until the input ends."""
    import msgspec

    reader = HeaderReader(sys.argv[1])
    # What libraries print must not come between answers.
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    with answers:
        while (data := _receive(sys.stdin.buffer)) is not None:
            request = msgspec.msgpack.decode(data, type=list[tuple[bytes, list[tuple[bytes, int]]]])
            _send(answers, [reader.read(prefix, files) for prefix, files in request])


if __name__ == "__main__":
    main()
