"""The captions of metadata.jsonl mirrored into the clip index, so that filter and sort see them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import TYPE_CHECKING

from sao_tui.services.clip_texts import add_words, folded, last_indexed, path_bytes, printable

if TYPE_CHECKING:
    from sao_tui.services.clips_database import ClipsDatabase

Pair = tuple[str, str]

_ASKED = 400
"""Paths in one question: more parameters are slower, and old versions of SQLite take 999."""
_WRITTEN = 5_000


class CaptionMirror:
    """Writes captions that differ from those in the index."""

    def __init__(self, database: ClipsDatabase, should_stop: Callable[[], bool]) -> None:
        """Write nothing yet."""
        self._database = database
        self._should_stop = should_stop
        self._changed: list[tuple[int, str]] = []
        self.num_changed = 0

    def run(self, captions: Iterable[Pair], complete: bool) -> bool:
        """Mirror captions given as relpath and text; return False when stopped before the end.

        Args:
            complete: Every clip that is not among them loses its caption.

        Raises:
            SaoError: The index cannot be written.
        """
        seen = bytearray(self._database.query("SELECT coalesce(max(id), 0) + 1 FROM clips")[0][0])
        pairs = iter(captions)
        while some := dict(islice(pairs, _ASKED)):
            if self._should_stop():
                return False
            for clip_id, text in self._differing(some, seen):
                self._change(clip_id, text)
        if complete:
            rows = self._database.query("SELECT id FROM clips WHERE is_captioned = 1")
            for (clip_id,) in rows:
                if clip_id >= len(seen) or not seen[clip_id]:
                    self._change(clip_id, "")
        self._write()
        return True

    def _differing(self, captions: dict[str, str], seen: bytearray) -> Iterator[tuple[int, str]]:
        by_path = {path_bytes(relpath): text for relpath, text in captions.items()}
        marks = ",".join("?" * len(by_path))
        query = f"SELECT id, relpath, caption FROM clips WHERE relpath IN ({marks})"  # noqa: S608
        for clip_id, relpath, caption in self._database.query(query, list(by_path)):
            if clip_id < len(seen):
                seen[clip_id] = 1
            text = printable(by_path[relpath])
            if text != caption:
                yield clip_id, text

    def _change(self, clip_id: int, text: str) -> None:
        self._changed.append((clip_id, text))
        if len(self._changed) >= _WRITTEN:
            self._write()

    def _write(self) -> None:
        if not self._changed:
            return
        indexed = last_indexed(self._database)
        entries = [(clip_id, folded(text)) for clip_id, text in self._changed]
        with self._database.writing("captions") as connection:
            connection.executemany(_SET, [(text, text != "", clip_id) for clip_id, text in self._changed])
            connection.executemany(_SET_FOLDED, [(text, clip_id) for clip_id, text in entries])
            add_words(connection, entries, indexed)
        self.num_changed += len(self._changed)
        self._changed = []


_SET = "UPDATE clips SET caption = ?, is_captioned = ? WHERE id = ?"
_SET_FOLDED = "UPDATE texts SET caption = ? WHERE id = ?"
