"""The detail pane of the dataset screen: brought once the cursor rests, zoomed and panned by keys, played along."""

from __future__ import annotations

from typing import ClassVar

from textual import on, work
from textual.binding import Binding, BindingType
from textual.timer import Timer
from textual.worker import Worker

from sao_tui.core.errors import SaoError
from sao_tui.tui.messages import PlaybackChanged
from sao_tui.tui.screens.dataset_analysis import DatasetAnalysis
from sao_tui.tui.screens.dataset_messages import AnalysisProgressed, FactsRead, PlaybackMoved, TempoMeasured
from sao_tui.tui.widgets.clip_detail import ClipDetail

POSITION_SECONDS = 0.5
"""Between two drawings of the play cursor: each goes over the wire."""


class DatasetDetail(DatasetAnalysis):
    """At most one reading is under way and one waits: a key held down skips clips, it never queues them."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("z", "zoom(1)", "Zoom", id="dataset.zoom-in", tooltip="Show half of the picture, larger", show=False),
        Binding("Z", "zoom(-1)", "Zoom out", id="dataset.zoom-out", tooltip="Show more of the clip", show=False),
        Binding("left", "pan(-1)", "Earlier", id="dataset.pan-left", tooltip="Show an earlier part", show=False),
        Binding("right", "pan(1)", "Later", id="dataset.pan-right", tooltip="Show a later part", show=False),
        Binding("w", "pictures", "Picture", id="dataset.picture", tooltip="Waveform, spectrogram or both", show=False),
        Binding("y", "tempo", "Tempo", id="dataset.tempo", tooltip="Measure tempo and key of this clip", show=False),
    ]

    _reading_facts: Worker[None] | None = None
    _facts_wanted = False
    _measuring_tempo: Worker[None] | None = None
    _position_timer: Timer | None = None
    _asking_position: Worker[None] | None = None

    @on(ClipDetail.PictureWanted)
    def bring_facts(self) -> None:
        """Read what there is to say about the clip that the detail pane shows, unless the last reading goes on."""
        detail = self.query_one(ClipDetail)
        if detail.row is None or not detail.num_columns:
            return
        self._facts_wanted = self._reading_facts is not None and not self._reading_facts.is_finished
        if not self._facts_wanted:
            self._reading_facts = self._read_facts(
                detail.row.relpath, detail.num_columns, detail.num_bands, detail.view.span
            )

    @work(thread=True, group="facts", exit_on_error=False)
    def _read_facts(self, relpath: str, columns: int, bands: int, span: tuple[float, float] | None) -> None:
        try:
            self.post_message(FactsRead(self.services.detail(relpath, columns, bands, span), span))
        except SaoError:
            # The clip has gone meanwhile; the table says so.
            self.post_message(FactsRead(None, span))

    @on(FactsRead)
    def _show_facts(self, message: FactsRead) -> None:
        detail = self.query_one(ClipDetail)
        if message.facts is not None and message.span == detail.view.span:
            detail.show_facts(message.facts)
        if self._reading_facts is not None:
            # It has nothing more to do, but may not have left its thread yet.
            self._reading_facts = None
        if self._facts_wanted:
            self.bring_facts()

    @on(AnalysisProgressed)
    def _look_for_analysis(self) -> None:
        """Show the measurements of the clip under the cursor as soon as there are any."""
        detail = self.query_one(ClipDetail)
        if self.is_on_top and detail.row is not None and not detail.row.error and not detail.is_measured:
            self.bring_facts()

    # Playing along.

    @on(PlaybackChanged)
    def _follow_playback(self, message: PlaybackChanged) -> None:
        if self._position_timer is not None:
            self._position_timer.stop()
            self._position_timer = None
        if message.path is not None and message.is_audible:
            self._position_timer = self.set_interval(POSITION_SECONDS, self._ask_position)
            self._ask_position()
        else:
            self.query_one(ClipDetail).set_cursor(None)

    def _ask_position(self) -> None:
        if self._asking_position is None or self._asking_position.is_finished:
            self._asking_position = self._read_position()

    @work(thread=True, group="position", exit_on_error=False)
    def _read_position(self) -> None:
        self.post_message(PlaybackMoved(self.services.playback.position_seconds()))

    @on(PlaybackMoved)
    def _move_play_cursor(self, message: PlaybackMoved) -> None:
        detail, playing = self.query_one(ClipDetail), self.sao.playing
        row = detail.row
        is_shown = row is not None and playing == self.services.workspace.dataset_folder / row.relpath
        detail.set_cursor(message.seconds if is_shown else None)
        if message.seconds is None and self._position_timer is not None:
            self._position_timer.stop()
            self._position_timer = None

    # What the keys do.

    def action_zoom(self, direction: int) -> None:
        """Show half (1) or twice (-1) as much of the clip."""
        self.query_one(ClipDetail).zoom(direction)

    def action_pan(self, direction: int) -> None:
        """Show an earlier (-1) or later (1) part of the clip."""
        self.query_one(ClipDetail).pan(direction)

    def action_pictures(self) -> None:
        """Show both pictures, only the waveform, or only the spectrogram."""
        self.query_one(ClipDetail).toggle_pictures()

    def action_tempo(self) -> None:
        """Measure tempo and key of the clip under the cursor."""
        row = self.query_one(ClipDetail).row
        if row is None or row.error:
            return
        if self._measuring_tempo is not None and not self._measuring_tempo.is_finished:
            self.note("one moment: tempo and key of another clip are being measured")
            return
        self.note("measuring tempo and key…")
        self._measuring_tempo = self._measure_tempo(row.relpath)

    @work(thread=True, group="tempo", exit_on_error=False)
    def _measure_tempo(self, relpath: str) -> None:
        self.post_message(TempoMeasured(relpath, self.services.measure_tempo(relpath).in_words()))

    @on(TempoMeasured)
    def _show_tempo(self, message: TempoMeasured) -> None:
        self.note(message.text)
        self.bring_facts()
