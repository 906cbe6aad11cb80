"""The frame of every screen: tabs above, the status and the keys below; one line each, redrawn only on change."""

from __future__ import annotations

from typing import ClassVar

from textual.content import Content
from textual.screen import Screen
from textual.timer import Timer
from textual.widget import Widget

from sao_tui.core.units import format_bytes
from sao_tui.tui.messages import Status
from sao_tui.tui.text import one_line

TABS: tuple[tuple[str, str], ...] = (
    ("dataset", "Dataset"),
    ("config", "Config"),
    ("train", "Train"),
    ("checkpoints", "Checkpoints"),
    ("generate", "Generate"),
)
"""Modes in workflow order with their titles; the digit of each is its place."""


class TabLine(Widget):
    """Names the five screens and marks the current one."""

    DEFAULT_CSS = """
    TabLine { dock: top; height: 1; background: $surface; color: $foreground-muted; }
    """

    def __init__(self, mode: str, workspace: str) -> None:
        super().__init__()
        self._mode = mode
        self._workspace = workspace

    def render(self) -> Content:
        """Draw the tabs; the current one stands in brackets too, for terminals without colour."""
        parts: list[Content] = []
        for digit, (mode, title) in enumerate(TABS, 1):
            here = mode == self._mode
            text = f"[{digit} {title}]" if here else f" {digit} {title} "
            parts.append(Content.styled(text, "bold $accent" if here else ""))
        tabs = Content("").join(parts)
        space = self.size.width - tabs.cell_length - 1
        if space < len("sao-tui") + 2:
            return tabs
        return Content.assemble(tabs, Content.styled("sao-tui".rjust(space), "$text-muted"))


class StatusLine(Widget):
    """Workspace, running job, GPU memory and free disk."""

    DEFAULT_CSS = """
    StatusLine { dock: bottom; height: 1; margin-bottom: 1; background: $panel; color: $foreground; padding: 0 1; }
    """

    NOTE_SECONDS: ClassVar[float] = 5.0

    def __init__(self, workspace: str) -> None:
        super().__init__()
        self._workspace = workspace
        self._status = Status()
        self._note = ""
        self._note_timer: Timer | None = None

    def note(self, text: str) -> None:
        """Put `text` first for some seconds."""
        if self._note_timer is not None:
            self._note_timer.stop()
        self._note = text
        self._note_timer = self.set_timer(self.NOTE_SECONDS, self._clear_note)
        self.refresh()

    def _clear_note(self) -> None:
        self._note = ""
        self.refresh()

    def show(self, status: Status) -> None:
        """Redraw if anything has changed."""
        if status != self._status:
            self._status = status
            self.refresh()

    def render(self) -> Content:
        """Draw what is known so far."""
        status = self._status
        job = "no job running"
        if status.job:
            steps = f" {status.step}/{status.steps}" if status.steps else ""
            job = f"{status.job} {status.job_state}{steps}"
        disk = "" if status.disk_free_bytes is None else f"{format_bytes(status.disk_free_bytes)} free"
        parts = [part for part in (self._workspace, job, status.gpu, disk) if part]
        line = Content(" │ ".join(parts))
        if not self._note:
            return line
        return Content.assemble((one_line(self._note), "bold $accent"), " │ ", line)


class KeyLine(Widget):
    """The keys that act here; a fraction of what Textual's Footer costs to mount and to redraw."""

    DEFAULT_CSS = """
    KeyLine { dock: bottom; height: 1; background: $surface; color: $foreground; padding: 0 1; }
    """
    LAST: ClassVar[tuple[str, ...]] = ("help", "help.down", "quit")
    """Ids of the bindings that stay visible however narrow the terminal is."""

    def on_mount(self) -> None:
        """Redraw when the focus brings other keys."""
        self.screen.bindings_updated_signal.subscribe(self, self._redraw)

    def _redraw(self, _screen: Screen[object]) -> None:
        self.refresh()

    def render(self) -> Content:
        """Draw as many keys as fit."""
        keys: list[Content] = []
        last: list[Content] = []
        leave: list[Content] = []
        seen: set[str] = set()
        for _node, binding, enabled, _tooltip in self.screen.active_bindings.values():
            if not enabled or binding.action in seen or not (binding.show or binding.key == "escape"):
                continue
            seen.add(binding.action)
            key = Content.assemble((self.app.get_key_display(binding), "bold $accent"), " ", binding.description)
            if not binding.show:
                leave = [key]
                continue
            (last if binding.id in self.LAST else keys).append(key)
        # Where all letters are text, the way out is the one key worth the line.
        tail = Content("  ").join(last if keys or last else leave)
        line = Content("")
        for key in keys:
            longer = Content.assemble(line, key, "  ")
            if longer.cell_length + tail.cell_length > self.size.width:
                break
            line = longer
        return Content.assemble(line, tail)
