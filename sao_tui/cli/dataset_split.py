"""dataset split: hold clips out of training."""

from __future__ import annotations

import argparse
from typing import Any

from sao_tui.cli.answer import Answer, table


def add_commands(commands: Any) -> None:
    """Add them to the commands of `dataset`."""
    from sao_tui.cli.parser import command

    split = command(commands, "split", "dataset_split:split", "hold clips out, to measure the loss on them")
    split.add_argument("--fraction", type=float, default=0.1, help="share to hold out (0.1)")
    split.add_argument("--by", choices=("folder", "tag", "none"), default="folder", help="keep the share within each")
    split.add_argument("--seed", type=int, default=0)
    how = split.add_mutually_exclusive_group()
    how.add_argument("--dry-run", action="store_true", help="say what would be held out")
    how.add_argument("--remove", action="store_true", help="train on every clip again")


def split(arguments: argparse.Namespace) -> Answer:
    """Draw a held-out set, or take it away."""
    from sao_tui.services.bundle import build_services
    from sao_tui.services.clips import refresh
    from sao_tui.services.split import plan_split, remove_split, save_split

    services = build_services(arguments.workspace)
    if arguments.remove:
        existed = remove_split(services)
        said = "Training uses every clip again." if existed else "There was no split."
        return Answer({"removed": existed}, [said])
    refresh(services.clips, services.captions)
    plan = plan_split(services, arguments.fraction, arguments.by, arguments.seed)
    if not arguments.dry_run:
        save_split(services, plan.split)
    document = {
        "num_clips": plan.num_clips,
        "num_held_out": plan.num_held_out,
        "fraction": plan.split.fraction,
        "by": plan.split.by,
        "seed": plan.split.seed,
        "written": not arguments.dry_run,
        "strata": [{"name": name, "num_clips": num, "num_held_out": held} for name, num, held in plan.strata],
        "validation": list(plan.split.validation),
    }
    cells = [(name or "(top)", str(num), str(held)) for name, num, held in plan.strata]
    verb = "would be" if arguments.dry_run else "are"
    lines = [f"{plan.num_held_out} of {plan.num_clips} clips {verb} held out."]
    return Answer(document, [*table(cells, ("folder", "clips", "held out")), *lines])
