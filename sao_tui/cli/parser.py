"""The tree of subcommands. Handlers are imported only when their command runs."""

from __future__ import annotations

import argparse
import importlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

from sao_tui import __version__
from sao_tui.core.errors import SaoError


class UsageError(SaoError):
    """The command line itself is wrong."""


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        """Raise in place of printing usage and leaving."""
        raise UsageError(f"{message[:1].upper()}{message[1:]}.", f"{self.prog} --help shows what there is.")


def build_parser() -> argparse.ArgumentParser:
    """Return the parser; `run` of what it parses is the handler."""
    parser = _Parser(
        prog="sao-tui",
        description="Fine-tune Stable Audio Open Small from the terminal. Without a command it opens the dashboard.",
        epilog="Exit status: 0 done, 1 the thing asked for is not so, 2 the request is wrong or cannot be met.",
    )
    parser.add_argument("--version", action="version", version=f"sao-tui {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    _add_workspace_commands(commands)
    _add_dataset_commands(_group(commands, "dataset", "look at, caption and check the clips"))
    _add_config_commands(_group(commands, "config", "check and change the configs"))
    _add_model_commands(_group(commands, "model", "say what weights files are"))
    _add_train_commands(_group(commands, "train", "start, watch and stop training"))
    encode = _group(commands, "encode", "pre-encode the clips to latents")
    start = command(encode, "start", "jobs:start_encode", "pre-encode the dataset")
    start.add_argument("--wait", action="store_true", help="wait until it has ended")
    _add_checkpoint_commands(_group(commands, "checkpoint", "list, inspect and export checkpoints"))
    _add_sound_commands(commands)
    return parser


DATASET_TOPICS = ("bulk", "prompts", "split", "prepare", "transfer", "suggest", "analysis")
"""Modules `cli.dataset_TOPIC` that add commands of their own to `dataset`."""

COMMANDS = frozenset(
    ("open", "demo", "init", "doctor", "gpu", "dataset", "config", "model", "train", "encode", "checkpoint")
) | {"generate", "play"}


def with_default_command(arguments: list[str]) -> list[str]:
    """Turn `sao-tui [WORKSPACE]` into `sao-tui open [WORKSPACE]`, and put options before a command behind it."""
    options, rest = _leading_options(arguments)
    if not rest:
        return ["open", *options]
    first = rest[0]
    if first in COMMANDS:
        return [*rest, *options]
    if first in ("-h", "--help", "--version"):
        return rest
    looks_like_path = first.startswith(("-", ".", "/", "~")) or "/" in first or Path(first).is_dir()
    return ["open", *rest, *options] if looks_like_path else rest


def _leading_options(arguments: list[str]) -> tuple[list[str], list[str]]:
    """Return the options that every command takes, as far as they stand first, and the rest."""
    index = 0
    while index < len(arguments):
        word = arguments[index]
        if word in ("-w", "--workspace") and index + 1 < len(arguments):
            index += 2
        elif word == "--json" or word.startswith("--workspace="):
            index += 1
        else:
            break
    return arguments[:index], arguments[index:]


def _add_workspace_commands(commands: Any) -> None:
    opened = command(commands, "open", "workspace:open_dashboard", "open the dashboard (the default)")
    opened.add_argument("folder", nargs="?", type=Path, help="workspace; the current folder by default")
    demo = command(commands, "demo", "demo:demo", "make the demo workspace and open it")
    demo.add_argument("folder", nargs="?", type=Path, default=Path("sao-demo"), help="a new folder (sao-demo)")
    how = demo.add_mutually_exclusive_group()
    how.add_argument("--prepare-only", action="store_true", help="make the workspace and stop there")
    how.add_argument("--headless", action="store_true", help="run the whole path unattended and report")
    init = command(commands, "init", "workspace:init", "make a folder a workspace")
    init.add_argument("folder", type=Path)
    command(commands, "doctor", "workspace:doctor", "look over everything a run needs")
    command(commands, "gpu", "workspace:gpu", "show GPU and host readings")


def _add_dataset_commands(commands: Any) -> None:
    command(commands, "scan", "dataset:scan", "bring the index of clips up to date")
    listing = command(commands, "list", "dataset:list_clips", "list clips")
    listing.add_argument("filter", nargs="*", help="words and terms such as uncaptioned:yes, dur<2; -- before -word")
    listing.add_argument("--sort", default="relpath", metavar="COLUMN", help="relpath, seconds, caption, bpm, …")
    listing.add_argument("--descending", action="store_true", help="the largest first")
    listing.add_argument("--limit", type=positive, default=None, help="show at most this many")
    shown = command(commands, "show", "dataset:show_clip", "show one clip")
    shown.add_argument("clip")
    caption = command(commands, "caption", "dataset:caption", "write a caption, durably")
    caption.add_argument("clip")
    caption.add_argument("text")
    command(commands, "lint", "dataset:lint", "check clips and captions")
    for topic in DATASET_TOPICS:
        importlib.import_module(f"sao_tui.cli.dataset_{topic}").add_commands(commands)


def _add_config_commands(commands: Any) -> None:
    command(commands, "new", "config:new", "write the configs that are missing")
    command(commands, "check", "config:check", "check all configs")
    shown = command(commands, "show", "config:show", "show fields with their values")
    shown.add_argument("field", nargs="?", help="part of a field's path")
    changed = command(commands, "set", "config:set_field", "change one field")
    changed.add_argument("field", help="such as train.max_steps")
    changed.add_argument("value")


def _add_model_commands(commands: Any) -> None:
    command(commands, "list", "model:list_models", "list weights in models/")
    inspect = command(commands, "inspect", "model:inspect", "say what a weights file is, without loading it")
    inspect.add_argument("file", type=Path)
    inspect.add_argument("--config", type=Path, help="model config to match it against")


def _add_train_commands(commands: Any) -> None:
    start = command(commands, "start", "jobs:start_train", "check everything and start a run, detached")
    start.add_argument("--steps", type=positive, help="optimizer steps in all (max_steps)")
    start.add_argument("--batch-size", type=positive)
    start.add_argument("--seed", type=int)
    start.add_argument("--latents", type=Path, help="folder of pre-encoded clips to train on")
    start.add_argument("--base", type=Path, help="base weights to start from")
    start.add_argument("--name", help="name of the run")
    start.add_argument("--wait", action="store_true", help="wait until it has ended")
    resume = command(commands, "resume", "jobs:resume", "go on with a run in a new one")
    resume.add_argument("job", help="run whose newest checkpoint is taken, or a checkpoint file")
    resume.add_argument("--steps", type=positive, help="optimizer steps in all, those before included")
    resume.add_argument("--wait", action="store_true", help="wait until it has ended")
    command(commands, "list", "jobs:list_jobs", "list runs, the newest first")
    for name, handler, text in (
        ("show", "jobs:show_job", "show a run's state"),
        ("follow", "jobs:follow", "print what a run reports until it ends"),
        ("stop", "jobs:stop", "stop a run after writing a checkpoint"),
    ):
        added = command(commands, name, handler, text)
        added.add_argument("job", nargs=None if name == "stop" else "?", help="name of the run; the newest by default")
        if name == "stop":
            added.add_argument("--force", action="store_true", help="kill it now; steps since the last checkpoint go")
            added.add_argument("--wait", action="store_true", help="wait until it has ended")


def _add_checkpoint_commands(commands: Any) -> None:
    command(commands, "list", "model:list_checkpoints", "list checkpoints of all runs")
    inspect = command(commands, "inspect", "model:inspect", "say what a checkpoint is")
    inspect.add_argument("file", type=Path)
    inspect.add_argument("--config", type=Path, help="model config to match it against")
    export = command(commands, "export", "model:export", "write the model inside a checkpoint, with proof")
    export.add_argument("file", type=Path)
    export.add_argument("-o", "--output", type=Path)
    export.add_argument("--weights", choices=("ema", "raw"), help="by default EMA where the file has one")


def _add_sound_commands(commands: Any) -> None:
    generate = command(commands, "generate", "sound:generate", "turn a prompt into sound")
    generate.add_argument("--prompt", required=True)
    generate.add_argument("--negative-prompt", default="")
    generate.add_argument("--count", type=positive, default=1)
    generate.add_argument("--seconds", type=positive_number)
    generate.add_argument("--steps", type=positive)
    generate.add_argument("--cfg", type=float, dest="cfg_scale", metavar="X")
    generate.add_argument("--sampler")
    generate.add_argument("--seed", type=int)
    generate.add_argument("--model", type=Path, help="weights; the base weights by default")
    generate.add_argument("--init-audio", type=Path, help="sound to start from in place of noise")
    generate.add_argument("--init-noise", type=float, help="how far to leave it: 0.12 (close) to 1")
    play = command(commands, "play", "sound:play", "play a sound file")
    play.add_argument("file", type=Path)


def _group(commands: Any, name: str, text: str) -> Any:
    parser = commands.add_parser(name, help=text, description=f"{text[:1].upper()}{text[1:]}.")
    return parser.add_subparsers(title="commands", metavar="COMMAND", required=True)


def command(commands: Any, name: str, handler: str, text: str) -> argparse.ArgumentParser:
    """Add one command; `handler` is `module:function` in sao_tui.cli, imported when the command runs."""
    parser: argparse.ArgumentParser = commands.add_parser(name, help=text, description=f"{text[:1].upper()}{text[1:]}.")
    parser.add_argument("-w", "--workspace", type=Path, default=Path(), help="workspace (the current folder)")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    parser.set_defaults(run=_lazy(handler))
    return parser


def _lazy(handler: str) -> Callable[[argparse.Namespace], Any]:
    module, _, function = handler.partition(":")

    def run(arguments: argparse.Namespace) -> Any:
        return getattr(importlib.import_module(f"sao_tui.cli.{module}"), function)(arguments)

    return run


def positive(text: str) -> int:
    """Return a whole number above 0, for `type=`."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text} is not above 0")
    return number


def positive_number(text: str) -> float:
    """Return a finite number above 0, for `type=`."""
    number = float(text)
    if not 0 < number < float("inf"):
        raise argparse.ArgumentTypeError(f"{text} is not above 0")
    return number
