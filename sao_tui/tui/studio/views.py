"""Saved filters: apply one, save the present one, rename, delete."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from textual import on, work
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.message import Message
from textual.widget import Widget
from textual.widgets import Static

from sao_tui.tui.studio.base import Selection, StudioDialog, StudioResult, key_line
from sao_tui.tui.text import one_line
from sao_tui.tui.widgets.row_table import Row, RowTable

if TYPE_CHECKING:
    from sao_tui.services.bundle import Services
    from sao_tui.services.views import SavedFilter


class ViewTable(RowTable):
    """Names and filters."""

    COLUMNS = (("name", 24), ("filter", 0))


class ViewsDialog(StudioDialog):
    """Lists the saved filters; enter shows what the one under the cursor leaves."""

    TITLE_TEXT = "Saved filters"
    DEFAULT_CSS = """
    ViewsDialog {
        ViewTable { background: $surface; }
        #now { height: 1; color: $text-muted; }
        #none { display: none; height: 1fr; padding: 1 0; }
        &.-empty #none { display: block; }
        &.-empty ViewTable { display: none; }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "apply", "Apply", id="views.apply", tooltip="Show what this filter leaves"),
        Binding("s", "save", "Save", id="views.save", tooltip="Save the filter that is on now"),
        Binding("r", "rename", "Rename", id="views.rename", tooltip="Give it another name"),
        Binding("d", "delete", "Delete", id="views.delete", tooltip="Forget it"),
    ]

    @dataclass
    class Read(Message):
        """The saved filters have been read."""

        views: Sequence[SavedFilter]
        cursor_key: str = ""

    def __init__(self, services: Services, selection: Selection, filter_text: str = "") -> None:
        super().__init__(services, selection)
        self._filter_text = filter_text.strip()
        self._views: dict[str, str] = {}

    def compose_body(self) -> Iterable[Widget]:
        """The filter that is on, the list, keys."""
        now = f"now: {one_line(self._filter_text)}" if self._filter_text else "no filter is on: / begins one"
        yield Static(Content(now), id="now")
        yield ViewTable(id="views")
        yield Static(Content("No filter has been saved yet. s saves the one that is on under a name."), id="none")
        yield key_line([("enter", "apply"), ("s", "save"), ("r", "rename"), ("d", "delete"), ("esc", "close")])

    def on_mount(self) -> None:
        """Read them."""
        self._change(lambda: None)

    @work(thread=True, group="views", exit_on_error=False)
    def _change(self, change: Callable[[], None], cursor_key: str = "") -> None:
        change()
        self.post_message(self.Read(self.services.views.all(), cursor_key))

    @on(Read)
    def _show(self, message: Read) -> None:
        self._views = {view.name: view.filter_text for view in message.views}
        rows = [Row(view.name, (view.name, view.filter_text)) for view in message.views]
        self.query_one(ViewTable).set_rows(rows, message.cursor_key)
        self.set_class(not rows, "-empty")

    def action_apply(self) -> None:
        """Show what the filter under the cursor leaves."""
        name = self.query_one(ViewTable).current_key
        if name:
            self.dismiss(StudioResult(note=f"filter {name}", filter_text=self._views[name]))

    def action_save(self) -> None:
        """Save the filter that is on now under a name."""
        if not self._filter_text:
            self.app.notify("No filter is on: type one after / first.", markup=False)
            return
        self._ask_name("Save the filter under the name", "", self._save_as)

    def _save_as(self, name: str) -> None:
        if name in self._views:
            from sao_tui.tui.dialogs import confirm

            text = f"{one_line(name)} is {one_line(self._views[name])} now."
            question = confirm("Replace that saved filter?", text, "replace")
            self.app.push_screen(question, lambda answer: self._save(name) if answer == "yes" else None)
        else:
            self._save(name)

    def _save(self, name: str) -> None:
        self._change(lambda: self.services.views.save(name, self._filter_text), name)

    def action_rename(self) -> None:
        """Give the filter under the cursor another name."""
        old = self.query_one(ViewTable).current_key
        if old:
            self._ask_name(
                "Rename the filter to", old, lambda new: self._change(lambda: self.services.views.rename(old, new), new)
            )

    def action_delete(self) -> None:
        """Forget the filter under the cursor, once that is confirmed."""
        name = self.query_one(ViewTable).current_key
        if not name:
            return
        from sao_tui.tui.dialogs import confirm

        def settle(answer: str | None) -> None:
            if answer == "yes":
                self._change(lambda: self.services.views.delete(name))

        question = confirm("Delete this saved filter?", f"{one_line(name)}: {one_line(self._views[name])}", "delete")
        self.app.push_screen(question, settle)

    def _ask_name(self, title: str, value: str, then: Callable[[str], object]) -> None:
        from sao_tui.tui.dialogs import PromptDialog

        def settle(answer: str | None) -> None:
            if answer is not None:
                then(answer.strip())

        question = PromptDialog(title, value, check=lambda text: "" if text.strip() else "It needs a name.")
        self.app.push_screen(question, settle)
