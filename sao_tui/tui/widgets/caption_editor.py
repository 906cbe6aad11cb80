"""The caption of one clip: shown as the model will read it, edited in place on one line."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.message import Message
from textual.widgets import Static

from sao_tui.tui.widgets.typed_ahead import type_into

if TYPE_CHECKING:
    from textual.widgets import Input


class CaptionEditor(Vertical):
    """Shows a caption; `edit` puts an input line in its place until enter or escape.

    Its height stays, whatever is in it: a caption a key press away must not lay the screen out anew.
    """

    DEFAULT_CSS = """
    CaptionEditor {
        height: 2;
        #caption { height: 1fr; }
        #caption-input { height: 1; background: $panel; }
        #caption-hint { display: none; height: 1; color: $text-muted; }
        &.-editing #caption { display: none; }
        &.-editing #caption-hint { display: block; }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "cancel", "Cancel", id="caption.cancel", tooltip="Leave the caption as it was"),
    ]

    @dataclass
    class Submitted(Message):
        """Enter was pressed on a caption that has changed: it is to be saved."""

        relpath: str
        text: str
        before: str
        """Caption that the edit started from."""

    class Closed(Message):
        """The input line is gone, saved or not."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._relpath = ""
        self._caption = ""
        self._edited = ("", "")
        self._unsaved: dict[str, str] = {}

    @property
    def is_editing(self) -> bool:
        """Whether the input line is open."""
        return self.has_class("-editing")

    def compose(self) -> ComposeResult:
        """The text; the input line comes when it is needed."""
        yield Static(id="caption")
        yield Static(Content("enter saves · escape cancels"), id="caption-hint")

    def show(self, relpath: str, caption: str) -> None:
        """Show the caption of a clip; an edit that is going on is left alone."""
        self._relpath, self._caption = relpath, caption
        text = Content("")
        if caption:
            text = Content.assemble(("prompt ", "$text-muted"), caption)
        elif relpath:
            text = Content.styled("no caption: enter writes one", "$text-warning")
        self.query_one("#caption", Static).update(text, layout=False)

    async def edit(self) -> None:
        """Open the input line on the clip that is shown."""
        from textual.widgets import Input

        if not self._relpath or self.is_editing:
            return
        self._edited = (self._relpath, self._caption)
        line = Input(
            self._unsaved.pop(self._relpath, self._caption),
            compact=True,
            select_on_focus=False,
            placeholder="what one hears, in words",
            id="caption-input",
        )
        self.add_class("-editing")
        await self.mount(line, before="#caption-hint")
        line.focus()

    def keep(self, relpath: str, text: str) -> None:
        """Have the next edit of a clip go on with a text that could not be saved."""
        self._unsaved[relpath] = text

    def type_in(self, text: str) -> None:
        """Write into the open line as if it had been typed there."""
        from textual.widgets import Input

        for line in self.query("#caption-input").results(Input):
            type_into(line, text, self.action_cancel)

    async def action_cancel(self) -> None:
        """Leave the caption as it was."""
        await self._close()

    async def on_input_submitted(self, event: Input.Submitted) -> None:
        """Ask for the caption to be saved."""
        event.stop()
        relpath, before = self._edited
        text = event.value.strip()
        await self._close()
        if text != before:
            self.post_message(self.Submitted(relpath, text, before))

    async def _close(self) -> None:
        if self.is_editing:
            await self.query("#caption-input").remove()
            self.remove_class("-editing")
            self.post_message(self.Closed())
