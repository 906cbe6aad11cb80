"""The parts of the clip table that need no terminal: marks, columns, pages, folders."""

from __future__ import annotations

import time
from array import array

import pytest
from rich.style import Style

from sao_tui.services.clips import ClipRow, FolderCount
from sao_tui.tui.widgets.clip_columns import BY_NAME, COLUMNS, USUAL, TableLayout, lay_out, read_layout
from sao_tui.tui.widgets.clip_line import LineStyles, clip_strip, header_strip
from sao_tui.tui.widgets.clip_marks import Marks
from sao_tui.tui.widgets.clip_pages import PAGE_ROWS, ClipPages
from sao_tui.tui.widgets.folder_tree import build_tree

STYLES = LineStyles(Style(color="white"), Style(color="blue"), Style(color="red"), Style(color="yellow"))
ROW = ClipRow(7, "drums/kick 1.wav", 1.5, 44100, 2, 264_644, "", "a dull kick")


def ids(*numbers: int) -> array[int]:
    return array("q", numbers)


def test_marks_go_by_clip_whatever_is_shown() -> None:
    marks = Marks()
    marks.toggle(3)
    marks.set(ids(9, 5), True)
    assert (len(marks), 3 in marks, 4 in marks, 10_000 in marks) == (3, True, False, False)
    assert marks.among(ids(5, 4, 3)) == ids(5, 3)
    assert marks.all(ids(5, 4, 3)) == ids(5, 3, 9)
    marks.invert(ids(3, 4))
    assert marks.all(ids()) == ids(4, 5, 9)
    marks.toggle(9)
    marks.set(ids(5), False)
    assert marks.all(ids()) == ids(4)
    marks.keep_only(ids(1, 2))
    assert len(marks) == 0


def test_half_a_million_marks_cost_half_a_megabyte_and_no_wait() -> None:
    everything = array("q", range(1, 486_493))
    marks = Marks()
    begin = time.process_time()
    marks.set(everything, True)
    marks.invert(everything[:100])
    assert len(marks.all(everything)) == 486_392
    assert time.process_time() - begin < 1.0
    assert len(marks._marked) < 500_000


def test_columns_and_order_are_read_as_they_are_written() -> None:
    layout = TableLayout((BY_NAME["caption"], BY_NAME["name"]), BY_NAME["peak"], True)
    settings = layout.in_settings()
    assert settings == {"dataset.columns": "caption name", "dataset.sort": "-peak"}
    assert read_layout(settings["dataset.columns"], settings["dataset.sort"]) == (layout, "")
    assert read_layout("", "") == (TableLayout(), "")


def test_a_column_that_there_is_not_is_named() -> None:
    layout, problem = read_layout("name, colour name", "-taste")
    assert layout == TableLayout((BY_NAME["name"],), BY_NAME["name"], True)
    assert problem == "sao.toml names a column that there is not: colour, taste"


@pytest.mark.parametrize("width", [20, 40, 79, 83, 119, 200, 300])
@pytest.mark.parametrize(
    "columns", [USUAL, COLUMNS, COLUMNS[:1], COLUMNS[9:12]], ids=["usual", "all", "one", "numbers"]
)
def test_every_line_is_as_wide_as_the_terminal(width: int, columns: tuple[object, ...]) -> None:
    layout = TableLayout(columns)  # type: ignore[arg-type]
    assert header_strip(layout, width, Style()).cell_length == width
    for row in (ROW, ClipRow(1, "ü" * 90, 0.0, 0, 0, 0, "no audio", "日本" * 80)):
        for cursor in (None, Style()):
            strip = clip_strip(row, layout, width, STYLES, is_marked=True, cursor=cursor)
            assert (strip.cell_length, sum(len(each.text) > 0 for each in strip) > 0) == (width, True)


def test_a_narrow_terminal_leaves_the_columns_of_the_least_use_out() -> None:
    assert [column.name for column, _ in lay_out(USUAL, 79)] == ["name", "seconds", "rate", "channels", "caption"]
    assert [column.name for column, _ in lay_out(USUAL, 119)][-1] == "problem"
    assert [column.name for column, _ in lay_out(COLUMNS, 30)] == ["name"]


def text_of(row: ClipRow, *names: str, width: int = 60) -> str:
    layout = TableLayout(tuple(BY_NAME[name] for name in names))
    return clip_strip(row, layout, width, STYLES, is_marked=False, cursor=None).text


def test_what_has_not_been_measured_is_a_dot_and_silence_a_dash() -> None:
    assert text_of(ROW, "peak", "bpm", "tags").split() == ["·", "·", "·"]
    silent = ClipRow(7, "a.wav", 1.5, 44100, 2, 9, "", "", is_analysed=True, tags='{"genre": "dub", "year": 1999}')
    assert text_of(silent, "peak", "loudness", "bpm", "tags").split() == ["-", "-", "·", "dub,", "1999"]
    loud = ClipRow(7, "a.wav", 1.5, 44100, 2, 9, "", "", True, -0.13, -14.2, 127.6, "A minor")
    assert text_of(loud, "peak", "loudness", "bpm", "key").split() == ["-0.1", "-14.2", "128", "A", "minor"]


def test_a_problem_stands_in_for_the_caption_where_it_has_no_column() -> None:
    broken = ClipRow(7, "a.wav", 0.0, 0, 0, 9, "no RIFF header", "a kick")
    assert "no RIFF header" in text_of(broken, "name", "caption")
    assert "a kick" in text_of(broken, "name", "caption", "problem", width=100)
    assert "no caption" in text_of(ClipRow(7, "a.wav", 1.0, 8000, 1, 9, "", ""), "name", "caption")


def test_the_name_stands_without_its_folder_beside_a_column_of_folders() -> None:
    assert text_of(ROW, "name", "folder").split() == ["kick", "1.wav", "drums"]


def test_a_line_changes_its_colour_as_seldom_as_can_be() -> None:
    strip = clip_strip(ROW, TableLayout(), 83, STYLES, is_marked=False, cursor=None)
    assert len(list(strip)) <= 3


def page_of(numbers: array[int]) -> list[ClipRow]:
    return [ClipRow(number, f"{number}.wav", 1.0, 8000, 1, 9, "", "") for number in numbers]


def test_more_ids_keep_the_rows_that_are_held() -> None:
    pages = ClipPages()
    first = array("q", range(PAGE_ROWS))
    pages.reset(first)
    pages.put(pages.generation, 0, page_of(first))
    pages.extend(array("q", range(3 * PAGE_ROWS)))
    assert pages.row(5) is not None
    assert list(pages.missing(0, 2 * PAGE_ROWS)) == [1, 2]


def test_a_page_that_was_held_in_part_is_read_again() -> None:
    pages = ClipPages()
    first = array("q", range(10))
    pages.reset(first)
    pages.put(pages.generation, 0, page_of(first))
    pages.extend(array("q", range(20)))
    assert pages.row(5) is not None
    assert {page: len(wanted) for page, wanted in pages.missing(0, 20).items()} == {0: 20}


def test_a_folder_counts_the_clips_of_those_below() -> None:
    root, nodes = build_tree([FolderCount("", 1, 0), FolderCount("a/b", 4, 2), FolderCount("a", 2, 2)])
    assert (root.num_clips, root.num_captioned) == (7, 4)
    assert [(node.relpath, node.depth, node.num_clips) for node in nodes] == [("a", 1, 6), ("a/b", 2, 4)]
