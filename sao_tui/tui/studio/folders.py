"""The tree of folders, to filter the table by."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from textual import on, work
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.message import Message
from textual.widget import Widget
from textual.widgets import Static

from sao_tui.tui.studio.base import StudioDialog, StudioResult, key_line
from sao_tui.tui.text import one_line
from sao_tui.tui.widgets.folder_tree import FolderTree

if TYPE_CHECKING:
    from sao_tui.services.clips import FolderCount


class FoldersDialog(StudioDialog):
    """Enter shows the clips of the folder under the cursor, those below it included."""

    TITLE_TEXT = "Folders"
    DEFAULT_CSS = """
    FoldersDialog {
        FolderTree { background: $surface; }
        #search { height: 1; color: $text-muted; }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "apply", "Show", id="folders.apply", tooltip="Show the clips of this folder"),
    ]

    @dataclass
    class Read(Message):
        """The folders have been counted."""

        folders: Sequence[FolderCount]

    def compose_body(self) -> Iterable[Widget]:
        """Search line, tree, keys."""
        yield Static(Content("counting…"), id="search")
        yield FolderTree(id="tree")
        yield key_line(
            [("enter", "show its clips"), ("right left", "open, shut"), ("letters", "search"), ("esc", "close")]
        )

    def on_mount(self) -> None:
        """Count."""
        self._read()

    @work(thread=True, group="folders", exit_on_error=False)
    def _read(self) -> None:
        self.post_message(self.Read(self.services.clips.folders()))

    @on(Read)
    def _show(self, message: Read) -> None:
        self.query_one(FolderTree).show_folders(message.folders)
        self._show_search("", len(message.folders))

    @on(FolderTree.Searched)
    def _searched(self, message: FolderTree.Searched) -> None:
        self._show_search(message.text, message.num_found)

    def _show_search(self, text: str, num_found: int) -> None:
        folders = f"{num_found:,} folder{'s' * (num_found != 1)}"
        words = f"search: {one_line(text)} · {folders}" if text else f"{folders} with clips · type to search"
        self.query_one("#search", Static).update(Content(words), layout=False)

    def action_close(self) -> None:
        """Take the search away, or close."""
        if not self.query_one(FolderTree).clear_search():
            self.dismiss(None)

    def action_apply(self) -> None:
        """Show the clips of the folder under the cursor."""
        folder = self.query_one(FolderTree).current
        if folder is not None:
            self.dismiss(StudioResult(filter_text=folder_filter(folder)))


def folder_filter(folder: str) -> str:
    """Return the filter that leaves the clips of a folder and below; empty for all."""
    if not folder:
        return ""
    return f'folder:"{folder}"' if any(letter.isspace() or letter in "()" for letter in folder) else f"folder:{folder}"
