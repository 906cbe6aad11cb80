"""How long the dashboard takes from the start of its process to its first useful screen, and what it weighs.

Compared with a bare Textual app with header and footer in alternating runs, since other work on the machine
slows both. Run it with `make bench`, or `python -m tests.bench.startup [RUNS]`.
"""

from __future__ import annotations

import fcntl
import os
import pty
import select
import signal
import struct
import sys
import tempfile
import termios
import time
import wave
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sao_tui.services.workspace import init_workspace

BARE_APP = """
from textual.app import App
from textual.widgets import Footer, Header, Static

class Bare(App):
    def compose(self):
        yield Header()
        yield Static("bare-app-shown")
        yield Footer()

Bare().run()
"""
NUM_CLIPS = 40
LEFT_OUT = ("NO_COLOR", "COLUMNS", "LINES", "PYTHONDONTWRITEBYTECODE")
"""Variables that the program must not see; the last one would have it compiled at every start."""
ANSWERS = ((b"\x1b[?2026$p", b"\x1b[?2026;2$y"), (b"\x1b[c", b"\x1b[?62;22c"), (b"\x1b[6n", b"\x1b[1;1R"))
"""What a modern terminal answers to the questions of a program that starts."""


@dataclass(frozen=True)
class Start:
    """One start of a program."""

    seconds: float
    """From the start of the process until its marker was on the screen."""
    cpu_seconds: float
    """Of all its threads, until then."""
    peak_rss_bytes: int


def make_workspace(folder: Path) -> Path:
    """Make a workspace with a page of clips; the first one's name is the marker."""
    root = init_workspace(folder / "workspace").root
    for index in range(NUM_CLIPS):
        with wave.open(str(root / "dataset" / f"clip{index:02}.wav"), "wb") as file:
            file.setnchannels(2)
            file.setsampwidth(2)
            file.setframerate(8000)
            file.writeframes(bytes(8000))
    return root


def measure(argv: Sequence[str], marker: bytes, limit_seconds: float = 30.0) -> Start:
    """Run a program in a terminal of 120x36 until `marker` is shown and the screen is quiet, then kill it.

    Raises:
        TimeoutError: The marker did not come.
    """
    begin = time.perf_counter()
    pid, descriptor = pty.fork()
    if pid == 0:
        environment = {key: value for key, value in os.environ.items() if key not in LEFT_OUT}
        os.execvpe(argv[0], list(argv), environment | {"TERM": "xterm-256color", "COLORTERM": "truecolor"})
    try:
        fcntl.ioctl(descriptor, termios.TIOCSWINSZ, struct.pack("HHHH", 36, 120, 0, 0))
        shown, cpu = _read_until(pid, descriptor, marker, begin + limit_seconds)
        return Start(shown - begin, cpu, _peak_rss_bytes(pid))
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        os.close(descriptor)


def _read_until(pid: int, descriptor: int, marker: bytes, deadline: float) -> tuple[float, float]:
    """Return when the marker came and the CPU seconds used by then, once the screen has become quiet."""
    output = b""
    shown: tuple[float, float] | None = None
    while time.perf_counter() < deadline:
        if not select.select([descriptor], [], [], 0.3)[0]:
            if shown is not None:
                return shown
            continue
        try:
            data = os.read(descriptor, 65536)
        except OSError:
            break  # The program ended.
        for question, answer in ANSWERS:
            if question in data:
                os.write(descriptor, answer)
        output += data
        if shown is None and marker in output:
            shown = time.perf_counter(), _cpu_seconds(pid)
    raise TimeoutError(f"{marker!r} did not appear; the screen ended with {output[-2000:]!r}")


def _cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _peak_rss_bytes(pid: int) -> int:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:"))


def compare(folder: Path, num_runs: int) -> tuple[list[Start], list[Start]]:
    """Return alternating starts of the bare app and of the dashboard, after one of each to fill the caches."""
    workspace = make_workspace(folder)
    bare, dashboard = [], []
    for _ in range(num_runs + 1):
        bare.append(measure([sys.executable, "-c", BARE_APP], b"bare-app-shown"))
        dashboard.append(measure([sys.executable, "-m", "sao_tui", str(workspace)], b"clip00.wav"))
    return bare[1:], dashboard[1:]


def fastest(starts: Sequence[Start]) -> float:
    """Return the seconds of the start that other work on the machine disturbed least."""
    return min(start.seconds for start in starts)


def least_cpu(starts: Sequence[Start]) -> float:
    """Return the CPU seconds of the cheapest start."""
    return min(start.cpu_seconds for start in starts)


def main() -> None:
    """Print a table."""
    num_runs = int(sys.argv[1]) if len(sys.argv) > 1 else 7
    with tempfile.TemporaryDirectory() as folder:
        bare, dashboard = compare(Path(folder), num_runs)
    print(f"{'':<26}{'ms':>6}{'x bare':>8}{'CPU ms':>8}{'x bare':>8}{'MiB':>6}")
    for name, starts in (("bare app, header, footer", bare), ("dashboard, clips shown", dashboard)):
        wall, cpu = fastest(starts), least_cpu(starts)
        peak = max(start.peak_rss_bytes for start in starts) / 2**20
        ratios = wall / fastest(bare), cpu / least_cpu(bare)
        print(f"{name:<26}{wall * 1000:>6.0f}{ratios[0]:>8.2f}{cpu * 1000:>8.0f}{ratios[1]:>8.2f}{peak:>6.0f}")


if __name__ == "__main__":
    main()
