"""Text as other programs will read it."""

from __future__ import annotations


def is_unicode(text: str) -> bool:
    """Return whether text holds whole characters only: no tokenizer and no index takes half of one."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
