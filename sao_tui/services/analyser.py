"""Background analysis: child processes measure clip after clip, what is on the screen first.

Nothing here blocks a key: `start`, `pause`, `resume`, `prefer` and `progress` only set or read a few fields. A clip on
which a child crashes or hangs is recorded with the reason and passed over. Results are in the index as they come, so
that whoever starts again goes on where this one was.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from sao_tui.core.errors import SaoError
from sao_tui.services.analyser_child import AnalysisChild
from sao_tui.services.analyser_queue import AnalysisQueue
from sao_tui.services.analyses import AnalysisStore, FileVersion
from sao_tui.services.analysis import Analysis
from sao_tui.services.clips import ClipIndex
from sao_tui.services.workspace import Workspace

CHILD_ARGV = (sys.executable, "-m", "sao_tui.services.analysis_child")

_IN_FLIGHT = 4
"""Requests that a child holds, so that it never waits for us."""
_WRITE_CLIPS, _WRITE_SECONDS = 50, 1.0
_WAIT_SECONDS = 0.2
_MAX_CRASHES = 5
"""Crashes in a row, with nothing measured in between, after which the fault is not the clips'."""
_BACK_OFF_SECONDS = 0.5


@dataclass(frozen=True)
class AnalysisProgress:
    """How far the background analysis is."""

    state: str
    """`off`, `running`, `paused`, `idle` (all is measured) or `failed`."""
    num_done: int
    num_clips: int
    """Clips to measure in all; 0 while that is not known."""
    num_failed: int
    """Clips that could not be measured."""
    message: str = ""
    """Why it has failed."""

    @property
    def is_paused(self) -> bool:
        """Whether nothing is measured before the next `resume`."""
        return self.state in ("off", "paused", "failed")


class Analyser:
    """Measures all clips of one workspace that have no analysis yet."""

    def __init__(
        self,
        workspace: Workspace,
        index: ClipIndex,
        num_children: int = 1,
        argv: tuple[str, ...] = CHILD_ARGV,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Start nothing yet.

        Args:
            argv: Command of a child.
        """
        self._folder = workspace.dataset_folder
        self._log_folder = workspace.cache_folder / "analysis"
        self._store = AnalysisStore(index)
        self._num_children = num_children
        self._argv = argv
        self._clock = clock
        self._queue = AnalysisQueue(self._store, clock)
        self._lock = threading.Lock()
        self._threads: list[threading.Thread] = []
        self._go_on = threading.Event()
        self._closing = threading.Event()
        self._num_done = self._num_clips = self._num_failed = 0
        self._num_crashes = 0
        self._num_idle = 0
        self._message = ""

    def start(self, only: Iterable[int] | None = None) -> None:
        """Begin, or go on; clips that come later are noticed by themselves.

        Args:
            only: Ids of the clips to measure; None for all.
        """
        with self._lock:
            self._go_on.set()
            self._queue.look_again()
            if self._threads:
                return
            if only is not None:
                self._queue.restrict(only)
            for number in range(self._num_children):
                thread = threading.Thread(target=self._run, args=(number,), name="analyser", daemon=True)
                self._threads.append(thread)
                thread.start()

    def pause(self) -> None:
        """Ask for no more clips; those under way are finished."""
        self._go_on.clear()

    def resume(self) -> None:
        """Go on after a pause, also after it has given up."""
        with self._lock:
            self._message, self._num_crashes = "", 0
        self.start()

    @property
    def is_paused(self) -> bool:
        """Whether it was paused, or never started."""
        return not self._go_on.is_set()

    def prefer(self, clip_ids: Iterable[int]) -> None:
        """Measure these next, in place of those preferred before: what is on the screen now."""
        self._queue.prefer(clip_ids)

    def progress(self) -> AnalysisProgress:
        """Return how far it is, without asking the disk."""
        with self._lock:
            return AnalysisProgress(self._state(), self._num_done, self._num_clips, self._num_failed, self._message)

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until all is measured or it has failed, and return whether that is so."""
        deadline = None if timeout is None else self._clock() + timeout
        while self.progress().state not in ("idle", "failed"):
            if deadline is not None and self._clock() > deadline:
                return False
            self._closing.wait(0.05)
        return True

    def close(self) -> None:
        """End the children; what they have measured is written."""
        self._closing.set()
        self._go_on.set()
        for thread in self._threads:
            thread.join(timeout=5.0)

    def _state(self) -> str:
        if self._message:
            return "failed"
        if not self._threads or self._closing.is_set():
            return "off"
        if not self._go_on.is_set():
            return "paused"
        return "idle" if self._num_idle == len(self._threads) else "running"

    def _run(self, number: int) -> None:
        """Keep one child at work until closing."""
        child = AnalysisChild(self._argv, self._folder, self._log_folder / f"child-{number}.log", self._clock)
        unsaved: dict[int, tuple[FileVersion, Analysis]] = {}
        written = self._clock()
        is_idle = False
        try:
            self._count()
            while not self._closing.is_set():
                if self._go_on.is_set():
                    child.give(self._queue.take(_IN_FLIGHT - child.num_waiting))
                is_idle = self._note_idle(is_idle, child.num_waiting == 0 and not unsaved and self._go_on.is_set())
                self._collect(child, unsaved)
                late = self._clock() - written > _WRITE_SECONDS
                if unsaved and (len(unsaved) >= _WRITE_CLIPS or late or child.num_waiting == 0):
                    self._save(unsaved)
                    written = self._clock()
        except SaoError as error:
            with self._lock:
                self._message = f"{error.message} {error.hint}".strip()
        finally:
            child.close()
            self._queue.give_back(child.waiting())
            if unsaved and not self._message:
                self._save(unsaved)

    def _note_idle(self, was_idle: bool, is_idle: bool) -> bool:
        if was_idle != is_idle:
            with self._lock:
                self._num_idle += 1 if is_idle else -1
            if is_idle:
                self._count()
        return is_idle

    def _count(self) -> None:
        only = self._queue.only
        if only is not None:
            with self._lock:
                self._num_clips = len(only)
                self._num_done = len(only) - self._queue.num_left()
            return
        counts = self._store.counts()
        with self._lock:
            self._num_done, self._num_clips = counts.num_analysed, counts.num_clips
            self._num_failed = counts.num_failed

    def _collect(self, child: AnalysisChild, unsaved: dict[int, tuple[FileVersion, Analysis]]) -> None:
        """Take what a child has to say for a moment."""
        if child.num_waiting == 0:
            self._closing.wait(_WAIT_SECONDS)
            return
        try:
            found = child.receive(_WAIT_SECONDS)
        except EOFError:
            self._crashed(child, unsaved)
            return
        if found is not None:
            clip, version, analysis = found
            unsaved[clip.id] = (version, analysis)
            if version != clip.version:
                self._queue.note_outdated(clip)
            with self._lock:
                self._num_crashes = 0
                self._num_done += 1
                self._num_failed += bool(analysis.error)

    def _crashed(self, child: AnalysisChild, unsaved: dict[int, tuple[FileVersion, Analysis]]) -> None:
        """Record the clip that a child was at; the others that it held are asked for again."""
        culprit, reason = child.bury()
        self._queue.give_back(child.waiting())
        child.forget()
        if culprit is not None and not self._closing.is_set():
            unsaved[culprit.id] = (culprit.version, Analysis(error=f"the analysis of it crashed: {reason}"))
        with self._lock:
            self._num_crashes += 1
            self._num_done += culprit is not None
            self._num_failed += culprit is not None
            crashes = self._num_crashes
        if crashes >= _MAX_CRASHES:
            with self._lock:
                self._message = f"The analysis stopped after {crashes} crashes in a row, the last one: {reason}"
            self._go_on.clear()
        # Longer each time: a machine without memory must not be asked ten times a second.
        self._closing.wait(_BACK_OFF_SECONDS * 2 ** min(crashes, _MAX_CRASHES) / 2)

    def _save(self, unsaved: dict[int, tuple[FileVersion, Analysis]]) -> None:
        self._store.put(unsaved)
        self._queue.settle(unsaved)
        unsaved.clear()
