"""Workspaces with synthesised clips on the disk."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from sao_tui.core.sounds.synth import SAMPLE_RATE_HZ, make_clip
from sao_tui.services.bundle import Services, build_services
from sao_tui.services.workspace import init_workspace


def tone(seconds: float, hz: float = 440.0, rate_hz: int = 44_100, amplitude: float = 0.5) -> np.ndarray:
    """A mono sine, shape (N,)."""
    return (amplitude * np.sin(2 * np.pi * hz * np.arange(round(seconds * rate_hz)) / rate_hz)).astype(np.float32)


def write_clip(
    path: Path, sound: np.ndarray | None = None, rate_hz: int = 44_100, subtype: str | None = "PCM_16"
) -> Path:
    """Write a sound, one second of a tone by default, in the format that the name says."""
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, tone(1.0) if sound is None else sound, rate_hz, subtype=subtype)
    return path


def synthesised(kind: str = "rising sweep", seed: int = 1) -> np.ndarray:
    """A clip of the demo, mono at SAMPLE_RATE_HZ."""
    return make_clip(kind, np.random.default_rng(seed)).audio


def write_synthesised(path: Path, kind: str = "rising sweep", seed: int = 1) -> Path:
    return write_clip(path, synthesised(kind, seed), SAMPLE_RATE_HZ)


def write_lines(path: Path, *records: Mapping[str, Any]) -> None:
    path.write_text("".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records), encoding="utf-8")


def read_lines(path: Path) -> dict[str, dict[str, Any]]:
    """Lines of a metadata.jsonl by clip."""
    records = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    return {record["audio_path"]: record for record in records}


def sound_workspace(root: Path) -> Services:
    init_workspace(root)
    return build_services(root)


def files_below(folder: Path) -> list[str]:
    """Relative paths of all files but the journal, sorted."""
    found = (path for path in folder.rglob("*") if path.is_file() and path.name != ".prepare.jsonl")
    return sorted(str(path.relative_to(folder)) for path in found)
