"""Dialogs: a question, an error with the log's last lines, one line of text to enter."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Input, Static

from sao_tui.tui.text import one_line


@dataclass(frozen=True)
class Choice:
    """One answer to a question."""

    key: str
    """Key that gives it."""
    label: str
    value: str
    """What the dialog returns."""


class Dialog(ModalScreen[str | None]):
    """A box over the screen that returns a string; escape returns None."""

    DEFAULT_CSS = """
    Dialog {
        align: center middle;
        & > Vertical {
            width: 90%; max-width: 76; height: auto; max-height: 90%;
            border: round $accent; background: $surface; padding: 0 1;
        }
        .dialog--title { text-style: bold; color: $accent; }
        .dialog--hint { color: $text-muted; }
        .dialog--keys { margin-top: 1; }
        VerticalScroll { height: auto; max-height: 12; margin-top: 1; background: $background; }
        Input { margin-top: 1; }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "answer", "Cancel", id="dialog.cancel", tooltip="Close without an answer"),
    ]

    def action_answer(self, value: str | None = None) -> None:
        """Close with an answer."""
        self.dismiss(value)


class ChoiceDialog(Dialog):
    """A question with some answers, one key each; enter gives the first."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "first", "First answer", id="dialog.first", tooltip="Give the first answer"),
    ]

    def __init__(self, title: str, text: str, choices: Sequence[Choice]) -> None:
        super().__init__()
        self._title = title
        self._text = text
        self._choices = choices

    def compose(self) -> ComposeResult:
        """Title, text and the keys."""
        with Vertical():
            yield Static(Content(one_line(self._title)), classes="dialog--title")
            yield Static(Content(self._text))
            yield _keys((choice.key, choice.label) for choice in self._choices)

    def on_mount(self) -> None:
        """Bind the answers' keys."""
        for choice in self._choices:
            self._bindings.bind(choice.key, f"answer({choice.value!r})", choice.label)

    def action_first(self) -> None:
        """Give the first answer."""
        self.dismiss(self._choices[0].value)


class ErrorDialog(Dialog):
    """What went wrong, the way out, and the last lines of the log."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "answer", "Close", id="dialog.close", tooltip="Close"),
    ]

    def __init__(self, title: str, hint: str = "", log_tail: Sequence[str] = ()) -> None:
        super().__init__()
        self._title = title
        self._hint = hint
        self._log_tail = log_tail

    def compose(self) -> ComposeResult:
        """Message, hint and log."""
        with Vertical():
            yield Static(Content(self._title), classes="dialog--title")
            if self._hint:
                yield Static(Content(self._hint), classes="dialog--hint")
            if self._log_tail:
                with VerticalScroll():
                    yield Static(Content("\n".join(one_line(line) for line in self._log_tail)))
            yield _keys([("enter", "close")])


class PromptDialog(Dialog):
    """Asks for one line of text."""

    def __init__(
        self, title: str, value: str = "", hint: str = "", *, check: Callable[[str], str] = lambda text: ""
    ) -> None:
        """Ask for text, `value` to start from; `check` returns what is wrong with a text, empty for nothing."""
        super().__init__()
        self._title = title
        self._value = value
        self._hint = hint
        self._check = check

    def compose(self) -> ComposeResult:
        """Title, input and what is wrong with it."""
        with Vertical():
            yield Static(Content(one_line(self._title)), classes="dialog--title")
            yield Input(self._value, compact=True, id="answer")
            yield Static(Content(self._hint), classes="dialog--hint", id="hint")
            yield _keys([("enter", "OK"), ("escape", "cancel")])

    @on(Input.Submitted)
    def _submit(self, event: Input.Submitted) -> None:
        problem = self._check(event.value)
        if problem:
            self.query_one("#hint", Static).update(Content(problem))
        else:
            self.dismiss(event.value)


def confirm(title: str, text: str, yes: str, no: str = "cancel") -> ChoiceDialog:
    """Return a dialog that gives "yes", or None on escape."""
    return ChoiceDialog(title, text, [Choice("y", yes, "yes"), Choice("n", no, "no")])


def _keys(keys: Iterable[tuple[str, str]]) -> Static:
    parts = [Content.assemble((key, "bold $accent"), " ", label) for key, label in keys]
    return Static(Content("   ").join(parts), classes="dialog--keys")
