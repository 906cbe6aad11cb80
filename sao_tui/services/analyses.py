"""What has been measured of the clips, in the table `analysis` beside the index; a cache like it.

A row counts only while the file has the size and time that it had when it was measured.
"""

from __future__ import annotations

import json
import os
from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sao_tui.services.analysis import Analysis
from sao_tui.services.clips import ClipIndex

_MAX_PARAMETERS = 500

_COLUMNS = (
    "peak_dbfs, loudness_lufs, head_silence_seconds, tail_silence_seconds, dc_offset, num_clipped, is_silent, "
    "channel_fault, content_hash, fingerprint, bpm, musical_key, tags, error"
)
_CURRENT = "a.clip_id = c.id AND a.num_bytes = c.num_bytes AND a.mtime_ns = c.mtime_ns"


@dataclass(frozen=True)
class FileVersion:
    """Which content of a file was measured."""

    num_bytes: int
    mtime_ns: int


@dataclass(frozen=True)
class AnalysisCounts:
    """How far the analysis of all readable clips is."""

    num_clips: int
    num_analysed: int
    """Clips with a row that still counts, those that failed included."""
    num_failed: int


@dataclass(frozen=True)
class PendingClip:
    """A clip that has not been measured."""

    id: int
    relpath: str
    version: FileVersion
    """Of the file, as the index knows it."""


class AnalysisStore:
    """Reads and writes the analyses of one workspace's clips. Safe to use from several threads."""

    def __init__(self, index: ClipIndex) -> None:
        """Open nothing yet."""
        self._database = index.database

    def get(self, clip_ids: Sequence[int]) -> dict[int, Analysis]:
        """Return the analyses that still count, by clip id.

        Raises:
            SaoError: The index cannot be read.
        """
        found: dict[int, Analysis] = {}
        for start in range(0, len(clip_ids), _MAX_PARAMETERS):
            some = [int(each) for each in clip_ids[start : start + _MAX_PARAMETERS]]
            query = (
                f"SELECT a.clip_id, {_prefixed()} FROM analysis a JOIN clips c ON {_CURRENT} "  # noqa: S608
                f"WHERE a.clip_id IN ({','.join('?' * len(some))})"
            )
            for row in self._database.query(query, some):
                found[row[0]] = _to_analysis(row[1:])
        return found

    def put(self, analyses: Mapping[int, tuple[FileVersion, Analysis]]) -> None:
        """Write analyses by clip id, each with the version of the file that was measured.

        Raises:
            SaoError: The index cannot be written.
        """
        marks = ", ".join("?" * (3 + _COLUMNS.count(",") + 1))
        rows = [(each, *_to_row(version, analysis)) for each, (version, analysis) in analyses.items()]
        self._database.write_many(
            f"INSERT OR REPLACE INTO analysis (clip_id, num_bytes, mtime_ns, {_COLUMNS}) VALUES ({marks})",  # noqa: S608
            rows,
        )

    def put_tempo(self, clip_id: int, bpm: float | None, musical_key: str) -> None:
        """Write tempo and key of a clip that has been analysed.

        Raises:
            SaoError: The index cannot be written.
        """
        query = "UPDATE analysis SET bpm = ?, musical_key = ? WHERE clip_id = ?"
        self._database.write_many(query, [(bpm, musical_key, clip_id)])

    def missing(
        self, clip_ids: Sequence[int] | None = None, *, after: int = 0, limit: int = 2**31
    ) -> list[PendingClip]:
        """Return readable clips without an analysis that counts.

        Args:
            clip_ids: Only of these, in this order; None for all, in the order of their ids.
            after: Without `clip_ids`: only ids above this one, to go through all in pages of `limit`.

        Raises:
            SaoError: The index cannot be read.
        """
        query = (
            f"SELECT c.id, c.relpath, c.num_bytes, c.mtime_ns FROM clips c LEFT JOIN analysis a ON {_CURRENT} "  # noqa: S608
            "WHERE a.clip_id IS NULL AND c.error = '' AND "
        )
        if clip_ids is None:
            rows = self._database.query(query + "c.id > ? ORDER BY c.id LIMIT ?", (after, limit))
            return [_to_pending(row) for row in rows]
        found: dict[int, PendingClip] = {}
        for start in range(0, len(clip_ids), _MAX_PARAMETERS):
            some = [int(each) for each in clip_ids[start : start + _MAX_PARAMETERS]]
            for row in self._database.query(f"{query} c.id IN ({','.join('?' * len(some))})", some):
                found[row[0]] = _to_pending(row)
        return [found[each] for each in clip_ids if each in found][:limit]

    def without_tempo(self, clip_ids: Sequence[int]) -> array[int]:
        """Return those of the clips whose analysis counts but has no tempo and no key.

        Raises:
            SaoError: The index cannot be read.
        """
        known = self.get(clip_ids)
        wanted = (each for each in clip_ids if each in known and not known[each].error)
        return array("q", (each for each in wanted if known[each].bpm is None and not known[each].musical_key))

    def counts(self) -> AnalysisCounts:
        """Return how far the analysis is.

        Raises:
            SaoError: The index cannot be read.
        """
        query = (
            "SELECT count(*), count(a.clip_id), sum(a.error <> '') "  # noqa: S608
            f"FROM clips c LEFT JOIN analysis a ON {_CURRENT} WHERE c.error = ''"
        )
        row = next(iter(self._database.query(query)))
        return AnalysisCounts(row[0], row[1], row[2] or 0)


def _prefixed() -> str:
    return ", ".join(f"a.{name.strip()}" for name in _COLUMNS.split(","))


def _to_pending(row: Sequence[Any]) -> PendingClip:
    return PendingClip(row[0], os.fsdecode(row[1]), FileVersion(row[2], row[3]))


def _to_row(version: FileVersion, analysis: Analysis) -> tuple[Any, ...]:
    return (
        version.num_bytes,
        version.mtime_ns,
        analysis.peak_dbfs,
        analysis.loudness_lufs,
        analysis.head_silence_seconds,
        analysis.tail_silence_seconds,
        analysis.dc_offset,
        analysis.num_clipped,
        int(analysis.is_silent),
        analysis.channel_fault,
        # NULL rather than empty: clips without samples are no duplicates of each other.
        analysis.content_hash or None,
        analysis.fingerprint or None,
        analysis.bpm,
        analysis.musical_key,
        json.dumps(dict(analysis.tags), ensure_ascii=False),
        analysis.error,
    )


def _to_analysis(row: Sequence[Any]) -> Analysis:
    return Analysis(
        peak_dbfs=row[0],
        loudness_lufs=row[1],
        head_silence_seconds=row[2] or 0.0,
        tail_silence_seconds=row[3] or 0.0,
        dc_offset=row[4] or 0.0,
        num_clipped=row[5] or 0,
        is_silent=bool(row[6]),
        channel_fault=row[7],
        content_hash=row[8] or b"",
        fingerprint=row[9] or b"",
        bpm=row[10],
        musical_key=row[11],
        tags=json.loads(row[12]),
        error=row[13],
    )
