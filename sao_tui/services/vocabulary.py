"""The words and phrases that captions are made of, with how often each is used: what an editor completes."""

from __future__ import annotations

import re
import threading
import time
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from heapq import nsmallest
from itertools import islice
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sao_tui.services.captions_asking import CaptionReader

MAX_ENTRIES = 20_000
"""Words kept, and phrases kept: beyond twice as many, the rarest are forgotten."""
_BATCH = 500
_REST_SECONDS = 0.002
"""Between two batches, so that a key press meanwhile is not kept waiting."""
_MAX_PHRASE_LENGTH = 80
_WORD = re.compile(r"[^\s,;.!?()\[\]{}\"]+")


@dataclass(frozen=True)
class WordUse:
    """A word or phrase in use."""

    text: str
    count: int
    """Captions' uses of it."""


@dataclass(frozen=True)
class Completion:
    """What could stand in place of the word or phrase that is being typed."""

    text: str
    count: int
    """How often it is used."""
    start: int
    """Where in the typed text the part begins that it replaces, up to the cursor."""


class Vocabulary:
    """Words and comma-separated phrases of one workspace's captions. Safe to use from several threads."""

    def __init__(self, captions: CaptionReader) -> None:
        """Count nothing yet: `build` does, in a thread of whoever needs it."""
        self._captions = captions
        self._lock = threading.Lock()
        self._building = threading.Lock()
        self._words = _Counts()
        self._phrases = _Counts()
        self._is_built = False

    @property
    def is_built(self) -> bool:
        """Whether all captions have been counted since the last bulk edit."""
        return self._is_built

    def build(self, should_stop: Callable[[], bool] = lambda: False) -> None:
        """Count the words and phrases of all captions, unless that is done or going on.

        Raises:
            SaoError: The captions cannot be read.
        """
        if self._is_built or not self._building.acquire(blocking=False):
            return
        try:
            words, phrases = _Counts(), _Counts()
            texts = (text for _, text in self._captions.items())
            while batch := list(islice(texts, _BATCH)):
                for text in batch:
                    words.add(_words(text))
                    phrases.add(_phrases(text))
                if should_stop():
                    return
                time.sleep(_REST_SECONDS)
            with self._lock:
                self._words, self._phrases, self._is_built = words, phrases, True
        finally:
            self._building.release()

    def replace(self, before: str, after: str) -> None:
        """Follow one caption that has changed."""
        with self._lock:
            self._words.take(_words(before))
            self._phrases.take(_phrases(before))
            self._words.add(_words(after))
            self._phrases.add(_phrases(after))

    def forget(self) -> None:
        """Count anew at the next `build`: many captions have changed. Until then the old counts serve."""
        self._is_built = False

    def words(self, limit: int) -> list[WordUse]:
        """Return the words used most."""
        with self._lock:
            return [WordUse(*use) for use in self._words.counts.most_common(limit)]

    def phrases(self, limit: int) -> list[WordUse]:
        """Return the phrases used most."""
        with self._lock:
            return [WordUse(*use) for use in self._phrases.counts.most_common(limit)]

    def complete(self, text: str, cursor: int, limit: int = 6) -> list[Completion]:
        """Return what could be meant by the phrase or the word that ends at the cursor, the most used first."""
        if cursor < len(text) and (text[cursor].isalnum() or text[cursor] == "_"):
            return []  # Inside a word nothing is completed.
        phrase_start = _phrase_start(text, cursor)
        word_start = max((found.start() for found in _WORD.finditer(text, 0, cursor)), default=cursor)
        typed = text[:cursor]
        with self._lock:
            found = list(self._starting(self._phrases, typed, phrase_start, limit))
            if _WORD.fullmatch(typed[word_start:]):
                found += self._starting(self._words, typed, word_start, limit)
        known: set[str] = set()
        unique: list[Completion] = []
        for completion in sorted(found, key=lambda each: (-each.count, each.text)):
            whole = typed[: completion.start] + completion.text
            if whole not in known:
                known.add(whole)
                unique.append(completion)
        return unique[:limit]

    @staticmethod
    def _starting(uses: _Counts, typed: str, start: int, limit: int) -> Iterator[Completion]:
        prefix = typed[start:]
        if prefix.strip():
            for text, count in uses.starting(prefix, limit):
                yield Completion(text, count, start)


class _Counts:
    """How often each of some thousand texts is used."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self._sorted: list[tuple[str, str]] | None = None

    def add(self, texts: list[str]) -> None:
        num_known = len(self.counts)
        self.counts.update(texts)
        if len(self.counts) != num_known:
            self._sorted = None
        if len(self.counts) > 2 * MAX_ENTRIES:
            self.counts = Counter(dict(self.counts.most_common(MAX_ENTRIES)))

    def take(self, texts: list[str]) -> None:
        for text in texts:
            if self.counts[text] > 1:
                self.counts[text] -= 1
            else:
                del self.counts[text]
                self._sorted = None

    def starting(self, prefix: str, limit: int) -> list[tuple[str, int]]:
        """Return the most used texts that begin with `prefix`, whatever its case, and are more than it."""
        if self._sorted is None:
            self._sorted = sorted((text.casefold(), text) for text in self.counts)
        folded = prefix.casefold()
        at = bisect_left(self._sorted, (folded, ""))
        found: list[tuple[str, int]] = []
        while at < len(self._sorted) and self._sorted[at][0].startswith(folded):
            text = self._sorted[at][1]
            if text != prefix:
                found.append((text, self.counts[text]))
            at += 1
        return nsmallest(limit, found, key=lambda use: (-use[1], use[0]))


def _words(text: str) -> list[str]:
    return _WORD.findall(text)


def _phrases(text: str) -> list[str]:
    """Return the comma-separated parts of a caption that are not single words."""
    parts = (part.strip() for part in text.split(","))
    return [part for part in parts if " " in part and len(part) <= _MAX_PHRASE_LENGTH]


def _phrase_start(text: str, cursor: int) -> int:
    start = text.rfind(",", 0, cursor) + 1
    while start < cursor and text[start] == " ":
        start += 1
    return start
