"""The first useful screen comes at most half again as late as a bare Textual app's, and stays light."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.bench.startup import BARE_APP, Start, fastest, make_workspace, measure

pytestmark = pytest.mark.e2e

MAX_RATIO = 1.5
MAX_BYTES = 65 * 2**20
MAX_ROUNDS = 15


def test_the_first_screen_with_clips_keeps_to_its_budget(tmp_path: Path) -> None:
    workspace = make_workspace(tmp_path)
    bare: list[Start] = []
    dashboard: list[Start] = []
    # Other work only ever slows a start, so the fastest of many is the program's own cost: go on until it shows.
    for _ in range(MAX_ROUNDS):
        bare.append(measure([sys.executable, "-c", BARE_APP], b"bare-app-shown"))
        dashboard.append(measure([sys.executable, "-m", "sao_tui", str(workspace)], b"clip00.wav"))
        if len(bare) >= 3 and fastest(dashboard) <= MAX_RATIO * fastest(bare):
            break
    assert fastest(dashboard) <= MAX_RATIO * fastest(bare)
    assert max(start.peak_rss_bytes for start in dashboard) <= MAX_BYTES
