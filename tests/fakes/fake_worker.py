"""A worker without torch: keeps the contract of a job folder and misbehaves when told to.

Usage: fake_worker.py [options] JOB, where the options say what goes wrong.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from sao_tui.core.events import EventWriter
from sao_tui.core.jobs import JobFolder


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--load-seconds", type=float, default=0.0)
    parser.add_argument("--step-seconds", type=float, default=0.01)
    parser.add_argument("--end", default="finished", help="what happens after the last step")
    parser.add_argument("--first-step", type=int, default=0)
    parser.add_argument("--ignore-term", action="store_true")
    parser.add_argument("--ignore-stop", action="store_true")
    parser.add_argument("--child", action="store_true", help="leave a child process behind")
    parser.add_argument("--kind", default="train")
    parser.add_argument("job", type=Path)
    options = parser.parse_args()

    folder = JobFolder(options.job)
    spec = folder.read_spec()
    (folder.path / "environment.json").write_text(json.dumps(dict(os.environ)))
    if options.ignore_term:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if options.child:
        child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
        (folder.path / "child.pid").write_text(str(child.pid))

    events = EventWriter(folder.events_file)
    steps = int(spec.settings.get("max_steps", 5))
    step = options.first_step
    events.write("state", state="starting", step=step, steps=steps)
    print("loading", flush=True)
    time.sleep(options.load_seconds)
    events.write("state", state="running", step=step, steps=steps)
    while step < steps:
        time.sleep(options.step_seconds)
        step += 1
        if options.kind == "encode":
            events.write("progress", done=step, total=steps, stage="encoding")
        else:
            events.write("metric", step=step, loss=1 / step, lr=1e-4)
        if (folder.requests / "stop").exists() and not options.ignore_stop:
            events.write("state", state="stopping", step=step, steps=steps)
            checkpoint = folder.checkpoints / f"step={step:08d}.ckpt"
            checkpoint.write_bytes(b"checkpoint")
            events.write("checkpoint", durable=True, path=str(checkpoint), step=step)
            events.write("state", durable=True, state="stopped", step=step, steps=steps, reason="Stopped on request.")
            return 0
    return end(options.end, events, step, steps)


def end(how: str, events: EventWriter, step: int, steps: int) -> int:
    if how.startswith("finished"):
        events.write("state", durable=True, state="finished", step=step, steps=steps)
    if how == "failed":
        events.write("state", state="failed", step=step, reason="The dataset is gone.", hint="Bring it back.")
        return 1
    if how == "torn":
        os.write(events._descriptor, b'{"t": 1, "kind": "met')
    if how.startswith("exit-"):
        return int(how.removeprefix("exit-"))
    errors = {
        "exception": RuntimeError("shapes do not match"),
        "cuda": RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB."),
        "disk": OSError(28, "No space left on device"),
        "module": ModuleNotFoundError("No module named 'no_such_torch'"),
    }
    if how in errors:
        raise errors[how]
    signals = {"segfault": signal.SIGSEGV, "finished-then-segfault": signal.SIGSEGV, "torn": signal.SIGKILL}
    if how in signals:
        os.kill(os.getpid(), signals[how])
    return 0


if __name__ == "__main__":
    sys.exit(main())
