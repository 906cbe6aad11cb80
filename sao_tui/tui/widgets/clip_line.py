"""Drawing one line of the clip table in as few changes of colour as can be: each costs some forty bytes."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from rich.segment import Segment
from rich.style import Style
from textual.strip import Strip

from sao_tui.tui.text import fit
from sao_tui.tui.widgets.clip_columns import Column, TableLayout, cell_of, lay_out, title_of
from sao_tui.tui.widgets.cursor_view import CURSOR

if TYPE_CHECKING:
    from sao_tui.services.clips import ClipRow

MARK = "*"


@dataclass(frozen=True)
class LineStyles:
    """Colours of the parts of a line."""

    plain: Style
    muted: Style
    problem: Style
    mark: Style


def header_strip(layout: TableLayout, width: int, style: Style) -> Strip:
    """Return the line of titles."""
    cells = [title_of(column, room, layout) for column, room in _fitting(layout.columns, width)]
    return Strip([Segment(fit("  " + " ".join(cells), width), style)], width)


def missing_strip(width: int, *, is_here: bool, style: Style) -> Strip:
    """Return the line of a clip that has not been read yet."""
    return Strip([Segment(fit(f"{CURSOR if is_here else ' '} ·", width), style)], width)


def clip_strip(
    row: ClipRow, layout: TableLayout, width: int, styles: LineStyles, *, is_marked: bool, cursor: Style | None
) -> Strip:
    """Return the line of a clip; `cursor` is the colour of the whole line where the cursor is on it."""
    fitting = _fitting(layout.columns, width)
    names = {column.name for column, _ in fitting}
    has_folder, has_problem = "folder" in names, "problem" in names
    cells = [cell_of(column, room, row, with_folder=has_folder, with_problem=has_problem) for column, room in fitting]
    mark = MARK if is_marked else " "
    if cursor is not None:
        return Strip([Segment(fit(f"{CURSOR}{mark}{' '.join(cells)}", width), cursor)], width)
    parts = [(f" {mark}", styles.mark)]
    for (column, _), cell in zip(fitting, cells, strict=True):
        parts.append((cell + " ", _style_of(column, row, styles, has_problem)))
    return Strip(_merged(parts, width), width)


def _style_of(column: Column, row: ClipRow, styles: LineStyles, has_problem: bool) -> Style:
    if column.name == "problem" or (column.name == "caption" and not has_problem and (row.error or not row.caption)):
        return styles.problem if row.error else styles.muted
    return styles.plain if column.is_main else styles.muted


def _merged(parts: list[tuple[str, Style]], width: int) -> list[Segment]:
    """Join neighbours of one colour; blank cells take that of the one before, as all share one background."""
    segments: list[Segment] = []
    text, style = "", parts[0][1]
    for more, its_style in parts:
        if its_style != style and more.strip():
            if text.strip():
                segments.append(Segment(text, style))
                text = ""
            style = its_style
        text += more
    segments.append(Segment(text, style))
    return list(Segment.adjust_line_length(segments, width, style=style))


@lru_cache(maxsize=8)
def _fitting(columns: tuple[Column, ...], width: int) -> list[tuple[Column, int]]:
    return lay_out(columns, width)
