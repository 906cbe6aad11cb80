"""Which clips are held out."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sao_tui.core.errors import SaoError
from sao_tui.core.split import Split, read_split, write_split
from sao_tui.services.split import SplitClip, recording, split_clips


def clips(num: int, folders: int = 1, slices: int = 1) -> list[SplitClip]:
    return [
        SplitClip(f"f{each % folders}/r{each}_{part}.wav", f"f{each % folders}", f"r{each}")
        for each in range(num)
        for part in range(slices)
    ]


def test_the_share_is_kept_in_every_folder() -> None:
    plan = split_clips(clips(200, folders=4), 0.1, "folder", 0)
    assert plan.strata == (("f0", 50, 5), ("f1", 50, 5), ("f2", 50, 5), ("f3", 50, 5))
    assert plan.num_held_out == 20


def test_slices_of_one_recording_are_on_one_side() -> None:
    everything = clips(60, slices=5)
    held = set(split_clips(everything, 0.2, "none", 3).split.validation)
    assert 40 <= len(held) <= 80
    for group in {clip.group for clip in everything}:
        names = {clip.relpath for clip in everything if clip.group == group}
        assert names <= held or not names & held


def test_the_order_of_the_clips_does_not_matter() -> None:
    everything = clips(50, folders=3)
    assert split_clips(everything, 0.2, "folder", 1) == split_clips(everything[::-1], 0.2, "folder", 1)


def test_another_seed_gives_another_split() -> None:
    everything = clips(100)
    assert split_clips(everything, 0.1, "none", 1).split != split_clips(everything, 0.1, "none", 2).split


def test_a_dataset_that_grows_keeps_nearly_all_of_its_held_out_clips() -> None:
    before = set(split_clips(clips(200), 0.1, "none", 0).split.validation)
    after = set(split_clips(clips(220), 0.1, "none", 0).split.validation)
    assert len(before & after) >= len(before) - 4


def test_many_small_folders_together_give_a_held_out_clip() -> None:
    plan = split_clips(clips(8, folders=8), 0.1, "folder", 0)
    assert plan.num_held_out == 1
    assert sum(held for _, _, held in plan.strata) == 1


@settings(deadline=None)
@given(st.integers(2, 60), st.integers(1, 6), st.integers(1, 4), st.floats(0.01, 0.95), st.integers(0, 99))
def test_something_is_left_on_both_sides(num: int, folders: int, slices: int, fraction: float, seed: int) -> None:
    everything = clips(num, folders, slices)
    held = split_clips(everything, fraction, "folder", seed).split.validation
    assert 0 < len(held) < len(everything)
    assert len(set(held)) == len(held)


@pytest.mark.parametrize(
    ("relpath", "record", "expected"),
    [
        ("a/long.wav", {}, "a/long.wav"),
        ("a/kick_01.wav", {}, "a/kick_01.wav"),
        ("a/long-slice-03.wav", {}, "a/long"),
        ("out/x_002.wav", {"start_seconds": 3.0}, "out/x"),
        ("out/x_002.wav", {"source": "in/x.wav"}, "in/x.wav"),
    ],
)
def test_a_slice_belongs_to_its_recording(relpath: str, record: dict[str, object], expected: str) -> None:
    assert recording(relpath, record) == expected


def test_a_split_survives_the_disk(tmp_path: Path) -> None:
    split = Split(3, 0.1, "folder", ("a.wav", "b/ü.wav"))
    write_split(tmp_path / "split.json", split)
    assert read_split(tmp_path / "split.json") == split
    assert read_split(tmp_path / "none.json") is None


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"version": 9}', '{"version": 1, "validation": [1]}', "nonsense"])
def test_a_file_that_is_no_split_is_named_with_a_way_out(tmp_path: Path, text: str) -> None:
    file = tmp_path / "split.json"
    file.write_text(text)
    with pytest.raises(SaoError, match=r"split\.json cannot be used"):
        read_split(file)
