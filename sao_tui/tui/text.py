"""Text of unknown origin made safe for one line of a terminal."""

from __future__ import annotations

from rich.cells import cell_len, set_cell_size


def one_line(text: str) -> str:
    """Replace what would move the cursor or cannot be encoded: names of files may hold any of it."""
    if text.isprintable():
        return text
    return "".join(letter if letter.isprintable() else " " if letter.isspace() else "�" for letter in text)


def unwritten_text(num_fields: int) -> str:
    """Say how much of the configs is only on the screen."""
    return (
        "1 changed config field is not written."
        if num_fields == 1
        else f"{num_fields} changed config fields are not written."
    )


def fit(text: str, width: int, *, from_end: bool = False) -> str:
    """Return `text` padded or cut to `width` cells; `from_end` keeps the end, as suits paths."""
    text = one_line(text)
    if width <= 0:
        return ""
    length = cell_len(text)
    if length <= width:
        return text + " " * (width - length)
    if not from_end:
        return set_cell_size(text, width - 1) + "…"
    while cell_len(text) > width - 1:
        text = text[1:]
    return fit("…" + text, width)
