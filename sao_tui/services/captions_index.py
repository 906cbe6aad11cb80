"""Where each clip's line begins in metadata.jsonl: some twenty bytes a clip in place of the lines themselves."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Sequence

_KEY_MASK = 0xFFFFFFFFFFFFFFFF
_TEXT_MASK = 0xFFFFFFFF
_FIRST_SLOTS = 1 << 10
_DEAD = 0xFFFFFFFFFFFFFFFF
"""Offset of an entry that no slot leads to."""


def text_hash(text: str) -> int:
    """Return what the index remembers of a caption: enough to see that it has changed, in this process only."""
    return hash(text) & _TEXT_MASK


def text_hashes(texts: Sequence[str]) -> list[int]:
    """Return the text_hash of each of many captions."""
    return [hash(text) & _TEXT_MASK for text in texts]


class LineIndex:
    """A hash table in arrays: clip -> offset of its last line, and a hash of the caption there.

    Of a relpath it keeps a hash of 64 bits. Whoever asks for a line has it confirmed by reading it: that
    is how a file that another program has written into its middle is noticed.
    """

    def __init__(self, read_relpath: Callable[[int], str | None]) -> None:
        """Know no line yet.

        Args:
            read_relpath: Returns the relpath of the clip in the line at an offset.
        """
        self._read_relpath = read_relpath
        self._slots = array("I", bytes(4 * _FIRST_SLOTS))
        self._keys = array("Q")
        self._offsets = array("Q")
        self._texts = array("I")
        self.superseded = array("Q")
        """Offsets of lines whose clip has a later line."""

    def __len__(self) -> int:
        return len(self._keys) - len(self.superseded)

    def offset(self, relpath: str) -> int | None:
        """Return where the last line of a clip begins, None when it has none."""
        entry = self._find(relpath)
        return None if entry is None else self._offsets[entry]

    def text_hash(self, relpath: str) -> int | None:
        """Return the hash of a clip's caption without a look at the file, None when it has no line."""
        key = hash(relpath) & _KEY_MASK
        slots, mask = self._slots, len(self._slots) - 1
        slot = key & mask
        while entry := slots[slot]:
            if self._keys[entry - 1] == key:
                return self._texts[entry - 1]
            slot = (slot + 1) & mask
        return None

    def add(self, relpaths: Sequence[str], offsets: Sequence[int], texts: Sequence[int]) -> None:
        """Note lines in the order of the file; a clip's earlier line is superseded.

        Args:
            texts: text_hash of each line's caption.
        """
        first = len(self._keys)
        self.reserve(first + len(relpaths))
        slots, keys, mask = self._slots, self._keys, len(self._slots) - 1
        added = [hash(relpath) & _KEY_MASK for relpath in relpaths]
        keys.extend(added)
        self._offsets.extend(offsets)
        self._texts.extend(texts)
        for entry, key in enumerate(added, first + 1):
            slot = key & mask
            while known := slots[slot]:
                if keys[known - 1] == key and self._supersede(known - 1, entry - 1, relpaths[entry - 1 - first]):
                    break
                slot = (slot + 1) & mask
            else:
                slots[slot] = entry

    def reserve(self, num_lines: int) -> None:
        """Make room for so many lines: growing step by step hashes all of them at every step."""
        size = len(self._slots)
        while size < 2 * num_lines:
            size *= 2
        if size == len(self._slots):
            return
        slots, mask = array("I", bytes(4 * size)), size - 1
        for entry, key in enumerate(self._keys, 1):
            if self._offsets[entry - 1] != _DEAD:
                slot = key & mask
                while slots[slot]:
                    slot = (slot + 1) & mask
                slots[slot] = entry
        self._slots = slots

    def _supersede(self, known: int, added: int, relpath: str) -> bool:
        """Give a clip's entry its later line, if the entry is of that clip; the later line needs none of its own."""
        if self._read_relpath(self._offsets[known]) != relpath:
            return False
        self.superseded.append(self._offsets[known])
        self._offsets[known], self._texts[known] = self._offsets[added], self._texts[added]
        self._offsets[added] = _DEAD
        return True

    def _find(self, relpath: str) -> int | None:
        key = hash(relpath) & _KEY_MASK
        slots, mask = self._slots, len(self._slots) - 1
        slot = key & mask
        while entry := slots[slot]:
            if self._keys[entry - 1] == key and self._read_relpath(self._offsets[entry - 1]) == relpath:
                return entry - 1
            slot = (slot + 1) & mask
        return None
