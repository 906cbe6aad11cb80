"""Bring captions in from other formats, and take them out."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, ClassVar

from textual import on
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.timer import Timer
from textual.widget import Widget
from textual.widgets import Input, Static

from sao_tui.tui.base import toast
from sao_tui.tui.dialogs import PromptDialog, confirm
from sao_tui.tui.studio.base import StudioResult, key_line
from sao_tui.tui.studio.transfer_text import counted, export_text, import_preview, import_text
from sao_tui.tui.studio.transfer_workers import (
    ExportPlanned,
    ImportPlanned,
    Progressed,
    Refused,
    TransferWorkers,
    Written,
)
from sao_tui.tui.text import one_line
from sao_tui.tui.widgets.option_form import Option, OptionForm

if TYPE_CHECKING:
    from sao_tui.services.transfer import ImportPlan, Policy
    from sao_tui.services.transfer_write import ExportPlan

SETTLE_SECONDS = 0.3
POLICIES: tuple[Policy, ...] = ("mine", "theirs", "empty")
SOURCE_HINT = (
    "csv, jsonl, or a folder: .txt or .json sidecars (Stable Audio 3, underfit) or a\n"
    "Hugging Face audiofolder. Paths are relative to the workspace."
)


class ImportDialog(TransferWorkers):
    """Names a source, shows what it would change, and writes it in one step."""

    TITLE_TEXT = "Import captions"
    AUTO_FOCUS = "#source"
    DEFAULT_CSS = """
    ImportDialog {
        #source { margin-top: 1; }
        #hint { height: 2; color: $text-muted; }
        #totals { height: 4; border-top: solid $panel; }
        #preview { height: 1fr; }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("tab,p", "policy", "Choice", id="import.policy", tooltip="Whose caption stays where both have one"),
        Binding("s", "write", "Import", id="import.write", tooltip="Write what the preview shows, in one step"),
        Binding("e", "source", "Source", id="import.source", tooltip="Name another source"),
    ]

    _plan: ImportPlan | None = None
    _policy: Policy = "mine"

    def compose_body(self) -> Iterable[Widget]:
        """The source, and what it would change."""
        yield Input(placeholder="path of a file or a folder", compact=True, select_on_focus=False, id="source")
        yield Static(Content(SOURCE_HINT), id="hint")
        yield Static(id="totals")
        yield Static(id="preview")
        yield key_line(
            [("enter", "preview"), ("tab", "whose stay"), ("s", "import"), ("e", "source"), ("esc", "close")]
        )

    @on(Input.Submitted, "#source")
    def _preview(self, event: Input.Submitted) -> None:
        if event.value.strip():
            self._plan = None
            self.query_one("#totals", Static).update("reading…")
            self.query_one("#preview", Static).update("")
            self.plan_import(event.value.strip())

    @on(ImportPlanned)
    def _show_plan(self, message: ImportPlanned) -> None:
        self._plan = message.plan
        # The keys of the dialog act once the path is not typed any more.
        self.set_focus(None)
        self._show()

    @on(Refused)
    def _show_refusal(self, message: Refused) -> None:
        text = Content.assemble((one_line(message.message), "$text-error"), "\n", one_line(message.hint))
        self.query_one("#totals", Static).update(text)

    @on(Written)
    def _close(self, message: Written) -> None:
        self.dismiss(StudioResult(one_line(message.note), captions_changed=True))

    def _show(self) -> None:
        if self._plan is not None:
            self.query_one("#totals", Static).update(import_text(self._plan, self._policy))
            preview = self.query_one("#preview", Static)
            preview.update(import_preview(self._plan, self._policy, preview.size.width, preview.size.height))

    def action_policy(self) -> None:
        """Take the next choice."""
        self._policy = POLICIES[(POLICIES.index(self._policy) + 1) % len(POLICIES)]
        self._show()

    def action_source(self) -> None:
        """Go back to the path."""
        self.query_one("#source", Input).focus()

    def action_write(self) -> None:
        """Write what the preview shows."""
        if self._plan is None or not self._plan.matches:
            toast(self.app, "Nothing matches yet: name a source, then press enter.")
        else:
            self.write_import(self._plan, self._policy)


def _target(text: str) -> tuple[str, str]:
    if not text.strip():
        raise ValueError("It needs a name.")
    return text.strip(), text.strip()


EXPORT_OPTIONS = (
    Option(
        "format",
        "Format",
        (
            ("txt", ".txt beside each clip (Stable Audio 3, underfit)"),
            ("json", ".json beside each clip (underfit)"),
            ("csv", "captions.csv"),
            ("audiofolder", "Hugging Face audiofolder"),
            ("jsonl", "metadata.jsonl"),
        ),
        "All keys of a clip's line go along, but into .txt the caption alone.",
    ),
    Option(
        "target",
        "Write to",
        (("export", "export"), ("dataset", "dataset, beside the clips")),
        "A folder, relative to the workspace; for a table also a file. Enter types another.",
        _target,
        "Folder or file to write to",
    ),
    Option(
        "placing",
        "Clips",
        (("", "captions only"), ("copy", "copies of the clips too"), ("link", "links to the clips too")),
        "Hard links use no space; on another disk they become symbolic ones.",
    ),
)


class ExportDialog(TransferWorkers):
    """Chooses a format and a place, shows what would be written, and writes it."""

    TITLE_TEXT = "Export captions"
    AUTO_FOCUS = "OptionForm"
    DEFAULT_CSS = """
    ExportDialog {
        OptionForm { height: 3; background: $surface; }
        #hint { height: 2; color: $text-muted; }
        #totals { height: 4; border-top: solid $panel; }
        #preview { height: 1fr; }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("s", "write", "Export", id="export.write", tooltip="Write the files"),
    ]

    _plan: ExportPlan | None = None
    _existing = 0
    _timer: Timer | None = None

    def compose_body(self) -> Iterable[Widget]:
        """The options, and what would be written."""
        yield OptionForm(id="form")
        yield Static(id="hint")
        yield Static(id="totals")
        yield Static(id="preview")
        yield key_line([("← →", "change"), ("enter", "type"), ("s", "export"), ("esc", "close")])

    def on_mount(self) -> None:
        """Show what the usual choice would write."""
        self.query_one(OptionForm).show_options(EXPORT_OPTIONS)
        self._plan_now()

    @on(OptionForm.Moved)
    def _show_option(self, message: OptionForm.Moved) -> None:
        self.query_one("#hint", Static).update(Content(message.option.help))

    @on(OptionForm.Changed)
    def _plan_soon(self) -> None:
        self._plan = None
        if self._timer is not None:
            self._timer.stop()
        self._timer = self.set_timer(SETTLE_SECONDS, self._plan_now)

    def _plan_now(self) -> None:
        self.plan_export(self.query_one(OptionForm).values)

    @on(OptionForm.TypeWanted)
    def _ask(self, message: OptionForm.TypeWanted) -> None:
        option, form = message.option, self.query_one(OptionForm)

        def check(text: str) -> str:
            return "" if text.strip() else "It needs a name."

        def take(text: str | None) -> None:
            if text is not None:
                form.set_value(option, *_target(text))

        self.app.push_screen(PromptDialog(option.typed, str(form.values[option.id]), option.help, check=check), take)

    @on(ExportPlanned)
    def _show_plan(self, message: ExportPlanned) -> None:
        self._plan, self._existing = message.plan, message.existing
        self.query_one("#totals", Static).update(export_text(message.plan, message.existing))
        preview = self.query_one("#preview", Static)
        names = [*list(message.plan.texts)[: preview.size.height], *message.plan.clips[: preview.size.height]]
        preview.update(Content("\n".join(map(one_line, names[: preview.size.height]))))

    @on(Refused)
    def _show_refusal(self, message: Refused) -> None:
        text = Content.assemble((one_line(message.message), "$text-error"), "\n", one_line(message.hint))
        self.query_one("#totals", Static).update(text)
        self.query_one("#preview", Static).update("")

    @on(Progressed)
    def _show_progress(self, message: Progressed) -> None:
        self.query_one("#totals", Static).update(f"writing… {message.done}/{message.total}")

    @on(Written)
    def _close(self, message: Written) -> None:
        self.dismiss(StudioResult(one_line(message.note)))

    def action_write(self) -> None:
        """Write the files, after a question where some are there with other content."""
        plan = self._plan
        if plan is None:
            toast(self.app, "One moment: the preview is not done.")
        elif not self._existing:
            self.write_export(plan, False)
        else:

            def settle(answer: str | None) -> None:
                if answer == "yes":
                    self.write_export(plan, True)

            title = f"Overwrite {counted(self._existing, 'file')}?"
            self.app.push_screen(confirm(title, f"They are in {one_line(str(plan.folder))}.", "overwrite"), settle)
