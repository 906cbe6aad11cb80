"""Keys that came before the line they were meant for was open, played into it as if they had been typed there."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from textual.events import Key
    from textual.widgets import Input

_ENTER, _ESCAPE, _BACKSPACE = "\n", "\x1b", "\x7f"
_KEYS = {"enter": _ENTER, "escape": _ESCAPE, "backspace": _BACKSPACE}


def as_typed(event: Key) -> str:
    """Return a key as one character for `type_into`, empty for a key that means nothing in a line of text."""
    if event.key in _KEYS:
        return _KEYS[event.key]
    return event.character or "" if event.is_printable else ""


def type_into(line: Input, text: str, leave: Callable[[], Any]) -> None:
    """Write into an open line; enter submits it and escape calls `leave`, both with nothing after them."""
    for character in text:
        if character == _ENTER:
            line.call_later(line.action_submit)
            return
        if character == _ESCAPE:
            line.call_later(leave)
            return
        if character == _BACKSPACE:
            line.action_delete_left()
        else:
            line.insert_text_at_cursor(character)
