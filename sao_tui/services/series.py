"""A curve of any length that can be drawn at once: minima and maxima in bins that double in width.

Level 0 holds one bin a step, level k one bin per 2**k steps. Any view takes its columns from the level
that fits, so drawing costs the same for a thousand points as for a million.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Iterable, Iterator
from itertools import chain, pairwise, repeat

Band = tuple[float, float]
"""Smallest and largest value of one column."""

_EMPTY_LOW = math.inf
_EMPTY_HIGH = -math.inf


class Series:
    """Values by step, with the smallest and largest of every span at hand."""

    def __init__(self) -> None:
        self._lows = [array("f")]
        self._highs = [array("f")]
        self.first_step = 0
        """Step of the first bin of every level."""
        self.num_points = 0
        self.num_not_finite = 0
        """Points that were NaN or infinite and are in no bin."""

    @property
    def num_steps(self) -> int:
        """Steps between the first and the last one, both included."""
        return len(self._lows[0])

    @property
    def last_step(self) -> int:
        """The largest step seen; one less than the first while there is none."""
        return self.first_step + self.num_steps - 1

    def append(self, step: int, value: float) -> None:
        """Add one point; a step that was seen before keeps both values in its bin."""
        if not math.isfinite(value):
            self.num_not_finite += 1
            return
        if not self.num_points:
            self.first_step = step
        elif step < self.first_step:
            self._begin_at(step)
        self.num_points += 1
        self._widen(step - self.first_step, value)

    def extend(self, points: Iterable[tuple[int, float]]) -> None:
        """Add many points at once; cheaper than one by one only for a series that is still empty."""
        if self.num_points:
            for step, value in points:
                self.append(step, value)
            return
        kept = list(self._finite(points))
        if not kept:
            return
        self.first_step = min(step for step, _ in kept)
        self.num_points = len(kept)
        length = max(step for step, _ in kept) - self.first_step + 1
        lows, highs = array("f", repeat(_EMPTY_LOW, length)), array("f", repeat(_EMPTY_HIGH, length))
        for step, value in kept:
            index = step - self.first_step
            if value < lows[index]:
                lows[index] = value
            if value > highs[index]:
                highs[index] = value
        self._build(lows, highs)

    def view(self, low_step: int, high_step: int, columns: int) -> list[Band | None]:
        """Return the extremes of `columns` equal parts of `low_step <= step < high_step`; None where nothing is.

        Exact where a part is 2**k steps wide and begins a multiple of that after the first step;
        otherwise a column may also show a neighbouring step.
        """
        start, span = low_step - self.first_step, high_step - low_step
        if columns < 1 or span < 1:
            return []
        level = min(max(0, (span // columns).bit_length() - 1), len(self._lows) - 1)
        edges = [start + span * column // columns for column in range(columns + 1)]
        return [self._band(level, left, max(left + 1, right)) for left, right in pairwise(edges)]

    def _band(self, level: int, left: int, right: int) -> Band | None:
        """Return the extremes of the bins that hold the indices left to right - 1."""
        if right <= 0:
            return None
        bins = slice(max(0, left) >> level, ((right - 1) >> level) + 1)
        low = min(self._lows[level][bins], default=_EMPTY_LOW)
        return None if low == _EMPTY_LOW else (low, max(self._highs[level][bins]))

    def _widen(self, index: int, value: float) -> None:
        """Let the bins of every level hold `value`."""
        level = 0
        while True:
            lows, highs = self._lows[level], self._highs[level]
            position = index >> level
            if (missing := position + 1 - len(lows)) > 0:
                lows.extend(repeat(_EMPTY_LOW, missing))
                highs.extend(repeat(_EMPTY_HIGH, missing))
            elif lows[position] <= value <= highs[position]:
                # So do the bins above, which hold this one.
                return
            lows[position] = min(lows[position], value)
            highs[position] = max(highs[position], value)
            if len(lows) == 1:
                return
            level += 1
            if level == len(self._lows):
                self._add_level()

    def _add_level(self) -> None:
        """Append the level above the last one."""
        lows, highs = _halved(self._lows[-1], self._highs[-1])
        self._lows.append(lows)
        self._highs.append(highs)

    def _build(self, lows: array[float], highs: array[float]) -> None:
        """Make `lows` and `highs` the bottom, and every level above from it."""
        self._lows, self._highs = [lows], [highs]
        while len(self._lows[-1]) > 1:
            self._add_level()

    def _begin_at(self, step: int) -> None:
        """Make room in front: a restarted run may report steps before the first one seen."""
        missing = self.first_step - step
        self._build(
            array("f", chain(repeat(_EMPTY_LOW, missing), self._lows[0])),
            array("f", chain(repeat(_EMPTY_HIGH, missing), self._highs[0])),
        )
        self.first_step = step

    def _finite(self, points: Iterable[tuple[int, float]]) -> Iterator[tuple[int, float]]:
        """Yield the points that can be drawn, counting the others."""
        for step, value in points:
            if math.isfinite(value):
                yield step, value
            else:
                self.num_not_finite += 1


def _halved(lows: array[float], highs: array[float]) -> tuple[array[float], array[float]]:
    """Return the level above: each bin holds two of these."""
    if len(lows) % 2:
        lows, highs = lows + array("f", (_EMPTY_LOW,)), highs + array("f", (_EMPTY_HIGH,))
    return array("f", map(min, lows[::2], lows[1::2])), array("f", map(max, highs[::2], highs[1::2]))


class Ema:
    """Exponential moving average that is right from the first value on (no pull towards zero)."""

    def __init__(self, num_points: int = 50) -> None:
        """Average over about the last `num_points` values."""
        self._decay = 1 - 2 / (num_points + 1)
        self._sum = 0.0
        self._weight = 0.0

    def update(self, value: float) -> float:
        """Take in one value and return the average so far; what is not finite changes nothing."""
        if math.isfinite(value):
            self._sum = self._sum * self._decay + value
            self._weight = self._weight * self._decay + 1
        return self._sum / self._weight if self._weight else math.nan


class Curve:
    """A noisy measurement by step, as it is and smoothed."""

    def __init__(self, smoothing_points: int = 50) -> None:
        """Smooth over about `smoothing_points` values."""
        self.raw = Series()
        self.smoothed = Series()
        self.last_smoothed = math.nan
        self._ema = Ema(smoothing_points)

    def append(self, step: int, value: float) -> None:
        """Add one point."""
        self.raw.append(step, value)
        if math.isfinite(value):
            self.last_smoothed = self._ema.update(value)
            self.smoothed.append(step, self.last_smoothed)

    def extend(self, points: Iterable[tuple[int, float]]) -> None:
        """Add many points, oldest first."""
        kept = list(points)
        smooth = [(step, self._ema.update(value)) for step, value in kept if math.isfinite(value)]
        self.raw.extend(kept)
        self.smoothed.extend(smooth)
        if smooth:
            self.last_smoothed = smooth[-1][1]
