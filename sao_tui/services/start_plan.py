"""Everything that a start needs, gathered and checked before anything is started."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sao_tui.core.errors import SaoError
from sao_tui.core.findings import Finding, is_ok
from sao_tui.core.settings import EncodeSettings, TrainSettings

if TYPE_CHECKING:
    from sao_tui.services.bundle import Services
    from sao_tui.services.jobs import JobView
    from sao_tui.services.workspace import Workspace


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
    model_config, dataset_config = _read_configs(workspace)
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
    model_config, dataset_config = _read_configs(workspace)
    findings = tuple(check_before_start(workspace, gate))
    return EncodePlan(settings, model_config, dataset_config, findings, _count_clips(services))


def newest_checkpoint(services: Services, job_name: str) -> tuple[Path, int]:
    """Return file and step of the newest whole checkpoint of a run.

    Raises:
        SaoError: It has none.
    """
    from sao_tui.services.checkpoints import list_checkpoints

    rows = [row for row in list_checkpoints(services.workspace) if row.job == job_name and row.whole]
    if not rows:
        raise SaoError(f"{job_name} has no whole checkpoint to resume from.", "Start a new run.")
    newest = max(rows, key=lambda row: (row.step or 0, row.modified))
    return newest.path, newest.step or 0


def _train_plan(
    services: Services, settings: TrainSettings, model_config: dict[str, Any], dataset_config: dict[str, Any]
) -> TrainPlan:
    from sao_tui.services.doctor import check_before_start
    from sao_tui.services.models import decide_start

    _require_possible(settings)
    findings = list(check_before_start(services.workspace, settings))
    message = _try(lambda: decide_start(settings, model_config, services.workspace.root).message, findings)
    return TrainPlan(
        settings,
        model_config,
        dataset_config,
        tuple(findings),
        _count_clips(services),
        message,
        _count_latents(services.workspace.latents_folder),
    )


def _require_possible(settings: TrainSettings) -> None:
    """Hold changes for one run to the limits that train.toml has.

    Raises:
        SaoError: One is beyond them.
    """
    from sao_tui.services.configs import check_train_settings

    given = {name: value for name, value in asdict(settings).items() if value is not None}
    for finding in check_train_settings(given, "this run"):
        if finding.severity == "error":
            raise SaoError(finding.message, finding.fix)


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


def _read_configs(workspace: Workspace) -> tuple[dict[str, Any], dict[str, Any]]:
    from sao_tui.services.configs import read_json
    from sao_tui.services.new_configs import missing_model_config

    if missing := missing_model_config(workspace):
        raise missing
    return read_json(workspace.model_config_file), read_json(workspace.dataset_config_file)
