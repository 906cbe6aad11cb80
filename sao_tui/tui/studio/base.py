"""What the dialogs over the dataset share: the clips they work on, and what they hand back."""

from __future__ import annotations

from array import array
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widget import Widget
from textual.widgets import Static
from textual.worker import Worker

from sao_tui.tui.base import settle_worker

if TYPE_CHECKING:
    from sao_tui.services.bundle import Services
    from sao_tui.services.clips import ClipRow


@dataclass(frozen=True)
class Selection:
    """The clips that a tool works on."""

    ids: array[int]
    """In the order of the table."""
    is_marked: bool
    """Whether they are the marked clips; otherwise they are all clips that the filter leaves."""
    current: ClipRow | None
    """The clip under the cursor."""

    def in_words(self) -> str:
        """Return what is selected, such as "12 marked clips"."""
        clips = f"{len(self.ids):,} {'marked ' if self.is_marked else ''}clip{'s' * (len(self.ids) != 1)}"
        return clips if self.is_marked else f"{clips} shown"


@dataclass(frozen=True)
class StudioResult:
    """What a tool has done, for the screen below."""

    note: str = ""
    """For the status line."""
    captions_changed: bool = False
    clips_changed: bool = False
    """Files came, went or changed: the folder is to be read again."""
    filter_text: str | None = None
    """A filter to show in the table; None leaves it."""
    target: str = ""
    """Relpath of a clip to move to."""


class StudioDialog(ModalScreen[StudioResult | None]):
    """One tool over the dataset, as large as the terminal; escape closes it with nothing more done.

    Subclasses write `compose_body` and start service calls with `@work(thread=True, group=…, exit_on_error=False)`.
    """

    TITLE_TEXT: ClassVar[str] = ""
    POLL_GROUPS: ClassVar[frozenset[str]] = frozenset()
    """Worker groups that repeat by themselves: their failure is reported once until one of them succeeds."""

    DEFAULT_CSS = """
    StudioDialog {
        align: center middle;
        & > Vertical {
            width: 100%; max-width: 118; height: 100%; max-height: 34;
            border: round $accent; border-title-color: $accent; background: $surface; padding: 0 1;
        }
        .studio--hint { color: $text-muted; }
        .studio--keys { dock: bottom; height: 1; }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "close", "Close", id="studio.close", tooltip="Close; what is done stays done"),
    ]

    def __init__(self, services: Services, selection: Selection) -> None:
        super().__init__()
        self.services = services
        self.selection = selection
        self._failing_groups: set[str] = set()

    def compose(self) -> ComposeResult:
        """Put the body into a box with the title."""
        with Vertical() as box:
            box.border_title = Content(f"{self.TITLE_TEXT} · {self.selection.in_words()}").plain
            yield from self.compose_body()

    def compose_body(self) -> Iterable[Widget]:
        """Yield the widgets inside the box."""
        return ()

    def action_close(self) -> None:
        """Close."""
        self.dismiss(None)

    @on(Worker.StateChanged)
    def _worker_changed(self, event: Worker.StateChanged) -> None:
        settle_worker(self.app, event, self.POLL_GROUPS, self._failing_groups)


def key_line(keys: Iterable[tuple[str, str]]) -> Static:
    """Return the line that says what the keys do."""
    return Static(keys_text(keys), classes="studio--keys")


def keys_text(keys: Iterable[tuple[str, str]]) -> Content:
    """Return what such a line holds."""
    return Content("   ").join(Content.assemble((key, "bold $accent"), " ", label) for key, label in keys)
