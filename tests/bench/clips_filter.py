"""How soon the first page and all ids of a filter over half a million clips come, key stroke by key stroke.

    python -m tests.bench.clips_filter [FOLDER] [--runs N]

FOLDER is a workspace made by tests.bench.clips_tree, made and scanned where it is not. Beside each filter stand
milliseconds as the best of N runs, and all ids as a multiple of `find` in the same run.
"""

from __future__ import annotations

import argparse
import resource
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from sao_tui.services.bundle import build_services
from sao_tui.services.clips import ClipIndex, ClipRow, refresh
from tests.bench.clips_scan import DEFAULT_FOLDER, find_seconds
from tests.bench.clips_tree import make_tree

TYPED = ("k", "ki", "kic", "kick", "kick ", "kick d", "kick du", "kick dus", "kick dust", "kick dusty")
OTHERS = (
    *("", "reverb", "wind", "in a hall", "zzzz", "kick_000_00001", "caption:dusty", "name:00042", "-kick"),
    *("kick or snare", "(kick or snare) -dusty dur<0.05", "reverb channels:2", "dur<0.03", "channels:2", "rate:44100"),
    *("folder:kick", "folder:wind/pack-024", "uncaptioned:yes", "uncaptioned:no", "unreadable:yes", "format:wav"),
    *("lint:duplicate", "peak>-0.1"),
)
PAGE = 64


def best_ms(run: Callable[[], object], num_runs: int) -> float:
    """Return the milliseconds of the fastest run."""
    times = []
    for _ in range(num_runs):
        started = time.perf_counter()
        run()
        times.append(time.perf_counter() - started)
    return 1000 * min(times)


def first_page(clips: ClipIndex, filter_text: str, sort: str) -> list[ClipRow]:
    """Return what the table shows first."""
    return clips.rows(clips.first_ids(filter_text, sort, limit=PAGE))


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", nargs="?", type=Path, default=DEFAULT_FOLDER)
    parser.add_argument("--runs", type=int, default=3)
    arguments = parser.parse_args()
    workspace = make_tree(arguments.folder)
    services = build_services(workspace.root)
    refresh(services.clips, services.captions)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    find = find_seconds(workspace.dataset_folder)
    clips = services.clips
    print(f"{'filter':<34}{'sort':<10}{'clips':>8}{'page ms':>9}{'all ms':>8}{'x find':>8}")
    for sort in ("relpath", "seconds"):
        clips.ids("", sort)  # As the table has asked before anybody filters.
        for filter_text in (*TYPED, *OTHERS):
            num_clips = len(clips.ids(filter_text, sort))
            page = best_ms(partial(first_page, clips, filter_text, sort), arguments.runs)
            all_ids = best_ms(partial(clips.ids, filter_text, sort), arguments.runs)
            print(
                f"{filter_text!r:<34}{sort:<10}{num_clips:>8}{page:>9.1f}{all_ids:>8.1f}{all_ids / find / 1000:>8.2f}",
                flush=True,
            )
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(f"peak memory {before / 1024:.0f} MB after the refresh, {after / 1024:.0f} MB after the filters")


if __name__ == "__main__":
    main()
