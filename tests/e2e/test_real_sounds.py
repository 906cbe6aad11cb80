"""Real recordings, from files as distributions ship them to a trained checkpoint, all through the command line."""

from __future__ import annotations

import csv
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import soundfile

pytestmark = [pytest.mark.e2e, pytest.mark.system, pytest.mark.worker]

DRUMKITS = Path("/usr/share/hydrogen/data/drumkits")
LMMS = Path("/usr/share/lmms/samples")
PACKAGES = {DRUMKITS: "hydrogen-drumkits", LMMS: "lmms-common"}
CHOSEN = (
    (DRUMKITS, "*.flac", 10),
    (DRUMKITS, "*.wav", 10),
    (DRUMKITS, "*.aiff", 4),
    (LMMS, "*.ogg", 14),
    (LMMS, "*.wav", 2),
)
NUM_CLIPS = 40
NUM_STEPS = 20
MODEL_RATE_HZ = 8_000
MODEL_SECONDS = 2.048


def sao(workspace: Path, *words: str, codes: tuple[int, ...] = (0,)) -> Any:
    """Run a command and return its JSON document."""
    argv = [sys.executable, "-m", "sao_tui", *words, "-w", str(workspace), "--json"]
    done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=300)
    assert done.returncode in codes, f"{words}: {done.stdout}\n{done.stderr}"
    assert "Traceback" not in done.stderr
    return json.loads(done.stdout)


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    """A workspace with the nano model and a selection of real clips in the folders that they come in."""
    missing = [package for folder, package in PACKAGES.items() if not folder.is_dir()]
    if missing:
        pytest.skip(f"not installed: {', '.join(missing)}")
    root = tmp_path / "workspace"
    argv = [sys.executable, "-m", "sao_tui", "demo", str(root), "--prepare-only"]
    subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, check=True, timeout=120)
    dataset = root / "dataset"
    shutil.rmtree(dataset)
    for folder, pattern, count in CHOSEN:
        found = sorted(folder.rglob(pattern))
        for path in found[:: max(1, len(found) // count)][:count]:
            target = dataset / path.relative_to(folder)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, target)
    return root


def words_of(name: str) -> str:
    """Turn the name of a file or folder into words."""
    return " ".join(re.findall(r"[A-Za-z]{2,}", name)).lower()


def write_captions(dataset: Path, table: Path) -> int:
    """Write a table of captions made of folder and file names; return how many."""
    clips = [path for path in sorted(dataset.rglob("*")) if path.is_file()]
    with table.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["file_name", "caption", "kit"])
        for path in clips:
            text = f"{words_of(path.stem) or 'a hit'}, {words_of(path.parent.name)}"
            writer.writerow([str(path.relative_to(dataset)), text, path.parent.name])
    return len(clips)


def test_real_clips_are_captioned_linted_prepared_and_trained_on(workspace: Path) -> None:
    table = workspace / "captions.csv"
    num_clips = write_captions(workspace / "dataset", table)
    assert num_clips == NUM_CLIPS

    scanned = sao(workspace, "dataset", "scan")
    assert scanned["num_clips"] == NUM_CLIPS
    imported = sao(workspace, "dataset", "import", str(table))
    assert (imported["num_matched"], imported["num_changed"], imported["unmatched"]) == (NUM_CLIPS, NUM_CLIPS, [])
    findings = sao(workspace, "dataset", "lint", codes=(0, 1))["findings"]
    assert not [finding for finding in findings if finding["id"] in ("caption-missing", "clip-unreadable")]

    arguments = ("--trim", "--channels", "2", "--dedupe")
    dry = sao(workspace, "dataset", "prepare", "--dry-run", *arguments)
    made = sao(workspace, "dataset", "prepare", "--wait", "--use", *arguments)
    assert (made["state"], made["num_done"], made["num_failed"]) == ("finished", NUM_CLIPS, 0)
    assert (made["num_files"], made["num_dropped"]) == (dry["num_files"], dry["num_dropped"]), "as the dry run said"
    prepared = workspace / "dataset-prepared"
    records = [json.loads(line) for line in (prepared / "metadata.jsonl").read_text().splitlines()]
    assert len(records) == made["num_files"] >= NUM_CLIPS // 2
    for record in records:
        info = soundfile.info(prepared / record["audio_path"])
        assert (info.samplerate, info.channels) == (MODEL_RATE_HZ, 2)
        assert info.duration <= MODEL_SECONDS
        assert (workspace / record["source"]).is_file()
        assert record["text"] and record["kit"]
        assert record["end_seconds"] - record["start_seconds"] == pytest.approx(info.duration, abs=1e-3)

    findings = sao(workspace, "dataset", "lint", codes=(0, 1))["findings"]
    assert not [finding for finding in findings if finding["severity"] == "error"], findings
    trained = sao(workspace, "train", "start", "--steps", str(NUM_STEPS), "--batch-size", "8", "--wait")
    assert (trained["state"], trained["step"]) == ("finished", NUM_STEPS)
    assert list((Path(trained["path"]) / "checkpoints").glob("*.ckpt"))
