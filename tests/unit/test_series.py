from __future__ import annotations

import math
import random
from array import array

import pytest

from sao_tui.services.series import Curve, Ema, Series


def filled(values: list[float], first_step: int = 0) -> Series:
    series = Series()
    series.extend(enumerate(values, first_step))
    return series


def test_an_empty_series_shows_nothing() -> None:
    assert Series().view(0, 10, 5) == [None] * 5


def test_each_column_holds_the_extremes_of_its_steps() -> None:
    series = filled([3, 1, 2, 8, 5, 4, 7, 6])
    assert series.view(0, 8, 8) == [(value, value) for value in (3, 1, 2, 8, 5, 4, 7, 6)]
    assert series.view(0, 8, 4) == [(1, 3), (2, 8), (4, 5), (6, 7)]
    assert series.view(0, 8, 1) == [(1, 8)]


def test_columns_outside_the_run_are_empty() -> None:
    assert filled([1, 2], first_step=10).view(8, 14, 6) == [None, None, (1, 1), (2, 2), None, None]


def test_steps_without_a_value_are_gaps() -> None:
    series = Series()
    for step in (0, 10, 20):
        series.append(step, step)
    assert series.view(0, 24, 12)[:6] == [(0, 0), None, None, None, None, (10, 10)]
    assert series.num_points == 3


@pytest.mark.parametrize("num_values", [1, 2, 3, 255, 256, 1_000, 4_097])
def test_any_aligned_view_equals_a_look_at_every_value(num_values: int) -> None:
    noise = random.Random(num_values)
    values = list(array("f", (noise.gauss(0, 1) for _ in range(num_values))))
    series = filled(values)
    for level in range(12):
        for column, band in enumerate(series.view(0, 16 << level, 16)):
            part = values[column << level : (column + 1) << level]
            assert band == ((min(part), max(part)) if part else None)


def test_appending_one_by_one_gives_what_loading_at_once_gives() -> None:
    noise = random.Random(3)
    points = [(step, noise.random()) for step in range(500, 1_400, 3)]
    at_once, one_by_one = Series(), Series()
    at_once.extend(points)
    for point in points:
        one_by_one.append(*point)
    assert one_by_one._lows == at_once._lows
    assert one_by_one._highs == at_once._highs


def test_a_step_reported_again_keeps_both_values() -> None:
    series = filled([1, 2, 3])
    series.append(1, 9)
    assert series.view(0, 3, 3) == [(1, 1), (2, 9), (3, 3)]
    assert series.view(0, 4, 1) == [(1, 9)]


def test_a_restarted_run_may_report_steps_before_the_first() -> None:
    series = filled([5, 6], first_step=100)
    series.append(98, 1)
    assert series.first_step == 98
    assert series.view(98, 102, 4) == [(1, 1), None, (5, 5), (6, 6)]


def test_what_is_not_a_number_is_counted_and_drawn_nowhere() -> None:
    series = Series()
    series.extend([(0, 1.0), (1, math.nan), (2, math.inf)])
    series.append(3, math.nan)
    assert (series.num_points, series.num_not_finite) == (1, 3)
    assert series.view(0, 4, 1) == [(1, 1)]


def test_the_view_of_a_long_series_touches_few_bins() -> None:
    series = filled([float(step % 7) for step in range(100_000)])
    bands = series.view(0, 100_000, 200)
    assert len(bands) == 200
    assert all(band == (0, 6) for band in bands)


def test_the_average_is_right_from_the_first_value_on() -> None:
    ema = Ema(10)
    assert ema.update(4.0) == 4.0
    assert ema.update(4.0) == pytest.approx(4.0)
    assert 4.0 < ema.update(8.0) < 8.0


def test_a_broken_value_does_not_break_the_average() -> None:
    curve = Curve(10)
    curve.extend([(0, 2.0), (1, math.nan), (2, 2.0)])
    assert curve.last_smoothed == pytest.approx(2.0)
    assert curve.smoothed.num_points == 2
