"""demo: the demo workspace, prepared, opened or run through unattended."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from sao_tui.cli.answer import Answer, ProgressBar
from sao_tui.core.units import format_duration

if TYPE_CHECKING:
    from sao_tui.services.demo_run import HeadlessReport


def demo(arguments: argparse.Namespace) -> Answer | int:
    """Make the demo workspace, then stop, run or open it."""
    from sao_tui.services.demo import write_demo

    bar = ProgressBar(quiet=arguments.json)
    try:
        report = write_demo(arguments.folder, bar)
        if arguments.headless:
            from sao_tui.services.bundle import build_services
            from sao_tui.services.demo_run import run_headless

            result = run_headless(build_services(arguments.folder), bar)
            return Answer(result.as_dict(), _lines(result, report.new_class), result.ok)
    finally:
        bar.close()
    if arguments.prepare_only:
        document = {"workspace": str(report.workspace.root), "clips": report.num_clips}
        return Answer(
            document, [f"{report.num_clips} clips in {report.workspace.root}. Next: sao-tui {arguments.folder}"]
        )
    from sao_tui.tui.app import run

    return run(arguments.folder)


def _lines(result: HeadlessReport, new_class: str) -> list[str]:
    return [
        f"Prompt adherence for the new class ({new_class}): {result.before:.0%} before, {result.after:.0%} after.",
        *(f"  {name:<16} {format_duration(seconds)}" for name, seconds in result.stages.items()),
        f"  {'in all':<16} {format_duration(result.seconds)}",
        f"Checkpoint: {result.checkpoint}",
        f"Exported:   {result.export}",
        f"Clips:      {len(result.clips)} in {result.clips[0].rpartition('/')[0]}",
    ]
