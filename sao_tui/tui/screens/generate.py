"""Generate: a prompt in, a clip out, heard at once."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from textual import on
from textual.binding import Binding, BindingType
from textual.containers import Container
from textual.timer import Timer
from textual.widget import Widget
from textual.widgets import Input, Select, Static
from textual.worker import Worker

from sao_tui.core.errors import SaoError
from sao_tui.tui.messages import PlaybackChanged
from sao_tui.tui.screens.generate_workers import (
    Generated,
    GenerateWorkers,
    HistoryRead,
    ModelsRead,
    PeaksRead,
    Progressed,
)
from sao_tui.tui.widgets.generate_form import GenerateForm
from sao_tui.tui.widgets.generated_table import GeneratedTable
from sao_tui.tui.widgets.text_lines import Line, TextLines, bar
from sao_tui.tui.widgets.waveform import Waveform

if TYPE_CHECKING:
    from sao_tui.services.generation import GeneratedClip, GenerateRequest

CURSOR_SECONDS = 0.5
"""Between two moves of the play cursor."""


class GenerateScreen(GenerateWorkers):
    """Form above, generated clips with the waveform of the one under the cursor below."""

    MODE = "generate"
    POLL_GROUPS = frozenset({"models"})
    CSS_PATH = "generate.tcss"
    HELP = """
# Generate

- **p** goes to the prompt; **enter** there, or **g** outside the fields, generates
- **escape** leaves a field; outside the fields it cancels, as does **x**
- **space** plays the clip under the cursor, again to stop
- **a** generates again with the seed of the clip under the cursor, **n** with a new one
- **enter** on a clip takes its settings over into the fields

Empty fields leave the choice to what suits the model. The sampler must fit the model's objective: auto does.
"""
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("g", "generate", "Generate", id="generate.run", tooltip="Generate with what the fields say"),
        Binding("p", "prompt", "Prompt", id="generate.prompt", tooltip="Go to the prompt"),
        Binding("a", "again", "Same seed", id="generate.again", tooltip="Generate again with this clip's seed"),
        Binding("n", "new_seed", "New seed", id="generate.new-seed", tooltip="Generate again with a new seed"),
        Binding("x", "cancel", "Cancel", id="generate.cancel", tooltip="Leave off what is being generated"),
    ]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._generating: Worker[None] | None = None
        self._cursor_timer: Timer | None = None
        self._play_started = 0.0
        self._is_read = False

    def compose_body(self) -> Iterable[Widget]:
        """Form, progress, clips, waveform."""
        yield GenerateForm(id="form")
        yield TextLines(id="progress")
        with Container(id="body"):
            yield GeneratedTable(id="clips")
            yield Static("Nothing generated yet.\n\n[b]p[/b]  write a prompt, then [b]enter[/b]", id="empty")
            yield TextLines(id="facts")
        yield Waveform(id="waveform")

    def on_mount(self) -> None:
        """Ask the disk only once the first frame is out."""
        self.query_one(GeneratedTable).focus()
        self.call_after_refresh(self.poll)

    def poll(self) -> None:
        """Read the clips and the models again."""
        self._is_read = True
        self._read_history()
        self._read_models()

    def on_screen_resume(self) -> None:
        """Offer the models exported meanwhile."""
        super().on_screen_resume()
        if self._is_read:
            self._read_models()

    def show_target(self, target: str) -> None:
        """Choose the model file `target`, and wait for a prompt."""
        path = Path(target)
        if path.suffix == ".wav":
            self.query_one(GeneratedTable).go_to(str(path))
            return
        self.query_one(GenerateForm).choose_model(path)
        self.query_one("#prompt", Input).focus()

    # What the workers have told.

    @on(HistoryRead)
    def _show_clips(self, message: HistoryRead) -> None:
        self.set_class(not message.clips, "-empty")
        self.query_one(GeneratedTable).show(message.clips, message.cursor)

    @on(ModelsRead)
    def _show_models(self, message: ModelsRead) -> None:
        self.query_one(GenerateForm).set_models(message.files, message.newest_export)

    @on(Progressed)
    def _show_progress(self, message: Progressed) -> None:
        if not self._is_generating:
            return
        stage = {"loading": "loading the model", "writing": "writing the clip"}.get(message.stage, message.stage)
        count = f" {message.done}/{message.total}" if message.total > 1 else ""
        self._say([(bar(message.done / max(1, message.total), 24), "bar"), (f" {stage}{count}", ""), *_CANCEL_HINT])

    @on(Generated)
    def _show_generated(self, message: Generated) -> None:
        self._generating = None
        clips = message.clips
        if message.error is not None:
            self._say([(message.error.message, "bad")])
            if not clips and message.error.hint:
                self.toast(message.error.message, message.error.hint, severity="error")
        else:
            made = clips[0].path.name if len(clips) == 1 else f"{len(clips)} clips"
            self._say([("✓ ", "good"), (made, "value"), ("   space plays it", "label")])
        if clips:
            self._read_history(clips[-1].path)

    @on(PeaksRead)
    def _show_peaks(self, message: PeaksRead) -> None:
        clip = self.query_one(GeneratedTable).current
        if clip is not None and clip.path == message.path:
            self.query_one(Waveform).show(message.peaks, clip.seconds)

    @on(PlaybackChanged)
    def _follow_playback(self, message: PlaybackChanged) -> None:
        if self._cursor_timer is not None:
            self._cursor_timer.stop()
            self._cursor_timer = None
        waveform = self.query_one(Waveform)
        clip = self.query_one(GeneratedTable).current
        if not message.is_audible or clip is None or message.path != clip.path:
            waveform.set_cursor(None)
            return
        self._play_started = time.monotonic()
        waveform.set_cursor(0.0)
        if self.poll_seconds is not None:
            self._cursor_timer = self.set_interval(CURSOR_SECONDS, self._move_play_cursor)

    def _move_play_cursor(self) -> None:
        clip = self.query_one(GeneratedTable).current
        elapsed = time.monotonic() - self._play_started
        is_over = clip is None or clip.path != self.sao.playing or elapsed >= clip.seconds
        self.query_one(Waveform).set_cursor(None if is_over else elapsed)
        if is_over and self._cursor_timer is not None:
            self._cursor_timer.stop()
            self._cursor_timer = None

    # What the widgets have told.

    @on(GeneratedTable.Highlighted)
    def _show_clip(self) -> None:
        clip = self.query_one(GeneratedTable).current
        if clip is not None:
            self.query_one("#facts", TextLines).set_lines(_facts(clip, self.services.workspace.root))
            self._read_peaks(clip.path, self.query_one(Waveform).num_columns or 200)

    @on(Waveform.Resized)
    def _fit_peaks(self) -> None:
        self._show_clip()

    @on(GeneratedTable.Selected)
    def _take_over(self) -> None:
        clip = self.query_one(GeneratedTable).current
        if clip is not None:
            self.query_one(GenerateForm).fill(clip)
            self.query_one("#prompt", Input).focus()

    @on(Input.Submitted)
    def action_generate(self) -> None:
        """Generate with what the fields say."""
        self._begin(self._request())

    # What the keys do.

    def action_prompt(self) -> None:
        """Go to the prompt."""
        self.query_one("#prompt", Input).focus()

    def action_again(self) -> None:
        """Generate with what the fields say and the seed of the clip under the cursor."""
        self._repeat(new_seed=False)

    def action_new_seed(self) -> None:
        """Generate with what the fields say and a new seed."""
        self._repeat(new_seed=True)

    def action_leave(self) -> None:
        """Leave a field; outside the fields, cancel."""
        if isinstance(self.focused, (Input, Select)):
            self.query_one(GeneratedTable).focus()
        elif self._is_generating:
            self.action_cancel()

    def action_cancel(self) -> None:
        """Leave off what is being generated."""
        if self._is_generating:
            self._say([("leaving off…", "label")])
            self._cancel()

    def action_play(self) -> None:
        """Play the clip under the cursor."""
        clip = self.query_one(GeneratedTable).current
        if clip is not None:
            self.play_file(clip.path)

    @property
    def _is_generating(self) -> bool:
        return self._generating is not None and not self._generating.is_finished

    def _repeat(self, *, new_seed: bool) -> None:
        """Generate with the fields, filled from the clip under the cursor where they hold no prompt."""
        clip = self.query_one(GeneratedTable).current
        if clip is None:
            self.toast("There is no clip yet.", "Write a prompt with p.", severity="warning")
            return
        if not self.query_one("#prompt", Input).value.strip():
            self.query_one(GenerateForm).fill(clip)
        request = self._request()
        if request is not None:
            self._begin(replace(request, seed=None if new_seed else clip.seed))

    def _request(self) -> GenerateRequest | None:
        try:
            return self.query_one(GenerateForm).request()
        except SaoError as error:
            self.toast(error.message, error.hint, severity="warning")
            return None

    def _begin(self, request: GenerateRequest | None) -> None:
        if request is None:
            return
        if self._is_generating:
            self.toast("A clip is being generated.", "Wait for it, or cancel it with x.", severity="warning")
            return
        self._say([(bar(0, 24), "bar"), (" starting the generator", ""), *_CANCEL_HINT])
        self.query_one(GeneratedTable).focus()
        self._generating = self._generate(request)

    def _say(self, line: Line) -> None:
        self.query_one("#progress", TextLines).set_lines([line])


_CANCEL_HINT = (("   x", "value"), (" cancels", "label"))


def _facts(clip: GeneratedClip, root: Path) -> list[Line]:
    """Return how a clip was made, and where it is."""
    path = clip.path.relative_to(root) if clip.path.is_relative_to(root) else clip.path
    cfg = f"cfg {clip.cfg_scale:g}, {clip.sampler or 'sampler unknown'}"
    return [
        [("file   ", "label"), (str(path), "")],
        [("model  ", "label"), (clip.model or "base weights", ""), (f"   {cfg}", "label")],
        [("prompt ", "label"), (clip.prompt, "")],
        [("without ", "label"), (clip.negative_prompt, "")] if clip.negative_prompt else [],
    ]
