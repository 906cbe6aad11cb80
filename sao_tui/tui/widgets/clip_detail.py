"""The clip under the cursor: what it is, what the model reads, what it looks like."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content
from textual.widgets import Static

from sao_tui.core.units import format_bytes
from sao_tui.tui.text import one_line
from sao_tui.tui.widgets.caption_editor import CaptionEditor
from sao_tui.tui.widgets.waveform import Waveform

if TYPE_CHECKING:
    from sao_tui.services.clips import ClipRow


class ClipDetail(Vertical):
    """Facts, caption and waveform of one clip."""

    DEFAULT_CSS = """
    ClipDetail {
        #facts { height: 2; text-wrap: nowrap; text-overflow: ellipsis; }
        #waveform { height: 3; }
    }
    """

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.row: ClipRow | None = None
        self._has_peaks = False

    def compose(self) -> ComposeResult:
        """Facts above the caption above the waveform."""
        yield Static(id="facts")
        yield CaptionEditor(id="editor")
        yield Waveform(id="waveform")

    def show(self, row: ClipRow | None) -> bool:
        """Show a clip and return whether it is another one than before."""
        changed = (row and row.relpath) != (self.row and self.row.relpath)
        self.row = row
        self.query_one("#facts", Static).update(_facts(row), layout=False)
        self.query_one(CaptionEditor).show(row.relpath if row else "", row.caption if row else "")
        if changed and self._has_peaks:
            self.show_peaks([])
        return changed

    def show_peaks(self, peaks: list[tuple[float, float]]) -> None:
        """Show the waveform; empty for none."""
        self._has_peaks = bool(peaks)
        self.query_one(Waveform).show(peaks, self.row.seconds if self.row else 0.0)

    @property
    def num_columns(self) -> int:
        """How many peaks a waveform has here."""
        return self.query_one(Waveform).num_columns


def _facts(row: ClipRow | None) -> Content:
    if row is None:
        return Content("")
    name = Content.styled(one_line(row.relpath), "bold")
    if row.error:
        return Content.assemble(name, "\n", (one_line(row.error), "$text-error"))
    channels = {1: "mono", 2: "stereo"}.get(row.num_channels, f"{row.num_channels} channels")
    facts = f"{row.seconds:.2f} s · {row.sample_rate_hz} Hz · {channels} · {format_bytes(row.num_bytes)}"
    return Content.assemble(name, "\n", (facts, "$text-muted"))
