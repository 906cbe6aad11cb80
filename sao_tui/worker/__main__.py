"""`python -m sao_tui.worker JOBFOLDER`: do what the job asks and say how it went in events.jsonl.

Exit codes: 0 finished or stopped, 1 failed for a reason that stands in the last state event, anything
else a crash whose traceback is on stderr.
"""

from __future__ import annotations

import sys
import traceback
from pathlib import Path

from sao_tui.core.errors import SaoError
from sao_tui.core.jobs import JobFolder
from sao_tui.worker.control import Control
from sao_tui.worker.emit import Emitter

EXIT_FAILED = 1
EXIT_CRASHED = 70
OUT_OF_MEMORY_HINT = "Lower batch_size and raise accumulate_batches, use bf16-mixed, or pre-encode the dataset."


def main(arguments: list[str]) -> int:
    """Run the job in the folder that `arguments` name; return the exit code."""
    if len(arguments) != 1:
        print("usage: python -m sao_tui.worker JOBFOLDER", file=sys.stderr)
        return 2
    folder = JobFolder(Path(arguments[0]).resolve())
    try:
        emitter = Emitter(folder.events_file)
    except SaoError as error:
        print(f"error: {error.message}\nhint: {error.hint}", file=sys.stderr)
        return EXIT_CRASHED
    return run_job(folder, emitter)


def run_job(folder: JobFolder, emitter: Emitter) -> int:
    """Run the job in `folder`; return the exit code."""
    control = Control(folder.requests)
    control.listen()
    try:
        spec = folder.read_spec()
        if spec.kind == "encode":
            from sao_tui.worker.encode import encode

            encode(folder, spec, emitter, control)
        elif spec.kind == "suggest":
            from sao_tui.worker.suggest.run import suggest

            suggest(folder, spec, emitter, control)
        else:
            from sao_tui.worker.train import train

            train(folder, spec, emitter, control)
        return 0
    except SaoError as error:
        emitter.failed(error.message, error.hint)
        return EXIT_FAILED
    except MemoryError:
        emitter.failed("The machine ran out of memory", OUT_OF_MEMORY_HINT)
        return EXIT_FAILED
    except BaseException as error:
        traceback.print_exc()
        if type(error).__name__ == "OutOfMemoryError":
            emitter.failed("The GPU ran out of memory", OUT_OF_MEMORY_HINT)
            return EXIT_FAILED
        return EXIT_CRASHED
    finally:
        emitter.close()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
