"""The caption of one clip: shown as the model will read it, edited in place on one line."""

from __future__ import annotations

from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.message import Message
from textual.widgets import Input, Static


class CaptionEditor(Vertical):
    """Shows a caption; `edit` puts an input line in its place until enter or escape."""

    DEFAULT_CSS = """
    CaptionEditor {
        height: auto;
        #caption { height: auto; max-height: 4; }
        #caption-input { display: none; background: $panel; }
        #caption-state { height: 1; color: $text-muted; }
        &.-editing #caption { display: none; }
        &.-editing #caption-input { display: block; }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "cancel", "Cancel", id="caption.cancel", tooltip="Leave the caption as it was"),
    ]

    class Submitted(Message):
        """Enter was pressed: the caption is to be saved."""

        def __init__(self, relpath: str, text: str, before: str) -> None:
            super().__init__()
            self.relpath = relpath
            self.text = text
            self.before = before
            """Caption that the edit started from."""

    class Closed(Message):
        """The input line is gone, saved or not."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._relpath = ""
        self._caption = ""
        self._edited = ("", "")

    @property
    def is_editing(self) -> bool:
        """Whether the input line is open."""
        return self.has_class("-editing")

    def compose(self) -> ComposeResult:
        """Text, input and state."""
        yield Static(id="caption")
        yield Input(compact=True, select_on_focus=False, placeholder="what one hears, in words", id="caption-input")
        yield Static(id="caption-state")

    def show(self, relpath: str, caption: str) -> None:
        """Show the caption of a clip; an edit that is going on is left alone."""
        if relpath != self._relpath:
            self.say("")
        self._relpath, self._caption = relpath, caption
        if not relpath:
            text = Content("")
        elif caption:
            text = Content.assemble(("prompt ", "$text-muted"), caption)
        else:
            text = Content.styled("no caption: enter writes one", "$text-warning")
        self.query_one("#caption", Static).update(text)

    def say(self, text: str) -> None:
        """Show what has become of the last edit."""
        self.query_one("#caption-state", Static).update(Content(text))

    def edit(self) -> None:
        """Open the input line on the clip that is shown."""
        if not self._relpath:
            return
        self._edited = (self._relpath, self._caption)
        field = self.query_one(Input)
        field.value = self._caption
        field.cursor_position = len(self._caption)
        self.add_class("-editing")
        self.say("enter saves · escape cancels")
        field.focus()

    def action_cancel(self) -> None:
        """Leave the caption as it was."""
        if self.is_editing:
            self.say("")
            self._close()

    @on(Input.Submitted)
    def _submit(self, event: Input.Submitted) -> None:
        event.stop()
        relpath, before = self._edited
        text = event.value.strip()
        self._close()
        if text == before:
            self.say("unchanged")
            return
        self.say("saving…")
        self.post_message(self.Submitted(relpath, text, before))

    def _close(self) -> None:
        self.remove_class("-editing")
        self.post_message(self.Closed())
