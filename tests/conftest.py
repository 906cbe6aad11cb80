"""What makes one run of the tests like the other: the environment that Textual and the clock read."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

TESTS = Path(__file__).parent

# Set before any test imports Textual: colours, animations and theme come from the app alone, the hour from UTC.
for name in ("NO_COLOR", "FORCE_COLOR", "COLORTERM", "TEXTUAL_THEME", "TEXTUAL_ANIMATIONS", "TEXTUAL_COLOR_SYSTEM"):
    os.environ.pop(name, None)
os.environ["TZ"] = "UTC"
os.environ.setdefault("OMP_NUM_THREADS", "1")
time.tzset()

FASTEST_FIRST = ("contracts", "unit", "tui", "snapshots", "faults", "system", "worker", "e2e")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run the folders in the order of their pace, so that a mistake shows early."""
    items.sort(key=lambda item: FASTEST_FIRST.index(item.path.relative_to(TESTS).parts[0]))
