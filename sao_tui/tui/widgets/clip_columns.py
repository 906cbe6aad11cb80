"""The columns of the clip table: what each shows, how wide it is, and which fit into a terminal."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from sao_tui.core.units import format_bytes
from sao_tui.tui.text import fit

if TYPE_CHECKING:
    from sao_tui.services.clips import ClipRow

UNKNOWN = "·"
"""Stands for what has not been measured yet."""
NOTHING = "-"
"""Stands for what was measured and is not there, such as the peak of silence."""
GUTTER = 2
"""Cells before the first column: the cursor and the mark."""
MAX_NAME_WIDTH = 48
DETAIL_COLUMNS = 36
"""Width of the pane beside the table, where the terminal is wide enough for one."""


@dataclass(frozen=True)
class Column:
    """One column."""

    name: str
    """As sao.toml and `sort` have it."""
    title: str
    meaning: str
    """For the dialog that chooses columns."""
    sort: str
    """What ClipIndex.ids sorts by."""
    width: int
    """At the least; a column with a share grows."""
    text: Callable[[ClipRow], str]
    rank: int
    """The column of the highest rank goes first where the terminal is too narrow for all."""
    share: int = 0
    """Of the cells that are left over."""
    is_number: bool = False
    """Set to the right."""
    is_main: bool = False
    """Drawn in the plain colour; the others stand back."""


def _readable(text: Callable[[ClipRow], str]) -> Callable[[ClipRow], str]:
    return lambda row: "" if row.error else text(row)


def _measured(text: Callable[[ClipRow], str]) -> Callable[[ClipRow], str]:
    return lambda row: "" if row.error else text(row) if row.is_analysed else UNKNOWN


def _level(value: float | None) -> str:
    return NOTHING if value is None else f"{value:.1f}"


def _asked(value: float | None) -> str:
    """Return what is only measured when somebody asks for it."""
    return UNKNOWN if value is None else f"{value:.0f}"


@lru_cache(maxsize=1024)
def _tags(text: str) -> str:
    try:
        found = json.loads(text)
    except ValueError:
        return ""
    values = found.values() if isinstance(found, dict) else ()
    return ", ".join(str(value) for value in values)


def problem_of(row: ClipRow) -> str:
    """Return what is wrong with a clip, empty for nothing."""
    return row.error or ("" if row.caption else "no caption")


COLUMNS = (
    Column("name", "name", "path below the dataset folder", "relpath", 18, lambda row: row.relpath, 0, 9, is_main=True),
    Column("folder", "folder", "folder of the clip", "folder", 8, lambda row: os.path.dirname(row.relpath), 7, 4),
    Column(
        "seconds", "seconds", "length", "seconds", 8, _readable(lambda row: f"{row.seconds:.2f}"), 2, is_number=True
    ),
    Column(
        "rate",
        "rate",
        "sample rate",
        "sample_rate_hz",
        5,
        _readable(lambda row: f"{round(row.sample_rate_hz / 1000, 1):g}k"),
        3,
        is_number=True,
    ),
    Column(
        "channels",
        "ch",
        "number of channels",
        "num_channels",
        3,
        _readable(lambda row: str(row.num_channels)),
        4,
        is_number=True,
    ),
    Column(
        "format",
        "format",
        "kind of file, by its name",
        "format",
        7,
        lambda row: os.path.splitext(row.relpath)[1][1:].lower(),
        9,
    ),
    Column("size", "size", "size of the file", "num_bytes", 8, lambda row: format_bytes(row.num_bytes), 10, 0, True),
    Column("caption", "caption", "caption", "caption", 24, lambda row: row.caption, 1, 11, is_main=True),
    Column("problem", "problem", "why it cannot be used as it is", "error", 21, problem_of, 14),
    Column(
        "peak", "peak", "peak, dBFS", "peak_dbfs", 6, _measured(lambda row: _level(row.peak_dbfs)), 5, is_number=True
    ),
    Column(
        "loudness",
        "LUFS",
        "loudness, LUFS",
        "loudness_lufs",
        6,
        _measured(lambda row: _level(row.loudness_lufs)),
        6,
        is_number=True,
    ),
    Column(
        "bpm", "bpm", "estimated tempo (y measures it)", "bpm", 4, _measured(lambda row: _asked(row.bpm)), 8, 0, True
    ),
    Column(
        "key",
        "key",
        "estimated key (y measures it)",
        "musical_key",
        8,
        _measured(lambda row: row.musical_key or UNKNOWN),
        11,
    ),
    Column("tags", "tags", "tags inside the file", "tags", 10, _measured(lambda row: _tags(row.tags)), 12, 4),
)
"""All columns there are, in their usual order."""

BY_NAME = {column.name: column for column in COLUMNS}
USUAL = tuple(BY_NAME[name] for name in ("name", "seconds", "rate", "channels", "caption", "problem"))


@dataclass(frozen=True)
class TableLayout:
    """What the table shows and in which order."""

    columns: tuple[Column, ...] = USUAL
    sort: Column = COLUMNS[0]
    descending: bool = False

    def in_settings(self) -> dict[str, str]:
        """Return the settings of sao.toml that stand for it."""
        return {
            "dataset.columns": " ".join(column.name for column in self.columns),
            "dataset.sort": f"{'-' * self.descending}{self.sort.name}",
        }


def read_layout(columns_text: str, sort_text: str) -> tuple[TableLayout, str]:
    """Return the layout that sao.toml asks for, and what of it there is not, empty for nothing."""
    names = list(dict.fromkeys(columns_text.replace(",", " ").split()))
    sort_name = sort_text.strip().removeprefix("-")
    unknown = [name for name in (*names, sort_name) if name and name not in BY_NAME]
    columns = tuple(BY_NAME[name] for name in names if name in BY_NAME) or USUAL
    layout = TableLayout(columns, BY_NAME.get(sort_name, COLUMNS[0]), sort_text.strip().startswith("-"))
    return layout, f"sao.toml names a column that there is not: {', '.join(unknown)}" if unknown else ""


def lay_out(columns: Sequence[Column], width: int) -> list[tuple[Column, int]]:
    """Return the columns that fit into `width` cells, each with its own; a cell of space stands before all but one."""
    shown = list(columns)
    while len(shown) > 1 and _least(shown) > width:
        shown.remove(max(shown, key=lambda column: column.rank))
    free = max(0, width - _least(shown))
    widths = {column.name: column.width for column in shown}
    growing = [column for column in shown if column.share]
    shares = sum(column.share for column in growing)
    left = free
    for column in growing:
        more = free * column.share // shares
        if column.name == "name" and len(growing) > 1:
            more = min(more, max(0, MAX_NAME_WIDTH - column.width))
        widths[column.name] += more
        left -= more
    last = growing[-1] if growing else shown[-1]
    widths[last.name] += left
    return [(column, widths[column.name]) for column in shown]


def cell_of(column: Column, width: int, row: ClipRow, *, with_folder: bool, with_problem: bool) -> str:
    """Return one cell, `width` wide.

    Args:
        with_folder: The folder has a column of its own: the name stands without it.
        with_problem: So has the problem; otherwise it takes the place of the caption.
    """
    text = column.text(row)
    if column.name == "name":
        return fit(os.path.basename(text) if with_folder else text, width, from_end=True)
    if column.name == "caption" and not with_problem:
        text = problem_of(row) or text
    if column.name == "folder":
        return fit(text, width, from_end=True)
    return text.rjust(width)[-width:] if column.is_number else fit(text, width)


def title_of(column: Column, width: int, layout: TableLayout) -> str:
    """Return the title of a column, with an arrow where the table is sorted by it."""
    title = column.title
    if column == layout.sort:
        title = f"{'↓' if layout.descending else '↑'}{title}"
    return title.rjust(width)[:width] if column.is_number else fit(title, width)


def _least(columns: Sequence[Column]) -> int:
    return GUTTER + sum(column.width + 1 for column in columns) - 1
