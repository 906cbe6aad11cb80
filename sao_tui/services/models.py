"""What a weights file is, in words, and whether a run can start from it or resume it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from sao_tui.core.errors import SaoError
from sao_tui.core.settings import TrainSettings
from sao_tui.core.units import format_bytes, format_count
from sao_tui.core.weights import WeightsError, WeightsHeader, num_parameters, read_header
from sao_tui.core.weights.header import some_names
from sao_tui.core.weights.kinds import (
    EXPORT_KEY,
    OBJECTIVE_KEY,
    STEP_KEY,
    Kind,
    Objective,
    classify,
    core_tensors,
    known_objective,
)

if TYPE_CHECKING:
    from sao_tui.core.weights.expected import Match

CORE_KINDS: frozenset[str] = frozenset({"rf-base", "arc", "exported"})
WRAPPED_KINDS: frozenset[str] = frozenset({"wrapped", "wrapped-ema"})
WEIGHTS_SUFFIXES = (".ckpt", ".safetensors", ".pt", ".pth")
MAX_CONFIG_BYTES = 4_000_000

BASE_HINT = "Use base_model.ckpt with base_model_config.json, the weights that are made for fine-tuning."


@dataclass(frozen=True)
class ModelReport:
    """What one file is."""

    file: Path
    kind: Kind
    tensors: int = 0
    """In the state dict, an EMA's included."""
    parameters: int = 0
    """Trainable numbers of the model inside, an EMA left out."""
    bytes: int = 0
    step: int | None = None
    objective: Objective = "unknown"
    has_ema: bool = False
    has_optimizer: bool = False
    message: str = ""
    """One sentence."""
    matches: Match | None = None
    """How the model inside fits the config that was given."""
    header: WeightsHeader | None = field(default=None, repr=False, compare=False)

    def as_dict(self) -> dict[str, Any]:
        """Return the JSON document of `model inspect`."""
        names = ("kind", "tensors", "parameters", "bytes", "step", "objective", "has_ema", "has_optimizer", "message")
        document: dict[str, Any] = {"file": str(self.file)} | {name: getattr(self, name) for name in names}
        if self.matches is not None:
            document["matches"] = asdict(self.matches)
        return document


@dataclass(frozen=True)
class StartPlan:
    """How a run begins."""

    mode: Literal["start", "resume"]
    file: Path
    message: str
    step: int = 0
    """Optimizer steps that are done already."""


class StartError(SaoError):
    """Why a run cannot begin, with the id of the finding that doctor makes of it."""

    def __init__(self, finding_id: str, message: str, hint: str) -> None:
        """Name the finding; see SaoError."""
        super().__init__(message, hint)
        self.finding_id = finding_id


def inspect(file: Path, config: Path | None = None) -> ModelReport:
    """Return what `file` is, told by its tensors and by the config that belongs to it; nothing in it is run.

    Args:
        config: Model config to hold it against.

    Raises:
        SaoError: The file is missing or unreadable, or the config is no model config.
    """
    given = None if config is None else read_model_config(config)
    report = _inspect(file, given)
    if given is None or report.header is None or report.kind not in CORE_KINDS | WRAPPED_KINDS:
        return report
    return replace(report, matches=match_config(report, given, str(config)))


def decide_start(
    settings: TrainSettings, model_config: Mapping[str, Any], root: Path | None = None, config_name: str = "its config"
) -> StartPlan:
    """Return whether the run starts or resumes, and from which file.

    Args:
        root: Folder that relative paths count from, by default the current one.
        config_name: What messages call the model config.

    Raises:
        StartError: The file is missing, of the wrong kind, of another objective, or does not fit the config.
    """
    folder = root or Path()
    if settings.resume_from:
        return _plan_resume(folder / settings.resume_from, settings, model_config, config_name)
    if settings.base_weights:
        return _plan_start(folder / settings.base_weights, model_config, config_name)
    raise StartError(
        "weights-missing",
        "No weights are chosen to start from.",
        "Set base_weights in sao.toml to the base model, or choose a checkpoint to resume from.",
    )


def read_model_config(path: Path) -> dict[str, Any]:
    """Return a model config as it stands in its file.

    Raises:
        SaoError: It is missing or not a JSON object.
    """
    try:
        with path.open("rb") as file:
            config = json.loads(file.read(MAX_CONFIG_BYTES))
    except FileNotFoundError as error:
        raise SaoError(f"{path} does not exist.", "Give the JSON file that came with the weights.") from error
    except (OSError, ValueError) as error:
        raise SaoError(
            f"{path} is not a JSON file: {error}.", "Give the JSON file that came with the weights."
        ) from error
    if not isinstance(config, dict):
        raise SaoError(f"{path} is not a model config.", "Give the JSON file that came with the weights.")
    return config


def config_of(header: WeightsHeader) -> dict[str, Any] | None:
    """Return the model config that belongs to a weights file; None where nothing says it.

    A checkpoint holds it, or its run's job.json does; a downloaded or exported NAME.ckpt has it in NAME.json
    or NAME_config.json, else in the model_config.json of its folder if that belongs to no other file there.
    """
    return _own_config(header) or _folder_config(header.path)


def objective_of(model_config: Mapping[str, Any]) -> Objective:
    """Return the diffusion objective that a config names."""
    try:
        return known_objective(model_config["model"]["diffusion"].get("diffusion_objective"))
    except (KeyError, TypeError, AttributeError):
        return "unknown"


def match_config(report: ModelReport, model_config: Mapping[str, Any], config_name: str) -> Match:
    """Return how the model inside a file fits a config; a wrapped checkpoint counts as if it were unwrapped.

    Raises:
        SaoError: The config describes no model.
    """
    from sao_tui.core.weights.expected import compare, expected_tensors

    header = report.header
    if header is None:
        raise SaoError(report.message, BASE_HINT)
    tensors = header.tensors if report.kind in CORE_KINDS else core_tensors(header.tensors, use_ema=False)
    try:
        return compare(expected_tensors(model_config), tensors)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise SaoError(
            f"{config_name} does not describe a model ({type(error).__name__}: {error}).",
            f"Run `sao-tui config check` on {config_name}.",
        ) from error


def _inspect(file: Path, given: Mapping[str, Any] | None) -> ModelReport:
    try:
        num_bytes = file.stat().st_size
        header = read_header(file)
        if not header.tensors:
            raise WeightsError("foreign", "holds no tensors")
    except FileNotFoundError as error:
        raise StartError("weights-missing", f"{file} does not exist.", "Check its path.") from error
    except OSError as error:
        raise SaoError(
            f"{file} cannot be read: {error.strerror}.", "Check that it is a file that you may read."
        ) from error
    except WeightsError as problem:
        return ModelReport(file, problem.kind, bytes=num_bytes, message=f"{file.name} {problem.message}.")
    objective = _find_objective(header, given)
    kind = classify(header, objective)
    tensors = header.tensors
    if kind in WRAPPED_KINDS:
        tensors = core_tensors(header.tensors, use_ema=False)
    step = header.step
    if step is None and header.metadata.get(STEP_KEY, "").isdecimal():
        step = int(header.metadata[STEP_KEY])
    return ModelReport(
        file=file,
        kind=kind,
        tensors=len(header.tensors),
        parameters=num_parameters(tensors),
        bytes=num_bytes,
        step=step,
        objective=objective if kind in CORE_KINDS | WRAPPED_KINDS else "unknown",
        has_ema=kind == "wrapped-ema",
        has_optimizer=header.has_optimizer,
        message=_describe(file, header, kind, objective, num_parameters(tensors)),
        header=header,
    )


def _own_config(header: WeightsHeader) -> dict[str, Any] | None:
    """Return the config that is certainly this file's: inside it, its run's, or one that bears its name."""
    file = header.path
    if header.model_config is not None:
        return dict(header.model_config)
    if file.parent.name == "checkpoints":
        job = _read_quietly(file.parent.parent / "job.json") or {}
        if isinstance(job.get("model_config"), dict):
            return dict(job["model_config"])
    return _first_model_config(file.with_name(f"{file.stem}.json"), file.with_name(f"{file.stem}_config.json"))


def _folder_config(file: Path) -> dict[str, Any] | None:
    """Return the folder's model_config.json unless it belongs to another file there."""
    if any(file.with_name(f"model{suffix}").exists() for suffix in WEIGHTS_SUFFIXES):
        return None
    return _first_model_config(file.with_name("model_config.json"))


def _first_model_config(*paths: Path) -> dict[str, Any] | None:
    for path in paths:
        config = _read_quietly(path)
        if config is not None and isinstance(config.get("model"), dict):
            return config
    return None


def _find_objective(header: WeightsHeader, given: Mapping[str, Any] | None) -> Objective:
    """Return the objective by what says it best: the file, the file's own config, the given one, the folder's."""
    candidates = [
        known_objective(header.metadata.get(OBJECTIVE_KEY)),
        objective_of(_own_config(header) or {}),
        objective_of(given or {}),
        objective_of(_folder_config(header.path) or {}),
    ]
    return next((objective for objective in candidates if objective != "unknown"), "unknown")


def _describe(file: Path, header: WeightsHeader, kind: Kind, objective: Objective, parameters: int) -> str:
    size = f"{format_count(parameters)} parameters, {format_bytes(header.num_bytes)}"
    match kind:
        case "rf-base" if objective == "unknown":
            hint = ", like the ARC model that must not be trained with rectified flow" if file.stem == "model" else ""
            return (
                f"Core weights ({size}) whose objective is unknown{hint}: "
                f"put the config that came with them beside them as {file.stem}_config.json."
            )
        case "rf-base":
            return f"Core weights ({size}) trained with rectified flow: fine-tuning can start from them."
        case "arc":
            return f"ARC post-trained weights ({size}) for 8-step generation; fine-tuning starts from the base instead."
        case "exported":
            step = f" of step {header.metadata[STEP_KEY]}" if STEP_KEY in header.metadata else ""
            which = "EMA weights" if header.metadata[EXPORT_KEY] == "ema" else "Raw weights"
            return f"{which}{step} ({size}), exported: generate with them, or start the next fine-tune from them."
        case "wrapped" | "wrapped-ema":
            parts = "EMA" if kind == "wrapped-ema" else "no EMA"
            parts += " and optimizer" if header.has_optimizer else ", without its optimizer"
            way = "resume from it, or export it" if header.has_optimizer else "export it"
            return f"Training checkpoint of step {header.step} ({size}; {parts}): {way} to use its weights."
        case "adapter":
            return f"An adapter ({size}) that belongs on top of base weights; it is no model of its own."
        case "autoencoder":
            return f"An autoencoder ({size}) without a diffusion model."
        case _:
            names = some_names(list(header.tensors))
            return f"{file.name} is not a model of stable-audio-tools: its tensors are named {names}."


def _require_readable(file: Path) -> ModelReport:
    try:
        report = _inspect(file, None)
    except StartError:
        raise StartError(
            "weights-missing",
            f"{file} does not exist.",
            "Download base_model.ckpt and base_model_config.json into models/, or set base_weights in sao.toml.",
        ) from None
    if report.kind in ("dangerous", "truncated", "foreign"):
        hints = {
            "dangerous": "Do not load it; get the weights again from a source that you trust, best as safetensors.",
            "truncated": "Download or copy it again, or use an older checkpoint.",
            "foreign": BASE_HINT,
        }
        raise StartError(f"weights-{report.kind}", report.message, hints[report.kind])
    return report


def _plan_start(file: Path, model_config: Mapping[str, Any], config_name: str) -> StartPlan:
    report = _require_readable(file)
    if report.kind in WRAPPED_KINDS:
        raise StartError(
            "weights-wrapped",
            f"{file} is a training checkpoint, not base weights: none of its tensors would be loaded.",
            f"Resume from it (`sao-tui train resume {file}`), or export it first (`sao-tui checkpoint export {file}`).",
        )
    if report.kind not in CORE_KINDS:
        raise StartError("weights-foreign", f"{file} cannot be trained: {report.message}", BASE_HINT)
    if report.objective == "rf_denoiser" and objective_of(model_config) == "rectified_flow":
        raise StartError(
            "objective-arc",
            f"{file} holds ARC post-trained weights (rf_denoiser), which rectified-flow training would destroy.",
            BASE_HINT,
        )
    _require_match(report, model_config, config_name)
    return StartPlan("start", file, f"starts from {file.name}: {report.tensors}/{report.tensors} tensors fit")


def _plan_resume(file: Path, settings: TrainSettings, model_config: Mapping[str, Any], config_name: str) -> StartPlan:
    report = _require_readable(file)
    if report.kind not in WRAPPED_KINDS:
        raise StartError(
            "resume-not-wrapped",
            f"{file} holds weights without optimizer or step count, so no run can be resumed from it.",
            "Start from it with base_weights instead, or choose a checkpoint in runs/JOB/checkpoints.",
        )
    if report.header is None or not report.header.has_loops or not report.has_optimizer:
        raise StartError(
            "resume-incomplete",
            f"{file} was saved without its optimizer, so no run can be resumed from it.",
            f"Export it (`sao-tui checkpoint export {file}`) and start from the export.",
        )
    _require_same_ema(report, model_config)
    _require_match(report, model_config, config_name)
    step = report.step or 0
    if step >= settings.max_steps:
        raise StartError(
            "resume-finished",
            f"{file} is at step {step} already and the run ends at step {settings.max_steps}.",
            f"Raise max_steps above {step}.",
        )
    return StartPlan("resume", file, f"resumes {file.name} at step {step} of {settings.max_steps}", step)


def _require_same_ema(report: ModelReport, model_config: Mapping[str, Any]) -> None:
    training = model_config.get("training") or {}
    wants_ema = bool(training.get("use_ema", True))
    if wants_ema != report.has_ema:
        has, should = ("an", "true") if report.has_ema else ("no", "false")
        raise StartError(
            "resume-ema",
            f"{report.file} has {has} EMA and training.use_ema is {str(wants_ema).lower()}.",
            f"Set training.use_ema to {should} to resume it.",
        )


def _require_match(report: ModelReport, model_config: Mapping[str, Any], config_name: str) -> None:
    match = match_config(report, model_config, config_name)
    if match.is_whole:
        return
    faults = []
    if match.missing:
        faults.append(f"missing {some_names(match.missing)}")
    if match.unexpected:
        faults.append(f"left over {some_names(match.unexpected)}")
    raise StartError(
        "weights-mismatch",
        f"{report.file} does not fit {config_name}: {match.loaded} of {match.expected} tensors match "
        f"({'; '.join(faults)}).",
        "Use the config that came with these weights; only its training section is yours to change.",
    )


def _read_quietly(path: Path) -> dict[str, Any] | None:
    try:
        config = read_model_config(path)
    except SaoError:
        return None
    return config
