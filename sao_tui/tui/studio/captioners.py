"""Choose a captioner, see what it needs and whether it is here, and start it."""

from __future__ import annotations

import shlex
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from textual import on, work
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.message import Message
from textual.widget import Widget
from textual.widgets import Input, Static

from sao_tui.core.captioners import CAPTIONERS, CaptionerInfo
from sao_tui.core.errors import SaoError
from sao_tui.tui.base import toast
from sao_tui.tui.studio.base import StudioDialog, StudioResult, key_line
from sao_tui.tui.widgets.row_table import Row, RowTable

if TYPE_CHECKING:
    from sao_tui.services.captioners import CaptionerState
    from sao_tui.services.jobs import JobView


class CaptionerTable(RowTable):
    """The captioners."""

    COLUMNS: ClassVar[tuple[tuple[str, int], ...]] = (("captioner", 10), ("here", 9), ("what it says", 0))


class CaptionersDialog(StudioDialog):
    """Start a captioner over the selected clips; closes with the job's name as the note."""

    TITLE_TEXT = "Suggest captions"
    AUTO_FOCUS = "CaptionerTable"
    DEFAULT_CSS = """
    CaptionersDialog {
        CaptionerTable { height: 6; background: $surface; }
        #about { height: 1fr; border-top: solid $panel; }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "start", "Start", id="captioners.start", tooltip="Start the captioner over the clips"),
        Binding("o", "options", "Options", id="captioners.options", tooltip="Say how the captioner works"),
    ]

    @dataclass
    class StatesRead(Message):
        """What can run here is known."""

        states: list[CaptionerState]

    @dataclass
    class Started(Message):
        """The job has begun."""

        job: JobView

    def compose_body(self) -> Iterable[Widget]:
        """List, what the chosen one needs, options."""
        yield CaptionerTable(id="captioners")
        yield Static(id="about")
        yield Input(placeholder="options: name=value name=value", compact=True, id="options")
        yield key_line([("enter", "start"), ("o", "options"), ("escape", "back")])

    def on_mount(self) -> None:
        """Show the captioners at once; what is missing follows."""
        self._states: dict[str, CaptionerState] = {}
        self._show()
        self._read_states()

    @on(StatesRead)
    def _show_states(self, message: StatesRead) -> None:
        self._states = {state.info.name: state for state in message.states}
        self._show()

    @on(CaptionerTable.Highlighted)
    def _moved(self) -> None:
        self._show_about()
        info = self._current()
        self.query_one(Input).value = " ".join(f"{name}=" for name in info.required)

    @on(Started)
    def _job_started(self, message: Started) -> None:
        self.dismiss(StudioResult(note=message.job.name))

    @on(Input.Submitted)
    def action_start(self) -> None:
        """Start the captioner under the cursor."""
        try:
            options = parse_options(self.query_one(Input).value)
        except SaoError as error:
            toast(self.app, error.message, error.hint, severity="error")
            return
        self._start(self._current().name, options)

    def action_options(self) -> None:
        """Go to the line of options."""
        field = self.query_one(Input)
        field.focus()
        field.cursor_position = field.value.find("=") + 1 or len(field.value)

    def action_close(self) -> None:
        """Leave the options, or close."""
        if self.query_one(Input).has_focus:
            self.query_one(CaptionerTable).focus()
        else:
            self.dismiss(None)

    def _current(self) -> CaptionerInfo:
        return CAPTIONERS[self.query_one(CaptionerTable).current_key or next(iter(CAPTIONERS))]

    def _show(self) -> None:
        rows = []
        for info in CAPTIONERS.values():
            state = self._states.get(info.name)
            here = "…" if state is None else "yes" if state.is_available else "no"
            rows.append(Row(info.name, (info.name, here, info.title), state is not None and not state.is_available))
        self.query_one(CaptionerTable).set_rows(rows)
        self._show_about()

    def _show_about(self) -> None:
        info = self._current()
        state = self._states.get(info.name)
        parts = [Content.assemble(("needs ", "bold"), info.needs)]
        if state is not None and state.missing:
            parts.append(Content.assemble(("here  ", "bold"), state.missing))
        if state is not None and (not state.is_available or info.name == "clap"):
            parts.append(Content.assemble(("get   ", "bold"), info.way))
        for option in info.options:
            default = f"={option.default}" if option.default and len(option.default) < 24 else ""
            parts.append(Content.assemble((f"  {option.name}{default}", "bold"), f"  {option.help}"))
        self.query_one("#about", Static).update(Content("\n").join(parts))

    @work(thread=True, group="captioners", exit_on_error=False)
    def _read_states(self) -> None:
        from sao_tui.services.captioners import captioner_states

        self.post_message(self.StatesRead(captioner_states(self.services.workspace)))

    @work(thread=True, group="start", exclusive=True, exit_on_error=False)
    def _start(self, name: str, options: dict[str, str]) -> None:
        from sao_tui.services import suggestions

        self.post_message(self.Started(suggestions.start(self.services, name, self.selection.ids, options)))


def parse_options(text: str) -> dict[str, str]:
    """Return `name=value` words as a dictionary; quotes hold a value with spaces together.

    Raises:
        SaoError: A word is no option, or a quote is not closed.
    """
    try:
        words = shlex.split(text)
    except ValueError as error:
        raise SaoError(
            "A quote in the options is not closed.", "Write name=value, or name='a longer value'."
        ) from error
    options = {}
    for word in words:
        name, sign, value = word.partition("=")
        if not sign or not name:
            raise SaoError(f"{word} is no option.", "Write name=value, such as top_k=5.")
        if value:
            options[name] = value
    return options
