"""The dashboard: five modes over one bundle of services."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from textual import on, work
from textual.app import App
from textual.binding import Binding, BindingType
from textual.screen import Screen
from textual.worker import Worker

from sao_tui.core.errors import SaoError
from sao_tui.tui.base import BaseScreen, settle_worker, toast
from sao_tui.tui.messages import GoTo, Status, StatusRead
from sao_tui.tui.text import unwritten_text
from sao_tui.tui.themes import DEFAULT_THEME, THEMES, VARIABLES
from sao_tui.tui.widgets.status_line import TABS

if TYPE_CHECKING:
    from textual.command import Provider
    from textual.dom import DOMNode
    from textual.theme import Theme

    from sao_tui.services.bundle import Services
    from sao_tui.services.gpu import GpuReading


FIRST_POLL_SECONDS = 0.7
"""After the start, until the status is read for the first time."""


def _key_commands() -> type[Provider]:
    from sao_tui.tui.commands import KeyCommands

    return KeyCommands


class SaoApp(App[None]):
    """The dashboard over one workspace."""

    TITLE = "sao-tui"
    DEFAULT_MODE = "dataset"
    COMMANDS: ClassVar[set[type[Provider] | Callable[[], type[Provider]]]] = {_key_commands}
    BINDINGS: ClassVar[list[BindingType]] = [
        *(
            Binding(str(digit), f"switch_mode('{mode}')", title, id=f"mode.{mode}", tooltip=f"Show {title}", show=False)
            for digit, (mode, title) in enumerate(TABS, 1)
        ),
        Binding(
            "question_mark", "toggle_help", "Help", id="help", tooltip="Show or hide keys and help", key_display="?"
        ),
        Binding("greater_than_sign", "scroll_help(1)", "More help", id="help.down", tooltip="Scroll the help down"),
        Binding("less_than_sign", "scroll_help(-1)", "Back", id="help.up", tooltip="Scroll it up", show=False),
        Binding("q", "back_or_quit", "Quit", id="quit", tooltip="Leave the dashboard; training goes on"),
    ]

    def __init__(self, services: Services, poll_seconds: float | None = 2.0) -> None:
        """Show `services`; `poll_seconds` between reads of what changes by itself, None to read only when asked."""
        super().__init__()
        self.services = services
        self.poll_seconds = poll_seconds
        self.status = Status()
        self.num_unwritten = 0
        """Fields of the config screen whose value is not on the disk."""
        self.playing: Path | None = None
        """File of the last player started from any screen."""
        self.animation_level = "none"
        for theme in THEMES:
            self.register_theme(theme)
        wanted = services.workspace.settings.theme
        self._begin_with_theme(wanted if wanted in self.available_themes else DEFAULT_THEME)
        self._reading_status: Worker[None] | None = None
        self._failing_groups: set[str] = set()
        screens: dict[str, Callable[[], Screen[Any]]] = {
            "dataset": self._dataset,
            "config": self._config,
            "train": self._train,
            "checkpoints": self._checkpoints,
            "generate": self._generate,
        }
        for mode, build in screens.items():
            self.add_mode(mode, build)

    def _begin_with_theme(self, name: str) -> None:
        """Choose the theme without its watcher, which would parse every style sheet anew once it is read."""
        self.set_reactive(App.theme, name)
        self.set_class(self.current_theme.dark, "-dark-mode", update=False)
        self.set_class(not self.current_theme.dark, "-light-mode", update=False)

    def get_theme_variable_defaults(self) -> dict[str, str]:
        """Give every theme the variables our style sheets use."""
        return VARIABLES

    # Each screen's module is imported when it is first shown: the first paint needs one of the five.
    def _dataset(self) -> Screen[None]:
        from sao_tui.tui.screens.dataset import DatasetScreen

        return DatasetScreen(self.services, self.poll_seconds)

    def _config(self) -> Screen[None]:
        from sao_tui.tui.screens.config import ConfigScreen

        return ConfigScreen(self.services, self.poll_seconds)

    def _train(self) -> Screen[None]:
        from sao_tui.tui.screens.train import TrainScreen

        return TrainScreen(self.services, self.poll_seconds)

    def _checkpoints(self) -> Screen[None]:
        from sao_tui.tui.screens.checkpoints import CheckpointsScreen

        return CheckpointsScreen(self.services, self.poll_seconds)

    def _generate(self) -> Screen[None]:
        from sao_tui.tui.screens.generate import GenerateScreen

        return GenerateScreen(self.services, self.poll_seconds)

    @on(GoTo)
    async def _go_to(self, message: GoTo) -> None:
        await self.switch_mode(message.mode)
        if message.target and isinstance(self.screen, BaseScreen):
            self.screen.show_target(message.target)

    def on_mount(self) -> None:
        """Use the workspace's keys; ask for the status once the first frame is out."""
        self.set_keymap(self.services.workspace.settings.keys)
        if self.poll_seconds is None:
            self.call_after_refresh(self.poll)
        else:
            # Later than the first screen's own reads: NVML's binding takes a fifth of the whole start to import.
            self.set_timer(FIRST_POLL_SECONDS, self.poll)
            self.set_interval(self.poll_seconds, self.poll)
        self.theme_changed_signal.subscribe(self, self._theme_chosen)

    def poll(self) -> None:
        """Read the status again unless the last read is still going: a slow disk must not queue threads."""
        if self._reading_status is None or self._reading_status.is_finished:
            self._reading_status = self._read_status()

    @work(thread=True, group="status", exit_on_error=False)
    def _read_status(self) -> None:
        job = self.services.jobs.latest_running()
        gpu = _gpu_memory(self.services.read_gpus())
        disk_free_bytes = self.services.read_host().disk_free_bytes
        if job is None:
            status = Status(gpu=gpu, disk_free_bytes=disk_free_bytes)
        else:
            status = Status(job.name, job.state, job.step, job.steps, gpu, disk_free_bytes)
        self.post_message(StatusRead(status))

    @work(thread=True, group="settings", exit_on_error=False)
    def _save_theme(self, name: str) -> None:
        from sao_tui.services.workspace import save_settings

        save_settings(self.services.workspace, **{"ui.theme": name})

    def _theme_chosen(self, theme: Theme) -> None:
        self._save_theme(theme.name)

    @on(StatusRead)
    def _show_status(self, message: StatusRead) -> None:
        self.status = message.status
        if isinstance(self.screen, BaseScreen):
            self.screen.show_status(message.status)

    @on(Worker.StateChanged)
    def _worker_changed(self, event: Worker.StateChanged) -> None:
        settle_worker(self, event, frozenset({"status"}), self._failing_groups)

    async def action_toggle_help(self) -> None:
        """Show the keys and help of what has the focus, or hide them."""
        from textual.widgets import HelpPanel

        shown = self.screen.query(HelpPanel)
        if shown:
            await shown.remove()
            self.refresh_bindings()
            return
        await self.screen.mount(HelpPanel())
        self.refresh_bindings()

    def action_scroll_help(self, pages: int) -> None:
        """Scroll the list of keys: on a small terminal, and without a mouse, its end could not be seen."""
        for keys in self.screen.query("HelpPanel KeyPanel"):
            keys.scroll_relative(y=pages * max(1, keys.size.height - 1), animate=False)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Offer to scroll the help only while it is shown."""
        return action != "scroll_help" or bool(self.screen.query("HelpPanel"))

    async def action_back_or_quit(self) -> None:
        """Close the dialog on top, or leave the dashboard."""
        if len(self.screen_stack) > 1:
            self.pop_screen()
        else:
            await self.action_quit()

    async def action_quit(self) -> None:
        """Leave the dashboard; say first what is not written, and that a running job goes on."""
        job = self.status.job
        if not (job or self.num_unwritten) or len(self.screen_stack) > 1:
            self.exit()
            return

        def settle(answer: str | None) -> None:
            if answer == "quit":
                goes_on = f"{job} goes on. Open the dashboard again to watch it, or stop it there."
                self.exit(message=goes_on if job else None)

        from sao_tui.tui.dialogs import Choice, ChoiceDialog

        parts = []
        if self.num_unwritten:
            parts.append(f"{unwritten_text(self.num_unwritten)} Leaving now loses that; w on the config screen writes.")
        if job:
            state = self.status.job_state
            parts.append(f"{job} is {state}. It goes on without the dashboard, also when this connection ends.")
        choices = [Choice("q", "quit, the job goes on" if job else "quit", "quit"), Choice("n", "stay", "stay")]
        self.push_screen(ChoiceDialog("Leave the dashboard?", "\n\n".join(parts), choices), settle)

    def handle_bindings_clash(self, clashed_bindings: set[Binding], node: DOMNode) -> None:
        """Say once that a key of the user's settings takes another's place."""
        names = ", ".join(sorted(binding.id or binding.action for binding in clashed_bindings))
        if names not in self._failing_groups:
            self._failing_groups.add(names)
            toast(
                self, f"One key stands for several actions: {names}.", "Change [keys] in sao.toml.", severity="warning"
            )


def _gpu_memory(reading: GpuReading) -> str:
    """Return used and total memory of all GPUs in words, or that there is none to read."""
    if not reading.gpus:
        return "no GPU" if reading.state == "no-driver" else "GPU n/a"
    total = sum(gpu.total_bytes or 0 for gpu in reading.gpus)
    used = sum(gpu.used_bytes or 0 for gpu in reading.gpus)
    return f"GPU {used / 1e9:.1f}/{total / 1e9:.1f} GB" if total else "GPU n/a"


def run(root: Path) -> int:
    """Open the dashboard on the workspace at `root` and return the exit status.

    Raises:
        SaoError: `root` is not a workspace, or there is no terminal.
    """
    from sao_tui.services.bundle import build_services

    services = build_services(root)
    try:
        _require_terminal()
        app = SaoApp(services)
        app.run()
    finally:
        services.close()
    return app.return_code or 0


def _require_terminal() -> None:
    """Refuse to open where no key could ever close the dashboard again."""
    for stream in (sys.__stdin__, sys.__stderr__):
        if stream is None or not stream.isatty():
            raise SaoError(
                "The dashboard needs a terminal for its keys and its picture.",
                "Run it in one (over SSH: ssh -t), or use the commands: sao-tui --help.",
            )
