"""Which clip is measured next: what is on the screen, then all others."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable

from sao_tui.services.analyses import AnalysisStore, FileVersion, PendingClip

_PAGE = 2_000
_LOOK_AGAIN_SECONDS = 30.0


class AnalysisQueue:
    """Clips to measure: preferred ones first, then all in the order of their ids, a page at a time."""

    def __init__(self, store: AnalysisStore, clock: Callable[[], float]) -> None:
        """Ask for nothing yet."""
        self._store = store
        self._clock = clock
        self._lock = threading.Lock()
        self._preferred: deque[PendingClip] = deque()
        self._asked: list[int] = []
        self._page: deque[PendingClip] = deque()
        self._after = 0
        self._under_way: set[int] = set()
        self._next_look = 0.0
        self._outdated: dict[int, FileVersion] = {}
        """Clips whose file was another than the index says when it was measured; until the next scan says so too."""
        self.only: list[int] | None = None

    def restrict(self, clip_ids: Iterable[int]) -> None:
        """Take no other clips than these."""
        self.only = list(clip_ids)

    def prefer(self, clip_ids: Iterable[int]) -> None:
        """Take these first, in place of those preferred before; without the lock, which is held during queries."""
        self._asked = list(clip_ids)

    def look_again(self) -> None:
        """Look for new and changed clips now."""
        self._next_look = 0.0

    def take(self, number: int) -> list[PendingClip]:
        """Return up to `number` clips that nobody else has been given."""
        taken: list[PendingClip] = []
        with self._lock:
            if self._asked:
                asked, self._asked = self._asked, []
                self._preferred = deque(self._store.missing(asked))
            while len(taken) < number:
                clip = self._next()
                if clip is None:
                    break
                if clip.id not in self._under_way and self._outdated.get(clip.id) != clip.version:
                    self._under_way.add(clip.id)
                    taken.append(clip)
        return taken

    def give_back(self, clips: Iterable[PendingClip]) -> None:
        """Have these taken again."""
        with self._lock:
            for clip in clips:
                self._under_way.discard(clip.id)
                self._page.appendleft(clip)

    def settle(self, clip_ids: Iterable[int]) -> None:
        """Note that the results of these have been written."""
        with self._lock:
            self._under_way.difference_update(clip_ids)

    def note_outdated(self, clip: PendingClip) -> None:
        """Do not take a clip again before the index knows its file as it is now."""
        with self._lock:
            self._outdated[clip.id] = clip.version

    def num_left(self) -> int:
        """Return how many of the clips it was restricted to are missing."""
        return len(self._store.missing(self.only or []))

    def _next(self) -> PendingClip | None:
        if self._preferred:
            return self._preferred.popleft()
        if not self._page and self._clock() >= self._next_look:
            if self.only is not None:
                self._page.extend(self._store.missing(self.only))
            else:
                self._page.extend(self._store.missing(after=self._after, limit=_PAGE))
            if self._page and self.only is None:
                self._after = self._page[-1].id
            else:
                # At the end: from the start again later, for clips that have come or changed meanwhile.
                self._after, self._next_look = 0, self._clock() + _LOOK_AGAIN_SECONDS
        return self._page.popleft() if self._page else None
