"""The one exception that users see: what is wrong, and the way out."""

from __future__ import annotations


class SaoError(Exception):
    """A mistake or a circumstance that the user can act on; never a bug of ours."""

    def __init__(self, message: str, hint: str = "") -> None:
        """Say in one sentence what is wrong and, in `hint`, what to do about it."""
        super().__init__(message)
        self.message = message
        self.hint = hint
