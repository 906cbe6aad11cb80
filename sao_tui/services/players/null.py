"""The player of last resort: says where the file is and how to get it."""

from __future__ import annotations

import getpass
import shlex
from collections.abc import Mapping
from pathlib import Path

NAME = "null"


def where_it_is(path: Path, environ: Mapping[str, str]) -> str:
    """Return one message with the file's place, and over SSH the command that copies it to the user's machine."""
    copy = _scp_line(path, environ)
    if copy:
        return f"No sound device here. On your own machine, copy it with: {copy}"
    return f"No sound device here. The file is {path}"


def _scp_line(path: Path, environ: Mapping[str, str]) -> str:
    """Return the scp command for a session over SSH, whose variables hold this machine's address as seen there."""
    fields = environ.get("SSH_CONNECTION", "").split()
    if len(fields) != 4:
        return ""
    host, port = fields[2], fields[3]
    host = f"[{host}]" if ":" in host else host
    user = environ.get("USER") or _user_name()
    at = f"{user}@{host}" if user else host
    option = "" if port == "22" else f"-P {shlex.quote(port)} "
    return f"scp {option}{shlex.quote(f'{at}:{path}')} ."


def _user_name() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return ""
