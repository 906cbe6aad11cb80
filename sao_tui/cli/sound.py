"""generate and play."""

from __future__ import annotations

import argparse
import time

from sao_tui.cli.answer import Answer, ProgressBar
from sao_tui.core.errors import SaoError


def generate(arguments: argparse.Namespace) -> Answer:
    """Turn a prompt into clips."""
    from sao_tui.services.bundle import build_services
    from sao_tui.services.generation import GenerateRequest

    if arguments.init_noise is not None and arguments.init_audio is None:
        raise SaoError("--init-noise has no effect without --init-audio.", "Give both, or neither.")
    services, bar = build_services(arguments.workspace), ProgressBar(quiet=arguments.json)
    names = ("prompt", "negative_prompt", "count", "seconds", "steps", "cfg_scale", "sampler", "seed", "model")
    asked = {name: getattr(arguments, name) for name in (*names, "init_audio")}
    if arguments.init_noise is not None:
        asked["init_noise"] = arguments.init_noise
    for name in ("model", "init_audio"):
        if asked[name] is not None:
            asked[name] = asked[name].absolute()
    try:
        clips = services.generator.generate(
            GenerateRequest(**asked), lambda done, total, stage: bar(stage, done, total)
        )
    finally:
        bar.close()
        services.close()
    documents = [
        {"path": str(clip.path), "seed": clip.seed, "seconds": clip.seconds, "sample_rate": clip.sample_rate_hz}
        for clip in clips
    ]
    return Answer({"clips": documents}, [f"{clip.path} (seed {clip.seed})" for clip in clips])


def play(arguments: argparse.Namespace) -> Answer:
    """Play a sound file to its end; exit status 1 when no player could."""
    from sao_tui.services.playback import Playback, all_players
    from sao_tui.services.workspace import Workspace

    workspace = Workspace(arguments.workspace)
    # A file can be played anywhere; a workspace only says with which player.
    playback = Playback(workspace, None if workspace.settings_file.exists() else all_players())
    handle = playback.play(arguments.file.absolute())
    try:
        while playback.is_playing():
            time.sleep(0.05)
        handle = playback.status() or handle
    finally:
        playback.close()
    heard = handle.player != "null"
    return Answer({"player": handle.player, "message": handle.message, "heard": heard}, [handle.message], heard)
