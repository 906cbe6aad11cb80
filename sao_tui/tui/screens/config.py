"""Config: a form over everything that a training run is made of."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

from textual import on
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.timer import Timer
from textual.widget import Widget
from textual.widgets import Input, Static

from sao_tui.core.findings import is_ok
from sao_tui.tui.screens.config_documents import (
    Document,
    error_text,
    field_path,
    field_texts,
    files_text,
    findings_text,
    model_json,
    parse_value,
    problems_text,
)
from sao_tui.tui.screens.config_workers import Checked, ConfigWorkers, DocumentsRead, Saved
from sao_tui.tui.widgets.config_form import ConfigForm, FormField, show_value

STRUCTURE = frozenset({"Conditioning", "Autoencoder", "Diffusion", "Audio"})
"""Sections that are folded at first: a fine-tune keeps what they say."""
SETTLE_SECONDS = 0.15
"""How long keys must rest before what was typed is checked."""


class ConfigScreen(ConfigWorkers):
    """Fields of train.toml and of the model's and dataset's configs."""

    MODE = "config"
    CSS_PATH = "config.tcss"
    AUTO_FOCUS = "ConfigForm"
    HELP = """
What a training run is made of: `train.toml`, the model's config, the dataset's config.

What you type is checked at once. A field with `!` is wrong, one with `*` is not written yet. Sections that a
fine-tune leaves alone are folded: enter on one unfolds it.
"""
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("w", "save", "Write", id="config.save", tooltip="Write the changed files"),
        Binding("r", "reset", "Reset", id="config.reset", tooltip="Put the field back as it is on the disk"),
        Binding("d", "default", "Default", id="config.default", tooltip="Put the field to its default", show=False),
        Binding("c", "check", "Check", id="config.check", tooltip="Check everything and list what is found"),
        Binding("m", "make", "Make", id="config.make", tooltip="Make the configs that are missing", show=False),
        Binding("v", "json", "JSON", id="config.json", tooltip="Show the model's config as JSON, or the form again"),
    ]

    _documents: list[Document]
    _is_read = False
    _edited: FormField | None = None
    _typing_error = ""
    _check_timer: Timer | None = None

    def compose_body(self) -> Iterable[Widget]:
        """The form, and the field under its cursor."""
        yield Static("reading the configs…", id="files")
        yield Input(placeholder="search fields by name, help or section", compact=True, id="search")
        yield ConfigForm(id="form")
        yield Static(id="empty")
        with VerticalScroll(id="json"):
            yield Static(id="json-text")
        with VerticalScroll(id="findings"):
            yield Static(id="findings-text")
        with Vertical(id="field"):
            yield Static(id="field-help")
            yield Static(id="field-facts")
            yield Input(compact=True, select_on_focus=False, id="field-input")
            yield Static(id="field-error")

    def on_mount(self) -> None:
        """Read the files once the first frame is out."""
        self._documents = []
        self.call_after_refresh(self._read)

    def on_screen_resume(self) -> None:
        """Show what other programs have written meanwhile, unless that would take changes back."""
        super().on_screen_resume()
        if self._is_read and self._edited is None and not self.query_one(ConfigForm).changed_keys:
            self._read()

    def show_target(self, target: str) -> None:
        """Move to the field with the path `target`."""
        for field in (field for document in self._documents for field in document.fields):
            if field_path(field.key) == target:
                self.query_one(ConfigForm).move_to(field.key)

    # What the workers have told.

    @on(DocumentsRead)
    def _show_documents(self, message: DocumentsRead) -> None:
        self._is_read = True
        self._documents = message.documents
        fields = [field for document in message.documents for field in document.fields]
        self.query_one(ConfigForm).set_fields(fields, message.values, folded=STRUCTURE)
        self.set_class(not fields, "-empty")
        self.query_one("#empty", Static).update(problems_text(message.problems))
        if fields:
            for problem in message.problems:
                self.toast(problem.message, problem.hint, severity="warning")
        self._show_files()
        self._check_soon()

    @on(Checked)
    def _show_check(self, message: Checked) -> None:
        self.query_one(ConfigForm).set_errors(message.errors)
        self.query_one("#findings-text", Static).update(findings_text(message.findings))
        if message.show:
            self.add_class("-findings")
            self.note("nothing stands in the way" if is_ok(message.findings) else "there are errors")
        self._show_field_error()

    @on(Saved)
    def _show_saved(self, message: Saved) -> None:
        self.note(message.text)
        self._read()

    # What the widgets have told.

    @on(ConfigForm.Highlighted)
    def _show_field(self, message: ConfigForm.Highlighted) -> None:
        if self._edited is not None:
            return
        field = message.field
        title, facts = field_texts(field)
        self.query_one("#field-help", Static).update(title, layout=False)
        self.query_one("#field-facts", Static).update(facts, layout=False)
        self._show_field_error()

    @on(ConfigForm.EditWanted)
    def _edit(self, message: ConfigForm.EditWanted) -> None:
        self._edited = message.field
        value = self.query_one(ConfigForm).value(message.field.key)
        line = self.query_one("#field-input", Input)
        with line.prevent(Input.Changed):
            line.value = "" if value is None else show_value(value)
            line.cursor_position = len(line.value)
        self.add_class("-editing")
        line.focus()

    @on(ConfigForm.Chosen)
    def _take_choice(self, message: ConfigForm.Chosen) -> None:
        self._set_value(message.field, message.value)

    @on(Input.Changed, "#field-input")
    def _typed(self, event: Input.Changed) -> None:
        if self._edited is None:
            return
        try:
            value = parse_value(self._edited, event.value)
        except ValueError as error:
            self._typing_error = str(error)
            self._show_field_error()
        else:
            self._typing_error = ""
            self._show_field_error()
            self._check_soon({self._edited.key: value})

    @on(Input.Submitted, "#field-input")
    def _entered(self, event: Input.Submitted) -> None:
        field = self._edited
        if field is None:
            return
        try:
            value = parse_value(field, event.value)
        except ValueError as error:
            self._typing_error = str(error)
            self._show_field_error()
            return
        self._close_editor()
        self._set_value(field, value)

    @on(Input.Changed, "#search")
    def _searched(self, event: Input.Changed) -> None:
        num_found = self.query_one(ConfigForm).search(event.value)
        if not num_found and self._documents:
            self.note("no field matches")

    @on(Input.Submitted, "#search")
    def _search_entered(self) -> None:
        self.remove_class("-searching")
        self.query_one(ConfigForm).focus()

    # What the keys do.

    def action_filter(self) -> None:
        """Search fields."""
        self.remove_class("-json")
        self.add_class("-searching")
        self.query_one("#search", Input).focus()

    def action_leave(self) -> None:
        """Leave the field, then the search, then the findings, then the JSON."""
        form = self.query_one(ConfigForm)
        if self._edited is not None:
            self._close_editor()
            self._check_soon()
        elif self.has_class("-searching") or self.query_one("#search", Input).value:
            self.query_one("#search", Input).value = ""
            self.remove_class("-searching")
        elif self.has_class("-findings"):
            self.remove_class("-findings")
        else:
            self.remove_class("-json")
        form.focus()

    def action_save(self) -> None:
        """Write the changed files."""
        form = self.query_one(ConfigForm)
        self._save({key: form.value(key) for key in form.changed_keys})

    def action_check(self) -> None:
        """Check everything and list what is found; again to close the list."""
        if self.has_class("-findings"):
            self.remove_class("-findings")
        else:
            self._check(self._documents, self._values(), show=True)

    def action_reset(self) -> None:
        """Put the field back as it is on the disk."""
        if (field := self.query_one(ConfigForm).current) is not None:
            self._set_value(field, self.query_one(ConfigForm).saved_value(field.key))

    def action_default(self) -> None:
        """Put the field to its default."""
        if (field := self.query_one(ConfigForm).current) is not None:
            self._set_value(field, field.default)

    def action_make(self) -> None:
        """Make the configs that are missing."""
        self._make_missing()

    def action_json(self) -> None:
        """Show the model's config as it would be written, or the form again."""
        self.toggle_class("-json")
        if not self.has_class("-json"):
            self.query_one(ConfigForm).focus()
            return
        self.query_one("#json-text", Static).update(model_json(self._documents, self._values()))
        self.query_one("#json").focus()

    def _values(self) -> dict[str, Any]:
        form = self.query_one(ConfigForm)
        return {field.key: form.value(field.key) for document in self._documents for field in document.fields}

    def _set_value(self, field: FormField, value: Any) -> None:
        self.query_one(ConfigForm).set_value(field.key, value)
        self._show_files()
        self._check_soon()

    def _check_soon(self, typed: Mapping[str, Any] | None = None) -> None:
        if self._check_timer is not None:
            self._check_timer.stop()
        values = {**self._values(), **(typed or {})}
        self._check_timer = self.set_timer(SETTLE_SECONDS, lambda: self._check(self._documents, values, show=False))

    def _close_editor(self) -> None:
        self._edited = None
        self._typing_error = ""
        self.remove_class("-editing")
        form = self.query_one(ConfigForm)
        form.focus()
        form.cursor_moved()

    def _show_field_error(self) -> None:
        form = self.query_one(ConfigForm)
        field = self._edited or form.current
        error = self._typing_error or (form.error(field.key) if field is not None else "")
        text = error_text(error, is_edited=self._edited is not None)
        self.query_one("#field-error", Static).update(text, layout=False)

    def _show_files(self) -> None:
        num_changed = len(self.query_one(ConfigForm).changed_keys)
        self.sao.num_unwritten = num_changed
        text = files_text(self._documents, self.services.workspace.root, num_changed)
        self.query_one("#files", Static).update(text, layout=False)
