"""Noticing that other programs add, change or remove clips."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from sao_tui.core.errors import SaoError

QUIET_MS = 400
"""Changes that follow each other closer than this count as one."""
ASK_MS = 250
"""How often a watch asks whether to stop."""


def watch_folder(folder: Path, on_change: Callable[[], None], should_stop: Callable[[], bool]) -> None:
    """Call `on_change` whenever clips below `folder` come, change or go, until `should_stop` says so.

    metadata.jsonl and hidden files do not count: captions have a watch of their own.

    Raises:
        SaoError: The system gives no notice, for want of inotify watches for example.
    """
    from watchfiles import watch

    try:
        notices = watch(
            folder,
            watch_filter=lambda _change, path: _is_of_interest(path),
            debounce=QUIET_MS,
            rust_timeout=ASK_MS,
            yield_on_timeout=True,
            raise_interrupt=False,
        )
        for changes in notices:
            if should_stop():
                return
            if changes:
                on_change()
    except OSError as error:
        raise SaoError(
            f"New clips in {folder} are not noticed by themselves: {error}.", "Press r to read the folder again."
        ) from error


def _is_of_interest(path: str) -> bool:
    name = os.path.basename(path)
    return name != "metadata.jsonl" and not name.startswith(".")
