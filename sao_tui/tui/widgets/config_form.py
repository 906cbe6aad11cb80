"""A form over many settings: one line each, in sections that fold, drawn by one widget.

It holds what the fields are worth and what is wrong with them, and knows nothing of files: the screen hands
it fields and values, checks what is typed, and saves.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from rich.segment import Segment
from rich.style import Style
from textual.binding import Binding, BindingType
from textual.message import Message
from textual.strip import Strip

from sao_tui.tui.text import fit
from sao_tui.tui.widgets.cursor_view import CURSOR, CursorView

NARROW_COLUMNS = 100
"""Narrower than this, labels and values have less room."""


@dataclass(frozen=True)
class FormField:
    """One field as the form shows it."""

    key: str
    """Unique in the form."""
    label: str
    section: str
    help: str = ""
    unit: str = ""
    kind: str = "str"
    """int, float, bool, str, choice or list."""
    default: Any = None
    choices: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Row:
    section: str
    field: FormField | None = None
    """None for the section's own line."""


class ConfigForm(CursorView):
    """Sections and fields with their values, changes and errors."""

    DEFAULT_CSS = """
    ConfigForm {
        & > .config-form--section { color: $accent; background: $surface; text-style: bold; }
        & > .config-form--changed { color: $warning; text-style: bold; }
        & > .config-form--error { color: $error; }
        & > .config-form--muted { color: $text-muted; }
    }
    """
    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "config-form--section",
        "config-form--changed",
        "config-form--error",
        "config-form--muted",
    }
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("left", "turn(-1)", "Previous", id="form.previous", tooltip="Previous choice; fold", show=False),
        Binding("right", "turn(1)", "Next", id="form.next", tooltip="Next choice; unfold", show=False),
        Binding("enter", "open", "Edit", id="form.open", tooltip="Edit the field, or fold the section"),
    ]

    @dataclass
    class Highlighted(Message):
        """The cursor is on another line; None on a section's."""

        field: FormField | None

        def can_replace(self, message: Message) -> bool:
            """Only where the cursor ends up counts."""
            return isinstance(message, ConfigForm.Highlighted)

    @dataclass
    class EditWanted(Message):
        """Enter was pressed on a field that is typed in."""

        field: FormField

    @dataclass
    class Chosen(Message):
        """Another choice was taken; the form shows it only when it is told so."""

        field: FormField
        value: Any

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._fields: Sequence[FormField] = ()
        self._values: dict[str, Any] = {}
        self._saved: dict[str, Any] = {}
        self._errors: dict[str, str] = {}
        self._folded: set[str] = set()
        self._query = ""
        self._rows: list[_Row] = []

    def set_fields(
        self, fields: Sequence[FormField], values: Mapping[str, Any], folded: Collection[str] = frozenset()
    ) -> None:
        """Show other fields with the values that are on the disk; sections in `folded` are folded at first."""
        if not self._fields:
            self._folded = set(folded)
        self._fields = fields
        self._saved = dict(values)
        self._values = dict(values)
        self._errors.clear()
        self._lay_out()
        self.go(max(1, self.cursor))
        self.cursor_moved()

    def set_value(self, key: str, value: Any) -> None:
        """Show a value that is not on the disk yet."""
        self._values[key] = value
        self.refresh()

    def set_errors(self, errors: Mapping[str, str]) -> None:
        """Show what is wrong, by field."""
        if dict(errors) != self._errors:
            self._errors = dict(errors)
            self.refresh()

    def mark_saved(self) -> None:
        """The values shown are on the disk now."""
        self._saved = dict(self._values)
        self.refresh()

    def search(self, query: str) -> int:
        """Show the fields alone whose name, help or section hold all words of `query`; return how many."""
        self._query = query
        self._lay_out()
        return sum(1 for row in self._rows if row.field is not None)

    def value(self, key: str) -> Any:
        """Return a field's value."""
        return self._values.get(key)

    def saved_value(self, key: str) -> Any:
        """Return a field's value on the disk."""
        return self._saved.get(key)

    def error(self, key: str) -> str:
        """Return what is wrong with a field, empty for nothing."""
        return self._errors.get(key, "")

    @property
    def changed_keys(self) -> list[str]:
        """Fields whose value is not on the disk."""
        return [field.key for field in self._fields if self._values.get(field.key) != self._saved.get(field.key)]

    @property
    def current(self) -> FormField | None:
        """The field under the cursor."""
        return self._rows[self.cursor].field if self.cursor < len(self._rows) else None

    def move_to(self, key: str) -> None:
        """Put the cursor on a field, unfolding its section."""
        for field in self._fields:
            if field.key == key and field.section in self._folded:
                self._folded.discard(field.section)
                self._lay_out()
        for position, row in enumerate(self._rows):
            if row.field is not None and row.field.key == key:
                self.go(position)

    def _lay_out(self) -> None:
        here = self.current
        words = self._query.lower().split()
        rows: list[_Row] = []
        for section in dict.fromkeys(field.section for field in self._fields):
            fields = [each for each in self._fields if each.section == section and _matches(each, words)]
            if not fields:
                continue
            rows.append(_Row(section))
            if words or section not in self._folded:
                rows.extend(_Row(section, field) for field in fields)
        self._rows = rows
        positions = [at for at, row in enumerate(rows) if here is not None and row.field == here]
        self.set_num_rows(len(rows), positions[0] if positions else 1 if words else self.cursor)
        if self.current != here:
            self.cursor_moved()

    def cursor_moved(self) -> None:
        """Tell which field is under the cursor now."""
        self.post_message(self.Highlighted(self.current))

    def action_turn(self, step: int) -> None:
        """Take the next choice of a field, or fold and unfold a section."""
        field = self.current
        if field is None:
            self._fold(fold=step < 0)
        elif field.kind in ("bool", "choice"):
            self.post_message(self.Chosen(field, self._next_choice(field, step)))

    def action_open(self) -> None:
        """Edit the field or take its next choice; fold or unfold a section."""
        field = self.current
        if field is None:
            self._fold(fold=None)
        elif field.kind in ("bool", "choice"):
            self.action_turn(1)
        else:
            self.post_message(self.EditWanted(field))

    def _next_choice(self, field: FormField, step: int) -> Any:
        choices: Sequence[Any] = (False, True) if field.kind == "bool" else field.choices
        value = self._values.get(field.key)
        if value not in choices:
            return choices[0]
        return choices[(list(choices).index(value) + step) % len(choices)]

    def _fold(self, *, fold: bool | None) -> None:
        if not self._rows:
            return
        section = self._rows[self.cursor].section
        if fold is None:
            fold = section not in self._folded
        (self._folded.add if fold else self._folded.discard)(section)
        self._lay_out()

    def render_line(self, y: int) -> Strip:
        """Draw a section's or a field's line."""
        width = self.scrollable_content_region.width
        position = round(self.scroll_y) + y
        if position >= len(self._rows):
            return Strip.blank(width, self.rich_style)
        row = self._rows[position]
        here = position == self.cursor
        segments = self._section_line(row, width) if row.field is None else self._field_line(row.field, width)
        if here:
            style = self.get_component_rich_style(self.cursor_class)
            text = "".join(segment.text for segment in segments)
            segments = [Segment(CURSOR + text[1:], style)]
        return Strip(segments).adjust_cell_length(width, self.rich_style)

    def _section_line(self, row: _Row, width: int) -> list[Segment]:
        fields = [field for field in self._fields if field.section == row.section]
        num_changed = sum(1 for field in fields if self._values.get(field.key) != self._saved.get(field.key))
        num_wrong = sum(1 for field in fields if field.key in self._errors)
        notes = [f"{num_changed} changed"] * bool(num_changed) + [f"{num_wrong} wrong"] * bool(num_wrong)
        mark = "+" if row.section in self._folded and not self._query else "-"
        text = f" {mark} {row.section}" + (f"  ({', '.join(notes)})" if notes else "")
        return [Segment(fit(text, width), self.get_component_rich_style("config-form--section"))]

    def _field_line(self, field: FormField, width: int) -> list[Segment]:
        base = self.rich_style
        value = self._values.get(field.key)
        changed = value != self._saved.get(field.key)
        error = self._errors.get(field.key, "")
        label_width, value_width = (24, 18) if self.size.width < NARROW_COLUMNS else (30, 26)
        mark = "!" if error else "*" if changed else " "
        rest = max(0, width - label_width - value_width - 6)
        aside = error or f"{fit(field.unit, 9)} {field.help}"
        return [
            Segment("  " + mark + " ", self._style("changed")),
            Segment(fit(field.label, label_width) + " ", base),
            Segment(fit(show_value(value), value_width) + " ", self._style("changed") if changed else base),
            Segment(fit(aside, rest), self._style("error" if error else "muted")),
        ]

    def _style(self, part: str) -> Style:
        return self.get_component_rich_style(f"config-form--{part}")


def show_value(value: Any) -> str:
    """Return a value as the form shows it and as it can be typed."""
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, (list, tuple)):
        return ", ".join(show_value(each) for each in value)
    return str(value)


def _matches(field: FormField, words: Iterable[str]) -> bool:
    text = f"{field.label} {field.key} {field.help} {field.section}".lower()
    return all(word in text for word in words)
