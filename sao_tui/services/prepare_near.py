"""Which clips nearly equal an earlier one, by the fingerprints of the analysis."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

from sao_tui.core.errors import SaoError

if TYPE_CHECKING:
    from sao_tui.services.bundle import Services

_FINGERPRINTS = """
SELECT clips.relpath, analysis.fingerprint FROM clips JOIN analysis ON analysis.clip_id = clips.id
WHERE analysis.num_bytes = clips.num_bytes AND analysis.mtime_ns = clips.mtime_ns
"""


def near_duplicates(services: Services, clips: Sequence[str]) -> dict[str, str]:
    """Return the clips that nearly equal an earlier one of `clips`, with that one.

    Raises:
        SaoError: Clips have not been analysed, or the index cannot be read.
    """
    from sao_tui.services.analysis_fingerprint import near_duplicates as pairs_of

    rows = services.clips.database.query(_FINGERPRINTS)
    known = {os.fsdecode(relpath): bytes(fingerprint or b"") for relpath, fingerprint in rows}
    readable = {row.relpath for row in services.clips.rows(services.clips.ids()) if not row.error}
    unknown = sum(1 for clip in clips if clip in readable and clip not in known)
    if unknown:
        raise SaoError(
            f"{unknown} of {len(clips)} clips have not been analysed, so their near duplicates are not known.",
            "Analyse them first (`sao-tui dataset analyse`), or drop only sounds that are the same.",
        )
    with_sound = [clip for clip in clips if known.get(clip)]
    first: dict[str, str] = {}
    for one, other, _ in sorted(pairs_of([known[clip] for clip in with_sound])):
        earlier, later = with_sound[min(one, other)], with_sound[max(one, other)]
        # Of a chain of clips that resemble each other only the first stays.
        first.setdefault(later, first.get(earlier, earlier))
    return first
