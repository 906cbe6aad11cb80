"""Where a value lies on a chart's axis, and which values its labels name."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from sao_tui.services.series import Band

_OUTLIER_SHARE = 0.02
_MIN_USED_SHARE = 0.4
_OVERSHOOT_SHARE = 0.03
"""So far beyond an end a value may lie, drawn on the edge, before the whole chart is drawn anew."""


@dataclass(frozen=True)
class Scale:
    """A vertical axis from `low` at the bottom to `high` at the top; in powers of ten when `is_log`."""

    low: float
    high: float
    tick: float
    """Distance between two labels; the ends may lie between them."""
    is_log: bool = False

    def place(self, value: float, num_dots: int) -> int:
        """Return the dot row of a value, 0 at the top; values beyond the axis lie on its edge."""
        share = (self.high - _on_axis(value, self.is_log)) / (self.high - self.low)
        return min(num_dots - 1, max(0, round(share * (num_dots - 1))))

    def labels(self) -> list[tuple[float, str]]:
        """Return the values that get a label: both ends, and the round ones between."""
        first = math.ceil(self.low / self.tick + 0.4)
        last = math.floor(self.high / self.tick - 0.4)
        places = [self.low, self.high, *(self.tick * number for number in range(first, last + 1))]
        values = [10**place if self.is_log else place for place in places]
        return [(value, f"{0.0 if abs(value) < self.tick / 1000 else value:.3g}") for value in values]

    def suits(self, low: float, high: float) -> bool:
        """Return whether an axis is fine as it is for values from low to high: hardly cut, not mostly empty."""
        low, high = _on_axis(low, self.is_log), _on_axis(high, self.is_log)
        span = self.high - self.low
        is_inside = self.low - low <= _OVERSHOOT_SHARE * span and high - self.high <= _OVERSHOOT_SHARE * span
        return is_inside and high - low >= _MIN_USED_SHARE * span


def fit_scale(low: float, high: float, num_ticks: int, *, is_log: bool) -> Scale:
    """Return an axis with round labels that holds low to high."""
    low, high = _on_axis(low, is_log), _on_axis(high, is_log)
    if high - low < 1e-9 * max(1.0, abs(high)):
        margin = abs(high) * 0.1 or 1.0
        low, high = low - margin, high + margin
    tick = _round_tick((high - low) / max(1, num_ticks))
    # Ends between two labels waste less of a low chart, and are rare enough to stand still most of the time.
    part = tick / 4
    return Scale(math.floor(low / part) * part, math.ceil(high / part) * part, tick, is_log)


def typical_range(raw: Sequence[Band | None], smoothed: Sequence[Band | None]) -> tuple[float, float] | None:
    """Return the range that the axis must show: all of the smoothed curve, the raw one but for a few outliers."""
    lows = sorted(band[0] for band in raw if band)
    highs = sorted(band[1] for band in raw if band)
    if not lows:
        return None
    skipped = int(len(lows) * _OUTLIER_SHARE)
    low = min([lows[skipped], *(band[0] for band in smoothed if band)])
    high = max([highs[-1 - skipped], *(band[1] for band in smoothed if band)])
    return low, high


def _on_axis(value: float, is_log: bool) -> float:
    """Return a value's place; zero and below have none in powers of ten and go to the far bottom."""
    if not is_log:
        return value
    return math.log10(value) if value > 1e-12 else -12.0


def _round_tick(distance: float) -> float:
    """Return the next 1, 2 or 5 times a power of ten."""
    power = 10.0 ** math.floor(math.log10(distance))
    return next(factor * power for factor in (1, 2, 5, 10) if factor * power >= distance * 0.999)
