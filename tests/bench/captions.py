"""What captions cost at 486,492 clips: index, one durable caption, 100,000 at once, memory.

    python -m tests.bench.captions [--clips 486492] [--folder DIR]

The disk under DIR (default: a temporary folder) is what is measured with it.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import random
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from sao_tui.services.captions import CaptionStore
from sao_tui.services.vocabulary import Vocabulary
from sao_tui.services.workspace import Workspace, init_workspace

WORDS = ("deep", "punchy", "kick", "snare", "hat", "loop", "house", "warm", "analog", "pad", "bright", "pluck", "bass")
NUM_EDITS = 300
NUM_BULK = 100_000


def relpath(number: int) -> str:
    return f"pack {number // 1000:03}/{WORDS[number % 7]}/sound {number:06}.wav"


def write_captions(workspace: Workspace, num_clips: int) -> int:
    draw = random.Random(1)
    with workspace.metadata_file.open("w") as file:
        for number in range(num_clips):
            text = f"{' '.join(draw.choices(WORDS, k=9))}, {draw.choice(WORDS)}"
            file.write(json.dumps({"audio_path": relpath(number), "text": text, "bpm": 80 + number % 60}) + "\n")
    return workspace.metadata_file.stat().st_size


def resident_mb() -> float:
    """Return the memory of this process now, not at its peak."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 1e6


def timed(name: str, call: Callable[[], object]) -> None:
    gc.collect()
    wall, cpu = time.perf_counter(), time.process_time()
    call()
    print(f"{name:46} {time.perf_counter() - wall:7.2f} s  (processor {time.process_time() - cpu:.2f} s)")


def single_edits(store: CaptionStore, num_clips: int) -> None:
    draw, times = random.Random(2), []
    for turn in range(NUM_EDITS):
        clip = relpath(draw.randrange(num_clips))
        started = time.perf_counter()
        store.set(clip, f"a caption written in turn {turn}")
        times.append((time.perf_counter() - started) * 1000)
    times.sort()
    p95 = times[int(len(times) * 0.95)]
    print(
        f"{'one durable caption':46} {statistics.median(times):7.2f} ms median, {p95:.2f} ms p95, {times[-1]:.2f} max"
    )


def plain_append(folder: Path) -> None:
    """Print what the disk takes for a line by itself, to hold the above against."""
    times = []
    with (folder / "probe").open("ab", buffering=0) as file:
        for _ in range(NUM_EDITS):
            started = time.perf_counter()
            file.write(b"x" * 150 + b"\n")
            os.fdatasync(file.fileno())
            times.append((time.perf_counter() - started) * 1000)
    times.sort()
    print(f"{'a line by itself, durable':46} {statistics.median(times):7.2f} ms median, {times[285]:.2f} ms p95")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clips", type=int, default=486_492)
    parser.add_argument("--folder", type=Path)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        workspace = init_workspace(Path(folder))
        num_bytes = write_captions(workspace, arguments.clips)
        print(f"{arguments.clips:,} clips, {num_bytes / 1e6:.0f} MB, Python {sys.version.split()[0]}")
        store = CaptionStore(workspace)
        before = resident_mb()
        timed("index built", store.load)
        print(f"{'memory of the index':46} {resident_mb() - before:7.1f} MB")
        plain_append(workspace.root)
        single_edits(store, arguments.clips)
        timed("all captions streamed", lambda: sum(1 for _ in store.items()))
        bulk = {relpath(number): f"one of many, number {number}" for number in range(min(NUM_BULK, arguments.clips))}
        timed(f"{len(bulk):,} captions at once, durable", lambda: store.set_many(bulk))
        timed("the same undone", store.undo)
        bulk.clear()
        vocabulary = Vocabulary(store)
        timed("vocabulary counted", vocabulary.build)
        print(f"{'memory at the end':46} {resident_mb():7.1f} MB")
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(f"{'memory at its peak':46} {peak:7.1f} MiB")


if __name__ == "__main__":
    main()
