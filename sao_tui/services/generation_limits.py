"""What can be asked of the generator; the rest is refused before a worker starts."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from sao_tui.core.errors import SaoError
from sao_tui.core.unicode import is_unicode

if TYPE_CHECKING:
    from sao_tui.services.generation import GenerateRequest

NUM_SEEDS = 2**31
MAX_COUNT = 10_000
MAX_STEPS = 1_000
"""More steps change nothing that can be heard."""
LEAST_INIT_NOISE = 0.12
"""Below, the sampler's schedule would rise instead of fall."""


def check_request(request: GenerateRequest, longest_seconds: float) -> None:
    """Refuse what upstream would fail at or silently get wrong.

    Raises:
        SaoError: The request cannot be met.
    """
    _check_prompt("prompt", request.prompt)
    _check_prompt("negative prompt", request.negative_prompt)
    _check_numbers(request, longest_seconds)
    if request.init_audio is not None:
        if not request.init_audio.is_file():
            raise SaoError(f"There is no file {request.init_audio}.", "Choose an audio file to begin with.")
        if not LEAST_INIT_NOISE <= request.init_noise <= 1:
            raise SaoError(
                f"An init noise of {request.init_noise:g} is out of range.",
                f"Choose a number from {LEAST_INIT_NOISE} to 1.",
            )


def _check_prompt(name: str, text: str) -> None:
    if not is_unicode(text):
        raise SaoError(f"The {name} is not UTF-8: {text!a}.", "Type it again in a UTF-8 terminal.")


def _check_numbers(request: GenerateRequest, longest_seconds: float) -> None:
    seconds, steps, seed = request.seconds or 0.0, request.steps or 0, request.seed or 0
    if not 1 <= request.count <= MAX_COUNT:
        raise SaoError(f"{request.count} clips cannot be generated.", f"Ask for 1 to {MAX_COUNT:,}.")
    if not 0 < seconds <= longest_seconds:
        raise SaoError(
            f"{seconds:g} s is not a length that the model can make.", f"Ask for up to {longest_seconds:.1f} s."
        )
    if not 1 <= steps <= MAX_STEPS:
        raise SaoError(f"{steps} steps cannot be made.", f"Ask for 1 to {MAX_STEPS:,}; the base model wants 50.")
    if request.cfg_scale is not None and not math.isfinite(request.cfg_scale):
        raise SaoError(f"A cfg scale of {request.cfg_scale} is no number.", "Leave it out, or ask for 1 to 10.")
    if not 0 <= seed < 2 * NUM_SEEDS - request.count:
        raise SaoError(f"{seed} is not a seed.", f"Choose one from 0 to {NUM_SEEDS - 1}, or none.")
