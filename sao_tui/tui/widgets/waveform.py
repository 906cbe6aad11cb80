"""A clip as braille, with a line below that shows where playback is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from rich.segment import Segment
from textual.geometry import Region
from textual.message import Message
from textual.strip import Strip
from textual.widget import Widget

from sao_tui.core.units import format_duration
from sao_tui.tui.text import fit
from sao_tui.tui.widgets.braille import BrailleGrid

_MIN_PEAK = 0.02
"""Quieter clips are drawn as they are, not blown up to the full height."""


class Waveform(Widget):
    """Smallest and largest sample of each dot column; the last line is the time."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {"waveform--wave", "waveform--time", "waveform--cursor"}
    DEFAULT_CSS = """
    Waveform {
        height: 6;
        .waveform--wave { color: $primary; }
        .waveform--time { color: $text-muted; }
        .waveform--cursor { color: $chart-smooth; text-style: bold; }
    }
    """

    class Resized(Message):
        """The width has changed: peaks for `num_columns` columns would fit now."""

        def __init__(self, waveform: Waveform, num_columns: int) -> None:
            super().__init__()
            self.waveform = waveform
            self.num_columns = num_columns

        @property
        def control(self) -> Waveform:
            """The widget, for `on` selectors."""
            return self.waveform

    def __init__(self, empty_text: str = "", *, id: str | None = None) -> None:
        """Show `empty_text` until there are peaks."""
        super().__init__(id=id)
        self._empty_text = empty_text
        self._peaks: Sequence[tuple[float, float]] = ()
        self._seconds = 0.0
        self._cursor_seconds: float | None = None
        self._grid = BrailleGrid(0, 0)

    @property
    def num_columns(self) -> int:
        """Dot columns that can be shown, which is how many peaks to ask for."""
        return self.size.width * 2

    def show(self, peaks: Sequence[tuple[float, float]], seconds: float) -> None:
        """Draw a clip's peaks, (smallest, largest) sample by column between -1 and 1."""
        self._peaks = peaks
        self._seconds = seconds
        self._cursor_seconds = None
        self._draw()

    def clear(self, text: str = "") -> None:
        """Show no clip but `text`."""
        self._empty_text = text
        self.show((), 0.0)

    def set_cursor(self, seconds: float | None) -> None:
        """Mark where playback is, None for nowhere; only the last line is drawn anew."""
        if seconds != self._cursor_seconds:
            self._cursor_seconds = seconds
            self.refresh(Region(0, self.size.height - 1, self.size.width, 1))

    def on_resize(self) -> None:
        """Draw at the new size and say how many peaks fit."""
        self._draw()
        self.post_message(self.Resized(self, self.num_columns))

    def render_line(self, y: int) -> Strip:
        """Return one line of the picture, or the line of the time."""
        width, height = self.size
        if not self._peaks:
            text = fit(self._empty_text, width) if y == height // 2 else " " * width
            return Strip([Segment(text, self.get_component_rich_style("waveform--time"))], width)
        if y < height - 1:
            if y >= self._grid.num_rows or width != self._grid.num_columns:
                # Laid out anew, and drawn at the new size in a moment.
                return Strip.blank(width)
            wave = self.get_component_rich_style("waveform--wave")
            return Strip(self._grid.segments(y, 0, width, wave, wave), width)
        return self._time_line(width)

    def _draw(self) -> None:
        width, num_rows = self.size.width, max(0, self.size.height - 1)
        self._grid = BrailleGrid(width, num_rows)
        if self._peaks and width and num_rows:
            num_dots = num_rows * 4
            loudest = max(max(abs(low), abs(high)) for low, high in self._peaks)
            factor = 1 / loudest if loudest > _MIN_PEAK else 1.0
            for x in range(width * 2):
                low, high = self._peaks[x * len(self._peaks) // (width * 2)]
                top, bottom = _dot(high * factor, num_dots), _dot(low * factor, num_dots)
                self._grid.bar(self._grid.back, x, min(top, bottom), max(top, bottom))
        self.refresh()

    def _time_line(self, width: int) -> Strip:
        """Return the time axis; while playing, a mark on it."""
        time_style = self.get_component_rich_style("waveform--time")
        total = format_duration(self._seconds)
        cursor = self._cursor_seconds
        if cursor is None or not self._seconds:
            return Strip([Segment(f"0 {total:>{max(0, width - 2)}}"[:width], time_style)], width)
        text = f" {format_duration(cursor)} / {total}"
        room = max(1, width - len(text))
        place = min(room - 1, int(room * cursor / self._seconds))
        return Strip(
            [
                Segment("━" * place + "●", self.get_component_rich_style("waveform--cursor")),
                Segment("─" * (room - place - 1) + text, time_style),
            ]
        ).adjust_cell_length(width)


def _dot(value: float, num_dots: int) -> int:
    """Return the dot row of a sample, 0 at the top."""
    return min(num_dots - 1, max(0, round((1 - value) / 2 * (num_dots - 1))))
