"""Writing a caption on the dataset screen: the line it is typed in, and what may come of a save."""

from __future__ import annotations

from textual import on

from sao_tui.tui.screens.dataset_messages import CaptionConflicted, CaptionNotSaved
from sao_tui.tui.screens.dataset_workers import DatasetWorkers
from sao_tui.tui.text import one_line
from sao_tui.tui.widgets.caption_editor import CaptionEditor
from sao_tui.tui.widgets.clip_table import ClipTable


class DatasetCaptions(DatasetWorkers):
    """The dataset screen's part that edits captions."""

    @on(ClipTable.Opened)
    async def _edit_caption(self) -> None:
        editor = self.query_one(CaptionEditor)
        await editor.edit()
        self.query_one(ClipTable).hand_over(editor.type_in if editor.is_editing else None)

    @on(CaptionEditor.Submitted)
    def _caption_submitted(self, message: CaptionEditor.Submitted) -> None:
        self.note("saving…")
        self._save_caption(message.relpath, message.text, message.before)

    @on(CaptionEditor.Closed)
    def _caption_closed(self) -> None:
        self.query_one(ClipTable).hand_over(None)
        self.query_one(ClipTable).focus()

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

    @on(CaptionNotSaved)
    def _keep_caption(self, message: CaptionNotSaved) -> None:
        self.query_one(CaptionEditor).keep(message.relpath, message.text)
        self.note("not saved; enter on the clip goes on with your text")
