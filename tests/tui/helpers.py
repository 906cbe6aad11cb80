"""Driving the dashboard in tests."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

from textual.pilot import Pilot
from textual.widgets import Input, Static

from sao_tui.services.bundle import Services, build_services
from sao_tui.services.new_configs import write_missing_configs
from sao_tui.services.workspace import init_workspace
from sao_tui.tui.app import SaoApp
from tests.fakes.services import FakeServices

SMALL = (80, 24)
LARGE = (120, 36)


def app_over(services: FakeServices | Services) -> SaoApp:
    return SaoApp(cast(Services, services), poll_seconds=None)


async def settled(pilot: Pilot[Any]) -> None:
    """Wait until no worker runs and no message waits: a worker's message may start the next one."""
    for _ in range(3):
        await pilot.pause()
        await pilot.app.workers.wait_for_complete()
    await pilot.pause()


def screen_text(app: SaoApp) -> str:
    """What the terminal shows."""
    return "\n".join(strip.text for strip in app.screen._compositor.render_strips(app.size))


def static_text(app: SaoApp, selector: str) -> str:
    return str(app.screen.query_one(selector, Static).content)


async def wait_for(pilot: Pilot[Any], is_so: Callable[[], bool], seconds: float = 20.0) -> None:
    """Wait for what comes after a pause of the keys."""
    deadline = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < deadline, f"not so after {seconds} s:\n{screen_text(cast(SaoApp, pilot.app))}"
        await pilot.pause(0.02)


def real_workspace(root: Path) -> Services:
    """A workspace on the disk with the nano model's config, and no clips."""
    workspace = init_workspace(root)
    nano = Path(__file__).parents[2] / "configs" / "nano" / "base_model_config.json"
    shutil.copy(nano, workspace.models_folder / nano.name)
    write_missing_configs(workspace)
    return build_services(root)


async def rested(pilot: Pilot[Any]) -> None:
    """Wait until timers that wait for the keys to rest have run too, and put the input's cursor in one state."""
    await settled(pilot)
    await pilot.pause(0.3)
    await settled(pilot)
    for field in pilot.app.screen.query(Input):
        field.cursor_blink = False
    await settled(pilot)
