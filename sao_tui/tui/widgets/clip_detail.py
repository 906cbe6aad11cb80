"""The clip under the cursor: what it is, what the model reads, what it looks like."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.app import ComposeResult
from textual.containers import Container, Vertical
from textual.message import Message
from textual.widgets import Static

from sao_tui.tui.widgets.caption_editor import CaptionEditor
from sao_tui.tui.widgets.clip_facts_text import facts_text
from sao_tui.tui.widgets.clip_view import ClipView
from sao_tui.tui.widgets.spectrogram import Spectrogram
from sao_tui.tui.widgets.waveform import Waveform

if TYPE_CHECKING:
    from sao_tui.services.clip_facts import ClipFacts
    from sao_tui.services.clips import ClipRow
    from sao_tui.services.spectrogram import ClipPicture


class ClipDetail(Vertical):
    """Facts, pictures and caption of one clip.

    `show` draws at once what the table's row says. `show_facts` adds what a thread worker has brought from
    `services.detail(row.relpath, detail.num_columns, detail.num_bands, detail.view.span)`. PictureWanted asks for
    that when the size or the part that is shown has changed.
    """

    DEFAULT_CSS = """
    ClipDetail {
        #about { height: 1fr; }
        #facts { text-wrap: nowrap; text-overflow: ellipsis; }
        #spectrogram { height: 1fr; }
        #waveform { height: 1fr; min-height: 1; }
        &.-only-spectrogram #waveform { height: 1; }
        &.-only-waveform #spectrogram { display: none; }
    }
    """

    class PictureWanted(Message):
        """What is drawn does not fit any more."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.row: ClipRow | None = None
        self.view = ClipView()
        self._facts: ClipFacts | None = None
        self._picture: ClipPicture | None = None
        self._cursor_seconds: float | None = None

    def compose(self) -> ComposeResult:
        """Facts and pictures above the caption."""
        with Container(id="about"):
            yield Static(id="facts")
            with Vertical(id="pictures"):
                yield Spectrogram(id="spectrogram")
                yield Waveform(id="waveform")
        yield CaptionEditor(id="editor")

    def show(self, row: ClipRow | None) -> bool:
        """Show a clip and return whether it is another one than before."""
        changed = (row and row.relpath) != (self.row and self.row.relpath)
        self.row = row
        if changed:
            self._facts = None
            self.view = self.view.of_clip(row.seconds if row is not None else 0.0)
            self._draw(None)
        self._say()
        self.query_one(CaptionEditor).show(row.relpath if row else "", row.caption if row else "")
        return changed

    def show_facts(self, facts: ClipFacts) -> None:
        """Show what has been found out about the clip; facts of another clip are passed over."""
        if self.row is None or facts.row.relpath != self.row.relpath:
            return
        if facts != self._facts:
            self._facts = facts
            self._say()
        if facts.picture is not None and facts.picture != self._picture:
            self._draw(facts.picture)

    @property
    def is_measured(self) -> bool:
        """Whether the analysis of the clip is shown; it may be on its way."""
        return self._facts is not None and self._facts.analysis is not None

    @property
    def num_columns(self) -> int:
        """Cells that a picture has here in width."""
        return self.query_one(Waveform).size.width

    @property
    def num_bands(self) -> int:
        """Mel bands that a spectrogram has here; 0 when only the waveform is shown."""
        return 0 if self.view.mode == "waveform" else self.query_one(Spectrogram).num_bands

    def zoom(self, direction: int) -> None:
        """Show half (1) or twice (-1) as much of the clip, around the play cursor."""
        self._change_view(self.view.zoomed(direction, self._cursor_seconds))

    def pan(self, direction: int) -> None:
        """Show an earlier (-1) or later (1) part of the clip."""
        self._change_view(self.view.panned(direction))

    def toggle_pictures(self) -> None:
        """Show both pictures, only the waveform, or only the spectrogram."""
        self.view = self.view.toggled()
        for mode in ("waveform", "spectrogram"):
            self.set_class(self.view.mode == mode, f"-only-{mode}")
        # Laid out anew first: the size decides what is asked for.
        self.call_after_refresh(self.post_message, self.PictureWanted())

    def set_cursor(self, seconds: float | None) -> None:
        """Mark where playback of the clip is, None for nowhere."""
        self._cursor_seconds = seconds
        self.query_one(Waveform).set_cursor(seconds)

    def on_waveform_resized(self, message: Waveform.Resized) -> None:
        """Ask for a picture of the new size."""
        message.stop()
        self.post_message(self.PictureWanted())

    def _change_view(self, view: ClipView) -> None:
        if view != self.view:
            self.view = view
            self.post_message(self.PictureWanted())

    def _say(self) -> None:
        self.query_one("#facts", Static).update(facts_text(self.row, self._facts), layout=False)

    def _draw(self, picture: ClipPicture | None) -> None:
        if picture is None and self._picture is None:
            return
        self._picture = picture
        waveform = self.query_one(Waveform)
        if picture is None:
            waveform.show([], 0.0)
        else:
            waveform.show(picture.peaks, picture.end_seconds, picture.start_seconds)
            waveform.set_cursor(self._cursor_seconds)
        self.query_one(Spectrogram).show(picture)
