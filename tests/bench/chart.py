"""Bytes and CPU time of one update of the loss chart, in a real pty; run by hand.

    python tests/bench/chart.py [--points 1000000] [--updates 40] [--size 120x36]

Each update adds as many points as a fast run reports in a quarter of a second.
"""

from __future__ import annotations

import argparse
import fcntl
import json
import math
import os
import pty
import random
import select
import statistics
import struct
import sys
import termios
import time

from textual.app import App, ComposeResult

from sao_tui.services.series import Curve
from sao_tui.tui.themes import VARIABLES
from sao_tui.tui.widgets.loss_chart import LossChart


class ChartApp(App[None]):
    """Nothing but a chart that grows."""

    CSS = "LossChart { height: 1fr; }"

    def __init__(self, num_points: int, points_per_update: int, num_updates: int, report: int) -> None:
        super().__init__()
        self.animation_level = "none"
        self.random = random.Random(0)
        self.num_points = num_points
        self.points_per_update = points_per_update
        self.updates_left = num_updates
        self.report = report
        self.curve = Curve()

    def get_theme_variable_defaults(self) -> dict[str, str]:
        return VARIABLES

    def value(self, step: int) -> float:
        return 1 / (1 + math.log1p(step)) + self.random.expovariate(20)

    def compose(self) -> ComposeResult:
        yield LossChart()

    def on_mount(self) -> None:
        self.curve.extend((step, self.value(step)) for step in range(self.num_points))
        self.call_after_refresh(self.begin)

    def begin(self) -> None:
        self.query_one(LossChart).show(self.curve)
        self.set_timer(1.0, lambda: self.set_interval(0.25, self.add))

    def add(self) -> None:
        started = time.process_time()
        for _ in range(self.points_per_update):
            self.curve.append(self.num_points, self.value(self.num_points))
            self.num_points += 1
        added = time.process_time()
        self.query_one(LossChart).points_added()
        self.call_after_refresh(self.tell, started, added)

    def tell(self, started: float, added: float) -> None:
        done = time.process_time()
        os.write(self.report, json.dumps({"append": added - started, "draw": done - added}).encode() + b"\n")
        self.updates_left -= 1
        if self.updates_left == 0:
            self.exit()


def measure(args: argparse.Namespace) -> list[dict[str, float]]:
    """Run the app in a pty and return bytes and seconds of each update."""
    columns, rows = map(int, args.size.split("x"))
    read_end, write_end = os.pipe()
    pid, terminal = pty.fork()
    if pid == 0:
        os.close(read_end)
        os.environ.update(TERM="xterm-256color", COLORTERM="truecolor")
        fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        ChartApp(args.points, args.points_per_update, args.updates, write_end).run()
        os._exit(0)
    os.close(write_end)
    updates: list[dict[str, float]] = []
    num_bytes, buffer = 0, b""
    while True:
        ready, _, _ = select.select([terminal, read_end], [], [], 60)
        try:
            if terminal in ready:
                num_bytes += len(os.read(terminal, 65536))
        except OSError:
            break
        if read_end in ready:
            if not (data := os.read(read_end, 65536)):
                break
            buffer += data
            # What the update has drawn is written by another thread: give it a moment to arrive.
            while select.select([terminal], [], [], 0.05)[0]:
                num_bytes += len(os.read(terminal, 65536))
            *lines, buffer = buffer.split(b"\n")
            for line in lines:
                updates.append({**json.loads(line), "bytes": num_bytes})
                num_bytes = 0
        if not ready:
            break
    os.waitpid(pid, 0)
    return updates[1:-1]


def main() -> None:
    """Print medians and the worst update."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--points", type=int, default=1_000_000)
    parser.add_argument("--points-per-update", type=int, default=1)
    parser.add_argument("--updates", type=int, default=40)
    parser.add_argument("--size", default="120x36")
    updates = measure(parser.parse_args())
    for name, factor, unit in (("bytes", 1, "B"), ("draw", 1000, "ms"), ("append", 1000, "ms")):
        values = [update[name] * factor for update in updates]
        mean, median, worst = statistics.mean(values), statistics.median(values), max(values)
        print(f"{name:7} mean {mean:8.2f} {unit}   median {median:8.2f} {unit}   worst {worst:8.2f} {unit}")
    print(f"{len(updates)} updates", file=sys.stderr)


if __name__ == "__main__":
    main()
