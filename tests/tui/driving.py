"""Opening one screen and pressing keys on it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sao_tui.tui.app import SaoApp
from tests.fakes.services import FakeServices
from tests.tui.helpers import SMALL, app_over, screen_text, settled

Then = Callable[[SaoApp, Any], Any]


async def drive(
    services: FakeServices, digit: str, *keys: str, size: tuple[int, int] = SMALL, then: Then | None = None
) -> str:
    """Open a screen by its digit, press keys, and return what the terminal shows, with all toasts below it."""
    app = app_over(services)
    toasts: list[str] = []
    notify = app.notify

    def record(message: str, **options: Any) -> None:
        # A toast goes by itself, on a busy machine before anybody has looked.
        toasts.append(message)
        notify(message, **options)

    app.notify = record  # type: ignore[method-assign]
    async with app.run_test(size=size, notifications=True) as pilot:
        await pilot.press(digit)
        await settled(pilot)
        for key in keys:
            await pilot.press(key)
            await settled(pilot)
        if then is not None:
            await then(app, pilot)
            await settled(pilot)
        return "\n".join([screen_text(app), *toasts])
