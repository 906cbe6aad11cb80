"""Where each clip's line begins in metadata.jsonl: some twenty bytes a clip in place of the lines themselves."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Sequence

_KEY_MASK = 0xFFFFFFFF
_FIRST_SLOTS = 1 << 10


def text_hash(text: str) -> int:
    """Return what the index remembers of a caption: enough to see that it has changed, in this process only."""
    return hash(text) & _KEY_MASK


class LineIndex:
    """A hash table in arrays: clip -> offset of its last line, and a hash of the caption there.

    Of a relpath it keeps 32 bits, so a candidate is confirmed by reading its line: 27 pairs among half a
    million clips share those bits.
    """

    def __init__(self, read_relpath: Callable[[int], str | None]) -> None:
        """Know no line yet.

        Args:
            read_relpath: Returns the relpath of the clip in the line at an offset.
        """
        self._read_relpath = read_relpath
        self._slots = array("I", bytes(4 * _FIRST_SLOTS))
        self._keys = array("I")
        self._offsets = array("Q")
        self._texts = array("I")
        self.superseded = array("Q")
        """Offsets of lines whose clip has a later line."""

    def __len__(self) -> int:
        return len(self._keys)

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
        slots, keys, mask = self._slots, self._keys, len(self._slots) - 1
        for relpath, offset, text in zip(relpaths, offsets, texts, strict=True):
            key = hash(relpath) & _KEY_MASK
            slot = key & mask
            while entry := slots[slot]:
                if keys[entry - 1] == key and self._read_relpath(self._offsets[entry - 1]) == relpath:
                    break
                slot = (slot + 1) & mask
            if entry:
                self.superseded.append(self._offsets[entry - 1])
                self._offsets[entry - 1], self._texts[entry - 1] = offset, text
                continue
            keys.append(key)
            self._offsets.append(offset)
            self._texts.append(text)
            slots[slot] = len(keys)
            if 2 * len(keys) > len(slots):
                self._rehash(2 * len(slots))
                slots, mask = self._slots, len(self._slots) - 1

    def reserve(self, num_clips: int) -> None:
        """Make room for so many clips at once: growing step by step hashes all of them at every step."""
        size = len(self._slots)
        while size < 2 * num_clips:
            size *= 2
        if size > len(self._slots):
            self._rehash(size)

    def _find(self, relpath: str) -> int | None:
        key = hash(relpath) & _KEY_MASK
        slots, mask = self._slots, len(self._slots) - 1
        slot = key & mask
        while entry := slots[slot]:
            if self._keys[entry - 1] == key and self._read_relpath(self._offsets[entry - 1]) == relpath:
                return entry - 1
            slot = (slot + 1) & mask
        return None

    def _rehash(self, size: int) -> None:
        slots, mask = array("I", bytes(4 * size)), size - 1
        for entry, key in enumerate(self._keys, 1):
            slot = key & mask
            while slots[slot]:
                slot = (slot + 1) & mask
            slots[slot] = entry
        self._slots = slots
