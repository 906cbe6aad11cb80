"""What the workspace's model takes in: how much sound, and how much text."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from typing import Any

from sao_tui.core.errors import SaoError
from sao_tui.services.workspace import Workspace

DEFAULT_MAX_TOKENS = 128
"""stable-audio-tools' own, for a config that does not say."""

_known: dict[tuple[str, int, int], ModelHearing] = {}


@dataclass(frozen=True)
class ModelHearing:
    """The parts of a model config that decide how much of a clip and of its prompt the model gets."""

    sample_rate_hz: int
    sample_size: int
    """Frames of one training example."""
    text_encoder: str
    """Name of the T5 model, such as `t5-base`; empty where the config has none."""
    max_tokens: int
    """The prompt is cut to so many tokens, the one that ends it included."""

    @property
    def seconds(self) -> float:
        """Length of one training example."""
        return self.sample_size / self.sample_rate_hz


@dataclass(frozen=True)
class Padding:
    """How a clip fits into one training example."""

    heard_seconds: float
    """What the model hears of the clip at once."""
    model_seconds: float
    padding_share: float
    """Part of the example that is silence put behind the clip, 0 to 1."""
    cut_seconds: float
    """What is left of the clip outside one example; which part that is changes from step to step."""

    def in_words(self) -> str:
        """Return it as the detail pane says it."""
        if self.cut_seconds > 0:
            return f"longer than the model hears: {self.heard_seconds:.1f} s at a time"
        return f"{100 * self.padding_share:.0f} % padding: the model hears {self.model_seconds:.1f} s"


def read_hearing(workspace: Workspace) -> ModelHearing:
    """Return what the model config says; it is read again only when it has changed.

    Raises:
        SaoError: It is missing, or no model config.
    """
    file = workspace.model_config_file
    try:
        status = os.stat(file)
        key = (str(file), status.st_size, status.st_mtime_ns)
        if key not in _known:
            found = _parse(json.loads(file.read_text(encoding="utf-8")))
            _known.clear()
            _known[key] = found
        return _known[key]
    except OSError as error:
        raise SaoError(
            f"Cannot read the model config {file}: {error.strerror}.", "Set [model] config in sao.toml."
        ) from error
    except (ValueError, KeyError, TypeError, AttributeError, ZeroDivisionError) as error:
        raise SaoError(f"{file} is not a model config: {error!r}.", "Set [model] config in sao.toml.") from error


def padding_of(clip_seconds: float, hearing: ModelHearing) -> Padding:
    """Return how a clip fits: the share of padding is 1 - clip / model, as upstream pads with silence."""
    model_seconds = hearing.seconds
    heard = min(clip_seconds, model_seconds)
    return Padding(heard, model_seconds, 1 - heard / model_seconds, max(0.0, clip_seconds - model_seconds))


def _parse(config: dict[str, Any]) -> ModelHearing:
    conditioning = config["model"].get("conditioning") or {}
    text = next((each["config"] for each in conditioning.get("configs", []) if each.get("type") == "t5"), None)
    rate, size = int(config["sample_rate"]), int(config["sample_size"])
    if rate <= 0 or size <= 0:
        raise ValueError("sample_rate and sample_size must be above 0")
    if text is None:
        return ModelHearing(rate, size, "", DEFAULT_MAX_TOKENS)
    return ModelHearing(
        rate, size, text.get("t5_model_name", "t5-base"), int(text.get("max_length", DEFAULT_MAX_TOKENS))
    )
