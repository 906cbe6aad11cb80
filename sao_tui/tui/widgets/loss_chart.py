"""The live loss chart: braille, in bins of steps that double in width, so that a new point changes a cell or two."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, cast

from rich.segment import Segment
from rich.style import Style
from textual.app import ComposeResult
from textual.geometry import Region
from textual.strip import Strip
from textual.widget import Widget

from sao_tui.services.series import Band, Curve
from sao_tui.tui.widgets.braille import BrailleGrid, changed_spans
from sao_tui.tui.widgets.chart_scale import Scale, fit_scale, typical_range

_LABEL_WIDTH = 8
_NUM_TILES = 6
_ROWS_PER_TICK = 4
_FILLED_FROM_LEVEL = 3
"""Bins of fewer steps show their extremes as dots: a bar for every other point would be most of what is sent."""


@dataclass(frozen=True)
class _Window:
    """Which steps the chart shows: `num_columns` dot columns of 2**level steps each."""

    start: int
    """Steps after the series' first one."""
    level: int
    num_columns: int

    @property
    def num_steps(self) -> int:
        return self.num_columns << self.level

    def column(self, index: int) -> int:
        """Return the dot column of a step, counted from the series' first one."""
        return (index - self.start) >> self.level


class _Part(Widget):
    """A piece of the chart that the chart itself draws, line by line."""

    def __init__(self, draw_line: Callable[[_Part, int], Strip]) -> None:
        super().__init__()
        self._draw_line = draw_line

    def render_line(self, y: int) -> Strip:
        """Return one line."""
        return self._draw_line(self, y)


class _Values(_Part):
    """Labels of the vertical axis."""


class _Steps(_Part):
    """Labels of the horizontal axis."""


class _Tile(_Part):
    """Some columns of the picture.

    Textual sends a changed line from the left edge of its widget on: narrow widgets keep that short.
    """

    first_column = 0


class LossChart(Widget):
    """Raw values as the band between their extremes, the smoothed ones as a line in front."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {"loss-chart--raw", "loss-chart--smoothed", "loss-chart--axis"}
    DEFAULT_CSS = """
    LossChart {
        layout: horizontal;
        height: 1fr;
        min-height: 4;
        _Values { width: 8; height: 1fr; }
        _Tile { width: 1fr; height: 1fr; margin-bottom: 1; }
        _Steps { dock: bottom; width: 1fr; height: 1; }
        .loss-chart--raw { color: $chart-raw; }
        .loss-chart--smoothed { color: $chart-smooth; }
        .loss-chart--axis { color: $foreground-muted; }
    }
    """

    def __init__(self, *, empty_text: str = "nothing to draw yet", id: str | None = None) -> None:
        """Draw nothing but `empty_text` until there is a curve."""
        super().__init__(id=id)
        self.empty_text = empty_text
        self.is_log = False
        self.zoom = 0
        """How often the shown span of steps is halved."""
        self._tiles = [_Tile(self._tile_line) for _ in range(_NUM_TILES)]
        self._curve = Curve()
        self._grid = BrailleGrid(0, 0)
        self._window = _Window(0, 0, 0)
        self._scale: Scale | None = None
        self._raw: list[Band | None] = []
        self._smoothed: list[Band | None] = []
        self._drawn_column = 0

    def compose(self) -> ComposeResult:
        """Put the tiles between the axes."""
        yield _Steps(self._step_line)
        yield _Values(self._value_line)
        yield from self._tiles

    def show(self, curve: Curve) -> None:
        """Draw another curve, which may go on growing."""
        self._curve = curve
        self._scale = None
        self.redraw()

    def toggle_log(self) -> None:
        """Switch between a linear and a logarithmic axis."""
        self.is_log = not self.is_log
        self._scale = None
        self.redraw()

    def set_zoom(self, zoom: int) -> None:
        """Show the newest 1/2**zoom of the run."""
        self.zoom = max(0, min(zoom, self._full_level()))
        self._scale = None
        self.redraw()

    def points_added(self) -> None:
        """Draw what the curve has gained since the last call, touching only cells that change."""
        window = self._fit_window()
        if window != self._window or not self._raw:
            self.redraw()
            return
        first = max(0, self._drawn_column - 1)
        self._read_bands(first)
        if not self._scale_suits():
            self.redraw()
            return
        before_first, last = first >> 1, max(0, min(window.num_columns - 1, self._last_column())) >> 1
        before = self._grid.columns(before_first, last)
        self._draw(before_first << 1)
        for row, left, right in changed_spans(before, self._grid.columns(before_first, last)):
            self._refresh_cells(row, before_first + left, before_first + right)

    def _refresh_cells(self, row: int, first: int, last: int) -> None:
        """Draw anew the cells first to last, both included, of one line."""
        for tile in self._tiles:
            left = max(0, first - tile.first_column)
            right = min(tile.size.width - 1, last - tile.first_column)
            if left <= right:
                tile.refresh(Region(left, row, right + 1 - left, 1))

    def redraw(self) -> None:
        """Draw everything anew."""
        num_columns, num_rows = 0, self._tiles[0].size.height
        for tile in self._tiles:
            tile.first_column = num_columns
            num_columns += tile.size.width
        if num_columns < 4 or num_rows < 2:
            return
        self._grid = BrailleGrid(num_columns, num_rows)
        self._window = self._fit_window()
        self._raw, self._smoothed = [], []
        if self._curve.raw.num_points:
            self._read_bands(0)
            if not self._scale_suits():
                self._fit_scale()
            self._draw(0)
        for part in self.query(_Part):
            part.refresh()

    def on_resize(self) -> None:
        """Fit the bins to the new width."""
        self._scale = None
        self.redraw()

    def _tile_line(self, part: _Part, y: int) -> Strip:
        """Return one line of one tile."""
        width, first = part.size.width, cast(_Tile, part).first_column
        if self._is_empty:
            # Without room for one row the tiles have no places of their own: each would draw the same piece.
            is_middle = y == self._grid.num_rows // 2 < self._grid.num_rows
            text = f"{self.empty_text:^{self._grid.num_columns}}" if is_middle else ""
            return Strip([Segment(f"{text[first : first + width]:<{width}}", self._style("axis"))], width)
        if y >= self._grid.num_rows or first + width > self._grid.num_columns:
            # Laid out anew, and drawn at the new size in a moment.
            return Strip.blank(width)
        return Strip(self._grid.segments(y, first, width, self._style("raw"), self._style("smoothed")), width)

    def _value_line(self, part: _Part, y: int) -> Strip:
        """Return one line left of the picture."""
        text = " " * _LABEL_WIDTH if self._is_empty else self._label(y)
        return Strip([Segment(text, self._style("axis"))], _LABEL_WIDTH)

    def _step_line(self, part: _Part, y: int) -> Strip:
        """Return the line below the picture."""
        width = part.size.width
        text = " " * width if self._is_empty else self._step_labels(width)
        return Strip([Segment(text, self._style("axis"))], width)

    @property
    def _is_empty(self) -> bool:
        return self._scale is None or not self._curve.raw.num_points

    def _style(self, part: str) -> Style:
        return self.get_component_rich_style(f"loss-chart--{part}")

    def _full_level(self) -> int:
        """Return how many times bins must double for the whole run to fit."""
        num_columns = max(1, self._grid.num_columns * 2)
        return max(0, (self._curve.raw.num_steps - 1) // num_columns).bit_length()

    def _fit_window(self) -> _Window:
        """Return the span to show; a zoomed one moves by halves, so that it stands still for most points."""
        num_columns = self._grid.num_columns * 2
        level = max(0, self._full_level() - self.zoom)
        half = (num_columns << level) // 2
        num_steps = self._curve.raw.num_steps
        start = 0
        if half and num_steps > 2 * half:
            # A whole number of bins, which keeps each column one bin of the series.
            half = half >> level << level
            start = -(-(num_steps - 2 * half) // half) * half
        return _Window(start, level, num_columns)

    def _last_column(self) -> int:
        return self._window.column(max(0, self._curve.raw.num_steps - 1))

    def _read_bands(self, first: int) -> None:
        """Take the extremes of dot column `first` and all after it from the series."""
        window, raw = self._window, self._curve.raw
        last = min(window.num_columns - 1, self._last_column())
        low = raw.first_step + window.start
        for bands, series in ((self._raw, raw), (self._smoothed, self._curve.smoothed)):
            bands[first:] = series.view(
                low + (first << window.level), low + ((last + 1) << window.level), last + 1 - first
            )
        self._drawn_column = last

    def _scale_suits(self) -> bool:
        needed = typical_range(self._raw, self._smoothed)
        return self._scale is not None and needed is not None and self._scale.suits(*needed)

    def _fit_scale(self) -> None:
        needed = typical_range(self._raw, self._smoothed)
        if needed is not None:
            self._scale = fit_scale(*needed, self._grid.num_rows // _ROWS_PER_TICK, is_log=self.is_log)

    def _draw(self, first: int) -> None:
        """Draw dot column `first`, which begins a cell, and all after it."""
        grid, scale = self._grid, self._scale
        last = len(self._raw) - 1
        if scale is None or last < first:
            return
        num_dots = grid.num_rows * 4
        grid.clear_columns(first >> 1, last >> 1)
        is_filled = self._window.level >= _FILLED_FROM_LEVEL
        for x in range(first, last + 1):
            if band := self._raw[x]:
                top, bottom = scale.place(band[1], num_dots), scale.place(band[0], num_dots)
                grid.bar(grid.back, x, top, bottom if is_filled else top)
                grid.bar(grid.back, x, bottom, bottom)
        self._draw_line(first, last, num_dots)

    def _draw_line(self, first: int, last: int, num_dots: int) -> None:
        """Draw the smoothed curve, joined to what lies before and across columns without a point."""
        grid, scale = self._grid, self._scale
        if scale is None:
            return
        before = next((x for x in range(first - 1, -1, -1) if self._smoothed[x]), None)
        previous: tuple[int, int] | None = None
        if before is not None and (band := self._smoothed[before]):
            previous = (before, scale.place((band[0] + band[1]) / 2, num_dots))
        for x in range(first, last + 1):
            if not (band := self._smoothed[x]):
                continue
            here = scale.place((band[0] + band[1]) / 2, num_dots)
            start, level = previous or (x - 1, here)
            for column in range(max(first, start + 1), x + 1):
                y = level + round((here - level) * (column - start) / (x - start))
                y_before = level + round((here - level) * (column - 1 - start) / (x - start))
                # Joined, but without touching the dot that the column before has already.
                joined = y_before + (y > y_before) - (y < y_before)
                grid.bar(grid.front, column, min(y, joined), max(y, joined))
            previous = (x, here)

    def _label(self, row: int) -> str:
        """Return the value label of a line, or blanks."""
        scale = self._scale
        if scale is not None:
            for value, text in scale.labels():
                if scale.place(value, self._grid.num_rows * 4) >> 2 == row:
                    return f"{text:>{_LABEL_WIDTH - 2}} ┤"
        return " " * (_LABEL_WIDTH - 2) + " │"

    def _step_labels(self, width: int) -> str:
        """Return the line of step numbers below the picture."""
        window = self._window
        first_step = self._curve.raw.first_step + window.start
        line = [" "] * width
        num_labels = max(2, min(5, self._grid.num_columns // 16))
        for index in range(num_labels):
            cell = index * (self._grid.num_columns - 1) // (num_labels - 1)
            text = f"{first_step + ((cell * 2) << window.level):,}"
            start = min(width - len(text), max(_LABEL_WIDTH, _LABEL_WIDTH + cell - len(text) // 2))
            line[start : start + len(text)] = text
        return "".join(line)
