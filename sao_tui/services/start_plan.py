"""Everything that a start needs, gathered and checked before anything is started."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sao_tui.core.errors import SaoError
from sao_tui.core.findings import Finding, is_ok
from sao_tui.core.settings import EncodeSettings, TrainSettings
from sao_tui.core.split import SPLIT_NAME, read_split

if TYPE_CHECKING:
    from sao_tui.services.bundle import Services
    from sao_tui.services.jobs import JobView


@dataclass(frozen=True)
class TrainPlan:
    """A training run as it would start."""

    settings: TrainSettings
    model_config: dict[str, Any]
    dataset_config: dict[str, Any]
    findings: tuple[Finding, ...]
    num_clips: int
    start_message: str
    """What becomes of the weights, with how many tensors match."""
    num_latents: int = 0
    """Pre-encoded clips at hand."""
    num_held_out: int = 0
    """Clips that the split keeps out of training."""

    @property
    def is_ok(self) -> bool:
        """Whether nothing stands in the way."""
        return is_ok(self.findings)


@dataclass(frozen=True)
class EncodePlan:
    """A pre-encoding job as it would start."""

    settings: EncodeSettings
    model_config: dict[str, Any]
    dataset_config: dict[str, Any]
    findings: tuple[Finding, ...]
    num_clips: int

    @property
    def is_ok(self) -> bool:
        """Whether nothing stands in the way."""
        return is_ok(self.findings)


def plan_train(services: Services, changes: Mapping[str, Any] | None = None) -> TrainPlan:
    """Check a run with the workspace's settings; starts nothing.

    Args:
        changes: Settings of this run alone, by their names in TrainSettings.

    Raises:
        SaoError: A config or the settings cannot be read.
    """
    from sao_tui.services.configs import load_train_settings

    workspace = services.workspace
    settings = replace(load_train_settings(workspace.train_config_file), **(changes or {}))
    if settings.base_weights is None and settings.resume_from is None and workspace.base_weights is not None:
        settings = replace(settings, base_weights=str(workspace.base_weights))
    split_file = workspace.dataset_folder / SPLIT_NAME
    if settings.held_out is None and split_file.exists():
        settings = replace(settings, held_out=str(split_file))
    model_config, dataset_config = _read_json(workspace.model_config_file), _read_json(workspace.dataset_config_file)
    return _train_plan(services, settings, model_config, dataset_config)


def plan_resume(services: Services, job: JobView, checkpoint: Path, max_steps: int) -> TrainPlan:
    """Check going on with a run from one of its checkpoints, with its own configs; starts nothing.

    Raises:
        SaoError: The run's description cannot be read.
    """
    spec = job.folder.read_spec()
    asked = {**spec.settings, "base_weights": None, "resume_from": str(checkpoint), "max_steps": max_steps}
    known = TrainSettings.__dataclass_fields__
    settings = TrainSettings(**{name: value for name, value in asked.items() if name in known})
    if settings.held_out is not None and (copied := job.folder.path / SPLIT_NAME).exists():
        settings = replace(settings, held_out=str(copied))
    return _train_plan(services, settings, spec.model_config, spec.dataset_config)


def plan_encode(services: Services) -> EncodePlan:
    """Check pre-encoding the dataset with the base weights' autoencoder; starts nothing.

    Raises:
        SaoError: A config cannot be read, or no base weights are set.
    """
    from sao_tui.services.doctor import check_before_start

    workspace = services.workspace
    if workspace.base_weights is None:
        raise SaoError(
            f"{workspace.settings_file} names no base weights, which hold the autoencoder.",
            "Set base_weights in its [model] section.",
        )
    home = workspace.text_encoder_home
    settings = EncodeSettings(
        base_weights=str(workspace.base_weights),
        output=str(workspace.latents_folder),
        text_encoder_home=str(home) if home else None,
    )
    gate = TrainSettings(base_weights=settings.base_weights, batch_size=1, text_encoder_home=settings.text_encoder_home)
    return EncodePlan(
        settings,
        _read_json(workspace.model_config_file),
        _read_json(workspace.dataset_config_file),
        tuple(check_before_start(workspace, gate)),
        _count_clips(services),
    )


def newest_checkpoint(services: Services, job_name: str) -> tuple[Path, int]:
    """Return file and step of the newest whole checkpoint of a run.

    Raises:
        SaoError: It has none.
    """
    from sao_tui.services.checkpoints import list_checkpoints

    rows = [row for row in list_checkpoints(services.workspace) if row.job == job_name and row.whole]
    if not rows:
        raise SaoError(f"{job_name} has no whole checkpoint to resume from.", "Start a new run with s.")
    newest = max(rows, key=lambda row: (row.step or 0, row.modified))
    return newest.path, newest.step or 0


def _train_plan(
    services: Services, settings: TrainSettings, model_config: dict[str, Any], dataset_config: dict[str, Any]
) -> TrainPlan:
    from sao_tui.services.doctor import check_before_start
    from sao_tui.services.models import decide_start

    findings = list(check_before_start(services.workspace, settings))
    num_held_out = 0
    try:
        split = read_split(Path(settings.held_out)) if settings.held_out else None
        num_held_out = len(split.validation) if split else 0
    except SaoError as error:
        findings.append(Finding("split-unusable", "error", error.message, settings.held_out, error.hint))
    message = _try(lambda: decide_start(settings, model_config, services.workspace.root).message, findings)
    return TrainPlan(
        settings,
        model_config,
        dataset_config,
        tuple(findings),
        _count_clips(services),
        message,
        _count_latents(services.workspace.latents_folder),
        num_held_out,
    )


def _try(decide: Callable[[], str], findings: list[Finding]) -> str:
    """Return the decision; a refusal that the checks have not found yet becomes a finding."""
    try:
        return decide()
    except SaoError as error:
        if is_ok(findings):
            findings.append(Finding("start-refused", "error", error.message, fix=error.hint))
        return error.message


def _count_clips(services: Services) -> int:
    counts = services.clips.counts()
    if not counts.num_clips:
        services.clips.scan()
        counts = services.clips.counts()
    return counts.num_clips


def _count_latents(folder: Path) -> int:
    return sum(1 for _ in folder.rglob("*.npy")) if folder.is_dir() else 0


def _read_json(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise SaoError(f"Cannot read {path}: {error}.", "See `sao-tui config check`.") from error
    if not isinstance(value, dict):
        raise SaoError(f"{path} is not a JSON object.", "See `sao-tui config check`.")
    return value
