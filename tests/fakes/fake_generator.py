"""A generator without torch: keeps the protocol of `generate_server` and misbehaves when the prompt says so."""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
import wave
from pathlib import Path
from queue import Queue
from typing import Any


def say(request: dict[str, Any], event: str, **fields: Any) -> None:
    sys.stdout.write(json.dumps({"id": request["id"], "event": event, **fields}) + "\n")
    sys.stdout.flush()


def write_clip(request: dict[str, Any], path: str) -> None:
    with wave.open(path, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(8_000)
        file.writeframes(bytes([request["seed"] % 256]) * 160)


def generate(request: dict[str, Any], cancelled: set[int]) -> None:
    prompt = request["prompt"]
    if prompt == "die":
        sys.stderr.write("Traceback (most recent call last):\nRuntimeError: shapes do not match\n")
        sys.stderr.flush()
        os._exit(1)
    if prompt == "killed":
        os.kill(os.getpid(), signal.SIGKILL)
    if prompt == "refuse":
        say(request, "error", message="The sampler does not fit.", hint="Leave it out.")
        return
    if prompt == "stuck":
        time.sleep(600)
    if prompt == "nothing":
        say(request, "done", clips=[{}])
        return
    say(request, "progress", stage="loading", done=1, total=1)
    sys.stdout.write("flash_attn not installed\n")
    steps = 1_000 if prompt == "slow" else request["steps"]
    for step in range(steps):
        if request["id"] in cancelled:
            say(request, "error", message="Cancelled", hint="")
            return
        if prompt == "slow":
            time.sleep(0.02)
        say(request, "progress", stage="sampling", done=step + 1, total=steps)
    (path,) = request["output"]
    write_clip(request, path)
    say(request, "done", clips=[{"path": path, "seed": request["seed"], "seconds": 0.01, "sample_rate": 8_000}])


def main() -> None:
    requests: Queue[dict[str, Any] | None] = Queue()
    cancelled: set[int] = set()

    def read() -> None:
        for line in sys.stdin:
            request = json.loads(line)
            if request["op"] == "cancel":
                cancelled.add(request["id"])
            else:
                requests.put(request)
        requests.put(None)

    log = Path(sys.argv[1])
    with log.open("a") as file:
        file.write(f"started {os.getpid()}\n")
    threading.Thread(target=read, daemon=True).start()
    while (request := requests.get()) is not None:
        with log.open("a") as file:
            file.write(json.dumps(request) + "\n")
        generate(request, cancelled)


if __name__ == "__main__":
    main()
