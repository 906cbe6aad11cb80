"""The tree of dataset folders with the clips in each; only folders that are open are laid out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar

from rich.segment import Segment
from textual.binding import Binding, BindingType
from textual.events import Key
from textual.message import Message
from textual.strip import Strip

from sao_tui.tui.text import fit
from sao_tui.tui.widgets.cursor_view import CURSOR, CursorView

if TYPE_CHECKING:
    from sao_tui.services.clips import FolderCount

COUNT_WIDTH = 24


@dataclass
class FolderNode:
    """One folder of the tree."""

    relpath: str
    """Empty for the dataset folder itself."""
    depth: int
    num_clips: int = 0
    """Clips in it and below."""
    num_captioned: int = 0
    children: list[FolderNode] = field(default_factory=list)

    @property
    def name(self) -> str:
        """What the tree calls it."""
        return self.relpath.rpartition("/")[2] or "all clips"


class FolderTree(CursorView, inherit_bindings=False):
    """Right opens a folder, left closes it; letters search in all paths."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up", "move(-1)", "Up", id="folders.up", tooltip="Move up", show=False),
        Binding("down", "move(1)", "Down", id="folders.down", tooltip="Move down", show=False),
        Binding("pageup", "page(-1)", "Page up", id="folders.page-up", tooltip="Move one page up", show=False),
        Binding("pagedown", "page(1)", "Page down", id="folders.page-down", tooltip="Move one page down", show=False),
        Binding("home", "end(0)", "First", id="folders.first", tooltip="Move to the first folder", show=False),
        Binding("end", "end(1)", "Last", id="folders.last", tooltip="Move to the last folder", show=False),
        Binding("right", "open", "Open", id="folders.open", tooltip="Show the folders inside"),
        Binding("left", "shut", "Shut", id="folders.shut", tooltip="Hide them, or go to the folder around"),
    ]

    @dataclass
    class Searched(Message):
        """Letters were typed or deleted."""

        text: str
        num_found: int

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._root = FolderNode("", 0)
        self._all: list[FolderNode] = []
        self._open: set[str] = {""}
        self._shown: list[FolderNode] = []
        self._search = ""

    @property
    def current(self) -> str | None:
        """Path of the folder under the cursor, empty for the dataset folder itself; None where there is none."""
        return self._shown[self.cursor].relpath if self.cursor < len(self._shown) else None

    def show_folders(self, folders: Sequence[FolderCount]) -> None:
        """Show these folders."""
        self._root, self._all = build_tree(folders)
        self._lay_out()

    def clear_search(self) -> bool:
        """Take the search away and return whether there was one."""
        had = bool(self._search)
        if had:
            self._look_for("")
        return had

    def on_key(self, event: Key) -> None:
        """Search for what is typed."""
        if event.key == "backspace":
            wanted = self._search[:-1]
        elif event.is_printable and event.character:
            wanted = self._search + event.character
        else:
            return
        event.stop()
        event.prevent_default()
        self._look_for(wanted)

    def _look_for(self, text: str) -> None:
        here = self.current
        self._search = text
        self._lay_out(here)
        self.post_message(self.Searched(text, len(self._shown)))

    def action_open(self) -> None:
        """Show the folders inside the one under the cursor."""
        if self.current is not None and not self._search:
            self._open.add(self.current)
            self._lay_out(self.current)

    def action_shut(self) -> None:
        """Hide the folders inside, or go to the folder around."""
        if self.current is None or self._search:
            return
        node = self._shown[self.cursor]
        if node.children and node.relpath in self._open:
            self._open.discard(node.relpath)
            self._lay_out(node.relpath)
        else:
            self._lay_out(node.relpath.rpartition("/")[0])

    def _lay_out(self, cursor: str | None = None) -> None:
        if self._search:
            wanted = self._search.casefold()
            self._shown = [node for node in self._all if wanted in node.relpath.casefold()]
        else:
            self._shown = []
            self._add(self._root)
        place = next((at for at, node in enumerate(self._shown) if node.relpath == cursor), 0)
        self.set_num_rows(len(self._shown), place)

    def _add(self, node: FolderNode) -> None:
        self._shown.append(node)
        if node.relpath in self._open:
            for child in node.children:
                self._add(child)

    def render_line(self, y: int) -> Strip:
        """Draw one folder."""
        width, index = self.line_width, y + round(self.scroll_y)
        if index >= len(self._shown):
            return Strip.blank(width, self.rich_style)
        node, is_here = self._shown[index], index == self.cursor
        share = f"{100 * node.num_captioned // node.num_clips}%" if node.num_clips else ""
        counts = f"{node.num_clips:>11,} {share:>5} captioned"[:COUNT_WIDTH].rjust(COUNT_WIDTH)
        label = node.relpath if self._search else f"{'  ' * node.depth}{self._sign(node)} {node.name}"
        room = max(1, width - COUNT_WIDTH - 2)
        text = f"{CURSOR if is_here else ' '} {fit(label, room, from_end=bool(self._search))}{counts}"
        style = self.get_component_rich_style(self.cursor_class) if is_here else self.rich_style
        return Strip([Segment(fit(text, width), style)], width)

    def _sign(self, node: FolderNode) -> str:
        if not node.children:
            return " "
        return "-" if node.relpath in self._open else "+"


def build_tree(folders: Sequence[FolderCount]) -> tuple[FolderNode, list[FolderNode]]:
    """Return the tree, and all of its nodes but the root in order."""
    root = FolderNode("", 0)
    nodes = {"": root}
    for folder in sorted(folders, key=lambda each: each.relpath):
        for path in _with_parents(folder.relpath):
            node = nodes.get(path)
            if node is None:
                node = nodes[path] = FolderNode(path, path.count("/") + 1)
                nodes[path.rpartition("/")[0]].children.append(node)
            node.num_clips += folder.num_clips
            node.num_captioned += folder.num_captioned
    return root, [node for path, node in nodes.items() if path]


def _with_parents(relpath: str) -> list[str]:
    """Return the root, every folder on the way, and the folder itself."""
    paths = [""]
    parts = relpath.split("/") if relpath else []
    for number in range(len(parts)):
        paths.append("/".join(parts[: number + 1]))
    return paths
