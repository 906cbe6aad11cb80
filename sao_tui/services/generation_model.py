"""Which weights a clip is generated with, which config belongs to them, and what suits their objective."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sao_tui.core.errors import SaoError
from sao_tui.core.jobs import JobFolder

if TYPE_CHECKING:
    from sao_tui.services.workspace import Workspace


@dataclass(frozen=True)
class GenerateDefaults:
    """What to generate with unless the user says otherwise."""

    seconds: float
    """The model's whole length, which is also its longest."""
    steps: int
    cfg_scale: float
    sampler: str


@dataclass(frozen=True)
class ModelChoice:
    """Weights with their config."""

    weights: Path
    config: dict[str, Any]
    sample_rate_hz: int
    defaults: GenerateDefaults


def choose_model(workspace: Workspace, model: Path | None = None) -> ModelChoice:
    """Return the weights to generate with and the config that belongs to them.

    Args:
        model: None for the workspace's base weights.

    Raises:
        SaoError: Weights or config are missing or unreadable.
    """
    weights = workspace.base_weights if model is None else workspace.root / model.expanduser()
    if weights is None:
        raise SaoError("The workspace has no base weights.", "Set [model] base_weights in sao.toml, or choose a model.")
    if not weights.is_file():
        raise SaoError(f"There is no model {weights}.", "Set [model] base_weights in sao.toml, or choose another file.")
    config, where = _config_of(workspace, weights)
    try:
        rate = int(config["sample_rate"])
        seconds = int(config["sample_size"]) / rate
        objective = config["model"]["diffusion"].get("diffusion_objective", "v")
    except (KeyError, TypeError, ValueError, ZeroDivisionError, AttributeError) as error:
        raise SaoError(
            f"{where} is not the config of a diffusion model: {error!r}.", "Choose another config."
        ) from error
    # A model distilled for few steps makes noise of any other sampler, and the other way round.
    if objective == "rf_denoiser":
        return ModelChoice(weights, config, rate, GenerateDefaults(seconds, 8, 1.0, "pingpong"))
    sampler = "euler" if objective == "rectified_flow" else "dpmpp-3m-sde"
    return ModelChoice(weights, config, rate, GenerateDefaults(seconds, 50, 4.0, sampler))


def _config_of(workspace: Workspace, weights: Path) -> tuple[dict[str, Any], Path]:
    """Return the config of a file and where it was found.

    An export has it beside it, a run's checkpoint in the job's description; else the workspace's holds.
    """
    job = JobFolder(weights.parent.parent)
    if weights.parent.name == "checkpoints" and job.job_file.is_file():
        return job.read_spec().model_config, job.job_file
    beside = (weights.with_suffix(".json"), weights.with_name(f"{weights.stem}_config.json"))
    own = [] if weights == workspace.base_weights else [path for path in beside if path.is_file()]
    file = [*own, workspace.model_config_file][0]
    try:
        config = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise SaoError(f"Cannot read the model config {file}: {error}.", "Put the model's config there.") from error
    if not isinstance(config, dict):
        raise SaoError(f"{file} is not a model config.", "Put the model's config there.")
    return config, file
