"""What the suggestions dialog asks the services, each in a thread, and the messages that bring the answers."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, cast

from textual import work
from textual.message import Message
from textual.worker import get_current_worker

from sao_tui.tui.studio.base import Selection, StudioDialog
from sao_tui.tui.widgets.suggestion_table import PAGE_ROWS

if TYPE_CHECKING:
    from sao_tui.services.bundle import Services
    from sao_tui.services.jobs import JobView
    from sao_tui.services.suggestions import Applied, Mode, SuggestionFilter, SuggestionRow
    from sao_tui.tui.app import SaoApp


@dataclass
class SuggestionsRead(Message):
    """The list as it is now."""

    ids: array[int]
    first_page: list[SuggestionRow]


@dataclass
class JobRead(Message):
    """The newest job as it is now; None when there is none."""

    job: JobView | None


@dataclass
class RowsRead(Message):
    """Rows of a page."""

    page: int
    rows: list[SuggestionRow]


@dataclass
class Decided(Message):
    """Suggestions were accepted or rejected, durably."""

    applied: Applied
    verb: str


@dataclass
class Said(Message):
    """Something to show in the line of notes."""

    text: str


class SuggestionsWorkers(StudioDialog):
    """Workers of the dialog; none of them touches a widget."""

    def __init__(self, services: Services, selection: Selection) -> None:
        from sao_tui.services.suggestions import Suggestions

        super().__init__(services, selection)
        self.suggestions = Suggestions(services)
        self._relpaths: frozenset[str] | None = None
        self._knows_relpaths = False

    @work(thread=True, group="list", exit_on_error=False)
    def _read_all(self) -> None:
        self.suggestions.refresh()
        self._send_list()
        self._send_job()

    @work(thread=True, group="poll", exit_on_error=False)
    def _read_new(self) -> None:
        if self.suggestions.refresh():
            self._send_list()
        self._send_job()

    @work(thread=True, group="rows", exit_on_error=False)
    def _read_rows(self, page: int, ids: Sequence[int]) -> None:
        self.post_message(RowsRead(page, self.suggestions.rows(ids)))

    @work(thread=True, group="decide", exit_on_error=False)
    def _accept(self, ids: Sequence[int], mode: Mode, text: str | None = None) -> None:
        self.post_message(Decided(self.suggestions.accept(ids, mode, text), "accepted"))
        self._send_list()

    @work(thread=True, group="decide", exit_on_error=False)
    def _accept_above(self, min_confidence: float | None, mode: Mode) -> None:
        ids = self.suggestions.ids(self._wanted(min_confidence))
        self.post_message(Decided(self.suggestions.accept(ids, mode), "accepted"))
        self._send_list()

    @work(thread=True, group="decide", exit_on_error=False)
    def _reject(self, ids: Sequence[int]) -> None:
        self.post_message(Decided(self.suggestions.reject(ids), "rejected"))
        self._send_list()

    @work(thread=True, group="decide", exit_on_error=False)
    def _undo(self, applied: Applied) -> None:
        self.post_message(Said(self.suggestions.undo(applied)))
        self._send_list()

    @work(thread=True, group="stop", exit_on_error=False)
    def _stop_job(self, name: str) -> None:
        self.services.jobs.stop(name)
        self.post_message(Said("it stops after this clip"))
        self._send_job()

    @work(thread=True, group="stop", exit_on_error=False)
    def _resume_job(self, name: str) -> None:
        from sao_tui.services import suggestions

        self.post_message(JobRead(suggestions.resume(self.services, name)))

    @work(thread=True, group="play", exclusive=True, exit_on_error=False)
    def _play(self, path: Path) -> None:
        playback, app = self.services.playback, cast("SaoApp", self.app)
        if path == app.playing and playback.is_playing():
            playback.stop()
            self.post_message(Said("stopped"))
            return
        handle = playback.play(path)
        if not get_current_worker().is_cancelled:
            app.playing = path
            self.post_message(Said(handle.message))

    def _wanted(self, min_confidence: float | None = None) -> SuggestionFilter:
        """Return which suggestions are shown: those for the selected clips."""
        from sao_tui.services.suggestions import SuggestionFilter, relpaths_of

        if not self._knows_relpaths:
            is_part = self.selection.is_marked or len(self.selection.ids) < self.services.clips.counts().num_clips
            self._relpaths = frozenset(relpaths_of(self.services, self.selection.ids)) if is_part else None
            self._knows_relpaths = True
        return SuggestionFilter(min_confidence=min_confidence, relpaths=self._relpaths)

    def _send_list(self) -> None:
        ids = self.suggestions.ids(self._wanted())
        self.post_message(SuggestionsRead(ids, self.suggestions.rows(ids[:PAGE_ROWS])))

    def _send_job(self) -> None:
        from sao_tui.services import suggestions

        self.post_message(JobRead(next(iter(suggestions.jobs(self.services)), None)))
