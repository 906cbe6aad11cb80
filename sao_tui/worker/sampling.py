"""One clip from a prompt: which sampler fits, and upstream's generation around it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sao_tui.core.errors import SaoError

SAMPLERS: dict[str, tuple[str, ...]] = {
    "rectified_flow": ("euler", "rk4", "dpmpp"),
    "rf_denoiser": ("pingpong",),
    "v": ("dpmpp-3m-sde", "dpmpp-2m-sde", "dpmpp-2m", "k-heun", "k-dpmpp-2s-ancestral", "v-ddim"),
}
"""Samplers that fit each objective, the usual one first."""
MIN_INIT_NOISE = 0.12
"""Below about 0.119 upstream's schedule rises instead of falling."""
MAX_SEED = 2**32 - 1


class CancelledError(Exception):
    """The clip is no longer wanted."""


@dataclass(frozen=True)
class ClipRequest:
    """What one clip shall be."""

    prompt: str
    seconds: float
    seed: int
    steps: int = 50
    cfg_scale: float = 4.0
    negative_prompt: str = ""
    sampler: str | None = None
    """None for the usual one of the model's objective."""
    init_audio: Path | None = None
    init_noise: float = 1.0


def choose_sampler(objective: str, wanted: str | None) -> str:
    """Return the sampler to use.

    Raises:
        SaoError: `wanted` does not fit the objective.
    """
    fitting = SAMPLERS.get(objective, SAMPLERS["rectified_flow"])
    if wanted is None or wanted == "auto":
        return fitting[0]
    if wanted not in fitting:
        raise SaoError(
            f"The sampler {wanted} does not fit a model with the objective {objective}",
            f"Use {', '.join(fitting)}.",
        )
    return wanted


def check_request(request: ClipRequest, max_seconds: float) -> None:
    """Refuse what upstream would answer with noise or an error of its own.

    Raises:
        SaoError: A value is out of range.
    """
    if not 0 < request.seconds <= max_seconds:
        raise SaoError(
            f"The model makes clips of up to {max_seconds:g} seconds, not {request.seconds:g}",
            f"Ask for {max_seconds:g} seconds or less.",
        )
    if request.steps < 1:
        raise SaoError(f"{request.steps} steps make no sound", "Use 8 steps for an ARC model, about 50 otherwise.")
    if not 0 <= request.seed <= MAX_SEED:
        raise SaoError(f"The seed {request.seed} is out of range", f"Use a number from 0 to {MAX_SEED}.")
    if request.init_audio is not None and not MIN_INIT_NOISE <= request.init_noise <= 1:
        raise SaoError(
            f"An init noise of {request.init_noise:g} is out of range", f"Use a number from {MIN_INIT_NOISE} to 1."
        )


def generate(
    model: Any, model_config: dict[str, Any], request: ClipRequest, device: str, on_step: Callable[[int], None]
) -> Any:
    """Return float32 audio of shape [C, N], as loud as the model made it.

    Args:
        on_step: Told the number of steps done; what it raises ends the clip.

    Raises:
        SaoError: The request does not fit the model, or the model made no sound but NaN.
    """
    import torch
    from stable_audio_tools.inference.generation import generate_diffusion_cond

    sample_rate, sample_size = model_config["sample_rate"], model_config["sample_size"]
    check_request(request, sample_size / sample_rate)
    first: list[int] = []

    def callback(info: dict[str, Any]) -> None:
        # Some samplers count from 0, others from 1.
        first.append(info["i"]) if not first else None
        on_step(info["i"] - first[0] + 1)

    audio_BCN = generate_diffusion_cond(
        model,
        steps=request.steps,
        cfg_scale=request.cfg_scale,
        conditioning=_conditioning(model, request.prompt, request.seconds),
        batch_size=1,
        sample_size=sample_size,
        seed=request.seed,
        device=device,
        sampler_type=choose_sampler(model.diffusion_objective, request.sampler),
        callback=callback,
        **_options(model, request),
    )
    audio_CN = audio_BCN[0].detach().float().cpu()[:, : round(request.seconds * sample_rate)]
    if not torch.isfinite(audio_CN).all():
        raise SaoError("The model's output is not a number", "Its weights may be damaged; try an earlier checkpoint.")
    return audio_CN


def _options(model: Any, request: ClipRequest) -> dict[str, Any]:
    """Return the arguments that only some requests need."""
    options: dict[str, Any] = {}
    if request.init_audio is not None:
        options.update(init_audio=read_init_audio(request.init_audio), init_noise_level=request.init_noise)
    if request.negative_prompt and request.cfg_scale != 1:
        options["negative_conditioning"] = _conditioning(model, request.negative_prompt, request.seconds)
    return options


def read_init_audio(path: Path) -> tuple[int, Any]:
    """Return sample rate and audio of shape [C, N].

    Raises:
        SaoError: The file cannot be read.
    """
    import soundfile
    import torch

    try:
        audio_NC, sample_rate = soundfile.read(path, dtype="float32", always_2d=True)
    except (OSError, RuntimeError) as error:
        raise SaoError(f"{path} cannot be read: {error}", "Choose another file as init audio.") from error
    return sample_rate, torch.from_numpy(audio_NC.T.copy())


def write_wav(path: Path, audio_CN: Any, sample_rate: int) -> float:
    """Write 16-bit audio in one step and return its peak; only what would clip is made softer.

    Raises:
        SaoError: The file cannot be written.
    """
    import os

    import soundfile

    from sao_tui.core.files import sync_folder

    peak = float(audio_CN.abs().max()) if audio_CN.numel() else 0.0
    part = path.with_name(f".{path.name}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with part.open("wb") as file:
            samples = (audio_CN / max(1.0, peak)).T.numpy()
            soundfile.write(file, samples, sample_rate, format="WAV", subtype="PCM_16")
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, path)
        sync_folder(path.parent)
    except (OSError, RuntimeError) as error:
        part.unlink(missing_ok=True)
        raise SaoError(f"{path} cannot be written: {error}", "Free some space or choose another folder.") from error
    return peak


def _conditioning(model: Any, prompt: str, seconds: float) -> list[dict[str, Any]]:
    known = {"prompt": prompt, "seconds_start": 0, "seconds_total": seconds}
    return [{name: known[name] for name in model.conditioner.conditioners if name in known}]
