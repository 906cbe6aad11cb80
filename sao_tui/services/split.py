"""Holding clips out of training: the same clips each time, and no recording on both sides.

Clips that belong together (slices of one recording, files of the same sound) are one group, and a group goes to one
side whole. Within each stratum (a folder, or an embedded tag) the groups with the smallest hash are held out until
the stratum's share is reached, so that a dataset that grows keeps nearly all of its held-out clips.
"""

from __future__ import annotations

import hashlib
import json
import os
import posixpath
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from sao_tui.core.errors import SaoError
from sao_tui.core.split import SPLIT_NAME, Split, Strata, read_split, write_split

if TYPE_CHECKING:
    from sao_tui.services.bundle import Services
    from sao_tui.services.clips import ClipIndex

SPLIT_RULE = "split-validation"
"""Under which the held-out clips stand in the index, for the filter `split:validation`."""
DEFAULT_FRACTION = 0.1

_SLICE_NUMBER = re.compile(r"[ _.-]?(?:slice|part|chunk|seg|segment|take)?[ _.-]?\d{1,6}$", re.IGNORECASE)
_TAGS = ("genre", "artist", "album")


@dataclass(frozen=True)
class SplitClip:
    """What the split looks at of one clip."""

    relpath: str
    stratum: str
    """Folder or tag within which the share is kept."""
    group: str
    """Clips of one group stay together."""


@dataclass(frozen=True)
class SplitPlan:
    """A split as it would be written."""

    split: Split
    num_clips: int
    strata: tuple[tuple[str, int, int], ...]
    """Stratum, its clips, and how many of them are held out."""

    @property
    def num_held_out(self) -> int:
        """How many clips are held out."""
        return len(self.split.validation)


def plan_split(
    services: Services, fraction: float = DEFAULT_FRACTION, by: Strata = "folder", seed: int = 0
) -> SplitPlan:
    """Return the split of all readable clips; nothing is written.

    Raises:
        SaoError: The share is out of range, or there are too few clips to hold one out.
    """
    if not 0 < fraction < 1:
        raise SaoError(f"A share of {fraction:g} cannot be held out.", "Give one between 0 and 1, such as 0.1.")
    if by not in ("folder", "tag", "none"):
        raise SaoError(f"Clips cannot be kept in proportion by {by}.", "Use folder, tag or none.")
    clips = list(_clips(services, by))
    if len({clip.group for clip in clips}) < 2:
        raise SaoError(
            f"{len(clips)} clips of one recording leave nothing to hold out.", "Add clips of at least a second one."
        )
    return split_clips(clips, fraction, by, seed)


def split_clips(clips: Sequence[SplitClip], fraction: float, by: Strata, seed: int) -> SplitPlan:
    """Return the split of `clips`; the same ones give the same split in any order."""
    strata: dict[str, dict[str, list[str]]] = {}
    home: dict[str, str] = {}
    for clip in sorted(clips, key=lambda each: each.relpath):
        # A recording whose slices lie in several strata counts where its first one does.
        stratum = home.setdefault(clip.group, clip.stratum)
        strata.setdefault(stratum, {}).setdefault(clip.group, []).append(clip.relpath)
    held_out: list[str] = []
    counts: list[tuple[str, int, int]] = []
    for stratum in sorted(strata):
        groups = strata[stratum]
        chosen = _choose(groups, fraction, seed)
        counts.append((stratum, sum(map(len, groups.values())), len(chosen)))
        held_out += chosen
    if not held_out:
        # Every stratum is too small for its share: the whole dataset is one then.
        everything = {group: names for groups in strata.values() for group, names in groups.items()}
        held_out = _choose(everything, fraction, seed, at_least_one=True)
        gone = set(held_out)
        counts = [
            (name, sum(map(len, groups.values())), sum(each in gone for names in groups.values() for each in names))
            for name, groups in sorted(strata.items())
        ]
    return SplitPlan(Split(seed, fraction, by, tuple(sorted(held_out))), len(clips), tuple(counts))


def save_split(services: Services, split: Split) -> None:
    """Write the split and show it to the filter.

    Raises:
        SaoError: It cannot be written; the old one stays.
    """
    write_split(services.workspace.dataset_folder / SPLIT_NAME, split)
    mirror_split(services.workspace.dataset_folder, services.clips)


def remove_split(services: Services) -> bool:
    """Train on every clip again, and return whether there was a split.

    Raises:
        SaoError: The file cannot be removed.
    """
    file = services.workspace.dataset_folder / SPLIT_NAME
    existed = file.exists()
    try:
        file.unlink(missing_ok=True)
    except OSError as error:
        raise SaoError(f"Cannot remove {file}: {error.strerror}.", "Check the folder's permissions.") from error
    mirror_split(services.workspace.dataset_folder, services.clips)
    return existed


def mirror_split(dataset_folder: Path, index: ClipIndex) -> None:
    """Write the held-out clips into the index, for the filter.

    Raises:
        SaoError: The split or the index cannot be used.
    """
    split = read_split(dataset_folder / SPLIT_NAME)
    index.database.write_many("DELETE FROM lint WHERE rule = ?", [(SPLIT_RULE,)])
    if split is not None:
        index.database.write_many(
            "INSERT OR IGNORE INTO lint (clip_id, rule) SELECT id, ? FROM clips WHERE relpath = ?",
            [(SPLIT_RULE, os.fsencode(name)) for name in split.validation],
        )


def recording(relpath: str, record: Mapping[str, object]) -> str:
    """Return what a clip is a slice of: its `source` where its line names one, else its name without a number."""
    source = record.get("source")
    if isinstance(source, str) and source:
        return source
    stem, _ = posixpath.splitext(relpath)
    if not {"start_seconds", "end_seconds"} & record.keys() and not re.search(r"slice|part|chunk|seg", stem, re.I):
        return relpath
    return _SLICE_NUMBER.sub("", stem) or stem


def _choose(
    groups: Mapping[str, Sequence[str]], fraction: float, seed: int, *, at_least_one: bool = False
) -> list[str]:
    """Return the clips of the groups with the smallest hash, as many as come nearest to the share."""
    total = sum(map(len, groups.values()))
    wanted = fraction * total
    chosen: list[str] = []
    left = len(groups)
    for group in sorted(groups, key=lambda each: _hash(seed, each)):
        names = groups[group]
        left -= 1
        # One group at least stays for training; a group that leads further past the share than it lacked is left.
        is_needed = at_least_one and not chosen
        if left < 1 or (len(chosen) + len(names) / 2 > wanted and not is_needed):
            break
        chosen += names
    return chosen


def _hash(seed: int, group: str) -> bytes:
    return hashlib.blake2b(f"{seed}:{group}".encode(errors="surrogateescape"), digest_size=16).digest()


def _clips(services: Services, by: Strata) -> Iterable[SplitClip]:
    """Give every readable clip; files of the same sound are one group."""
    query = (
        "SELECT clips.relpath, analysis.content_hash, analysis.tags FROM clips LEFT JOIN analysis "
        "ON analysis.clip_id = clips.id AND analysis.num_bytes = clips.num_bytes "
        "AND analysis.mtime_ns = clips.mtime_ns WHERE clips.error = ''"
    )
    same_sound: dict[bytes, str] = {}
    for name, content_hash, tags in services.clips.database.query(query):
        relpath = os.fsdecode(name)
        group = recording(relpath, services.captions.record(relpath))
        if content_hash:
            group = same_sound.setdefault(bytes(content_hash), group)
        yield SplitClip(relpath, _stratum(relpath, tags, by), group)


def _stratum(relpath: str, tags: str | None, by: Strata) -> str:
    if by == "none":
        return ""
    if by == "folder":
        return posixpath.dirname(relpath)
    known = json.loads(tags) if tags else {}
    return next((str(known[name]) for name in _TAGS if known.get(name)), "")
