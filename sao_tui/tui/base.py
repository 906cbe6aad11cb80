"""What all five screens share: the frame around their body, and what becomes of a worker that fails."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, cast

from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.screen import Screen
from textual.widget import Widget
from textual.worker import Worker, WorkerState, get_current_worker

from sao_tui.core.errors import SaoError
from sao_tui.tui.messages import PlaybackChanged, Status
from sao_tui.tui.widgets.status_line import KeyLine, StatusLine, TabLine

if TYPE_CHECKING:
    from textual.app import App

    from sao_tui.services.bundle import Services
    from sao_tui.tui.app import SaoApp

WIDE_COLUMNS = 100
"""From this width on, panes stand side by side."""


class BaseScreen(Screen[None]):
    """A screen with tabs above and the status and key lines below its body.

    Subclasses set MODE and HELP, write `compose_body`, and start service calls with
    `@work(thread=True, group=…, exit_on_error=False)`. A SaoError that leaves such a worker is shown as a
    toast, any other exception ends the dashboard with its traceback.
    """

    MODE: ClassVar[str] = ""
    """Name of the mode this screen is the base of."""
    POLL_GROUPS: ClassVar[frozenset[str]] = frozenset()
    """Worker groups that repeat by themselves: their failure is reported once until one of them succeeds."""

    HORIZONTAL_BREAKPOINTS = [  # noqa: RUF012
        (0, "-narrow"),
        (WIDE_COLUMNS, "-wide"),
    ]
    DEFAULT_CSS = """
    BaseScreen.-narrow HelpPanel { width: 60%; max-width: 60; }
    BaseScreen HelpPanel #widget-help { padding: 0; margin: 0; max-height: 60%; }
    BaseScreen HelpPanel #widget-help MarkdownBlock { padding-left: 1; padding-right: 1; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("space", "play", "Play", id="play", tooltip="Play what is under the cursor, again to stop"),
        Binding("slash", "filter", "Filter", id="filter", tooltip="Filter or search this screen", key_display="/"),
        Binding("escape", "leave", "Leave", id="leave", tooltip="Leave the field, filter or dialog", show=False),
    ]

    def __init__(self, services: Services, poll_seconds: float | None = None) -> None:
        """Show `services`; `poll_seconds` between reads of what changes by itself, None to read only when asked."""
        super().__init__()
        self.services = services
        self.poll_seconds = poll_seconds
        self._failing_groups: set[str] = set()

    @property
    def sao(self) -> SaoApp:
        """The app, with its type."""
        return cast("SaoApp", self.app)

    @property
    def is_on_top(self) -> bool:
        """Whether no dialog covers the screen: below one, every change would redraw the whole terminal."""
        return self.app.screen is self

    def compose(self) -> ComposeResult:
        """Put the body into the frame."""
        # Textual sets these only after the first layout: the first frame would be that of the other width.
        self.add_class("-wide" if self.app.size.width >= WIDE_COLUMNS else "-narrow")
        yield TabLine(self.MODE, self.services.workspace.name)
        yield from self.compose_body()
        yield StatusLine(self.services.workspace.name)
        yield KeyLine()

    def compose_body(self) -> Iterable[Widget]:
        """Yield the widgets between the tabs and the status line."""
        return ()

    def show_target(self, target: str) -> None:
        """Show what another screen asked for with GoTo: a clip, a job's name or a file."""

    def show_status(self, status: Status) -> None:
        """Show a new status."""
        for line in self.query(StatusLine):
            line.show(status)

    def on_screen_resume(self) -> None:
        """Catch up with the status read while another screen was shown."""
        self.show_status(self.sao.status)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Hide the common keys that a screen has no use for, and those that would be typed."""
        if action == "filter" and self.focused is not None and self.focused.check_consume_key("slash", "/"):
            return False
        if action in ("play", "filter", "leave"):
            return getattr(self, f"action_{action}", None) is not None
        return True

    def note(self, text: str) -> None:
        """Say in the status line, for some seconds, that something small has happened."""
        for line in self.query(StatusLine):
            line.note(text)

    def play_file(self, path: Path) -> None:
        """Play `path` and say which player does; while it plays, the same call stops it."""
        self._play(path)

    @work(thread=True, group="play", exclusive=True, exit_on_error=False)
    def _play(self, path: Path) -> None:
        playback = self.services.playback
        if path == self.sao.playing and playback.is_playing():
            playback.stop()
            self.post_message(PlaybackChanged(None, "stopped"))
            return
        handle = playback.play(path)
        if get_current_worker().is_cancelled:
            return
        self.post_message(PlaybackChanged(path, handle.message, is_audible=handle.player != "null"))

    @on(PlaybackChanged)
    def _show_playback(self, message: PlaybackChanged) -> None:
        self.sao.playing = message.path
        if message.is_audible:
            self.note(message.text)
        else:
            self.toast(message.text)

    def toast(self, message: str, hint: str = "", *, severity: str = "information") -> None:
        """Show one sentence and what to do; names are shown literally, never read as markup."""
        toast(self.app, message, hint, severity=severity)

    @on(Worker.StateChanged)
    def _worker_changed(self, event: Worker.StateChanged) -> None:
        settle_worker(self.app, event, self.POLL_GROUPS, self._failing_groups)


def toast(app: App[Any], message: str, hint: str = "", *, severity: str = "information") -> None:
    """Show one sentence and what to do about it."""
    text = f"{message}\n{hint}" if hint else message
    app.notify(text, severity=cast(Any, severity), markup=False, timeout=8 if severity == "error" else 4)


def settle_worker(
    app: App[Any], event: Worker.StateChanged, poll_groups: frozenset[str], failing_groups: set[str]
) -> None:
    """Show the SaoError of a worker that failed; a poller's only once until it recovers.

    Any other exception is a bug and ends the dashboard: training goes on without it.
    """
    group = event.worker.group
    if event.state is WorkerState.SUCCESS:
        failing_groups.discard(group)
        return
    if event.state is not WorkerState.ERROR:
        return
    error = event.worker.error
    if not isinstance(error, SaoError):
        raise cast(BaseException, error)
    if group in poll_groups and group in failing_groups:
        return
    failing_groups.add(group)
    toast(app, error.message, error.hint, severity="error")
