"""Run the whole path at Stable Audio Open Small's real size, with random weights, on this machine's CPU.

    make realsize            (11 GB in a temporary folder, 10 GB of memory, five minutes on 2 idle cores)

Every stage goes through the `sao-tui` command. Prints each stage's time and the peak memory of its largest
process, compares counts with the published model's, and writes both into docs/performance.md.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sao_tui.core.files import write_atomically
from sao_tui.core.units import format_bytes, format_duration
from sao_tui.services.workspace import open_workspace, save_settings

PERFORMANCE = Path(__file__).parents[1] / "docs" / "performance.md"
BEGIN, END = "<!-- realsize: begin -->", "<!-- realsize: end -->"
MARK = "SAO_REALSIZE_RUN"
"""Environment variable that every process of a run inherits, detached ones too."""

NUM_TENSORS = 750
NUM_PARAMETERS = 497_190_274
TENSOR_BYTES = 1_676_732_804
"""Of the published model: 382 + 365 + 3 tensors, DiT and conditioner in fp32, autoencoder in fp16, buffers included."""

CLIP_SECONDS = (4.0, 6.0, 9.0, 11.5)
TRAIN_SETTINGS = {
    "max_steps": 2,
    "batch_size": 1,
    "precision": "32-true",
    "num_workers": 0,
    "checkpoint_every": 2,
    "device": "cpu",
}


@dataclass
class Stage:
    """What one stage cost."""

    name: str
    seconds: float = 0.0
    peak_rss_bytes: int = 0
    note: str = ""


@dataclass
class Run:
    """One run of the whole path."""

    workspace: Path
    stages: list[Stage] = field(default_factory=list)

    @contextmanager
    def stage(self, name: str) -> Iterator[Stage]:
        """Time a stage and watch the memory of its processes."""
        stage = Stage(name)
        over = threading.Event()
        watch = threading.Thread(target=_watch_memory, args=(stage, over))
        watch.start()
        begin = time.monotonic()
        try:
            yield stage
        finally:
            stage.seconds = time.monotonic() - begin
            over.set()
            watch.join()
        self.stages.append(stage)
        peak = format_bytes(stage.peak_rss_bytes)
        print(f"{name:<22} {format_duration(stage.seconds):>9}  {peak:>9}  {stage.note}", flush=True)

    def command(self, *arguments: str) -> Any:
        """Run `sao-tui … --json` on the workspace and return its document."""
        argv = [sys.executable, "-m", "sao_tui", *arguments, "-w", str(self.workspace), "--json"]
        done = subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
        if done.returncode != 0:
            sys.exit(f"sao-tui {' '.join(arguments)} exited {done.returncode}:\n{done.stdout}")
        return json.loads(done.stdout)


def _watch_memory(stage: Stage, over: threading.Event) -> None:
    while not over.wait(0.05):
        for peak in _peaks():
            stage.peak_rss_bytes = max(stage.peak_rss_bytes, peak)


def _peaks() -> Iterator[int]:
    """Yield the highest resident size so far of every process of this run but this one."""
    mark = f"{MARK}={os.environ[MARK]}".encode()
    for folder in Path("/proc").glob("[0-9]*"):
        if folder.name == str(os.getpid()):
            continue
        try:
            if mark not in (folder / "environ").read_bytes():
                continue
            status = (folder / "status").read_text()
        except OSError:
            continue  # It ended meanwhile, or is another user's.
        for line in status.splitlines():
            if line.startswith("VmHWM:"):
                yield int(line.split()[1]) * 1024


def _write_clips(dataset: Path) -> None:
    import numpy as np
    import soundfile

    generator = np.random.default_rng(0)
    for index, seconds in enumerate(CLIP_SECONDS):
        times = np.arange(int(seconds * 44100)) / 44100
        left = 0.3 * np.sin(2 * np.pi * 110 * 2**index * times)
        right = left + 0.02 * generator.standard_normal(len(times))
        soundfile.write(dataset / f"clip{index}.wav", np.stack([left, right], axis=1), 44100, subtype="PCM_16")


def _prepare(run: Run) -> None:
    with run.stage("make the model") as stage:
        subprocess.run([sys.executable, "-m", "scripts.realsize_model", str(run.workspace.parent)], check=True)
    stage.note = format_bytes((run.workspace.parent / "base_model.ckpt").stat().st_size)
    subprocess.run([sys.executable, "-m", "sao_tui", "init", str(run.workspace)], check=True)
    for source, target in (
        ("base_model.ckpt", "models/base_model.ckpt"),
        ("huggingface", "models/huggingface"),
        ("base_model_config.json", "configs/model_config.json"),
    ):
        shutil.move(run.workspace.parent / source, run.workspace / target)
    changes = {"model.base_weights": "models/base_model.ckpt", "model.text_encoder_home": "models/huggingface"}
    save_settings(open_workspace(run.workspace), **changes)
    lines = [f"{key} = {json.dumps(value)}" for key, value in TRAIN_SETTINGS.items()]
    (run.workspace / "configs" / "train.toml").write_text("\n".join(lines) + "\n")
    _write_clips(run.workspace / "dataset")
    run.command("dataset", "scan")
    for index in range(len(CLIP_SECONDS)):
        run.command("dataset", "caption", f"clip{index}.wav", f"a steady tone, number {index}")


def _identify(run: Run) -> None:
    with run.stage("identify") as stage:
        base, config = run.workspace / "models/base_model.ckpt", run.workspace / "configs/model_config.json"
        found = run.command("model", "inspect", str(base), "--config", str(config))
        stage.note = f"{found['kind']}, {found['tensors']} tensors, {found['parameters']:,} parameters"
    _expect("tensors", found["tensors"], NUM_TENSORS)
    _expect("parameters", found["parameters"], NUM_PARAMETERS)
    _expect("matching tensors", found["matches"]["loaded"], NUM_TENSORS)
    with run.stage("doctor") as stage:
        report = run.command("doctor")
        stage.note = f"nothing in the way, {len(report['findings'])} to note"


def _train(run: Run) -> Path:
    with run.stage(f"pre-encode {len(CLIP_SECONDS)} clips") as stage:
        run.command("encode", "start", "--wait")
        num_latents = len(list((run.workspace / "latents").rglob("*.npy")))
        stage.note = f"{num_latents} latents"
    _expect("latents", num_latents, len(CLIP_SECONDS))
    with run.stage("train 2 steps") as stage:
        view = run.command("train", "start", "--latents", str(run.workspace / "latents"), "--wait")
        checkpoint = max((run.workspace / "runs" / view["job"] / "checkpoints").glob("*.ckpt"))
        stage.note = f"wrapped checkpoint of {format_bytes(checkpoint.stat().st_size)}"
    _expect("steps", view["step"], TRAIN_SETTINGS["max_steps"])
    return checkpoint


def _use(run: Run, checkpoint: Path) -> None:
    with run.stage("export") as stage:
        export = run.command("checkpoint", "export", str(checkpoint))
        stage.note = f"{export['weights']} weights, {export['tensors']} tensors, compared after writing"
    _expect("exported tensors", export["tensors"], NUM_TENSORS)
    exported = run.command("model", "inspect", export["path"])
    _expect("exported parameters", exported["parameters"], NUM_PARAMETERS)
    _expect("exported bytes of tensors", _safetensors_data_bytes(Path(export["path"])), TENSOR_BYTES)
    with run.stage("generate, 8 steps") as stage:
        arguments = ("--prompt", "a steady tone", "--seconds", "11", "--steps", "8", "--cfg", "4", "--seed", "1")
        clip = run.command("generate", *arguments, "--model", export["path"])["clips"][0]
        stage.note = f"{clip['seconds']:.1f} s at {clip['sample_rate']} Hz"


def _safetensors_data_bytes(path: Path) -> int:
    with path.open("rb") as file:
        header_bytes = int.from_bytes(file.read(8), "little")
    return path.stat().st_size - 8 - header_bytes


def _expect(what: str, found: object, wanted: object) -> None:
    if found != wanted:
        sys.exit(f"{what}: {found}, and it should be {wanted}")


def _table(run: Run) -> str:
    """Return the stages as a table in Markdown."""
    rows = [
        f"| {stage.name} | {stage.seconds:.1f} | {stage.peak_rss_bytes / 1e9:.2f} | {stage.note} |"
        for stage in run.stages
    ]
    machine = f"{os.cpu_count()} cores, Python {platform.python_version()}, {time.strftime('%Y-%m-%d')}"
    head = ["| stage | seconds | peak GB | |", "|---|---|---|---|"]
    return "\n".join([f"Measured by `make realsize` on CPU: {machine}.", "", *head, *rows])


def _record(table: str) -> None:
    text = PERFORMANCE.read_text(encoding="utf-8")
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    write_atomically(PERFORMANCE, f"{before}{BEGIN}\n{table}\n{END}{after}".encode())


def main() -> None:
    """Run every stage; the temporary folder goes at the end unless --keep asks otherwise."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, help="where the temporary folder is made")
    parser.add_argument("--keep", action="store_true", help="leave the workspace, to look at it")
    options = parser.parse_args()
    os.environ[MARK] = str(os.getpid())
    scratch = Path(tempfile.mkdtemp(prefix="sao-realsize-", dir=options.folder))
    print(f"working in {scratch}", flush=True)
    run = Run(scratch / "workspace")
    try:
        _prepare(run)
        _identify(run)
        _use(run, _train(run))
        _record(_table(run))
    finally:
        if not options.keep:
            shutil.rmtree(scratch, ignore_errors=True)


if __name__ == "__main__":
    main()
