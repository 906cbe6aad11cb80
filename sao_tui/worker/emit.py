"""What a worker says, into the job's events.jsonl."""

from __future__ import annotations

from sao_tui.core.emit import Emitter

__all__ = ["Emitter"]
