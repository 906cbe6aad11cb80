"""Looks over everything a run needs, and is the gate before one starts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sao_tui.core.errors import SaoError
from sao_tui.core.findings import Finding
from sao_tui.core.settings import TrainSettings

if TYPE_CHECKING:
    from sao_tui.services.doctor_dataset import DatasetCheck
    from sao_tui.services.workspace import Workspace

Progress = Callable[[str, int, int], None]
"""Called with a stage in words, how much of it is done and of how much."""

_STAGES = ("workspace", "configs", "weights", "clips", "machine")


def check_all(workspace: Workspace, progress: Progress | None = None) -> list[Finding]:
    """Return everything that stands in the way of a run, or is odd; the gravest first."""
    tell = progress or _silent
    try:
        settings = _workspace_settings(workspace)
    except SaoError as error:
        return [Finding("workspace-invalid", "error", error.message, str(workspace.root), error.hint)]
    findings: list[Finding] = []
    for number, stage in enumerate(_STAGES):
        tell(stage, number, len(_STAGES))
        findings += _stage(stage, workspace, settings, tell)
    tell("done", len(_STAGES), len(_STAGES))
    return _sorted(findings)


def check_before_start(
    workspace: Workspace, settings: TrainSettings, progress: Progress | None = None
) -> list[Finding]:
    """Return what a run with these settings would meet; nothing may start while one of them is an error."""
    from sao_tui.services import doctor_machine

    tell = progress or _silent
    findings = _check_configs(workspace, with_train=False)
    findings += _check_weights(workspace, settings)
    findings += _check_dataset(workspace, settings, tell)
    findings += doctor_machine.check_worker(workspace)
    findings += doctor_machine.check_room(workspace, settings, _model_config(workspace))
    return _sorted(findings)


def check_dataset_folders(workspace: Workspace) -> list[Finding]:
    """Return what is wrong with the folders and the metadata module that the dataset config names.

    Raises:
        SaoError: sao.toml is missing or wrong.
    """
    return _sorted(_dataset_check(workspace, _workspace_settings(workspace), _silent).check_folders())


def _stage(stage: str, workspace: Workspace, settings: TrainSettings, tell: Progress) -> list[Finding]:
    from sao_tui.services import doctor_machine

    match stage:
        case "configs":
            return _check_configs(workspace)
        case "weights":
            return _check_weights(workspace, settings)
        case "clips":
            return _check_dataset(workspace, settings, tell)
        case "machine":
            return [
                *doctor_machine.check_worker(workspace),
                *doctor_machine.check_room(workspace, settings, _model_config(workspace)),
                *doctor_machine.check_devices(workspace),
            ]
        case _:
            return _check_folders(workspace)


def _workspace_settings(workspace: Workspace) -> TrainSettings:
    """Return the settings of the next run as far as the workspace has them.

    Raises:
        SaoError: sao.toml is missing or wrong.
    """
    from sao_tui.services.configs import load_train_settings

    base = workspace.base_weights
    try:
        settings = load_train_settings(workspace.train_config_file)
    except SaoError:
        settings = TrainSettings()
    if settings.base_weights is None and settings.resume_from is None and base is not None:
        settings = replace(settings, base_weights=str(base))
    if settings.text_encoder_home is None and workspace.text_encoder_home is not None:
        settings = replace(settings, text_encoder_home=str(workspace.text_encoder_home))
    return settings


def _check_folders(workspace: Workspace) -> list[Finding]:
    import os

    if os.access(workspace.root, os.W_OK | os.X_OK):
        return []
    message, fix = f"{workspace.root} cannot be written to.", "Use a workspace that you own."
    return [Finding("workspace-read-only", "error", message, str(workspace.root), fix)]


def _check_configs(workspace: Workspace, *, with_train: bool = True) -> list[Finding]:
    from sao_tui.services.configs import check_workspace_configs

    findings = check_workspace_configs(workspace)
    if with_train:
        return findings
    name = workspace.train_config_file.name
    return [finding for finding in findings if name not in (finding.where or "")]


def _model_config(workspace: Workspace) -> dict[str, Any]:
    from sao_tui.services.configs import read_json

    try:
        return read_json(workspace.model_config_file)
    except SaoError:
        return {}


def _check_weights(workspace: Workspace, settings: TrainSettings) -> list[Finding]:
    from sao_tui.services import models

    model_config = _model_config(workspace)
    if not model_config:
        return []
    findings: list[Finding] = []
    try:
        plan = models.decide_start(settings, model_config, workspace.root, workspace.model_config_file.name)
        findings += _check_objective(plan.file, model_config)
    except models.StartError as error:
        where = settings.resume_from or settings.base_weights
        findings.append(Finding(error.finding_id, "error", error.message, where, error.hint))
    except SaoError as error:
        findings.append(Finding("weights-unchecked", "error", error.message, settings.base_weights, error.hint))
    home = settings.text_encoder_home
    if home and not (workspace.root / home).is_dir():
        message, fix = f"The text encoder's folder {home} does not exist.", "Correct text_encoder_home in sao.toml."
        findings.append(Finding("text-encoder-missing", "error", message, home, fix))
    return findings


def _check_objective(file: Path, model_config: dict[str, Any]) -> list[Finding]:
    """Warn of weights that carry the ARC model's name and say nothing of their objective."""
    from sao_tui.services import models

    wants_rf = models.objective_of(model_config) == "rectified_flow"
    if not wants_rf or file.stem != "model" or models.inspect(file).objective != "unknown":
        return []
    message = f"{file} is named like the ARC model, which rectified-flow training would destroy."
    return [Finding("objective-unknown", "warning", message, str(file), models.BASE_HINT)]


def _check_dataset(workspace: Workspace, settings: TrainSettings, tell: Progress) -> list[Finding]:
    return _dataset_check(workspace, settings, tell).run()


def _dataset_check(workspace: Workspace, settings: TrainSettings, tell: Progress) -> DatasetCheck:
    from sao_tui.services.configs import read_json
    from sao_tui.services.doctor_dataset import DatasetCheck

    try:
        dataset_config = read_json(workspace.dataset_config_file)
    except SaoError:
        dataset_config = {}
    return DatasetCheck(workspace, settings, _model_config(workspace), dataset_config, tell)


def _sorted(findings: list[Finding]) -> list[Finding]:
    order = ("error", "warning", "info")
    return sorted(findings, key=lambda finding: order.index(finding.severity))


def _silent(_stage: str, _done: int, _total: int) -> None:
    pass
