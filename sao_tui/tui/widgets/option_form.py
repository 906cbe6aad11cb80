"""A form of options, one a line: left and right go through what is usual, enter types any other value."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from rich.segment import Segment
from textual.binding import Binding, BindingType
from textual.message import Message
from textual.strip import Strip

from sao_tui.tui.text import fit
from sao_tui.tui.widgets.cursor_view import CURSOR, CursorView

NAME_CELLS = 16


@dataclass(frozen=True)
class Option:
    """One line of the form."""

    id: str
    name: str
    choices: tuple[tuple[Any, str], ...]
    """Usual values, each in words; the first is the value to begin with."""
    help: str = ""
    """One sentence."""
    parse: Callable[[str], tuple[Any, str]] | None = None
    """Turns what was typed into a value and its words, or raises ValueError saying what is wrong."""
    typed: str = ""
    """What the prompt for another value asks for."""


class OptionForm(CursorView, inherit_bindings=False):
    """The options with their values."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "move(-1)", "Up", id="options.up", tooltip="Move up", show=False),
        Binding("down,j", "move(1)", "Down", id="options.down", tooltip="Move down", show=False),
        Binding("home,g", "end(0)", "First", id="options.first", tooltip="Move to the first option", show=False),
        Binding("end,G", "end(1)", "Last", id="options.last", tooltip="Move to the last option", show=False),
        Binding("left", "change(-1)", "Before", id="options.before", tooltip="Take the value before", show=False),
        Binding("right,space", "change(1)", "Next", id="options.next", tooltip="Take the next value", show=False),
        Binding("enter", "type", "Type", id="options.type", tooltip="Type another value", show=False),
    ]

    @dataclass
    class Changed(Message):
        """An option has another value."""

        option: Option

    @dataclass
    class Moved(Message):
        """The cursor is on another option."""

        option: Option

    @dataclass
    class TypeWanted(Message):
        """A value is to be typed."""

        option: Option

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._options: list[Option] = []
        self._values: dict[str, tuple[Any, str]] = {}

    def show_options(self, options: Sequence[Option]) -> None:
        """Show options, each with its first value."""
        self._options = list(options)
        self._values = {option.id: option.choices[0] for option in options}
        self.set_num_rows(len(self._options), 0)
        self.post_message(self.Moved(self._options[0]))

    @property
    def values(self) -> dict[str, Any]:
        """Value of each option, by its id."""
        return {name: value for name, (value, _) in self._values.items()}

    @property
    def current(self) -> Option | None:
        """Option under the cursor, None before there are any."""
        return self._options[self.cursor] if self._options else None

    def set_value(self, option: Option, value: Any, words: str) -> None:
        """Give an option another value."""
        self._values[option.id] = (value, words)
        self.refresh_row(self._options.index(option))
        self.post_message(self.Changed(option))

    def cursor_moved(self) -> None:
        """Tell which option the cursor is on."""
        if self.current is not None:
            self.post_message(self.Moved(self.current))

    def action_change(self, step: int) -> None:
        """Take the next usual value, or the one before; a typed value goes to the first."""
        option = self.current
        if option is None:
            return
        known = [value for value, _ in option.choices]
        value = self._values[option.id][0]
        place = (known.index(value) + step) % len(known) if value in known else 0
        self.set_value(option, *option.choices[place])

    def action_type(self) -> None:
        """Ask for another value; an option with a fixed list takes its next one."""
        option = self.current
        if option is not None and option.parse is not None:
            self.post_message(self.TypeWanted(option))
        else:
            self.action_change(1)

    def render_line(self, y: int) -> Strip:
        """Draw one option."""
        width, index = self.line_width, y + round(self.scroll_y)
        if index >= len(self._options):
            return Strip.blank(width, self.rich_style)
        option = self._options[index]
        is_here = index == self.cursor
        value = self._values[option.id][1]
        shown = f"< {value} >" if is_here else f"  {value}"
        text = f"{CURSOR if is_here else ' '} {option.name:<{NAME_CELLS}} {shown}"
        style = self.get_component_rich_style(self.cursor_class) if is_here else self.rich_style
        return Strip([Segment(fit(text, width), style)], width)
