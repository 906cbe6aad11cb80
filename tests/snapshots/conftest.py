"""Pictures are only worth comparing when the same Textual drew them."""

from __future__ import annotations

import re
from importlib.metadata import version
from pathlib import Path

import pytest

CONSTRAINTS = Path(__file__).parents[2] / "constraints.txt"
DRAWN_BY = ("textual", "rich")


@pytest.fixture(scope="session", autouse=True)
def pinned_versions(request: pytest.FixtureRequest) -> None:
    """Refuse to write pictures, and skip comparing them, with other versions than constraints.txt pins."""
    pins = dict(re.findall(r"^([\w-]+)==([\w.]+)", CONSTRAINTS.read_text(), flags=re.MULTILINE))
    others = [f"{name} {version(name)} (pinned: {pins[name]})" for name in DRAWN_BY if version(name) != pins[name]]
    if others and request.config.getoption("update_snapshots"):
        pytest.exit(f"not updating snapshots with {', '.join(others)}", returncode=2)
    if others:
        pytest.skip(f"snapshots are not comparable with {', '.join(others)}")
