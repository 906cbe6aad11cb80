"""A spectrogram in half blocks, two bands to a cell; shades where the terminal has no colours for it."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from rich.color import Color
from rich.segment import Segment
from rich.style import Style
from textual.strip import Strip
from textual.widget import Widget

if TYPE_CHECKING:
    from textual.app import App

    from sao_tui.services.spectrogram import ClipPicture

Depth = Literal["true", "256", "shades"]
"""Colours that a spectrogram is drawn with."""

_ANCHORS = ((0, 0, 8), (40, 12, 84), (120, 28, 109), (203, 70, 68), (249, 150, 40), (252, 244, 180))
"""Colours from quiet to loud, evenly spaced; each is brighter than the one before, so that shades of it read alike."""

_FROM_256 = (
    (0, 0, 0),
    (0, 0, 95),
    (0, 0, 135),
    (95, 0, 135),
    (95, 0, 175),
    (135, 0, 135),
    (135, 0, 95),
    (175, 0, 95),
    (215, 0, 95),
    (215, 95, 95),
    (255, 95, 0),
    (255, 135, 0),
    (255, 175, 0),
    (255, 215, 0),
    (255, 255, 95),
    (255, 255, 215),
)
"""Sixteen colours that the palette of 256 has exactly: fewer, longer runs and so fewer bytes."""

_SHADES = " ░▒▓█"
_UPPER_HALF = "▀"
_NUM_TRUE = 24
_MAX_LEVEL = 31


class Spectrogram(Widget):
    """Draws the mel spectrogram of a ClipPicture that was made for this widget's size."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {"spectrogram--shades"}
    DEFAULT_CSS = """
    Spectrogram {
        height: 4;
        .spectrogram--shades { color: $primary; }
    }
    """

    def __init__(self, depth: Depth | None = None, *, id: str | None = None) -> None:
        """Draw with the colours that the terminal has, unless `depth` says which."""
        super().__init__(id=id)
        self._depth = depth
        self._picture: ClipPicture | None = None
        self._strips: dict[int, Strip] = {}

    @property
    def num_bands(self) -> int:
        """Mel bands that can be shown, which is how many to ask for."""
        return self.size.height * 2

    def show(self, picture: ClipPicture | None) -> None:
        """Draw a picture; nothing for None."""
        self._picture = picture
        self._strips.clear()
        self.refresh()

    def on_resize(self) -> None:
        """Forget the lines of another size."""
        self._strips.clear()

    def render_line(self, y: int) -> Strip:
        """Return one line, which holds two bands."""
        width = self.size.width
        picture = self._picture
        if picture is None or picture.num_columns != width or 2 * y + 1 >= picture.num_rows:
            # Laid out anew; the picture of this size is on its way.
            return Strip.blank(width, self.rich_style)
        strip = self._strips.get(y)
        if strip is None:
            upper = picture.mel[2 * y * width : (2 * y + 1) * width]
            lower = picture.mel[(2 * y + 1) * width : (2 * y + 2) * width]
            strip = self._strips[y] = Strip(self._segments(upper, lower), width)
        return strip

    def _segments(self, upper: bytes, lower: bytes) -> list[Segment]:
        depth = self._depth or colour_depth(self.app)
        if depth == "shades":
            style = self.get_component_rich_style("spectrogram--shades")
            return [Segment("".join(_shade(max(pair)) for pair in zip(upper, lower, strict=True)), style)]
        colours = _PALETTES[depth]
        last = len(colours) - 1
        pairs = ((high * last // _MAX_LEVEL, low * last // _MAX_LEVEL) for high, low in zip(upper, lower, strict=True))
        segments = []
        for (high, low), run in groupby(pairs):
            num_cells = len(list(run))
            if high == low:
                segments.append(Segment(" " * num_cells, Style(bgcolor=colours[high])))
            else:
                segments.append(Segment(_UPPER_HALF * num_cells, Style(color=colours[high], bgcolor=colours[low])))
        return segments


def colour_depth(app: App[Any]) -> Depth:
    """Return the colours that the terminal of an app can show."""
    system = app.console.color_system
    if app.no_color or system not in ("truecolor", "256"):
        return "shades"
    return "true" if system == "truecolor" else "256"


def _shade(level: int) -> str:
    return _SHADES[level * (len(_SHADES) - 1) // _MAX_LEVEL]


def _gradient(num_colours: int) -> Sequence[Color]:
    colours = []
    for at in range(num_colours):
        place = at * (len(_ANCHORS) - 1) / (num_colours - 1)
        index = min(int(place), len(_ANCHORS) - 2)
        before, after, share = _ANCHORS[index], _ANCHORS[index + 1], place - index
        mixed = (round(low + (high - low) * share) for low, high in zip(before, after, strict=True))
        colours.append(Color.from_rgb(*mixed))
    return colours


_PALETTES: dict[str, Sequence[Color]] = {
    "true": _gradient(_NUM_TRUE),
    "256": [Color.from_rgb(*rgb) for rgb in _FROM_256],
}
