"""How many tokens a prompt has for the model's text encoder, by the tokenizer.json beside its weights.

The same file through the same library as transformers' fast T5 tokenizer, which the worker uses, without importing it.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sao_tui.core.errors import SaoError
from sao_tui.services.model_hearing import DEFAULT_MAX_TOKENS, ModelHearing, read_hearing
from sao_tui.services.workspace import Workspace


@dataclass(frozen=True)
class TokenCount:
    """The length of one prompt as the text encoder counts."""

    num_tokens: int
    """With the one that ends the text."""
    limit: int
    """What is beyond is cut off, without a word from upstream."""
    kept_text: str
    """The part of the prompt that the model reads."""

    @property
    def is_over(self) -> bool:
        """Whether something is cut off."""
        return self.num_tokens > self.limit

    def in_words(self) -> str:
        """Return it as `17/64`."""
        return f"{self.num_tokens}/{self.limit}"


class TokenCounter:
    """Counts tokens for one workspace's model. Safe to use from several threads."""

    def __init__(self, workspace: Workspace, environ: Mapping[str, str] | None = None) -> None:
        """Read nothing yet.

        Args:
            environ: Where HF_HOME, HF_HUB_CACHE and XDG_CACHE_HOME are looked up; by default this process's.
        """
        self._workspace = workspace
        self._environ = os.environ if environ is None else environ
        self._lock = threading.Lock()
        self._loaded: tuple[Path, Any] | None = None

    def count(self, text: str) -> TokenCount:
        """Count one prompt.

        Raises:
            SaoError: The tokenizer is nowhere, or the model config cannot be read.
        """
        return self.count_many([text])[0]

    def count_many(self, texts: Sequence[str]) -> list[TokenCount]:
        """Count many prompts at once, some 15,000 a second.

        Raises:
            SaoError: The tokenizer is nowhere, or the model config cannot be read.
        """
        hearing = read_hearing(self._workspace)
        tokenizer = self._tokenizer(hearing)
        # Lone surrogates, from names that are not UTF-8, are no text for the tokenizer.
        clean = [text.encode(errors="replace").decode() for text in texts]
        encodings = tokenizer.encode_batch(clean)
        return [_to_count(each, text, hearing.max_tokens) for each, text in zip(encodings, clean, strict=True)]

    def limit(self) -> int:
        """Return how many tokens the model reads; stable-audio-tools' default where no config can be read."""
        try:
            return read_hearing(self._workspace).max_tokens
        except SaoError:
            return DEFAULT_MAX_TOKENS

    def _tokenizer(self, hearing: ModelHearing) -> Any:
        file = self._find(hearing.text_encoder)
        with self._lock:
            if self._loaded is None or self._loaded[0] != file:
                self._loaded = (file, _load(file))
            return self._loaded[1]

    def _find(self, name: str) -> Path:
        if not name:
            raise SaoError("The model of this workspace reads no text.", "Its config names no T5 text encoder.")
        hub = self._hub()
        # transformers' older names point to repositories that have moved into an organisation.
        for owner in ("", "google-t5/", "google/"):
            folder = hub / f"models--{owner}{name}".replace("/", "--")
            for snapshot in _snapshots(folder):
                file = snapshot / "tokenizer.json"
                if file.is_file():
                    return file
        raise SaoError(
            f"The tokenizer of the text encoder {name} is not in {hub}.",
            "Set [model] text_encoder_home in sao.toml to the Hugging Face cache folder that holds it, "
            f"or fetch it once: huggingface-cli download {name}",
        )

    def _hub(self) -> Path:
        home = self._workspace.text_encoder_home
        if home is not None:
            return home / "hub"
        if self._environ.get("HF_HUB_CACHE"):
            return Path(self._environ["HF_HUB_CACHE"]).expanduser()
        cache = self._environ.get("XDG_CACHE_HOME") or "~/.cache"
        return Path(self._environ.get("HF_HOME") or os.path.join(cache, "huggingface")).expanduser() / "hub"


def _snapshots(folder: Path) -> list[Path]:
    """Return a model's snapshots, the one that `main` names first."""
    try:
        main = (folder / "refs" / "main").read_text(encoding="utf-8").strip()
    except OSError:
        main = ""
    try:
        found = sorted((folder / "snapshots").iterdir(), key=lambda path: path.name != main)
    except OSError:
        return []
    return found


def _load(file: Path) -> Any:
    from tokenizers import Tokenizer

    # Its threads would be lost in a fork, and it warns about that on the terminal.
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    try:
        tokenizer = Tokenizer.from_str(file.read_text(encoding="utf-8"))
    except Exception as error:
        # The library raises bare Exception for a file that it does not understand.
        raise SaoError(f"Cannot read {file}: {error}.", "Fetch the text encoder again.") from error
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer


def _to_count(encoding: Any, text: str, limit: int) -> TokenCount:
    num_tokens = len(encoding.ids)
    if num_tokens <= limit:
        return TokenCount(num_tokens, limit, text)
    # The last token that fits is the one that ends the text.
    offsets = encoding.offsets[: limit - 1]
    return TokenCount(num_tokens, limit, text[: offsets[-1][1]] if offsets else "")
