"""The `sao-tui` command line: every action of the dashboard as a subcommand, with `--json`."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path

from sao_tui.core.errors import SaoError

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status: 0 done, 1 not so, 2 the request cannot be met."""
    asked = list(sys.argv[1:] if arguments is None else arguments)
    try:
        if not asked or (len(asked) == 1 and _is_folder(asked[0])):
            return _open_dashboard(Path(*asked))
        return _run_command(asked)
    except SaoError as error:
        return _fail(error.message, error.hint)
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # The reader (head, less) has gone; Python would complain once more while flushing at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


def _is_folder(argument: str) -> bool:
    """Return whether `argument` can only mean a folder: a bare word may be a command."""
    return os.sep in argument and not argument.startswith("-") and os.path.isdir(argument)


def _open_dashboard(workspace: Path) -> int:
    """Open the dashboard past the parser, whose making would be a tenth of the time to the first screen."""
    from sao_tui.tui.app import run

    return run(workspace)


def _run_command(asked: list[str]) -> int:
    from sao_tui.cli.answer import Answer, show
    from sao_tui.cli.parser import build_parser, with_default_command

    parsed = build_parser().parse_args(with_default_command(asked))
    answer: Answer | int = parsed.run(parsed)
    if isinstance(answer, int):
        return answer
    show(answer, as_json=parsed.json)
    return 0 if answer.ok else 1


def _fail(message: str, hint: str) -> int:
    from sao_tui.cli.answer import harmless

    print(f"error: {harmless(message)}", file=sys.stderr)
    if hint:
        print(f"hint: {harmless(hint)}", file=sys.stderr)
    return 2
