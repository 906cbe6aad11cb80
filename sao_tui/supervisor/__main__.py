"""`python -m sao_tui.supervisor JOB [WORKER COMMAND…]`: start a job's worker and watch over it to its end."""

from __future__ import annotations

import sys
from pathlib import Path

from sao_tui.core.errors import SaoError
from sao_tui.core.jobs import JobFolder
from sao_tui.supervisor.supervise import heed_signals, supervise


def main(arguments: list[str]) -> int:
    """Supervise one job; return 0 when it has ended, whichever way, and 2 when it cannot be supervised."""
    if not arguments:
        sys.stderr.write(f"{(__doc__ or '').strip()}\n")
        return 2
    folder = JobFolder(Path(arguments[0]).absolute())
    heed_signals(folder)
    try:
        supervise(folder, worker_command=arguments[1:] or None)
    except SaoError as error:
        sys.stderr.write(f"error: {error.message}\nhint: {error.hint}\n")
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
