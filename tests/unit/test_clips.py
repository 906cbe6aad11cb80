from __future__ import annotations

import json
import os
import shutil
import struct
import threading
from pathlib import Path

import numpy as np
import pytest
import soundfile

from sao_tui.core.errors import SaoError
from sao_tui.services.captions import CaptionStore
from sao_tui.services.clip_filter import FilterError
from sao_tui.services.clips import ClipCounts, ClipIndex, refresh
from sao_tui.services.workspace import Workspace, init_workspace

RATE = 8000


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return init_workspace(tmp_path)


def add_wav(workspace: Workspace, relpath: str, seconds: float = 1.0) -> Path:
    path = workspace.dataset_folder / relpath
    path.parent.mkdir(parents=True, exist_ok=True)
    num_bytes = 2 * int(seconds * RATE)
    header = struct.pack("<4sI4s4sIHHIIHH", b"RIFF", 36 + num_bytes, b"WAVE", b"fmt ", 16, 1, 1, RATE, 2 * RATE, 2, 16)
    path.write_bytes(header + struct.pack("<4sI", b"data", num_bytes) + bytes(num_bytes))
    return path


def relpaths(index: ClipIndex, filter_text: str = "", **order: object) -> list[str]:
    return [row.relpath for row in index.rows(index.ids(filter_text, **order))]  # type: ignore[arg-type]


def test_a_scan_finds_what_upstream_would_load_and_lists_what_it_would_pass_over(workspace: Workspace) -> None:
    add_wav(workspace, "b.WAV", 0.5)
    add_wav(workspace, "deep/er/a.wav", 2)
    soundfile.write(workspace.dataset_folder / "c.flac", np.zeros((RATE, 2)), RATE)
    (workspace.dataset_folder / "d.m4a").write_bytes(b"x")
    for ignored in ("notes.txt", "metadata.jsonl", ".hidden.wav"):
        (workspace.dataset_folder / ignored).write_bytes(b"")
    index = ClipIndex(workspace)
    report = index.scan()
    assert (report.num_clips, report.num_unreadable, report.num_removed, report.num_examined) == (4, 1, 0, 4)
    assert relpaths(index) == ["b.WAV", "c.flac", "d.m4a", "deep/er/a.wav"]
    row = index.row_for("c.flac")
    assert row is not None
    assert (row.seconds, row.sample_rate_hz, row.num_channels, row.error, row.caption) == (1.0, RATE, 2, "", "")
    m4a = index.row_for("d.m4a")
    assert m4a is not None and "sao-tui dataset prepare" in m4a.error
    assert index.counts() == ClipCounts(4, 0, 1, 3.5)
    assert index.row_for("absent.wav") is None


def test_damaged_empty_and_forbidden_clips_are_rows_with_an_error(workspace: Workspace) -> None:
    (workspace.dataset_folder / "empty.wav").write_bytes(b"")
    (workspace.dataset_folder / "text.wav").write_text("no sound")
    (workspace.dataset_folder / "text.mp3").write_text("no sound")
    index = ClipIndex(workspace)
    assert index.scan().num_unreadable == 3
    errors = {row.relpath: row.error for row in index.rows(index.ids())}
    assert "empty" in errors["empty.wav"]
    assert "RIFF" in errors["text.wav"]
    assert "damaged" in errors["text.mp3"]


def test_an_unreadable_clip_is_looked_at_again_though_size_and_time_are_the_same(workspace: Workspace) -> None:
    path = add_wav(workspace, "a.wav")
    good = path.read_bytes()
    path.write_bytes(bytes(len(good)))
    os.utime(path, (1, 1))
    index = ClipIndex(workspace)
    assert index.scan().num_unreadable == 1
    path.write_bytes(good)
    os.utime(path, (1, 1))
    assert index.scan().num_unreadable == 0


def test_a_second_scan_reads_only_what_changed_and_keeps_ids(workspace: Workspace) -> None:
    add_wav(workspace, "a.wav")
    add_wav(workspace, "sub/b.wav")
    add_wav(workspace, "gone/c.wav")
    index = ClipIndex(workspace)
    index.scan()
    before = {row.relpath: row.id for row in index.rows(index.ids())}
    assert index.scan().num_examined == 0
    add_wav(workspace, "a.wav", 3)
    add_wav(workspace, "new.wav")
    shutil.rmtree(workspace.dataset_folder / "gone")
    report = index.scan()
    assert (report.num_clips, report.num_examined, report.num_removed) == (3, 2, 1)
    after = {row.relpath: row for row in index.rows(index.ids())}
    assert after["a.wav"].id == before["a.wav"] and after["a.wav"].seconds == 3
    assert after["sub/b.wav"].id == before["sub/b.wav"]
    assert relpaths(index) == ["a.wav", "new.wav", "sub/b.wav"]


def test_links_in_a_loop_and_a_folder_linked_twice_end_and_list_each_clip_once(workspace: Workspace) -> None:
    add_wav(workspace, "real/a.wav")
    (workspace.dataset_folder / "real" / "loop").symlink_to(workspace.dataset_folder)
    (workspace.dataset_folder / "again").symlink_to(workspace.dataset_folder / "real")
    (workspace.dataset_folder / "self.wav").symlink_to(workspace.dataset_folder / "self.wav")
    (workspace.dataset_folder / "dangling.wav").symlink_to("/nowhere.wav")
    (workspace.dataset_folder / "folder.wav").mkdir()
    os.mkfifo(workspace.dataset_folder / "pipe.wav")
    index = ClipIndex(workspace)
    index.scan()
    assert relpaths(index) == ["real/a.wav"]


def test_a_dataset_elsewhere_is_followed_through_a_link(workspace: Workspace, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (workspace.dataset_folder / "linked").symlink_to(elsewhere)
    shutil.move(add_wav(workspace, "a.wav"), elsewhere / "a.wav")
    index = ClipIndex(workspace)
    index.scan()
    assert relpaths(index) == ["linked/a.wav"]


def test_a_folder_that_cannot_be_listed_is_reported_and_the_rest_scanned(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_wav(workspace, "a.wav")
    add_wav(workspace, "locked/b.wav")
    real = os.scandir

    def scandir(path: bytes) -> object:
        if path.endswith(b"locked"):
            raise PermissionError(13, "Permission denied", path)
        return real(path)

    monkeypatch.setattr(os, "scandir", scandir)
    report = ClipIndex(workspace).scan()
    assert report.num_clips == 1
    assert report.skipped_folders == ("locked: Permission denied",)


@pytest.mark.parametrize("name", [b"\xff\xfe.wav", b"[bold]red[/].wav", "ü 日本.wav".encode(), b"new\nline.wav"])
def test_any_file_name_is_stored_found_and_given_back_as_it_is(workspace: Workspace, name: bytes) -> None:
    relpath = "sub/" + os.fsdecode(name)
    add_wav(workspace, relpath)
    index = ClipIndex(workspace)
    index.scan()
    assert relpaths(index) == [relpath]
    row = index.row_for(relpath)
    assert row is not None and (workspace.dataset_folder / row.relpath).exists()
    index.set_captions({relpath: "a sound"})
    assert relpaths(index, "a sound") == [relpath]
    assert index.scan().num_examined == 0


def filled(workspace: Workspace) -> ClipIndex:
    add_wav(workspace, "drums/kick.wav", 0.5)
    add_wav(workspace, "drums/deep/snare.wav", 3)
    add_wav(workspace, "drumsticks/hit.wav", 6)
    (workspace.dataset_folder / "bad.wav").write_text("no")
    index = ClipIndex(workspace)
    index.scan()
    index.set_captions({"drums/kick.wav": "Deep ÜBER kick, 100%_sure", "drums/deep/snare.wav": "a snare at 3:05"})
    return index


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", ["bad.wav", "drums/deep/snare.wav", "drums/kick.wav", "drumsticks/hit.wav"]),
        ("KICK", ["drums/kick.wav"]),
        ("deep", ["drums/deep/snare.wav", "drums/kick.wav"]),
        ("deep über", ["drums/kick.wav"]),
        ("100%_sure", ["drums/kick.wav"]),
        ("100%sure", []),
        ('"deep über"', ["drums/kick.wav"]),
        ('"über deep"', []),
        ('"3:05"', ["drums/deep/snare.wav"]),
        ("3:05", ["drums/deep/snare.wav"]),
        ("it's", []),
        ("uncaptioned:yes", ["bad.wav", "drumsticks/hit.wav"]),
        ("uncaptioned:no", ["drums/deep/snare.wav", "drums/kick.wav"]),
        ("unreadable:yes", ["bad.wav"]),
        ("unreadable:NO dur<2", ["drums/kick.wav"]),
        ("dur<2", ["drums/kick.wav"]),
        ("dur>=3 dur<6", ["drums/deep/snare.wav"]),
        ("dur>5s", ["drumsticks/hit.wav"]),
        ("folder:drums", ["drums/deep/snare.wav", "drums/kick.wav"]),
        ("folder:drums/deep/ snare", ["drums/deep/snare.wav"]),
        ('folder:"drums"', ["drums/deep/snare.wav", "drums/kick.wav"]),
        ("folder:.", ["bad.wav"]),
    ],
)
def test_the_filter_language(workspace: Workspace, text: str, found: list[str]) -> None:
    assert relpaths(filled(workspace), text) == found


@pytest.mark.parametrize(
    "text", ["dur<", "dur<abc", "uncaptioned:maybe", "colour:red", 'say "a', "dur>1) OR (1"], ids=str
)
def test_a_filter_that_makes_no_sense_is_explained(workspace: Workspace, text: str) -> None:
    with pytest.raises(FilterError) as caught:
        ClipIndex(workspace).ids(text)
    assert caught.value.hint and 0 <= caught.value.start < caught.value.end <= len(text)


def test_sorting_both_ways(workspace: Workspace) -> None:
    index = filled(workspace)
    assert relpaths(index, sort="seconds", descending=True)[0] == "drumsticks/hit.wav"
    assert relpaths(index, sort="seconds")[0] == "bad.wav"
    assert relpaths(index, sort="caption", descending=True)[0] == "drums/deep/snare.wav"
    with pytest.raises(SaoError, match="sorted by colour"):
        index.ids(sort="colour")


def test_rows_come_in_the_order_asked_for_without_those_that_are_gone(workspace: Workspace) -> None:
    index = filled(workspace)
    ids = index.ids()
    assert ids.typecode == "q"
    assert [row.id for row in index.rows([ids[2], 10**12, ids[0]])] == [ids[2], ids[0]]
    assert index.rows([]) == []
    assert len(index.rows(list(ids) * 400)) == 4 * 400


def test_refreshing_mirrors_captions_and_forgets_those_that_are_gone(workspace: Workspace) -> None:
    add_wav(workspace, "a.wav")
    add_wav(workspace, "b.wav")
    workspace.metadata_file.write_text('{"audio_path": "a.wav", "text": "one"}\n')
    index, captions = ClipIndex(workspace), CaptionStore(workspace)
    refresh(index, captions)
    assert index.counts().num_captioned == 1
    workspace.metadata_file.write_text(json.dumps({"audio_path": "b.wav", "text": "two"}) + "\n")
    refresh(index, captions)
    assert relpaths(index, "uncaptioned:no") == ["b.wav"]
    assert relpaths(index, "one") == []


def test_a_missing_dataset_folder_is_named(workspace: Workspace) -> None:
    workspace.dataset_folder.rmdir()
    with pytest.raises(SaoError, match="dataset is missing"):
        ClipIndex(workspace).scan()


def test_progress_counts_up_and_a_stopped_scan_removes_nothing(workspace: Workspace) -> None:
    for number in range(5):
        add_wav(workspace, f"f{number}/a.wav")
    index = ClipIndex(workspace)
    seen: list[tuple[int, int]] = []
    index.scan(lambda done, total: seen.append((done, total)))
    assert seen[-1] == (5, 0)
    report = index.scan(lambda done, total: seen.append((done, total)), lambda: True)
    assert report.stopped and report.num_removed == 0 and report.num_clips == 5
    index.scan(lambda done, total: seen.append((done, total)))
    assert seen[-1] == (5, 5)


def test_many_batches_end_up_whole(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sao_tui.services.clip_queue._BATCH", 7)
    for number in range(40):
        add_wav(workspace, f"{number % 2}/{number:03}.wav", 0.1)
    index = ClipIndex(workspace)
    assert index.scan().num_clips == 40
    assert sorted(relpaths(index)) == sorted(f"{number % 2}/{number:03}.wav" for number in range(40))


@pytest.mark.parametrize("how", ["folder", "file", "garbage"])
def test_the_cache_may_vanish_or_rot_at_any_time(workspace: Workspace, how: str) -> None:
    add_wav(workspace, "a.wav")
    index = ClipIndex(workspace)
    index.scan()
    file = workspace.cache_folder / "clips.sqlite"
    if how == "folder":
        shutil.rmtree(workspace.cache_folder)
    elif how == "file":
        file.unlink()
    else:
        index.close()
        for each in workspace.cache_folder.glob("clips.sqlite*"):
            each.unlink()
        file.write_bytes(b"garbage" * 1000)
    assert list(index.ids()) == []
    assert index.scan().num_clips == 1
    assert relpaths(index) == ["a.wav"]


def test_an_index_that_cannot_be_made_says_so(workspace: Workspace) -> None:
    (workspace.cache_folder / "clips.sqlite").mkdir()
    with pytest.raises(SaoError, match=r"clips\.sqlite cannot be used") as caught:
        ClipIndex(workspace).counts()
    assert "only a cache" in caught.value.hint


def test_readers_in_other_threads_go_on_while_a_scan_writes(workspace: Workspace) -> None:
    for number in range(300):
        add_wav(workspace, f"{number // 100}/{number:03}.wav", 0.05)
    index = ClipIndex(workspace)
    failures: list[BaseException] = []
    done = threading.Event()

    def read() -> None:
        try:
            while not done.is_set():
                index.rows(index.ids("wav")[:50])
                index.counts()
        except BaseException as error:
            failures.append(error)

    readers = [threading.Thread(target=read) for _ in range(3)]
    for reader in readers:
        reader.start()
    for _ in range(3):
        index.scan()
        index.set_captions({f"0/{number:03}.wav": "text" for number in range(100)})
    done.set()
    for reader in readers:
        reader.join()
    assert failures == []
    assert index.counts().num_captioned == 100


def test_a_reader_in_a_new_thread_does_not_wait_for_a_running_scan(workspace: Workspace) -> None:
    add_wav(workspace, "a.wav")
    index = ClipIndex(workspace)
    index.scan()
    answered: list[int] = []

    def read_in_a_new_thread(_done: int, _total: int) -> None:
        reader = threading.Thread(target=lambda: answered.append(len(index.ids())))
        reader.start()
        reader.join(10)

    index.scan(read_in_a_new_thread)
    assert answered[0] == 1
