"""Writing captions on the dataset screen: edit, repeat, undo, and what becomes of conflicts."""

from __future__ import annotations

from typing import ClassVar

from textual import on
from textual.binding import Binding, BindingType

from sao_tui.tui.screens.dataset_messages import CaptionConflicted, CaptionsChanged, ClipFound
from sao_tui.tui.screens.dataset_rows import DatasetRows
from sao_tui.tui.text import one_line
from sao_tui.tui.widgets.caption_editor import CaptionEditor
from sao_tui.tui.widgets.clip_detail import ClipDetail
from sao_tui.tui.widgets.clip_table import ClipTable


class DatasetCaptions(DatasetRows):
    """Edits the caption of the clip under the cursor."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("n", "next_uncaptioned", "Next empty", id="dataset.next", tooltip="Go to the next empty caption"),
        Binding(
            "full_stop",
            "repeat",
            "Repeat",
            id="dataset.repeat",
            tooltip="Write the last caption here too",
            key_display=".",
            show=False,
        ),
        Binding("u", "history('undone')", "Undo", id="dataset.undo", tooltip="Take the last caption edit back"),
        Binding("U", "history('redone')", "Redo", id="dataset.redo", tooltip="Make the undone edit again", show=False),
    ]

    _last_caption = ""
    """What was written last, for `.`."""

    def show_current_clip(self) -> None:
        """Show the clip under the cursor in detail now, whether or not the keys rest."""
        raise NotImplementedError

    @on(ClipTable.Opened)
    async def _edit_caption(self) -> None:
        self.show_current_clip()
        editor = self.query_one(CaptionEditor)
        await editor.edit()
        self.query_one(ClipTable).hand_over(editor.type_in if editor.is_editing else None)

    @on(CaptionEditor.Submitted)
    def _caption_submitted(self, message: CaptionEditor.Submitted) -> None:
        self.note("saving…")
        self._last_caption = message.text
        self._save_caption(message.relpath, message.text, message.before)

    @on(CaptionEditor.Closed)
    def _caption_closed(self) -> None:
        self.query_one(ClipTable).hand_over(None)
        self.query_one(ClipTable).focus()

    @on(CaptionsChanged)
    def _show_captions(self, message: CaptionsChanged) -> None:
        self._counts = message.counts
        table = self.query_one(ClipTable)
        self.note(message.text)
        if message.row is None:
            table.read_again()
        else:
            if message.move:
                table.move_to_id(message.row.id)
            table.replace_row(message.row)
            detail = self.query_one(ClipDetail)
            if detail.row is not None and detail.row.relpath == message.row.relpath:
                detail.show(message.row)
        self.show_summary()

    @on(CaptionConflicted)
    def _ask_about_conflict(self, message: CaptionConflicted) -> None:
        text = f"{one_line(message.relpath)}\n\nyours:  {one_line(message.mine)}\ntheirs: {one_line(message.theirs)}"
        from sao_tui.tui.dialogs import Choice, ChoiceDialog

        choices = [Choice("m", "write mine", "mine"), Choice("t", "keep theirs", "theirs")]

        def settle(answer: str | None) -> None:
            if answer == "mine":
                self._save_caption(message.relpath, message.mine, message.theirs)
            else:
                self._take_theirs(message.relpath, message.theirs)

        self.app.push_screen(ChoiceDialog("Another program has changed this caption", text, choices), settle)

    @on(ClipFound)
    def _move_to_clip(self, message: ClipFound) -> None:
        if message.clip_id is None or not self.query_one(ClipTable).move_to_id(message.clip_id):
            self.note(message.otherwise)

    def action_next_uncaptioned(self) -> None:
        """Move to the next clip without a caption."""
        table = self.query_one(ClipTable)
        self._find_uncaptioned(table.ids, table.cursor)

    def action_repeat(self) -> None:
        """Give the clip under the cursor the caption that was written last."""
        row = self.query_one(ClipTable).current_row
        if not self._last_caption:
            self.note("no caption has been written yet: enter writes one, . repeats it")
        elif row is not None and row.caption == self._last_caption:
            self.note("it has this caption already")
        elif row is not None:
            self.note("saving…")
            self._save_caption(row.relpath, self._last_caption, row.caption)

    def action_history(self, verb: str) -> None:
        """Take the last caption edit back ("undone"), or make it again ("redone")."""
        self._move_in_history(verb)
