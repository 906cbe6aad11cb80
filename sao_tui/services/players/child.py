"""`python -m sao_tui.services.players.child NAME FILE`: plays one file in a process that may crash.

Says `playing` on stdout once the device is open. Ends with the file, with an error on stderr and exit
code 1, or when stdin closes, which it does when whoever started it is gone.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable
from pathlib import Path

from sao_tui.core.errors import SaoError


def main(arguments: list[str]) -> int:
    """Play a file with one player and return the exit code."""
    name, file = arguments
    threading.Thread(target=_end_with_parent, daemon=True).start()
    try:
        _player(name)(Path(file), _say_playing)
    except SaoError as error:
        print(error.message, file=sys.stderr)
        return 1
    except Exception as error:
        # Whatever a sound library raises is the reason to try the next player.
        print(f"{type(error).__name__}: {' '.join(str(each) for each in error.args)}", file=sys.stderr)
        return 1
    return 0


def _player(name: str) -> Callable[[Path, Callable[[], None]], None]:
    if name == "miniaudio":
        from sao_tui.services.players.miniaudio import play
    elif name == "simpleaudio":
        from sao_tui.services.players.simpleaudio import play
    else:
        raise SaoError(f"There is no player {name}.", "")
    return play


def _say_playing() -> None:
    print("playing", flush=True)


def _end_with_parent() -> None:
    while os.read(0, 4096):
        continue
    os._exit(0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
