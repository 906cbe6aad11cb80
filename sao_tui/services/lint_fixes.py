"""What the key of a finding does: other captions to look over, or clips to set aside."""

from __future__ import annotations

from array import array
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sao_tui.core.errors import SaoError
from sao_tui.services.lint import FRESH
from sao_tui.services.lint_captions import as_words, corrected, without_phrase
from sao_tui.services.lint_rules import BY_ID, CAPTION_INVARIANT

if TYPE_CHECKING:
    from sao_tui.services.bundle import Services

_BATCH = 500


@dataclass(frozen=True)
class CaptionFix:
    """One caption that would change."""

    relpath: str
    before: str
    after: str


def rule_ids(services: Services, rule: str) -> array[int]:
    """Return the clips that the last lint found for a rule.

    Raises:
        SaoError: The index cannot be read.
    """
    query = (
        "SELECT lint.clip_id FROM lint JOIN clips ON clips.id = lint.clip_id WHERE lint.rule = ? ORDER BY clips.relpath"
    )
    return array("q", (row[0] for row in services.clips.database.stream(query, [rule])))


def caption_fixes(services: Services, rule: str, phrase: str = "") -> list[CaptionFix]:
    """Return how the captions of a rule's clips would read; nothing is written.

    Args:
        phrase: What to take out of every caption, for `caption-invariant`.

    Raises:
        SaoError: The rule is not about captions, or the index cannot be read.
    """
    if rule == CAPTION_INVARIANT:
        pairs = services.clips.captions_of(services.clips.ids("uncaptioned:no"))
        return _changed((relpath, text, without_phrase(text, phrase)) for relpath, text in pairs)
    ids = rule_ids(services, rule)
    if rule == "caption-filename":
        return _changed((relpath, text, as_words(text)) for relpath, text in services.clips.captions_of(ids))
    if rule == "caption-too-long":
        from sao_tui.services.tokens import TokenCounter

        counter = TokenCounter(services.workspace)
        pairs = services.clips.captions_of(ids)
        return _changed((relpath, text, counter.count(text).kept_text.strip()) for relpath, text in pairs)
    if rule == "caption-contradicts":
        return _changed(_measured(services, ids))
    raise SaoError(f"{rule} is not cured by other captions.", "See the fix that lint names.")


def clips_to_set_aside(services: Services, rule: str) -> list[str]:
    """Return the clips that setting aside would take; of clips that sound alike one stays, a captioned one first.

    Raises:
        SaoError: The rule is not cured by it, or the index cannot be read.
    """
    known = BY_ID.get(rule)
    if known is None or known.fix_kind != "aside":
        raise SaoError(f"{rule} is not cured by setting clips aside.", "See the fix that lint names.")
    ids = rule_ids(services, rule)
    if rule != "audio-duplicate":
        return [row.relpath for row in services.clips.rows(ids)]
    seen: set[bytes] = set()
    extra: list[str] = []
    rows = sorted(services.clips.rows(ids), key=lambda row: (not row.caption, row.relpath))
    hashes = _hashes(services)
    for row in rows:
        content = hashes.get(row.id, b"")
        if content in seen:
            extra.append(row.relpath)
        seen.add(content)
    return sorted(extra)


def _hashes(services: Services) -> dict[int, bytes]:
    tables = f"clips JOIN analysis ON {FRESH} JOIN lint ON lint.clip_id = clips.id"
    query = f"SELECT clips.id, analysis.content_hash FROM {tables} WHERE lint.rule = 'audio-duplicate'"  # noqa: S608
    return {clip_id: bytes(content) for clip_id, content in services.clips.database.stream(query)}


def _measured(services: Services, ids: array[int]) -> list[tuple[str, str, str]]:
    found: list[tuple[str, str, str]] = []
    for start in range(0, len(ids), _BATCH):
        some = ids[start : start + _BATCH]
        marks = ",".join("?" * len(some))
        # Only question marks are put into the text.
        query = (
            f"SELECT clips.id, analysis.bpm, analysis.musical_key FROM clips JOIN analysis ON {FRESH} "  # noqa: S608
            f"WHERE clips.id IN ({marks})"
        )
        values = {row[0]: (row[1], row[2]) for row in services.clips.database.stream(query, list(some))}
        for row in services.clips.rows(some):
            bpm, musical_key = values.get(row.id, (None, ""))
            found.append((row.relpath, row.caption, corrected(row.caption, bpm, musical_key)))
    return found


def _changed(texts: Iterable[tuple[str, str, str]]) -> list[CaptionFix]:
    return [CaptionFix(relpath, before, after) for relpath, before, after in texts if after and after != before]
