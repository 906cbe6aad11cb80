"""Captions that captioners suggest, to accept or reject."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, ClassVar

from textual import on
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.widget import Widget
from textual.widgets import Input, Static
from textual.worker import Worker

from sao_tui.tui.studio.base import StudioResult, key_line
from sao_tui.tui.studio.suggestions_workers import Decided, JobRead, RowsRead, Said, SuggestionsRead, SuggestionsWorkers
from sao_tui.tui.text import one_line
from sao_tui.tui.widgets.suggestion_table import SuggestionTable

if TYPE_CHECKING:
    from sao_tui.services.jobs import JobView
    from sao_tui.services.suggestions import Applied, Mode, SuggestionRow

POLL_SECONDS = 1.0
READING = "reading…"
MODE_WORDS = {
    "replace": "replaces captions",
    "append": "appends to captions",
    "only-empty": "fills empty captions only",
}
NOTHING = (
    "No suggestion waits for these clips.\n\nn  choose a captioner and start it: it only suggests, in a job that goes "
    "on when this is closed."
)


class SuggestionsDialog(SuggestionsWorkers):
    """Captions that captioners suggest, to accept or reject."""

    TITLE_TEXT = "Suggestions"
    POLL_GROUPS = frozenset({"poll"})
    AUTO_FOCUS = "SuggestionTable"
    DEFAULT_CSS = """
    SuggestionsDialog {
        #job, #info { height: 1; }
        #info { color: $text-muted; }
        SuggestionTable { background: $surface; }
        #nothing { display: none; height: 1fr; padding: 1 2; }
        &.-empty SuggestionTable { display: none; }
        &.-empty #nothing { display: block; }
        #detail { height: 4; border-top: solid $panel; }
        #edit { display: none; }
        &.-editing #edit { display: block; }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("space", "play", "Play", id="suggestions.play", tooltip="Play the clip, again to stop"),
        Binding("enter", "accept", "Accept", id="suggestions.accept", tooltip="Write the suggestion as the caption"),
        Binding("e", "edit", "Edit", id="suggestions.edit", tooltip="Change the suggestion, then accept it"),
        Binding("d,delete", "reject", "Reject", id="suggestions.reject", tooltip="Put the suggestion aside"),
        Binding("A", "accept_all", "Accept all", id="suggestions.all", tooltip="Accept all above a confidence"),
        Binding("m", "mode", "Mode", id="suggestions.mode", tooltip="Replace, append, or fill empty captions only"),
        Binding("u", "undo", "Undo", id="suggestions.undo", tooltip="Take the last decision back"),
        Binding("n", "new", "New", id="suggestions.new", tooltip="Choose a captioner and start it"),
        Binding("x", "stop", "Stop", id="suggestions.stop", tooltip="Stop the job that runs"),
        Binding("R", "resume", "Resume", id="suggestions.resume", tooltip="Go on with the job that ended early"),
    ]

    _mode: Mode = "replace"
    _job: JobView | None = None
    _polling: Worker[None] | None = None
    _num_changed = 0
    _said = ""

    def compose_body(self) -> Iterable[Widget]:
        """The job, the list, the suggestion under the cursor."""
        yield Static(id="job")
        yield Static(id="info")
        yield SuggestionTable(id="suggestions")
        yield Static(Content(NOTHING), id="nothing")
        yield Static(id="detail")
        yield Input(compact=True, select_on_focus=False, id="edit")
        keys = [("enter", "accept"), ("e", "edit"), ("d", "reject"), ("A", "all"), ("u", "undo")]
        yield key_line([*keys, ("n", "new"), ("esc", "close")])

    def on_mount(self) -> None:
        """Read once the frame is out."""
        self._decisions: list[Applied] = []
        self._note(READING)
        self._read_all()
        if getattr(self.app, "poll_seconds", None) is not None:
            self.set_interval(POLL_SECONDS, self.poll)

    def poll(self) -> None:
        """Read what has come, unless the last look still goes on."""
        if self.app.screen is self and (self._polling is None or self._polling.is_finished):
            self._polling = self._read_new()

    @on(SuggestionsRead)
    def _show_list(self, message: SuggestionsRead) -> None:
        self.set_class(not message.ids, "-empty")
        self.query_one(SuggestionTable).set_ids(message.ids, message.first_page)
        self._note("" if self._said == READING else None)

    @on(JobRead)
    def _show_job(self, message: JobRead) -> None:
        self._job = message.job
        self.query_one("#job", Static).update(job_line(message.job))

    @on(RowsRead)
    def _show_rows(self, message: RowsRead) -> None:
        self.query_one(SuggestionTable).put_page(message.page, message.rows)

    @on(SuggestionTable.PageWanted)
    def _fetch(self, message: SuggestionTable.PageWanted) -> None:
        self._read_rows(message.page, message.ids)

    @on(SuggestionTable.Highlighted)
    def _show_detail(self, message: SuggestionTable.Highlighted) -> None:
        self.query_one("#detail", Static).update(detail(message.row))

    @on(Decided)
    def _show_decision(self, message: Decided) -> None:
        if message.applied.num_decided:
            self._decisions.append(message.applied)
        self._num_changed += message.applied.num_changed
        self._note(message.applied.in_words(message.verb))

    @on(Said)
    def _show_note(self, message: Said) -> None:
        self._note(message.text)

    @on(Input.Submitted, "#edit")
    def _accept_edited(self, event: Input.Submitted) -> None:
        row = self.query_one(SuggestionTable).current_row
        self._stop_editing()
        if row is not None and event.value.strip():
            self._accept([row.id], self._mode, event.value.strip())

    def action_play(self) -> None:
        """Play the clip of the suggestion."""
        row = self.query_one(SuggestionTable).current_row
        if row is not None:
            self._play(self.services.workspace.dataset_folder / row.relpath)

    def action_accept(self) -> None:
        """Write the suggestion as the caption."""
        row = self.query_one(SuggestionTable).current_row
        if row is not None:
            self._accept([row.id], self._mode)

    def action_edit(self) -> None:
        """Change the suggestion before it is written."""
        row = self.query_one(SuggestionTable).current_row
        if row is not None:
            self.add_class("-editing")
            field = self.query_one("#edit", Input)
            field.value = row.text
            field.cursor_position = len(row.text)
            field.focus()

    def action_reject(self) -> None:
        """Put the suggestion aside."""
        row = self.query_one(SuggestionTable).current_row
        if row is not None:
            self._reject([row.id])

    def action_accept_all(self) -> None:
        """Ask for a confidence, then accept what is shown above it."""
        from sao_tui.tui.dialogs import PromptDialog

        table = self.query_one(SuggestionTable)
        if not table.ids:
            return
        hint = f"{len(table.ids):,} are shown; it {MODE_WORDS[self._mode]}. Leave it empty for all, also those without."

        def settle(answer: str | None) -> None:
            if answer is not None:
                self._note("accepting…")
                self._accept_above(float(answer) if answer.strip() else None, self._mode)

        title = "Accept all of at least this confidence"
        self.app.push_screen(PromptDialog(title, "0.5", hint, check=_no_number), settle)

    def action_mode(self) -> None:
        """Change what becomes of captions that are there."""
        from sao_tui.services.suggestions import MODES

        self._mode = MODES[(MODES.index(self._mode) + 1) % len(MODES)]
        self._note()

    def action_undo(self) -> None:
        """Take the last decision back."""
        if self._decisions:
            applied = self._decisions.pop()
            self._num_changed -= applied.num_changed
            self._undo(applied)
        else:
            self._note("nothing to undo here")

    def action_new(self) -> None:
        """Choose a captioner and start it."""
        from sao_tui.tui.studio.captioners import CaptionersDialog

        def settle(result: StudioResult | None) -> None:
            if result is not None:
                self._note(f"{result.note} has started")
                self._read_all()

        self.app.push_screen(CaptionersDialog(self.services, self.selection), settle)

    def action_stop(self) -> None:
        """Stop the job that runs."""
        if self._job is not None and not self._job.is_final:
            self._stop_job(self._job.name)
        else:
            self._note("no job runs")

    def action_resume(self) -> None:
        """Go on with the clips that the last job has not done."""
        if self._job is not None and self._job.is_final:
            self._resume_job(self._job.name)
        else:
            self._note("no job has ended early")

    def action_close(self) -> None:
        """Leave the line, or close; a job goes on."""
        if self.has_class("-editing"):
            self._stop_editing()
            return
        note = (
            f"{self._num_changed:,} caption{'s' * (self._num_changed != 1)} from suggestions"
            if self._num_changed > 0
            else ""
        )
        self.dismiss(StudioResult(note=note, captions_changed=True) if self._decisions or note else None)

    def _stop_editing(self) -> None:
        self.remove_class("-editing")
        self.query_one(SuggestionTable).focus()

    def _note(self, text: str | None = None) -> None:
        """Show the line of notes, with other words at its end or the last ones."""
        self._said = self._said if text is None else text
        number = len(self.query_one(SuggestionTable).ids)
        parts = [f"{number:,} to decide", f"accepting {MODE_WORDS[self._mode]} (m)", self._said]
        self.query_one("#info", Static).update(Content(one_line(" · ".join(part for part in parts if part))))


def job_line(job: JobView | None) -> Content:
    """Return the newest job in one line."""
    if job is None:
        return Content("No captioner has run yet: n starts one.")
    how_far = f" {job.step:,}/{job.steps:,} clips" if job.steps else ""
    reason = f" · {one_line(job.reason)}" if job.reason else ""
    hint = "" if job.is_final else " · x stops it"
    if job.is_final and job.step < job.steps:
        hint = " · R goes on with the rest"
    return Content.assemble((job.name, "bold"), f" {job.state}{how_far}{reason}{hint}")


def detail(row: SuggestionRow | None) -> Content:
    """Return the suggestion under the cursor in full."""
    if row is None:
        return Content("")
    why = ", ".join(f"{name} {value}" for name, value in row.details.items() if value not in ("", [], {}, 0, 0.0))
    return Content("\n").join(
        [
            Content.assemble(("now  ", "bold"), one_line(row.caption) or "(no caption)"),
            Content.assemble(("new  ", "bold"), one_line(row.text)),
            Content.assemble(("why  ", "bold"), one_line(f"{row.source}: {why}" if why else row.source)),
        ]
    )


def _no_number(text: str) -> str:
    try:
        if text.strip():
            float(text)
    except ValueError:
        return "That is no number. Confidence goes from 0 to 1."
    return ""
