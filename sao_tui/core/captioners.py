"""The captioners there are: what each needs, the options it takes and what those mean.

The worker runs them (`sao_tui.worker.suggest`); whoever starts one checks the options here first, so that a
mistyped name is refused before a job begins. Standard library only.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass

from sao_tui.core.errors import SaoError

CLIPS_NAME = "clips.jsonl"
"""What a suggest job reads: one clip a line."""
SUGGESTIONS_NAME = "suggestions.jsonl"
"""What it appends: one suggestion a line."""
DECISIONS_NAME = "decisions.jsonl"
"""What became of them: one decision a line; a clip's last one counts."""
VOCABULARY_NAME = "vocabulary.txt"
"""Phrases to rank, one a line, where the captioner ranks phrases."""

DEFAULT_PROMPT = (
    "Describe this sound in one short sentence for a text-to-audio data set: what makes the sound, its character, "
    "and its tempo and key where it has them. Answer with the sentence alone."
)


@dataclass(frozen=True)
class Option:
    """One thing that can be said about how a captioner works."""

    name: str
    default: str
    help: str
    kind: str = "text"
    """text, int, float or path."""
    low: float = float("-inf")
    high: float = float("inf")
    """Bounds of a number, both allowed."""
    choices: tuple[str, ...] = ()


@dataclass(frozen=True)
class CaptionerInfo:
    """One captioner."""

    name: str
    title: str
    """What it does, in a few words."""
    packages: tuple[str, ...]
    """Top-level modules that the worker's interpreter must have."""
    needs: str
    """Everything it needs, in a sentence."""
    way: str
    """How to get what is missing."""
    options: tuple[Option, ...] = ()
    required: tuple[str, ...] = ()
    """Options without a default."""

    def parse(self, given: Mapping[str, str]) -> dict[str, str]:
        """Return every option with its value, as text.

        Raises:
            SaoError: An option is unknown, missing, or has a value that it cannot have.
        """
        known = {option.name: option for option in self.options}
        for name in given:
            if name not in known:
                close = difflib.get_close_matches(name, known, n=1)
                hint = f"Did you mean {close[0]}?" if close else f"It has: {', '.join(known) or 'none'}."
                raise SaoError(f"The captioner {self.name} has no option {name}.", hint)
        values = {name: str(given.get(name, option.default)).strip() for name, option in known.items()}
        for name in self.required:
            if not values[name]:
                raise SaoError(f"The captioner {self.name} needs the option {name}.", known[name].help)
        for name, value in values.items():
            _check(known[name], value)
        return values


def _check(option: Option, value: str) -> None:
    if option.choices and value not in option.choices:
        raise SaoError(f"{option.name} cannot be {value!r}.", f"Choose one of: {', '.join(option.choices)}.")
    if option.kind not in ("int", "float") or not value:
        return
    try:
        number = int(value) if option.kind == "int" else float(value)
    except ValueError as error:
        wanted = "a whole number" if option.kind == "int" else "a number"
        raise SaoError(f"{option.name} must be {wanted}, not {value!r}.", option.help) from error
    if not option.low <= number <= option.high:
        raise SaoError(f"{option.name} must be between {option.low:g} and {option.high:g}, not {value}.", option.help)


_DEVICE = Option("device", "auto", "auto, cpu or gpu", choices=("auto", "cpu", "gpu"))

CAPTIONERS: dict[str, CaptionerInfo] = {
    each.name: each
    for each in (
        CaptionerInfo(
            "tags",
            "file names, folders and embedded tags in words",
            (),
            "Nothing. Tags of clips that are not analysed yet need mutagen in the worker's Python.",
            "pip install mutagen",
            (
                Option("use", "name,folder,tags", "which of name, folder, tags to take words from"),
                Option("folders", "1", "how many folders above the file count", "int", 0, 8),
            ),
        ),
        CaptionerInfo(
            "signal",
            "tempo, key, brightness, attack and loopability, heard in the signal",
            ("librosa", "soundfile"),
            "librosa in the worker's Python.",
            "pip install librosa",
            (Option("seconds", "30", "seconds of each clip that are listened to", "float", 1, 300),),
        ),
        CaptionerInfo(
            "clap",
            "your own words, ranked by CLAP",
            ("laion_clap", "torch", "transformers", "soundfile"),
            "laion-clap and its weights (2 GB), with the tokenizer of roberta-base; or a CLAP model of transformers.",
            "pip install laion-clap; hf download lukewys/laion_clap 630k-audioset-best.pt; hf download roberta-base "
            "--include '*.json' merges.txt",
            (
                Option("weights", "", "weights file, or folder or name of a CLAP model of transformers", "path"),
                Option("tokenizer", "roberta-base", "folder or name of the tokenizer of laion-clap weights", "path"),
                Option("vocabulary", "", "file of phrases, one a line; by default those in use", "path"),
                Option("template", "{}", "how a phrase is put to the model; {} stands for it"),
                Option("top_k", "3", "how many of the best phrases make the caption", "int", 1, 20),
                Option("min_similarity", "0.1", "cosine below which a phrase is left out", "float", -1, 1),
                _DEVICE,
            ),
        ),
        CaptionerInfo(
            "hf",
            "any audio captioning model of Hugging Face",
            ("transformers", "torch", "soundfile"),
            "transformers, and the name or folder of a model that turns audio into text.",
            "pip install transformers; then option model=NAME, or hf download NAME --local-dir FOLDER",
            (
                Option("model", "", "name on the hub, or folder of the model", "path"),
                Option(
                    "task",
                    "auto",
                    "pipeline to use",
                    choices=("auto", "automatic-speech-recognition", "any-to-any"),
                ),
                Option("prompt", DEFAULT_PROMPT, "what a model that takes instructions is asked"),
                Option("max_tokens", "64", "longest answer", "int", 1, 1024),
                Option("seconds", "30", "seconds of each clip that are heard", "float", 1, 300),
                _DEVICE,
            ),
            ("model",),
        ),
        CaptionerInfo(
            "openai",
            "an OpenAI-compatible endpoint with audio input",
            ("soundfile",),
            "The URL of the endpoint, the name of a model that takes audio, and a key in an environment variable.",
            "export OPENAI_API_KEY=…; options url=https://…/v1 model=NAME, or [suggest] url and model in sao.toml",
            (
                Option("url", "", "such as https://api.openai.com/v1 or http://127.0.0.1:8000/v1"),
                Option("model", "", "name of a model that takes audio"),
                Option("key_variable", "OPENAI_API_KEY", "environment variable that holds the key"),
                Option("prompt", DEFAULT_PROMPT, "what the model is asked"),
                Option("seconds", "30", "seconds of each clip that are sent", "float", 0.5, 30),
                Option("rate", "16000", "sample rate in Hz of what is sent", "int", 8000, 48000),
                Option("max_tokens", "80", "longest answer", "int", 1, 4096),
                Option("timeout", "60", "seconds to wait for an answer", "float", 0.1, 600),
                Option("retries", "4", "times to try again after 429, 5xx or a lost connection", "int", 0, 20),
            ),
            ("url", "model"),
        ),
    )
}


def captioner(name: str) -> CaptionerInfo:
    """Return a captioner by name.

    Raises:
        SaoError: There is none.
    """
    if name not in CAPTIONERS:
        raise SaoError(f"There is no captioner {name}.", f"Choose one of: {', '.join(CAPTIONERS)}.")
    return CAPTIONERS[name]
