"""A child process that lists folders and reads headers while the parent writes rows.

It also keeps a damaged file that crashes a decoder, and what decoders print, away from the dashboard. Requests and
answers are msgpack with their length before them; the child ends with its input.
"""

from __future__ import annotations

import fcntl
import os
import struct
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import IO, Any

from sao_tui.services.clip_headers import Header, HeaderReader, suffix_of
from sao_tui.services.clip_walk import FoundFile, FoundFolder, list_folder, walk

Request = list[tuple[bytes, Sequence[FoundFile]]]
"""For each folder what comes before its names in their relpaths, and its files."""

_PIPE_BYTES = 1 << 20
"""What the child may be ahead: the most that any user may set."""
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
            self._send(["headers", [(prefix, [file[:2] for file in files]) for prefix, files in request]])
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

    def walk(self) -> Iterator[tuple[FoundFolder, list[Header]]]:
        """Give every folder as clip_walk.walk does, with the headers of its files.

        Raises:
            EOFError: The child has ended: a file crashed it. What it gave before was right.
        """
        import msgspec

        try:
            self._send(["walk"])
        except OSError as error:
            raise EOFError from error
        kind = tuple[bytes, list[FoundFile], str, tuple[bytes, ...], tuple[bytes, ...], list[Header]]
        decoder = msgspec.msgpack.Decoder(kind)
        while self._process is not None and self._process.stdout is not None:
            message = _receive(self._process.stdout)
            if message is None:
                break
            if not message:
                return
            *found, headers = decoder.decode(message)
            yield FoundFolder(*found), headers
        self.close()
        raise EOFError

    def summarise(self, folders: Sequence[bytes]) -> Callable[[bytes], FoundFolder | None]:
        """Have folders listed, and return what gives one of them without its files; None for any other.

        Args:
            folders: In the order in which they will be asked for.
        """
        import msgspec

        decoder = msgspec.msgpack.Decoder(tuple[bytes, tuple[bytes, ...], tuple[bytes, ...], tuple[bytes, int]])
        waiting = set(folders)
        try:
            self._send(["summaries", list(folders)])
        except OSError:
            waiting.clear()
        ready: dict[bytes, FoundFolder] = {}

        def give(relpath: bytes) -> FoundFolder | None:
            while relpath in waiting and self._process is not None and self._process.stdout is not None:
                message = _receive(self._process.stdout)
                if not message:
                    waiting.clear()
                    break
                found, inside, links, summary = decoder.decode(message)
                waiting.discard(found)
                ready[found] = FoundFolder(found, [], "", inside, links, summary)
            return ready.pop(relpath, None)

        return give

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

    def _send(self, message: Any) -> None:
        import msgspec

        if self._process is None:
            self._process = subprocess.Popen(
                self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, cwd=os.sep
            )
            assert self._process.stdout is not None  # noqa: S101
            _widen(self._process.stdout)
        assert self._process.stdin is not None  # noqa: S101
        _send(self._process.stdin, msgspec.msgpack.encode(message))

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


def _widen(pipe: IO[bytes]) -> None:
    try:
        fcntl.fcntl(pipe.fileno(), fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
    except OSError:
        # The user's share of such pipes is used up: a narrow one is slower.
        pass


def _send(pipe: IO[bytes], data: bytes) -> None:
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


def _answer(data: bytes, reader: HeaderReader, root: str, answers: IO[bytes]) -> None:
    import msgspec

    encode = msgspec.msgpack.encode
    kind, *request = msgspec.msgpack.decode(data)
    if kind == "headers":
        _send(answers, encode([reader.read(prefix, files) for prefix, files in request[0]]))
    elif kind == "walk":
        for found in walk(root):
            headers = reader.read(found.prefix, found.files)
            _send(answers, encode((found.relpath, found.files, found.error, found.folders, found.links, headers)))
        _send(answers, b"")
    else:
        for relpath in request[0]:
            found = list_folder(root, relpath)
            # One that cannot be listed is left to the parent, which says so.
            if not found.error:
                summary = found.digest(), len(found.files)
                _send(answers, encode((relpath, found.folders, found.links, summary)))
        _send(answers, b"")


def main() -> None:
    """Answer requests until the input ends."""
    root = sys.argv[1]
    reader = HeaderReader(root)
    # What libraries print must not come between answers.
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    with answers:
        while (data := _receive(sys.stdin.buffer)) is not None:
            _answer(data, reader, root, answers)


if __name__ == "__main__":
    main()
