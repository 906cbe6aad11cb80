"""The line that a filter is typed into, with what is wrong with it and how it could go on below."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Protocol

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.message import Message
from textual.widgets import Input, Static

from sao_tui.tui.text import one_line

if TYPE_CHECKING:
    from sao_tui.core.errors import SaoError


class Completion(Protocol):
    """One way to go on."""

    @property
    def text(self) -> str:
        """What the word at the cursor becomes."""

    @property
    def meaning(self) -> str:
        """What it asks for."""


Complete = Callable[[str, int], Sequence[Completion]]
"""Called with the text and the place of the cursor in it."""


class FilterLine(Vertical):
    """Tells of every change at once; down and up choose among the completions, tab takes one."""

    DEFAULT_CSS = """
    FilterLine {
        height: 3;
        #filter { height: 1; padding: 0 1; background: $panel; }
        Static { height: 1; padding: 0 1; text-wrap: nowrap; text-overflow: ellipsis; }
        #filter-state { color: $text-muted; }
        #filter-completions { color: $text-muted; background: $surface; }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("tab", "complete", "Complete", id="filter.complete", tooltip="Take the completion that is marked"),
        Binding("down", "choose(1)", "Next", id="filter.next", tooltip="Mark the next completion"),
        Binding("up", "choose(-1)", "Previous", id="filter.previous", tooltip="Mark the one before", show=False),
    ]

    @dataclass
    class Changed(Message):
        """Another filter stands in the line; a newer one replaces one that still waits."""

        text: str

        def can_replace(self, message: Message) -> bool:
            """Only what stands there now counts."""
            return isinstance(message, FilterLine.Changed)

    class Accepted(Message):
        """Enter was pressed."""

    def __init__(self, text: str, complete: Complete, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._text = text
        self._complete = complete
        self._completions: Sequence[Completion] = ()
        self._chosen = 0

    def compose(self) -> ComposeResult:
        """Line, state, completions."""
        hint = "words, uncaptioned:yes, folder:x, dur<2 … tab completes"
        yield Input(self._text, placeholder=hint, compact=True, select_on_focus=False, id="filter")
        yield Static(id="filter-state")
        yield Static(id="filter-completions")

    def on_mount(self) -> None:
        """Begin at the end of the text."""
        self.query_one(Input).focus()
        self._offer()

    def show_state(self, text: Content) -> None:
        """Say what the filter gives."""
        for line in self.query("#filter-state").results(Static):
            line.update(text, layout=False)

    def show_error(self, error: SaoError) -> None:
        """Say what is wrong, under the place where it is."""
        position = getattr(error, "start", None)
        text = _pointing(one_line(error.message), position, max(1, self.size.width - 2))
        self.show_state(Content.styled(text, "$text-error"))

    @on(Input.Changed)
    def _changed(self, event: Input.Changed) -> None:
        event.stop()
        self._offer()
        if event.value != self._text:
            self._text = event.value
            self.post_message(self.Changed(event.value))

    @on(Input.Submitted)
    def _submitted(self, event: Input.Submitted) -> None:
        event.stop()
        self.post_message(self.Accepted())

    def action_choose(self, step: int) -> None:
        """Mark another completion."""
        if self._completions:
            self._chosen = (self._chosen + step) % len(self._completions)
            self._show_completions()

    def action_complete(self) -> None:
        """Put the marked completion in the place of the word at the cursor."""
        if not self._completions:
            return
        from sao_tui.services.clip_filter import word_at

        line = self.query_one(Input)
        start, end = word_at(line.value, line.cursor_position)
        text = self._completions[self._chosen].text
        line.value = line.value[:start] + text + line.value[end:]
        line.cursor_position = start + len(text)
        self._offer()

    def _offer(self) -> None:
        line = self.query_one(Input)
        self._completions = self._complete(line.value, line.cursor_position)
        self._chosen = 0
        self._show_completions()

    def _show_completions(self) -> None:
        bar = self.query_one("#filter-completions", Static)
        if not self._completions:
            bar.update(Content(""), layout=False)
            return
        chosen = self._completions[self._chosen]
        parts = [Content.assemble(("tab ", "bold $accent"), (one_line(chosen.text), "bold"), f" {chosen.meaning}")]
        others = [*self._completions[self._chosen + 1 :], *self._completions[: self._chosen]]
        parts += [Content(one_line(each.text)) for each in others]
        bar.update(Content("  ").join(parts), layout=False)


def _pointing(message: str, position: int | None, width: int) -> str:
    """Return a line with `^` at the position, and the message beside it."""
    if position is None or position >= width:
        return message
    if position + 2 + len(message) <= width:
        return f"{' ' * position}^ {message}"
    if len(message) + 1 <= position:
        return f"{message:>{position - 1}} ^"
    return message
