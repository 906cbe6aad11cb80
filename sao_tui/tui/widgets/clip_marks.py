"""Which clips are marked: a byte for each id, so that half a million marks cost half a megabyte and no key waits."""

from __future__ import annotations

from array import array
from collections import deque
from collections.abc import Iterable
from itertools import compress, repeat

_INVERTED = bytes((1, 0)) + bytes(range(2, 256))


class Marks:
    """Marks by clip id: filter and sort leave them alone."""

    def __init__(self) -> None:
        self._marked = bytearray()
        self._num_marked = 0

    def __len__(self) -> int:
        return self._num_marked

    def __contains__(self, clip_id: int) -> bool:
        return clip_id < len(self._marked) and self._marked[clip_id] == 1

    def toggle(self, clip_id: int) -> None:
        """Mark a clip, or take its mark away."""
        self._reach(clip_id)
        self._marked[clip_id] ^= 1
        self._num_marked += 1 if self._marked[clip_id] else -1

    def set(self, ids: array[int], is_marked: bool) -> None:
        """Mark clips, or take their marks away."""
        self._reach(max(ids, default=0))
        _consume(map(self._marked.__setitem__, ids, repeat(int(is_marked))))
        self._num_marked = self._marked.count(1)

    def invert(self, ids: array[int]) -> None:
        """Mark those of `ids` that are not marked and the other way round; all others stay as they are."""
        self._reach(max(ids, default=0))
        inverted = self._marked.translate(_INVERTED)
        _consume(map(self._marked.__setitem__, ids, map(inverted.__getitem__, ids)))
        self._num_marked = self._marked.count(1)

    def among(self, ids: array[int]) -> array[int]:
        """Return the marked ones of `ids` in their order."""
        if not self._num_marked or not ids:
            return array("q")
        self._reach(max(ids))
        return array("q", compress(ids, map(self._marked.__getitem__, ids)))

    def all(self, shown: array[int]) -> array[int]:
        """Return all marked clips: those of `shown` in their order, then the others."""
        marked = self.among(shown)
        if len(marked) < self._num_marked:
            rest = bytearray(self._marked)
            _consume(map(rest.__setitem__, marked, repeat(0)))
            marked.extend(compress(range(len(rest)), rest))
        return marked

    def keep_only(self, ids: array[int]) -> None:
        """Forget the marks of all clips but `ids`: their files are gone, and their numbers may be given anew."""
        kept = self.among(ids)
        self._marked = bytearray(len(self._marked))
        self.set(kept, True)

    def _reach(self, clip_id: int) -> None:
        missing = clip_id + 1 - len(self._marked)
        if missing > 0:
            self._marked.extend(bytes(missing + 1024))


def _consume(iterator: Iterable[object]) -> None:
    """Run an iterator to its end without a loop in Python: a third of the time on half a million."""
    deque(iterator, maxlen=0)
