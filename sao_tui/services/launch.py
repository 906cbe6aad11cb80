"""Starting a supervisor so that nothing of ours has to stay for it."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Sequence

from sao_tui.core.errors import SaoError
from sao_tui.core.jobs import JobFolder
from sao_tui.services.endings import read_log_tail
from sao_tui.services.liveness import SUPERVISOR_LOG_NAME
from sao_tui.services.worker_process import PACKAGE_FOLDER

LAUNCH_SECONDS = 15.0


def start_supervisor(folder: JobFolder, worker_command: Sequence[str] = ()) -> subprocess.Popen[bytes]:
    """Start a job's supervisor so that neither our end nor our terminal's is its own.

    It leads a session of its own and its descriptors are files: a pipe would end it with us.

    Args:
        worker_command: Started in place of `PYTHON -m sao_tui.worker`; the job folder is appended.

    Raises:
        SaoError: It cannot be started.
    """
    command = [sys.executable, "-m", "sao_tui.supervisor", str(folder.path), *worker_command]
    paths = [str(PACKAGE_FOLDER.parent), os.environ.get("PYTHONPATH", "")]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in paths if path)}
    try:
        with (folder.path / SUPERVISOR_LOG_NAME).open("ab") as log:
            return subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=folder.path,
                env=environment,
                start_new_session=True,
                close_fds=True,
            )
    except OSError as error:
        raise SaoError(
            f"Cannot start the supervisor of {folder.name}: {error.strerror}.",
            "Free some memory or disk space and try again.",
        ) from error


def await_first_word(folder: JobFolder, supervisor: subprocess.Popen[bytes]) -> None:
    """Return when the supervisor has written its first status, or is just slow.

    Raises:
        SaoError: It ended before that.
    """
    deadline = time.monotonic() + LAUNCH_SECONDS
    while not folder.status_file.exists() and time.monotonic() < deadline:
        if supervisor.poll() is not None:
            log_file = folder.path / SUPERVISOR_LOG_NAME
            tail = read_log_tail(log_file, num_lines=1)
            raise SaoError(
                f"The supervisor of {folder.name} does not start: {' '.join(tail) or 'it says nothing'}",
                f"Read {log_file}.",
            )
        time.sleep(0.01)
