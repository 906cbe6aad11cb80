"""What keys cost on the dataset screen with half a million clips: time, bytes over the wire, memory.

    python -m tests.bench.dataset_keys WORKSPACE [--keys N] [--size 120x36] [--json]

WORKSPACE is one that `python -m tests.bench.clips_tree` makes, or any other. The dashboard runs in a terminal of its
own that answers like a modern one. A key's frame is what comes until its first frame is complete; what the detail
pane draws once the cursor rests is counted apart. Other work on the machine lengthens times, never bytes.
"""

from __future__ import annotations

import argparse
import fcntl
import json
import os
import pty
import re
import select
import signal
import statistics
import struct
import sys
import termios
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

KEYS = {"down": b"\x1b[B", "up": b"\x1b[A", "pagedown": b"\x1b[6~", "end": b"\x1b[F", "home": b"\x1b[H"}
ANSWERS = ((b"\x1b[?2026$p", b"\x1b[?2026;2$y"), (b"\x1b[c", b"\x1b[?62;22c"), (b"\x1b[6n", b"\x1b[1;1R"))
"""What a modern terminal answers to the questions of a program that starts."""
FRAME_END = b"\x1b[?2026l"
CONTROL = re.compile(rb"\x1b\[[0-9;?<>=]*[A-Za-z$]+|\x1b[()].")
LEFT_OUT = ("NO_COLOR", "COLUMNS", "LINES", "PYTHONDONTWRITEBYTECODE", "TMUX")
REST_SECONDS = 0.3
"""Longer than the cursor must rest for the detail pane to be drawn."""
HELD_PER_SECOND = 30
HELD_SECONDS = 4.0
LIMITS = {"down ms": 10.0, "down p95 ms": 25.0, "down bytes": 600, "pagedown p95 ms": 25.0, "pagedown bytes": 8000}


@dataclass(frozen=True)
class Press:
    """What one key press has cost."""

    seconds: float
    """Until its first frame was complete."""
    cpu_seconds: float
    """Of the whole program, until it was at rest again."""
    num_bytes: int
    """Of its first frame."""
    num_rest_bytes: int
    """Of all that came later."""


class Terminal:
    """A program in a terminal of its own."""

    def __init__(self, argv: Sequence[str], columns: int, rows: int) -> None:
        self.started = time.perf_counter()
        self.output = bytearray()
        self.pid, self._descriptor = pty.fork()
        if self.pid == 0:
            kept = {key: value for key, value in os.environ.items() if key not in LEFT_OUT}
            os.execvpe(argv[0], list(argv), kept | {"TERM": "xterm-256color", "COLORTERM": "truecolor"})
        fcntl.ioctl(self._descriptor, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def read(self, seconds: float) -> bool:
        """Take what comes within `seconds` and return whether anything did."""
        if not select.select([self._descriptor], [], [], seconds)[0]:
            return False
        data = os.read(self._descriptor, 65536)
        for question, answer in ANSWERS:
            if question in data:
                self.send(answer)
        self.output += data
        return True

    def send(self, data: bytes) -> None:
        """Type."""
        os.write(self._descriptor, data)

    def rest(self, quiet_seconds: float, limit_seconds: float = 60.0) -> None:
        """Read until nothing has come for a while."""
        deadline = time.perf_counter() + limit_seconds
        while self.read(quiet_seconds) and time.perf_counter() < deadline:
            pass

    def wait_for(self, text: bytes, limit_seconds: float = 120.0) -> float:
        """Read until `text` has been written, and return when that was, in seconds from the start.

        Raises:
            TimeoutError: It did not come.
        """
        begin = len(self.output)
        deadline = time.perf_counter() + limit_seconds
        while time.perf_counter() < deadline:
            self.read(0.05)
            if text in CONTROL.sub(b"", bytes(self.output[max(0, begin - 200) :])):
                return time.perf_counter() - self.started
        raise TimeoutError(f"{text!r} did not appear")

    def cpu_seconds(self) -> float:
        """Return the processor time of all threads so far."""
        tasks = Path(f"/proc/{self.pid}/task").iterdir()
        return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks) / 1e9

    def rss_bytes(self) -> int:
        """Return the memory that the program holds."""
        lines = Path(f"/proc/{self.pid}/smaps_rollup").read_text().splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("Rss:"))

    def close(self) -> None:
        """End the program."""
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        os.close(self._descriptor)


def press(terminal: Terminal, key: bytes) -> Press:
    """Press one key on a screen at rest."""
    terminal.rest(REST_SECONDS)
    before, cpu, begin = len(terminal.output), terminal.cpu_seconds(), time.perf_counter()
    terminal.send(key)
    deadline = begin + 5.0
    while (found := terminal.output.find(FRAME_END, before)) < 0 and time.perf_counter() < deadline:
        terminal.read(0.05)
    seconds, end = time.perf_counter() - begin, found + len(FRAME_END)
    terminal.rest(REST_SECONDS)
    return Press(seconds, terminal.cpu_seconds() - cpu, end - before, len(terminal.output) - end)


def hold(terminal: Terminal, key: bytes) -> tuple[float, float]:
    """Hold a key down and return bytes a key, and the seconds that the screen runs on after its release."""
    terminal.rest(REST_SECONDS)
    before, begin = len(terminal.output), time.perf_counter()
    num_keys = int(HELD_PER_SECOND * HELD_SECONDS)
    for number in range(1, num_keys + 1):
        terminal.send(key)
        while (left := begin + number / HELD_PER_SECOND - time.perf_counter()) > 0:
            terminal.read(left)
    num_bytes = len(terminal.output) - before
    released = time.perf_counter()
    while terminal.read(0.08):
        pass
    return num_bytes / num_keys, max(0.0, time.perf_counter() - released - 0.08)


def measure(workspace: Path, num_keys: int, columns: int, rows: int) -> dict[str, float]:
    """Open the dashboard on a workspace and press keys."""
    terminal = Terminal([sys.executable, "-m", "sao_tui", str(workspace)], columns, rows)
    try:
        results = {"first paint s": terminal.wait_for(b"[1 Dataset]"), "table ready s": terminal.wait_for(b".wav")}
        results["all known s"] = terminal.wait_for(b" in all")
        results["RSS then MB"] = terminal.rss_bytes() / 1e6
        terminal.rest(3.0)  # The folder is read again meanwhile.
        results["RSS after rescan MB"] = terminal.rss_bytes() / 1e6
        for names in (("down",) * num_keys, ("pagedown",) * (num_keys // 2), ("end", "home") * (num_keys // 4)):
            presses = [press(terminal, KEYS[name]) for name in names]
            kind = " ".join(sorted(set(names)))
            results |= {f"{kind} {what}": value for what, value in summary(presses).items()}
        held, overrun = hold(terminal, KEYS["down"])
        results |= {"held bytes a key": held, "held runs on s": overrun}
        results["RSS at the end MB"] = terminal.rss_bytes() / 1e6
        return {name: round(value, 2) for name, value in results.items()}
    finally:
        terminal.close()


def summary(presses: Sequence[Press]) -> dict[str, float]:
    """Return the figures of one kind of key."""
    times = sorted(each.seconds * 1000 for each in presses)
    return {
        "ms": statistics.median(times),
        "p95 ms": times[min(len(times) - 1, int(0.95 * len(times)))],
        "CPU ms": statistics.median(each.cpu_seconds for each in presses) * 1000,
        "bytes": statistics.median(each.num_bytes for each in presses),
        "bytes at rest": statistics.median(each.num_rest_bytes for each in presses),
    }


def main() -> None:
    """Print what was measured."""
    parser = argparse.ArgumentParser(description="Measure keys on the dataset screen.")
    parser.add_argument("workspace", type=Path)
    parser.add_argument("--keys", type=int, default=40)
    parser.add_argument("--size", default="120x36")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    columns, rows = (int(part) for part in arguments.size.split("x"))
    results = measure(arguments.workspace, arguments.keys, columns, rows)
    if arguments.json:
        print(json.dumps(results))
        return
    for name, value in results.items():
        limit = LIMITS.get(name)
        print(f"{name:<28}{value:>10.2f}{'' if limit is None else f'   at most {limit:g}'}")


if __name__ == "__main__":
    main()
