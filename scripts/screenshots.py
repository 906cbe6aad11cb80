"""Export the pictures of the README from the real dashboard on the demo workspace, while it trains.

make screenshots
"""

from __future__ import annotations

import asyncio
import json
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from sao_tui.core.files import write_atomically
from sao_tui.services.bundle import build_services
from sao_tui.tui.app import SaoApp

IMAGES = Path(__file__).parents[1] / "docs" / "images"
SIZE = (120, 36)
STEPS_SHOWN = 150
LIMIT_SECONDS = 600


def command(*arguments: str) -> Any:
    """Run `sao-tui … --json` and return its document."""
    argv = [sys.executable, "-m", "sao_tui", *arguments, "--json"]
    return json.loads(subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, check=True).stdout)


def train_a_while(workspace: Path) -> str:
    """Start a run and return its name once it has something to show."""
    job: str = command("train", "start", "-w", str(workspace))["job"]
    deadline = time.monotonic() + LIMIT_SECONDS
    while (view := command("train", "show", job, "-w", str(workspace)))["step"] < STEPS_SHOWN:
        if (view["pid"] is None and view["state"] != "starting") or time.monotonic() > deadline:
            sys.exit(f"{job} did not train: {view['state']} {view['reason']}")
        time.sleep(2)
    return job


async def export(workspace: Path) -> None:
    """Write one picture a screen."""
    app = SaoApp(build_services(workspace))
    async with app.run_test(size=SIZE) as pilot:
        for digit, name in enumerate(("dataset", "config", "train", "checkpoints", "generate"), 1):
            await pilot.press(str(digit))
            await pilot.pause(2 * (app.poll_seconds or 0))
            await pilot.pause()
            if name in ("dataset", "train"):
                svg = re.sub(r"@font-face \{.*?\}", "", app.export_screenshot(title="sao-tui"), flags=re.DOTALL)
                write_atomically(IMAGES / f"{name}.svg", "\n".join(map(str.rstrip, svg.splitlines())).encode() + b"\n")
    app.services.close()


def main() -> None:
    """Make the workspace, train, take the pictures, stop."""
    with tempfile.TemporaryDirectory() as folder:
        workspace = Path(folder) / "demo-workspace"
        subprocess.run([sys.executable, "-m", "sao_tui", "demo", str(workspace), "--prepare-only"], check=True)
        job = train_a_while(workspace)
        try:
            asyncio.run(export(workspace))
        finally:
            command("train", "stop", job, "-w", str(workspace))
            deadline = time.monotonic() + LIMIT_SECONDS
            while command("train", "show", job, "-w", str(workspace))["pid"] and time.monotonic() < deadline:
                time.sleep(1)


if __name__ == "__main__":
    main()
