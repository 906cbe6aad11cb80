"""The fields of the generate screen, and the request that they make."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.widgets import Input, Label, Select

from sao_tui.core.errors import SaoError
from sao_tui.tui.text import one_line

if TYPE_CHECKING:
    from sao_tui.services.generation import GeneratedClip, GenerateRequest

AUTO = "auto"
SAMPLERS = (AUTO, "euler", "rk4", "dpmpp", "pingpong")
"""Samplers of upstream for rectified flow and its distillation; auto follows the model's objective."""
BASE = "base"
NEWEST = "newest"

_NUMBERS = (
    ("seconds", "seconds", "all", "How long, in seconds; empty for the model's whole length"),
    ("steps", "steps", AUTO, "Sampling steps; empty for what suits the model"),
    ("cfg", "cfg", AUTO, "How strictly the prompt is followed; empty for what suits the model"),
    ("seed", "seed", "random", "Same seed, same sound; empty draws one"),
    ("count", "clips", "1", "How many clips, with seeds that count on"),
)


class GenerateForm(Vertical):
    """Prompt, negative prompt, numbers, sampler and model."""

    DEFAULT_CSS = """
    GenerateForm {
        height: auto;
        Horizontal { height: 1; }
        Label { color: $text-muted; padding: 0 1 0 0; }
        .wide-label { width: 10; }
        .later { padding: 0 1 0 2; }
        Input { background: $panel; &:focus { background: $primary 30%; } }
        #prompt, #negative { width: 1fr; }
        #seconds { width: 7; }
        #steps, #cfg { width: 6; }
        #seed { width: 12; }
        #count { width: 5; }
        #sampler { width: 16; }
        #model { width: 1fr; }
    }
    """

    def compose(self) -> ComposeResult:
        """Four lines of fields."""
        with Horizontal():
            yield Label("prompt", classes="wide-label")
            yield _input("prompt", "what it should sound like", "What the clip should sound like")
        with Horizontal():
            yield Label("without", classes="wide-label")
            yield _input("negative", "what it should not sound like", "What to stay away from; needs cfg above 1")
        with Horizontal():
            for index, (name, label, placeholder, tooltip) in enumerate(_NUMBERS):
                yield Label(label, classes="later" if index else "wide-label")
                yield _input(name, placeholder, tooltip)
        with Horizontal():
            yield Label("sampler", classes="wide-label")
            yield Select([(name, name) for name in SAMPLERS], value=AUTO, allow_blank=False, compact=True, id="sampler")
            yield Label("model", classes="later")
            yield Select([("base weights", BASE)], value=BASE, allow_blank=False, compact=True, id="model")

    def set_models(self, files: Sequence[Path], newest_export: Path | None) -> None:
        """Offer these files beside the base weights, keeping what is chosen if it is still there."""
        select: Select[str] = self.query_one("#model", Select)
        chosen = select.value
        options = [("base weights", BASE)]
        if newest_export is not None:
            options.append((f"newest export: {one_line(newest_export.name)}", NEWEST))
        options += [(_model_label(file), str(file)) for file in files]
        if isinstance(chosen, str) and chosen not in {value for _, value in options}:
            options.append((one_line(Path(chosen).name), chosen))
        select.set_options(options)
        select.value = chosen
        self._newest_export = newest_export

    _newest_export: Path | None = None

    def choose_model(self, file: Path) -> None:
        """Choose a file, also one that has not been offered yet."""
        select: Select[str] = self.query_one("#model", Select)
        options = [(str(prompt), value) for prompt, value in select._options if isinstance(value, str)]
        if str(file) not in {value for _, value in options}:
            select.set_options([*options, (_model_label(file), str(file))])
        select.value = str(file)

    def fill(self, clip: GeneratedClip) -> None:
        """Take over what a clip was made with; the model stays as it is chosen."""
        values = {
            "prompt": clip.prompt,
            "negative": clip.negative_prompt,
            "seconds": f"{clip.seconds:g}",
            "steps": str(clip.steps or ""),
            "cfg": f"{clip.cfg_scale:g}",
            "seed": str(clip.seed),
            "count": "1",
        }
        for name, value in values.items():
            self.query_one(f"#{name}", Input).value = value
        if clip.sampler in SAMPLERS:
            self.query_one("#sampler", Select).value = clip.sampler

    def request(self) -> GenerateRequest:
        """Return what is asked for.

        Raises:
            SaoError: A field does not hold what it should; the field gets the focus.
        """
        from sao_tui.services.generation import GenerateRequest

        prompt = self._text("prompt")
        if not prompt:
            raise self._refused("prompt", "There is no prompt.", "Say what it should sound like.")
        sampler, model = self.query_one("#sampler", Select).value, self.query_one("#model", Select).value
        count = self._whole("count")
        return GenerateRequest(
            prompt=prompt,
            negative_prompt=self._text("negative"),
            seconds=self._number("seconds"),
            steps=self._whole("steps"),
            cfg_scale=self._number("cfg"),
            sampler=None if sampler == AUTO else str(sampler),
            seed=self._whole("seed"),
            count=1 if count is None else count,
            model=None if model == BASE else self._newest_export if model == NEWEST else Path(str(model)),
        )

    def _text(self, name: str) -> str:
        return self.query_one(f"#{name}", Input).value.strip()

    def _whole(self, name: str) -> int | None:
        text = self._text(name)
        try:
            return int(text) if text else None
        except ValueError:
            raise self._refused(
                name, f"{text} is no whole number of {name}.", "Correct it, or leave it empty."
            ) from None

    def _number(self, name: str) -> float | None:
        text = self._text(name)
        try:
            return float(text) if text else None
        except ValueError:
            raise self._refused(name, f"{text} is no number.", "Correct it, or leave the field empty.") from None

    def _refused(self, name: str, message: str, hint: str) -> SaoError:
        self.query_one(f"#{name}", Input).focus()
        return SaoError(message, hint)


class _Field(Input):
    """A field; what is typed into it is text, whatever the letters do elsewhere."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "submit", "Generate", id="generate.submit", tooltip="Generate with what the fields say"),
        Binding("escape", "screen.leave", "Leave the field", id="generate.leave", tooltip="Go to the list of clips"),
    ]


def _input(name: str, placeholder: str, tooltip: str) -> Input:
    made = _Field(placeholder=placeholder, compact=True, id=name)
    # A blinking cursor sends bytes while nobody does anything.
    made.cursor_blink = False
    made.tooltip = tooltip
    return made


def _model_label(file: Path) -> str:
    """Return a file's name, with the run for a checkpoint: all runs have the same steps."""
    name = file.name if file.parent.name != "checkpoints" else f"{file.parent.parent.name}/{file.name}"
    return one_line(name)
