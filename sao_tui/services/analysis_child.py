"""`python -m sao_tui.services.analysis_child`: measures clips in a process that may crash and that nobody waits for.

Requests on stdin, one JSON object a line: {"id", "path"}, the path's bytes as Latin-1 text, since JSON has no other.
Replies on stdout: {"id", "num_bytes", "mtime_ns", "analysis"} with bytes as hexadecimal text. Ends when stdin closes,
which it does when whoever started it is gone.
"""

from __future__ import annotations

import json
import os
import queue
import sys
import threading
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Any, TextIO

from sao_tui.services.analysis import Analysis, analyse
from sao_tui.services.audio import UnreadableClipError

NICENESS = 10
_BYTES_FIELDS = ("content_hash", "fingerprint")


def main() -> int:
    """Answer requests until stdin closes."""
    # What libraries print must not get between the replies.
    replies = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    os.nice(NICENESS)
    requests: queue.SimpleQueue[bytes] = queue.SimpleQueue()
    threading.Thread(target=_read, args=(requests,), daemon=True).start()
    while True:
        request = json.loads(requests.get())
        path = Path(os.fsdecode(request["path"].encode("latin-1")))
        _reply(replies, {"id": request["id"], **measure(path)})


def measure(path: Path) -> dict[str, Any]:
    """Return a reply's content for one file."""
    num_bytes = mtime_ns = 0
    try:
        # Before the samples: a file that changes while it is read has another time afterwards, and is measured again.
        status = os.stat(path)
        num_bytes, mtime_ns = status.st_size, status.st_mtime_ns
        analysis = analyse(path)
    except OSError as error:
        analysis = Analysis(error=(error.strerror or str(error)).lower())
    except UnreadableClipError as error:
        analysis = _failed(path, error.reason)
    except MemoryError:
        analysis = _failed(path, "it needs more memory than there is")
    return {"num_bytes": num_bytes, "mtime_ns": mtime_ns, "analysis": to_json(analysis)}


def to_json(analysis: Analysis) -> dict[str, Any]:
    """Return an analysis as JSON can hold it."""
    document = asdict(analysis)
    return {name: value.hex() if name in _BYTES_FIELDS else value for name, value in document.items()}


def from_json(document: dict[str, Any]) -> Analysis:
    """Return the analysis that to_json has made a document of."""
    values: dict[str, Any] = {each.name: document[each.name] for each in fields(Analysis)}
    return Analysis(**values | {name: bytes.fromhex(values[name]) for name in _BYTES_FIELDS})


def _failed(path: Path, reason: str) -> Analysis:
    from sao_tui.services.tags import read_tags

    return replace(Analysis(error=reason.encode(errors="replace").decode()), tags=read_tags(path))


def _reply(replies: TextIO, document: dict[str, Any]) -> None:
    replies.write(json.dumps(document) + "\n")
    replies.flush()


def _read(requests: queue.SimpleQueue[bytes]) -> None:
    with open(0, "rb", closefd=False) as lines:
        for line in lines:
            requests.put(line)
    # In the middle of a long clip too.
    os._exit(0)


if __name__ == "__main__":
    sys.exit(main())
