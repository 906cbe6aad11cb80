"""The braille widgets: what they draw, and how little they draw anew."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator
from typing import ClassVar

import pytest
from textual.app import App, ComposeResult
from textual.geometry import Region

from sao_tui.services.gpu import GpuReading, GpuSample, HostSample
from sao_tui.services.series import Curve
from sao_tui.tui.themes import VARIABLES
from sao_tui.tui.widgets.braille import BrailleGrid
from sao_tui.tui.widgets.chart_scale import fit_scale, typical_range
from sao_tui.tui.widgets.gpu_gauge import GpuGauge
from sao_tui.tui.widgets.log_view import MAX_LINES, LogView
from sao_tui.tui.widgets.loss_chart import LossChart
from sao_tui.tui.widgets.row_table import Row, RowTable
from sao_tui.tui.widgets.text_lines import TextLines
from sao_tui.tui.widgets.waveform import Waveform

pytestmark = pytest.mark.tui


class WidgetApp(App[None]):
    """One widget over the whole screen."""

    def __init__(self, widget: LossChart | Waveform | GpuGauge | LogView | TextLines | RowTable) -> None:
        super().__init__()
        self.widget = widget

    def get_theme_variable_defaults(self) -> dict[str, str]:
        return VARIABLES

    def compose(self) -> ComposeResult:
        yield self.widget


def screen_lines(app: App[None]) -> list[str]:
    return [strip.text for strip in app.screen._compositor.render_strips(app.size)]


def noisy(first: int, last: int) -> Iterator[tuple[int, float]]:
    noise = random.Random(1)
    for step in range(last):
        value = 0.3 + math.exp(-step / 80) + noise.uniform(-0.1, 0.1)
        if step >= first:
            yield step, value


@pytest.mark.parametrize("height", [3, 4, 5, 6])
async def test_a_chart_without_room_says_nothing_twice(height: int) -> None:
    chart = LossChart(empty_text="no step yet")
    chart.styles.border = ("round", "white")
    app = WidgetApp(chart)
    async with app.run_test(size=(60, height)) as pilot:
        await pilot.pause()
        assert "\n".join(screen_lines(app)).count("no ste") <= 1


def record_refreshes(chart: LossChart, monkeypatch: pytest.MonkeyPatch) -> list[Region | None]:
    """Note what is drawn anew; None is a whole widget."""
    regions: list[Region | None] = []
    for tile in chart._tiles:
        refresh = tile.refresh

        def record(*asked: Region, refresh: object = refresh, **options: object) -> object:
            regions.extend(asked or [None])
            return refresh(*asked, **options)  # type: ignore[operator]

        monkeypatch.setattr(tile, "refresh", record)
    return regions


async def test_a_chart_without_points_says_so() -> None:
    app = WidgetApp(LossChart(empty_text="the chart begins with the first step"))
    async with app.run_test(size=(80, 12)):
        assert "the chart begins with the first step" in "\n".join(screen_lines(app))


async def test_a_chart_has_both_axes_and_a_curve_that_falls() -> None:
    chart = LossChart()
    app = WidgetApp(chart)
    async with app.run_test(size=(80, 24)) as pilot:
        curve = Curve()
        curve.extend(noisy(0, 120))
        chart.show(curve)
        await pilot.pause()
        lines = screen_lines(app)
        assert [line[:8].strip(" │┤") for line in lines if "┤" in line] == ["1.35", "1.2", "1", "0.8", "0.6", "0.45"]
        assert lines[-1].split()[0] == "0"
        first_row = next(row for row, line in enumerate(lines) if line[8:12].strip())
        last_row = max(row for row, line in enumerate(lines[:-1]) if line[60:70].strip())
        assert first_row < last_row


async def test_a_new_point_draws_only_the_cells_it_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    chart = LossChart()
    app = WidgetApp(chart)
    async with app.run_test(size=(120, 36)) as pilot:
        curve = Curve()
        curve.extend(noisy(0, 150))
        chart.show(curve)
        await pilot.pause()
        regions = record_refreshes(chart, monkeypatch)
        for step in range(150, 190):
            # Within the axis: a value beyond it may draw everything anew.
            curve.append(step, 0.5 + step % 7 / 10)
            regions.clear()
            chart.points_added()
            assert None not in regions
            assert sum(region.area for region in regions if region) <= 6


async def test_drawing_point_by_point_ends_in_the_same_picture() -> None:
    chart = LossChart()
    app = WidgetApp(chart)
    async with app.run_test(size=(100, 20)) as pilot:
        curve = Curve()
        chart.show(curve)
        for step, value in noisy(0, 700):
            curve.append(step, value)
            chart.points_added()
        await pilot.pause()
        drawn = screen_lines(app)
        chart.redraw()
        await pilot.pause()
        assert screen_lines(app) == drawn


async def test_the_bins_double_when_the_chart_is_full() -> None:
    chart = LossChart()
    app = WidgetApp(chart)
    async with app.run_test(size=(80, 12)) as pilot:
        curve = Curve()
        chart.show(curve)
        levels = []
        for step in range(600):
            curve.append(step, 1.0 + step % 3)
            chart.points_added()
            levels.append(chart._window.level)
        await pilot.pause()
        assert sorted(set(levels)) == [0, 1, 2, 3]
        assert levels == sorted(levels)


async def test_zooming_shows_the_newest_steps_only() -> None:
    chart = LossChart()
    app = WidgetApp(chart)
    async with app.run_test(size=(80, 12)) as pilot:
        curve = Curve()
        curve.extend(noisy(0, 1_000))
        chart.show(curve)
        await pilot.pause()
        assert screen_lines(app)[-1].split()[0] == "0"
        chart.set_zoom(2)
        await pilot.pause()
        first, *_, last = (int(step.replace(",", "")) for step in screen_lines(app)[-1].split())
        assert first > 400
        assert first < 999 < last + 40
        chart.set_zoom(-5)
        assert chart.zoom == 0


async def test_a_logarithmic_axis_has_labels_in_values() -> None:
    chart = LossChart()
    app = WidgetApp(chart)
    async with app.run_test(size=(80, 24)) as pilot:
        curve = Curve()
        curve.extend((step, 10.0 ** -(step / 50)) for step in range(150))
        chart.show(curve)
        chart.toggle_log()
        await pilot.pause()
        labels = [line[:8].strip(" │┤") for line in screen_lines(app) if "┤" in line]
        assert labels[0] == "1"
        assert "0.01" in labels


async def test_a_chart_survives_any_size() -> None:
    chart = LossChart()
    app = WidgetApp(chart)
    async with app.run_test(size=(80, 24)) as pilot:
        curve = Curve()
        curve.extend(noisy(0, 300))
        chart.show(curve)
        for size in ((20, 6), (9, 4), (200, 50), (80, 24)):
            await pilot.resize_terminal(*size)
            await pilot.pause()
            chart.points_added()
        assert any("┤" in line for line in screen_lines(app))


def test_a_few_outliers_do_not_squeeze_the_curve() -> None:
    raw = [(1.0, 1.2)] * 99 + [(1.0, 500.0)]
    smoothed = [(1.1, 1.1)] * 100
    assert typical_range(raw, smoothed) == (1.0, 1.2)


def test_an_axis_of_equal_values_has_room_around_them() -> None:
    scale = fit_scale(0.5, 0.5, 4, is_log=False)
    assert scale.low < 0.5 < scale.high


def test_values_without_a_logarithm_lie_at_the_bottom() -> None:
    scale = fit_scale(0.01, 1.0, 4, is_log=True)
    assert scale.place(0.0, 40) == 39


def test_a_bar_fills_exactly_its_dots() -> None:
    grid = BrailleGrid(1, 2)
    grid.bar(grid.back, 0, 3, 4)
    grid.bar(grid.back, 1, 0, 7)
    assert [row[0] for row in grid.back] == [0x40 | 0xB8, 0x01 | 0xB8]


async def test_the_play_cursor_moves_along_the_last_line() -> None:
    waveform = Waveform("no clip")
    app = WidgetApp(waveform)
    async with app.run_test(size=(80, 8)) as pilot:
        assert "no clip" in "\n".join(screen_lines(app))
        waveform.show([(-0.5, 0.5)] * 160, 2.0)
        await pilot.pause()
        at_rest = screen_lines(app)
        assert at_rest[5].strip().endswith("2.0 s")
        waveform.set_cursor(1.0)
        await pilot.pause()
        playing = screen_lines(app)
        assert playing[:5] == at_rest[:5]
        assert "●" in playing[5]
        assert playing[5].rstrip().endswith("1.0 s / 2.0 s")


async def test_silence_is_a_line_and_not_blown_up() -> None:
    waveform = Waveform()
    app = WidgetApp(waveform)
    async with app.run_test(size=(40, 6)) as pilot:
        waveform.show([(-0.001, 0.001)] * 80, 1.0)
        await pilot.pause()
        assert sum(bool(line.strip()) for line in screen_lines(app)[:5]) == 1


async def test_no_gpu_is_said_in_words() -> None:
    gauge = GpuGauge()
    app = WidgetApp(gauge)
    async with app.run_test(size=(80, 4)):
        host = HostSample(37.0, 8_000_000_000, 2_000_000_000, None, None)
        gauge.show(GpuReading("no-driver", "No NVIDIA driver on this machine."), host)
        assert "No NVIDIA driver on this machine." in gauge.text
        assert "37 %" in gauge.text
        assert "2.0 GB of 8.0 GB" in gauge.text


async def test_a_value_that_the_driver_does_not_tell_is_not_a_number() -> None:
    gauge = GpuGauge()
    app = WidgetApp(gauge)
    async with app.run_test(size=(80, 4)):
        sample = GpuSample(0, "H100", 80_000_000_000, 12_000_000_000, None, 61, 212.0)
        gauge.show(GpuReading("ok", "", (sample,)), HostSample(None, None, None, None, None))
        assert "GPU0 n/a" in gauge.text
        assert "12.0 GB of 80.0 GB" in gauge.text
        assert "61 °C" in gauge.text


async def test_unchanged_lines_are_not_drawn_again(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = TextLines()
    app = WidgetApp(lines)
    async with app.run_test(size=(40, 4)):
        lines.set_lines([[("step", "label"), (" 1", "value")], [("lr 1e-4", "")]])
        refreshed: list[Region] = []
        monkeypatch.setattr(lines, "refresh", lambda *regions, **_: refreshed.extend(regions))
        lines.set_lines([[("step", "label"), (" 2", "value")], [("lr 1e-4", "")]])
        assert [region.y for region in refreshed] == [0]


class Fruit(RowTable):
    COLUMNS: ClassVar[tuple[tuple[str, int], ...]] = (("fruit", 0), ("number", 6))


async def test_a_row_that_changes_is_drawn_anew_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    table = Fruit()
    app = WidgetApp(table)
    async with app.run_test(size=(30, 6)) as pilot:
        table.set_rows([Row("a", ("apple", "1")), Row("b", ("banana", "2"))])
        await pilot.pause()
        assert [line.split() for line in screen_lines(app)[:3]] == [
            ["fruit", "number"],
            [">apple", "1"],
            ["banana", "2"],
        ]
        refreshed: list[Region] = []
        monkeypatch.setattr(table, "refresh", lambda *regions, **_: refreshed.extend(regions))
        table.set_rows([Row("a", ("apple", "1")), Row("b", ("banana", "3"))])
        assert [region.y for region in refreshed] == [2]


async def test_the_cursor_stays_on_its_row_when_others_come() -> None:
    table = Fruit()
    app = WidgetApp(table)
    async with app.run_test(size=(30, 6)) as pilot:
        table.set_rows([Row("a", ("apple", "1")), Row("b", ("banana", "2"))])
        table.focus()
        await pilot.press("end")
        assert table.current_key == "b"
        table.set_rows([Row(key, (key, "")) for key in "xyzab"])
        assert table.current_key == "b"
        assert not table.go_to("nothing")


async def test_the_log_is_bounded_and_never_markup() -> None:
    log = LogView()
    app = WidgetApp(log)
    async with app.run_test(size=(60, 10)) as pilot:
        log.show(f"[red]line {number}[/nonsense]\x1b[2J" for number in range(MAX_LINES + 50))
        await pilot.pause()
        assert len(log.lines) == MAX_LINES
        assert f"[red]line {MAX_LINES + 49}[/nonsense]" in screen_lines(app)[9]
