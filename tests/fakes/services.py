"""A bundle of services in memory, for tests of the dashboard: nothing is read, launched or played."""

from __future__ import annotations

import math
from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from sao_tui.core.errors import SaoError
from sao_tui.services.analysis import Analysis
from sao_tui.services.captions import CaptionChanges, CaptionConflict
from sao_tui.services.clip_facts import ClipFacts
from sao_tui.services.clips import ClipCounts, ClipRow, FolderCount, ScanReport
from sao_tui.services.gpu import GpuReading, GpuSample, HostSample
from sao_tui.services.model_hearing import Padding
from sao_tui.services.spectrogram import ClipPicture
from sao_tui.services.tempo import TempoReading
from sao_tui.services.tokens import TokenCount
from sao_tui.services.views import SavedFilter
from sao_tui.services.workspace import Workspace, WorkspaceSettings

FOLDER = Path("/data/kicks")

SOUNDS = ("low tone", "high tone", "noise burst", "click train", "rising sweep", "falling sweep")


def clip_rows(num_clips: int = 60) -> list[ClipRow]:
    """Clips of some folders; every seventh has no caption, the fifth is unreadable."""
    rows = []
    for number in range(1, num_clips + 1):
        sound = SOUNDS[number % len(SOUNDS)]
        caption = "" if number % 7 == 0 else f"a {sound}, dry, number {number}"
        error = "not a WAV file: no RIFF header" if number == 5 else ""
        relpath = f"{sound.split()[0]}/{sound.replace(' ', '-')}-{number:03}.wav"
        rows.append(ClipRow(number, relpath, 1.5 + number % 5 / 4, 44100, 2, 264644 + number, error, caption))
    return sorted(rows, key=lambda row: row.relpath)


def workspace(**settings: Any) -> Workspace:
    """A workspace whose settings are not read from the disk."""
    made = Workspace(FOLDER)
    made.__dict__["settings"] = WorkspaceSettings(**{"name": "kicks", **settings})
    return made


class FakeClips:
    """The clip index."""

    def __init__(self, rows: Sequence[ClipRow]) -> None:
        self.by_id = {row.id: row for row in rows}
        self.scans = 0
        self.error: SaoError | None = None

    def scan(
        self,
        progress: Callable[[int, int], None] | None = None,
        should_stop: Callable[[], bool] | None = None,
        caption_of: Callable[[str], str] | None = None,
    ) -> ScanReport:
        self.scans += 1
        if self.error:
            raise self.error
        counts = self.counts()
        return ScanReport(counts.num_clips, counts.num_unreadable, 0, 0.0)

    def ids(self, filter_text: str = "", sort: str = "relpath", descending: bool = False, **_: Any) -> array[int]:
        for word in filter_text.split():
            key, colon, _ = word.partition(":")
            if colon and key not in ("uncaptioned", "folder"):
                raise SaoError(f"{key} is not known.", "Filter by words.")
        rows = [row for row in self.by_id.values() if _matches(row, filter_text)]
        rows = sorted(rows, key=lambda row: (_sort_key(row, sort), row.relpath), reverse=descending)
        return array("q", (row.id for row in rows))

    def first_ids(
        self, filter_text: str = "", sort: str = "relpath", descending: bool = False, limit: int = 128, **_: Any
    ) -> array[int]:
        return self.ids(filter_text, sort, descending)[:limit]

    def folders(self) -> list[FolderCount]:
        names = sorted({row.relpath.rpartition("/")[0] for row in self.by_id.values()})
        inside = {
            name: [row for row in self.by_id.values() if row.relpath.rpartition("/")[0] == name] for name in names
        }
        return [FolderCount(name, len(rows), sum(bool(row.caption) for row in rows)) for name, rows in inside.items()]

    def rows(self, ids: Sequence[int]) -> list[ClipRow]:
        return [self.by_id[each] for each in ids if each in self.by_id]

    def row_for(self, relpath: str) -> ClipRow | None:
        return next((row for row in self.by_id.values() if row.relpath == relpath), None)

    def captions_signature(self) -> str:
        return ""

    def set_captions(
        self, captions: Mapping[str, str] | Iterable[tuple[str, str]], *, complete: bool = False, **_: Any
    ) -> None:
        captions = dict(captions)
        for row in list(self.by_id.values()):
            if complete or row.relpath in captions:
                self.by_id[row.id] = replace(row, caption=captions.get(row.relpath, ""))

    def counts(self) -> ClipCounts:
        rows = self.by_id.values()
        return ClipCounts(
            len(rows),
            sum(1 for row in rows if row.caption),
            sum(1 for row in rows if row.error),
            sum(row.seconds for row in rows),
        )


def _sort_key(row: ClipRow, sort: str) -> Any:
    if sort == "format":
        return row.relpath.rpartition(".")[2]
    value = row.relpath.rpartition("/")[0] if sort == "folder" else getattr(row, sort)
    return -math.inf if value is None else value


class FakeViews:
    """Saved filters."""

    def __init__(self) -> None:
        self.by_name: dict[str, str] = {}

    def all(self) -> list[SavedFilter]:
        return [SavedFilter(name, self.by_name[name]) for name in sorted(self.by_name)]

    def save(self, name: str, filter_text: str) -> None:
        self.by_name[name] = filter_text

    def rename(self, old: str, new: str) -> None:
        self.by_name[new] = self.by_name.pop(old)

    def delete(self, name: str) -> None:
        del self.by_name[name]


def _matches(row: ClipRow, filter_text: str) -> bool:
    for word in filter_text.split():
        if word == "uncaptioned:yes":
            if row.caption:
                return False
        elif word.startswith("folder:"):
            if not row.relpath.startswith(word.removeprefix("folder:") + "/"):
                return False
        elif word not in f"{row.relpath} {row.caption}":
            return False
    return True


class FakeCaptions:
    """The captions; `conflict` is what another program has written meanwhile."""

    def __init__(self, rows: Sequence[ClipRow]) -> None:
        self.texts = {row.relpath: row.caption for row in rows if row.caption}
        self.conflicts: dict[str, str] = {}
        self.changed = False
        self._undo: list[tuple[str, dict[str, tuple[str, str]]]] = []
        self._redo: list[tuple[str, dict[str, tuple[str, str]]]] = []

    def load(self) -> None:
        self.changed = False

    def all(self) -> dict[str, str]:
        return {path: text for path, text in self.texts.items() if text}

    def get(self, relpath: str) -> str:
        return self.texts.get(relpath, "")

    def items(self) -> Iterator[tuple[str, str]]:
        return iter(self.all().items())

    def set_many(
        self, captions: Mapping[str, str], description: str = "", *, expected: Mapping[str, str] | None = None
    ) -> int:
        for relpath, text in captions.items():
            theirs = self.conflicts.pop(relpath, None)
            if theirs is not None:
                self.texts[relpath] = theirs
                raise CaptionConflict(relpath, text, theirs)
        self._undo.append((description, {relpath: (self.get(relpath), text) for relpath, text in captions.items()}))
        self.texts |= captions
        return len(captions)

    def move(self, *, back: bool) -> SimpleNamespace | None:
        source, target = (self._undo, self._redo) if back else (self._redo, self._undo)
        if not source:
            return None
        target.append(source.pop())
        description, changes = target[-1]
        texts = {relpath: before if back else after for relpath, (before, after) in changes.items()}
        self.texts |= texts
        return SimpleNamespace(description=description, num_clips=len(texts), captions=lambda: iter(texts.items()))

    def take_changes(self) -> CaptionChanges:
        self.changed = False
        return CaptionChanges(dict(self.texts), True)

    def changed_on_disk(self) -> bool:
        return self.changed


class FakePlayback:
    """Remembers what it was asked to play."""

    def __init__(self, player: str = "miniaudio") -> None:
        self.player = player
        self.played: list[Path] = []
        self.position = 0.5
        self._playing = False

    def play(self, path: Path) -> SimpleNamespace:
        self.played.append(path)
        self._playing = True
        message = f"{path.name} plays with {self.player}"
        if self.player == "null":
            message = f"There is no player here. The file is {path}"
        return SimpleNamespace(player=self.player, message=message)

    def stop(self) -> None:
        self._playing = False

    def is_playing(self) -> bool:
        return self._playing

    def position_seconds(self) -> float | None:
        return self.position if self._playing else None

    def close(self) -> None:
        self.stop()


class FakeJobs:
    """Jobs that are whatever the test says."""

    def __init__(self, views: Sequence[Any] = ()) -> None:
        self.views = list(views)

    def list(self) -> list[Any]:
        return self.views

    def latest_running(self) -> Any:
        return next((view for view in self.views if view.state == "running"), None)


class FakeServices:
    """The bundle."""

    has_vocabulary = False

    def __init__(self, rows: Sequence[ClipRow] | None = None, **settings: Any) -> None:
        rows = clip_rows() if rows is None else rows
        self.workspace = workspace(**settings)
        self.clips = FakeClips(rows)
        self.captions = FakeCaptions(rows)
        self.views = FakeViews()
        self.saved: dict[str, Any] = {}
        self.analysis = Analysis(-0.3, -14.2, 0.0, 0.12, tags={"title": "Kick one", "genre": "techno"})
        self.measured: list[str] = []
        self.tempo_error: SaoError | None = None
        self.playback = FakePlayback()
        self.jobs = FakeJobs()
        self.gpu_reading = GpuReading("ok", "", (GpuSample(0, "NVIDIA H100", 80_000_000_000, 12_300_000_000),))

    def peaks(self, path: Path, columns: int) -> list[tuple[float, float]]:
        loudness = [math.exp(-3 * at / columns) * (0.6 + 0.4 * math.sin(at / 2)) for at in range(columns)]
        return [(-level, level) for level in loudness]

    def detail(self, relpath: str, columns: int, rows: int = 0, span: tuple[float, float] | None = None) -> ClipFacts:
        row = self.clips.row_for(relpath)
        if row is None:
            raise SaoError(f"{relpath} is not in the dataset any more.", "Read the folder again.")
        path = self.workspace.dataset_folder / relpath
        if row.error:
            return ClipFacts(row, path, prompt=row.caption, picture_problem=row.error)
        start, end = span or (0.0, row.seconds)
        level = self.peaks(path, 2 * columns)
        mel = bytes(min(31, (band * 5 + column) % 40) for band in range(rows) for column in range(columns))
        picture = ClipPicture(columns, level, mel, start, end, 22050.0)
        tokens = TokenCount(len(row.caption.split()) + 1, 64, row.caption)
        padding = Padding(row.seconds, 11.9, 1 - row.seconds / 11.9, 0.0)
        return ClipFacts(row, path, self.analysis, row.caption, tokens, "", padding, "", picture)

    def measure_tempo(self, relpath: str) -> TempoReading:
        self.measured.append(relpath)
        if self.tempo_error:
            raise self.tempo_error
        self.analysis = replace(self.analysis, bpm=120.2, musical_key="A minor")
        return TempoReading(120.2, 0.97, "A minor", 0.84)

    def save_settings(self, **changes: Any) -> None:
        self.saved |= changes

    def read_gpus(self) -> GpuReading:
        return self.gpu_reading

    def read_host(self) -> HostSample:
        return HostSample(12.0, 64_000_000_000, 9_000_000_000, 500_000_000_000, 212_000_000_000)

    def close(self) -> None:
        pass
