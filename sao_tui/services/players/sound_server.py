"""What the sound server would do with the sound: without a device it takes it and plays it to nobody."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Mapping

_DUMMY_SINK = "auto_null"
"""The sink that PulseAudio and PipeWire make when there is no device."""

_ANSWER_SECONDS = 3.0


def has_only_dummy_output(environ: Mapping[str, str]) -> bool:
    """Return whether a sound server runs whose only output is its dummy; False when none can be asked."""
    pactl = shutil.which("pactl", path=environ.get("PATH"))
    if not pactl:
        return False
    try:
        answer = subprocess.run(
            [pactl, "info"],
            env={**environ, "LC_ALL": "C"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_ANSWER_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return f"Default Sink: {_DUMMY_SINK}" in answer.stdout.decode(errors="replace").splitlines()
