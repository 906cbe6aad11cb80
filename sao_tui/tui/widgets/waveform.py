"""A clip as braille, with a line below that shows where playback is."""

from __future__ import annotations

import math
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

_LABEL_CELLS = 9
"""Cells from one time on the axis to the next, at least."""


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
        self._start_seconds = self._seconds = 0.0
        self._cursor_seconds: float | None = None
        self._grid = BrailleGrid(0, 0)

    @property
    def num_columns(self) -> int:
        """Dot columns that can be shown, which is how many peaks to ask for."""
        return self.size.width * 2

    def show(self, peaks: Sequence[tuple[float, float]], seconds: float, start_seconds: float = 0.0) -> None:
        """Draw a clip's peaks, (smallest, largest) sample by column between -1 and 1.

        Args:
            seconds: Where they end; the length of the clip, or of the part of it that is shown.
            start_seconds: Where they begin.
        """
        self._peaks = peaks
        self._start_seconds, self._seconds = start_seconds, seconds
        self._cursor_seconds = None
        self._draw()

    def clear(self, text: str = "") -> None:
        """Show no clip but `text`."""
        self._empty_text = text
        self.show((), 0.0)

    def set_cursor(self, seconds: float | None) -> None:
        """Mark where playback is, None for nowhere; only cells of the last line that change are drawn anew."""
        before, self._cursor_seconds = self._cursor_seconds, seconds
        if seconds == before:
            return
        width, y = self.size.width, self.size.height - 1
        if seconds is None or before is None:
            self.refresh(Region(0, y, width, 1))
            return
        text = self._position_text(seconds)
        room = max(1, width - len(text))
        places = sorted((self._place(before, room), self._place(seconds, room)))
        self.refresh(Region(places[0], y, places[1] - places[0] + 1, 1), Region(room, y, width - room, 1))

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
        cursor = self._cursor_seconds
        if cursor is None or not self._seconds:
            return Strip([Segment(time_axis(self._start_seconds, self._seconds, width), time_style)], width)
        text = self._position_text(cursor)
        room = max(1, width - len(text))
        place = self._place(cursor, room)
        return Strip(
            [
                Segment("━" * place + "●", self.get_component_rich_style("waveform--cursor")),
                Segment("─" * (room - place - 1) + text, time_style),
            ]
        ).adjust_cell_length(width)

    def _position_text(self, cursor_seconds: float) -> str:
        """Return position and end in one width, so that the bar beside them stays as long as it is."""
        end = format_duration(self._seconds)
        return f" {format_duration(cursor_seconds):>{len(end)}} / {end}"

    def _place(self, cursor_seconds: float, room: int) -> int:
        """Return the cell of the bar at which a time is; at its ends for times that are not shown."""
        share = (cursor_seconds - self._start_seconds) / max(1e-9, self._seconds - self._start_seconds)
        return min(room - 1, max(0, int(room * share)))


def time_axis(start_seconds: float, end_seconds: float, width: int) -> str:
    """Return `width` cells of round times, each at its place, and the end."""
    span = end_seconds - start_seconds
    end = format_duration(end_seconds) if span >= 1 or end_seconds >= 60 else f"{end_seconds:.3f} s"
    if width <= len(end) or span <= 0:
        return f"{end:>{max(0, width)}}"[: max(0, width)]
    step = _round_step(span * _LABEL_CELLS / width)
    line = [" "] * width
    time = math.ceil(start_seconds / step - 1e-6) * step
    while time <= end_seconds:
        place = round(width * (time - start_seconds) / span)
        label = f"{time:.{max(0, -math.floor(math.log10(step)))}f}" if time else "0"
        if place + len(label) < width - len(end):
            line[place : place + len(label)] = label
        time += step
    return "".join(line)[: width - len(end)] + end


def _round_step(at_least: float) -> float:
    """Return the smallest of 1, 2 or 5 times a power of ten that is not below."""
    power: float = 10.0 ** math.floor(math.log10(at_least))
    return next(factor * power for factor in (1, 2, 5, 10) if factor * power >= at_least * 0.999)


def _dot(value: float, num_dots: int) -> int:
    """Return the dot row of a sample, 0 at the top."""
    return min(num_dots - 1, max(0, round((1 - value) / 2 * (num_dots - 1))))
