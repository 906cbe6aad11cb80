"""Make a workspace with as many clips as SAO-small was trained on: small wav files, most of them hard links.

    python -m tests.bench.clips_tree [FOLDER] [--clips N] [--folders N]

FOLDER is `sao-bench-clips` in the temp folder by default. Every clip has a caption in metadata.jsonl. What is
there already is kept, so that a second call costs nothing.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import struct
import tempfile
from collections.abc import Iterator
from pathlib import Path

from sao_tui.services.workspace import SETTINGS_NAME, Workspace, init_workspace, open_workspace

NUM_CLIPS = 486_492
"""Clips that Stable Audio Open Small was trained on."""
NUM_FOLDERS = 500
MAX_LINKS = 60_000
"""Below ext4's limit of 65,000 names for one file."""
SOUNDS = tuple(
    [
        "kick",
        "snare",
        "hihat",
        "clap",
        "tom",
        "cymbal",
        "shaker",
        "conga",
        "rim",
        "cowbell",
        "bass",
        "lead",
        "pad",
        "pluck",
        "organ",
        "piano",
        "strings",
        "brass",
        "flute",
        "choir",
        "rain",
        "wind",
        "door",
        "engine",
        "footsteps",
    ]
)
WORDS = tuple(
    [
        "deep",
        "bright",
        "dusty",
        "clean",
        "warm",
        "cold",
        "distorted",
        "soft",
        "tight",
        "long",
        "short",
        "vintage",
        "analog",
        "digital",
        "lo-fi",
        "metallic",
        "wooden",
        "glassy",
        "punchy",
        "airy",
    ]
)
PLACES = ("in a hall", "in a room", "close up", "outdoors", "on tape", "through an amp", "dry", "with reverb")
KEYS = ("C major", "A minor", "F# minor", "D major", "Eb major", "G minor", "B minor")
RATES = (8000, 11025, 16000, 22050)


def wav_bytes(seconds: float, rate: int, num_channels: int) -> bytes:
    """Return a wav file of silence."""
    num_bytes = 2 * num_channels * int(seconds * rate)
    layout = (36 + num_bytes, b"WAVE", b"fmt ", 16, 1, num_channels, rate, 2 * num_channels * rate, 2 * num_channels)
    return struct.pack("<4sI4s4sIHHIIHH4sI", b"RIFF", *layout, 16, b"data", num_bytes) + bytes(num_bytes)


def clip_paths(num_clips: int, num_folders: int) -> Iterator[str]:
    """Give the path of every clip, folder by folder."""
    for folder in range(num_folders):
        sound = SOUNDS[folder % len(SOUNDS)]
        size = num_clips // num_folders + (folder < num_clips % num_folders)
        for number in range(size):
            yield f"{sound}/pack-{folder:03}/{sound}_{folder:03}_{number:05}.wav"


def caption_of(relpath: str, draw: random.Random) -> str:
    """Return a caption as a musician would write it."""
    sound = relpath.partition("/")[0]
    first, second = draw.sample(WORDS, 2)
    tempo = f", {draw.randrange(60, 180)} BPM, {draw.choice(KEYS)}" if draw.random() < 0.5 else ""
    return f"{first} {second} {sound} {draw.choice(PLACES)}{tempo}"


def make_tree(root: Path, num_clips: int = NUM_CLIPS, num_folders: int = NUM_FOLDERS) -> Workspace:
    """Make the workspace at `root` unless it is there, and return it."""
    if (root / SETTINGS_NAME).exists() and (root / "dataset" / "metadata.jsonl").exists():
        return open_workspace(root)
    workspace = init_workspace(root)
    _link_clips(workspace.dataset_folder, num_clips, num_folders)
    draw = random.Random(0)
    part = root / "captions.part"
    with part.open("w", encoding="utf-8") as file:
        for relpath in clip_paths(num_clips, num_folders):
            file.write(json.dumps({"audio_path": relpath, "text": caption_of(relpath, draw)}) + "\n")
    part.rename(workspace.metadata_file)
    return workspace


def _link_clips(dataset: Path, num_clips: int, num_folders: int) -> None:
    """Write a source for each mix of length, rate and channels, and name it until the file system has enough."""
    num_sources = max(16, num_clips // MAX_LINKS + 1)
    firsts: list[str] = []
    for number, relpath in enumerate(clip_paths(num_clips, num_folders)):
        path = os.path.join(dataset, relpath)
        if not os.path.isdir(os.path.dirname(path)):
            os.makedirs(os.path.dirname(path))
        # Sources follow no order, so that neighbours differ as they do in a real folder.
        source = number * 7919 % num_sources
        if len(firsts) < num_sources:
            data = wav_bytes(0.02 + number * 0.005, RATES[number % len(RATES)], 1 + number % 2)
            Path(path).write_bytes(data)
            firsts.append(path)
        else:
            os.link(firsts[source], path)


def main() -> None:
    """Make the tree and say where it is."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", nargs="?", type=Path, default=Path(tempfile.gettempdir()) / "sao-bench-clips")
    parser.add_argument("--clips", type=int, default=NUM_CLIPS)
    parser.add_argument("--folders", type=int, default=NUM_FOLDERS)
    arguments = parser.parse_args()
    print(make_tree(arguments.folder, arguments.clips, arguments.folders).root)


if __name__ == "__main__":
    main()
