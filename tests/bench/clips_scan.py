"""How long the first scan and a rescan of half a million clips take, as multiples of `find` in the same run.

    python -m tests.bench.clips_scan [FOLDER] [--runs N]

FOLDER is a workspace made by tests.bench.clips_tree, made where it is missing. Every scan runs in a process of
its own, `python -m tests.bench.clips_scan FOLDER --step …`, so that its memory is its own too.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

from tests.bench.clips_tree import make_tree

if TYPE_CHECKING:
    from sao_tui.services.bundle import Services

ARMING_SECONDS = 4.0
"""What a watch takes at most until it is told of changes."""
DEFAULT_FOLDER = Path(tempfile.gettempdir()) / "sao-bench-clips"


def find_seconds(dataset: Path) -> float:
    """Return how long find takes to print size and time of every file."""
    started = time.perf_counter()
    command = ["find", os.fspath(dataset), "-type", "f", "-printf", "%s %T@\n"]
    subprocess.run(command, stdout=subprocess.DEVNULL, check=True)
    return time.perf_counter() - started


def run_step(folder: Path, step: str) -> dict[str, float]:
    """Run one step in a process of its own and return what it measured."""
    command = [sys.executable, "-m", "tests.bench.clips_scan", os.fspath(folder), "--step", step]
    output = subprocess.run(command, capture_output=True, check=True).stdout
    measured: dict[str, float] = json.loads(output)
    return measured


def do_step(folder: Path, step: str) -> dict[str, float]:
    """Scan in this process.

    Args:
        step: `scan` knows of no captions, `refresh` mirrors them too, `change` looks at one folder again, `notice`
            is a file changed under a watch until the index has it.
    """
    from sao_tui.services.bundle import build_services
    from sao_tui.services.clips import refresh

    services = build_services(folder)
    started = time.perf_counter()
    seen: list[float] = []

    def progress(done: int, _total: int) -> None:
        if done and not seen:
            seen.append(time.perf_counter() - started)

    if step == "scan":
        services.clips.scan(progress)
    elif step == "refresh":
        refresh(services.clips, services.captions, progress)
    elif step == "change":
        changed = _touch_some_clip(services.workspace.dataset_folder)
        started = time.perf_counter()
        services.clips.scan_folders([changed], progress)
    else:
        started = _notice(services)
    return {
        "seconds": time.perf_counter() - started,
        "first": seen[0] if seen else 0.0,
        "cpu": time.process_time(),
        "rss_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


def _notice(services: Services) -> float:
    """Return when a file was changed, once the index has it."""
    from sao_tui.services.watching import watch_folders

    dataset = services.workspace.dataset_folder
    examined, stop = threading.Event(), threading.Event()

    def look_again(folders: list[str] | None) -> None:
        report = services.clips.scan() if folders is None else services.clips.scan_folders(folders)
        if report.num_examined:
            examined.set()

    watch = threading.Thread(target=watch_folders, args=(dataset, look_again, stop.is_set))
    watch.start()
    time.sleep(ARMING_SECONDS)
    _touch_some_clip(dataset)
    started = time.perf_counter()
    examined.wait(60)
    seconds = time.perf_counter() - started
    stop.set()
    watch.join()
    return time.perf_counter() - seconds


def _touch_some_clip(dataset: Path) -> str:
    """Write a clip anew, other names of the same file stay as they are; return its folder."""
    folder = sorted(each for each in dataset.glob("*/*") if each.is_dir())[0]
    clip = next(folder.glob("*.wav"))
    data = clip.read_bytes()
    clip.unlink()
    clip.write_bytes(data + b"\0\0")
    return str(folder.relative_to(dataset))


def measure(folder: Path, num_runs: int) -> None:
    """Print one line a step and run."""
    workspace = make_tree(folder)
    find_seconds(workspace.dataset_folder)
    print(f"{'':<34}{'s':>8}{'x find':>8}{'CPU s':>8}{'MB':>6}{'first s':>9}")
    for _ in range(num_runs):
        for step, name, fresh in (
            ("scan", "first scan", True),
            ("scan", "unchanged rescan", False),
            ("refresh", "first refresh, captions included", True),
            ("refresh", "unchanged refresh", False),
            ("change", "one changed folder", False),
            ("notice", "one changed file, noticed", False),
        ):
            if fresh:
                shutil.rmtree(workspace.cache_folder, ignore_errors=True)
            find = min(find_seconds(workspace.dataset_folder) for _ in range(2))
            got = run_step(folder, step)
            print(
                f"{name:<34}{got['seconds']:>8.2f}{got['seconds'] / find:>8.2f}{got['cpu']:>8.2f}"
                f"{got['rss_mb']:>6.0f}{got['first']:>9.3f}",
                flush=True,
            )


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", nargs="?", type=Path, default=DEFAULT_FOLDER)
    parser.add_argument("--runs", type=int, default=1)
    parser.add_argument("--step", choices=("scan", "refresh", "change", "notice"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.step:
        print(json.dumps(do_step(arguments.folder, arguments.step)))
    else:
        measure(arguments.folder, arguments.runs)


if __name__ == "__main__":
    main()
