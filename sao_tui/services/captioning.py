"""Writing captions for the dashboard and the command line: durable in metadata.jsonl, and mirrored into the index.

Everything that changes captions comes through here, so that one undo covers it all.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sao_tui.services.bundle import Services
    from sao_tui.services.captions import CaptionStore
    from sao_tui.services.clips import ClipIndex

_BATCH = 10_000


@dataclass(frozen=True)
class EditMoved:
    """An edit that was taken back or made again."""

    description: str
    num_clips: int
    relpath: str
    """The clip where it is the only one, else empty."""


def write(
    services: Services,
    captions: Mapping[str, str],
    description: str = "",
    expected: Mapping[str, str] | None = None,
) -> int:
    """Write captions durably and mirror them; return how many differ from before.

    Args:
        description: What undo will say.
        expected: Caption that each edit started from, where that may be older than the last read.

    Raises:
        CaptionConflict: Another program changed one of them since; none is written.
        SaoError: The file or the index cannot be written.
    """
    if len(captions) == 1 and not description:
        description = f"caption of {next(iter(captions))}"
    before = _only_caption(services, captions)
    num_changed = services.captions.set_many(captions, description, expected=expected)
    services.clips.set_captions(captions)
    _follow(services, before, captions)
    return num_changed


def write_records(
    services: Services,
    records: Mapping[str, Mapping[str, Any]],
    description: str,
    expected: Mapping[str, str] | None = None,
) -> int:
    """Write keys of clips' lines durably, and mirror the captions among them; see CaptionStore.set_records.

    Raises:
        CaptionConflict: Another program changed one of the captions since; none is written.
        SaoError: The file or the index cannot be written.
    """
    num_changed = services.captions.set_records(records, description, expected=expected)
    captions = ((relpath, keys["text"]) for relpath, keys in records.items() if "text" in keys)
    if _mirror(services, captions):
        _follow(services, None, {})
    return num_changed


def undo(services: Services) -> EditMoved | None:
    """Take the last edit back and mirror it; None when there is none.

    Raises:
        CaptionConflict: Another program changed one of its captions since; nothing is written.
        SaoError: The file or the index cannot be written.
    """
    return _move(services, back=True)


def redo(services: Services) -> EditMoved | None:
    """Make the last undone edit again and mirror it; None when there is none.

    Raises:
        CaptionConflict: Another program changed one of its captions since; nothing is written.
        SaoError: The file or the index cannot be written.
    """
    return _move(services, back=False)


def take_in(services: Services) -> bool:
    """Mirror what other programs have written since the last look; return whether there was anything.

    Raises:
        SaoError: The captions cannot be read, or the index cannot be written.
    """
    captions = services.captions
    if not captions.changed_on_disk():
        return False
    changes = captions.take_changes()
    if changes.is_complete:
        services.clips.set_captions(changes.captions)
    else:
        mirror_all(services.clips, captions)
    _follow(services, None, {})
    return True


def mirror_all(clips: ClipIndex, captions: CaptionStore) -> int:
    """Mirror every caption as it is on the disk now, in constant memory; return how many differed.

    Raises:
        SaoError: The captions cannot be read, or the index cannot be written.
    """
    captions.take_changes()
    ids = clips.ids()
    num_differing = 0
    for start in range(0, len(ids), _BATCH):
        rows = clips.rows(ids[start : start + _BATCH])
        differing = dict(captions.differing((row.relpath, row.caption) for row in rows))
        if differing:
            clips.set_captions(differing)
        num_differing += len(differing)
    return num_differing


def _move(services: Services, *, back: bool) -> EditMoved | None:
    moved = services.captions.move(back=back)
    if moved is None:
        return None
    relpath = ""
    if moved.num_clips == 1:
        relpath = next((relpath for relpath, _ in moved.captions()), "")
    _mirror(services, moved.captions())
    _follow(services, None, {})
    return EditMoved(moved.description, moved.num_clips, relpath)


def _mirror(services: Services, captions: Iterable[tuple[str, str]]) -> int:
    """Put captions into the index a batch at a time, and return how many there were."""
    pairs = iter(captions)
    num_captions = 0
    while batch := dict(islice(pairs, _BATCH)):
        services.clips.set_captions(batch)
        num_captions += len(batch)
    return num_captions


def _only_caption(services: Services, captions: Mapping[str, str]) -> str | None:
    """Return the caption that a single edit replaces, None when there are many or nobody asks."""
    if len(captions) != 1 or not services.has_vocabulary:
        return None
    return services.captions.get(next(iter(captions)))


def _follow(services: Services, before: str | None, captions: Mapping[str, str]) -> None:
    """Have the vocabulary follow one caption, or count anew after many."""
    if not services.has_vocabulary:
        return
    if before is None:
        services.vocabulary.forget()
    else:
        services.vocabulary.replace(before, next(iter(captions.values())))
