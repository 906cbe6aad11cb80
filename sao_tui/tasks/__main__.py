"""`python -m sao_tui.tasks JOBFOLDER`: do what the job asks and say how it went in events.jsonl.

Exit codes: 0 finished or stopped, 1 failed for a reason that stands in the last state event, anything
else a crash whose traceback is on stderr.
"""

from __future__ import annotations

import sys
from pathlib import Path

from sao_tui.core.control import Control
from sao_tui.core.emit import Emitter
from sao_tui.core.errors import SaoError
from sao_tui.core.jobs import JobFolder

EXIT_FAILED = 1
EXIT_CRASHED = 70


def main(arguments: list[str]) -> int:
    """Do the job in the folder that `arguments` name; return the exit code."""
    if len(arguments) != 1:
        print("usage: python -m sao_tui.tasks JOBFOLDER", file=sys.stderr)
        return 2
    folder = JobFolder(Path(arguments[0]).resolve())
    try:
        emitter = Emitter(folder.events_file)
    except SaoError as error:
        print(f"error: {error.message}\nhint: {error.hint}", file=sys.stderr)
        return EXIT_CRASHED
    control = Control(folder.requests)
    control.listen()
    try:
        from sao_tui.tasks.prepare import prepare

        spec = folder.read_spec()
        if spec.kind != "prepare":
            raise SaoError(f"{folder.name} is no job for this program: {spec.kind}.", "Start it again.")
        prepare(folder, spec, emitter, control)
        return 0
    except SaoError as error:
        emitter.failed(error.message, error.hint)
        return EXIT_FAILED
    except MemoryError:
        emitter.failed("The machine ran out of memory.", "Give --slice a length, or take very long clips out.")
        return EXIT_FAILED
    finally:
        emitter.close()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
