"""Scans: parts of the folder, moved files, child processes, captions on the way, words and orders kept up."""

from __future__ import annotations

import json
import os
import shutil
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from sao_tui.core.errors import SaoError
from sao_tui.services import clip_queue, clip_scan
from sao_tui.services.captions import CaptionStore
from sao_tui.services.clip_order import IDS_BY_PATH
from sao_tui.services.clips import ClipIndex, FolderCount, refresh
from sao_tui.services.clips_database import ClipsDatabase, QueryStopped
from sao_tui.services.header_process import HeaderProcess
from sao_tui.services.workspace import Workspace, init_workspace
from tests.bench.clips_tree import make_tree, wav_bytes


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return init_workspace(tmp_path / "workspace")


@pytest.fixture
def index(workspace: Workspace) -> ClipIndex:
    return ClipIndex(workspace)


def add(workspace: Workspace, *relpaths: str, seconds: float = 0.1) -> None:
    for relpath in relpaths:
        path = workspace.dataset_folder / relpath
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(wav_bytes(seconds, 8000, 1))


def relpaths(index: ClipIndex, text: str = "") -> list[str]:
    return index.relpaths(index.ids(text))


def caption_lines(workspace: Workspace, captions: dict[str, str]) -> None:
    lines = [json.dumps({"audio_path": relpath, "text": text}) for relpath, text in captions.items()]
    workspace.metadata_file.write_text("\n".join(lines) + "\n")


def test_only_the_folders_named_are_looked_at(workspace: Workspace, index: ClipIndex) -> None:
    add(workspace, "a/1.wav", "a/2.wav", "b/1.wav", "top.wav")
    index.scan()
    add(workspace, "a/3.wav", "b/2.wav")
    add(workspace, "a/1.wav", seconds=0.5)
    (workspace.dataset_folder / "a/2.wav").unlink()
    report = index.scan_folders(["a"])
    assert (report.num_examined, report.num_removed, report.num_clips) == (2, 1, 4)
    assert relpaths(index) == ["a/1.wav", "a/3.wav", "b/1.wav", "top.wav"]
    row = index.row_for("a/1.wav")
    assert row is not None and row.seconds == 0.5
    assert index.scan().num_examined == 1
    assert index.scan().num_examined == 0


def test_new_and_vanished_folders_inside_a_named_one_are_followed(workspace: Workspace, index: ClipIndex) -> None:
    add(workspace, "a/old/deep/1.wav", "b/1.wav")
    index.scan()
    shutil.rmtree(workspace.dataset_folder / "a/old")
    add(workspace, "a/new/deep/1.wav")
    index.scan_folders(["a"])
    assert relpaths(index) == ["a/new/deep/1.wav", "b/1.wav"]
    shutil.rmtree(workspace.dataset_folder / "a")
    index.scan_folders(["a/new/deep"])
    assert relpaths(index) == ["b/1.wav"]
    index.scan_folders([""])
    assert relpaths(index) == ["b/1.wav"] and index.scan().num_examined == 0


def test_a_new_link_to_a_folder_has_all_looked_at_so_that_nothing_is_listed_twice(
    workspace: Workspace, index: ClipIndex
) -> None:
    add(workspace, "a/1.wav")
    index.scan()
    (workspace.dataset_folder / "again").symlink_to(workspace.dataset_folder / "a")
    index.scan_folders([""])
    assert relpaths(index) == ["a/1.wav"]


def test_moved_and_renamed_files_keep_their_id_and_analysis(workspace: Workspace, index: ClipIndex) -> None:
    add(workspace, "a/1.wav", "a/2.wav", "b/x.wav")
    caption_lines(workspace, {"a/1.wav": "one", "c/renamed.wav": "two, under its new name"})
    captions = CaptionStore(workspace)
    refresh(index, captions)
    ids = {relpath: row.id for relpath in relpaths(index) if (row := index.row_for(relpath))}
    index.database.write_many(
        "INSERT INTO analysis (clip_id, num_bytes, mtime_ns, bpm) SELECT id, num_bytes, mtime_ns, ? FROM clips", [(99,)]
    )
    (workspace.dataset_folder / "c").mkdir()
    (workspace.dataset_folder / "a/1.wav").rename(workspace.dataset_folder / "b/1.wav")
    (workspace.dataset_folder / "a/2.wav").rename(workspace.dataset_folder / "c/renamed.wav")
    report = refresh(index, captions)
    assert (report.num_moved, report.num_removed, report.num_clips) == (2, 0, 3)
    moved, renamed = index.row_for("b/1.wav"), index.row_for("c/renamed.wav")
    assert moved is not None and (moved.id, moved.caption) == (ids["a/1.wav"], "")
    assert renamed is not None and (renamed.id, renamed.caption) == (ids["a/2.wav"], "two, under its new name")
    assert relpaths(index, "bpm:99") == ["b/1.wav", "b/x.wav", "c/renamed.wav"]
    assert relpaths(index, "renamed") == relpaths(index, "new name") == ["c/renamed.wav"]
    assert relpaths(index, "one") == [] and relpaths(index, "a/1") == []
    assert list(index.first_ids("wav")) == list(index.ids("wav"))


def test_hard_links_that_come_and_go_are_not_mistaken_for_each_other(workspace: Workspace, index: ClipIndex) -> None:
    add(workspace, "a/1.wav")
    folder = workspace.dataset_folder
    for name in ("2.wav", "3.wav"):
        os.link(folder / "a/1.wav", folder / "a" / name)
    index.scan()
    before = {relpath: row.id for relpath in relpaths(index) if (row := index.row_for(relpath))}
    (folder / "a").rename(folder / "b")
    assert index.scan().num_moved == 3
    after = {relpath: row.id for relpath in relpaths(index) if (row := index.row_for(relpath))}
    assert after == {relpath.replace("a/", "b/"): each for relpath, each in before.items()}
    (folder / "b/1.wav").rename(folder / "b/x.wav")
    (folder / "b/2.wav").rename(folder / "b/y.wav")
    report = index.scan()
    assert (report.num_moved, report.num_clips) == (0, 3)


def test_a_changed_file_loses_its_analysis_and_a_late_one_is_not_taken(workspace: Workspace, index: ClipIndex) -> None:
    add(workspace, "a.wav")
    index.scan()
    row = index.database.query("SELECT id, num_bytes, mtime_ns, 120.0 FROM clips")[0]
    insert = "INSERT OR REPLACE INTO analysis (clip_id, num_bytes, mtime_ns, bpm) VALUES (?, ?, ?, ?)"
    index.database.write_many(insert, [row])
    assert relpaths(index, "analysed:yes") == ["a.wav"]
    add(workspace, "a.wav", seconds=2)
    index.scan()
    assert relpaths(index, "analysed:yes") == []
    index.database.write_many(insert, [row])
    assert relpaths(index, "analysed:yes") == []
    (workspace.dataset_folder / "a.wav").unlink()
    index.scan()
    assert index.database.query("SELECT count(*) FROM texts")[0][0] == 0


def test_a_folder_that_cannot_be_listed_for_now_keeps_its_rows(
    workspace: Workspace, index: ClipIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    add(workspace, "a/1.wav", "a/b/2.wav", "c.wav")
    index.scan()
    real = os.scandir

    def scandir(path: bytes) -> object:
        if path.endswith(b"/a"):
            raise OSError(5, "Input/output error", path)
        return real(path)

    monkeypatch.setattr(os, "scandir", scandir)
    report = index.scan()
    assert report.skipped_folders == ("a: Input/output error",) and report.num_removed == 0
    assert relpaths(index) == ["a/1.wav", "a/b/2.wav", "c.wav"]


def test_a_scan_that_was_stopped_goes_on_where_it_was(
    workspace: Workspace, index: ClipIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clip_queue, "_BATCH", 3)
    add(workspace, *(f"{number % 4}/{number}.wav" for number in range(20)))
    assert index.scan(should_stop=lambda: len(index.ids()) >= 9).stopped
    assert 0 < len(index.ids()) < 20
    assert index.scan().num_clips == 20 and index.scan().num_examined == 0
    (workspace.dataset_folder / "0/0.wav").unlink()
    add(workspace, "0/new.wav")
    assert index.scan(should_stop=lambda: bool(index.row_for("0/new.wav"))).stopped
    assert index.scan().num_removed == 1


@pytest.fixture
def with_children(monkeypatch: pytest.MonkeyPatch) -> None:
    """Children from the first file on, and small batches."""
    monkeypatch.setattr(clip_scan, "_FOR_A_CHILD", 5)
    monkeypatch.setattr(clip_scan, "_FOR_A_HALF", 5)
    monkeypatch.setattr(clip_queue, "_FOR_A_CHILD", 0)
    monkeypatch.setattr(clip_queue, "_BATCH", 10)


MANY = [f"many/{number:02}.WAV" for number in range(30)]
NAMES = (
    "a.wav",
    "z/1.wav",
    "z/2/x.wav",
    "z/3.wav",
    "ü 日本.wav",
    "[b]\u202e.wav",
    os.fsdecode(b"\xff.wav"),
    "a-b/c.wav",
)


@pytest.mark.usefixtures("with_children")
def test_children_read_what_this_process_would(workspace: Workspace, tmp_path: Path) -> None:
    add(workspace, *NAMES, *MANY)
    (workspace.dataset_folder / "many/bad.flac").write_text("no sound")
    (workspace.dataset_folder / "many/empty.wav").write_bytes(b"")
    (workspace.dataset_folder / "many/movie.m4a").write_bytes(b"x")
    index = ClipIndex(workspace)
    index.scan()
    assert index.counts().num_unreadable == 3
    whole = index.database.query("SELECT relpath, seconds, error, format, num_bytes FROM clips ORDER BY relpath")
    assert [os.fsdecode(row[0]) for row in whole] == sorted(
        [
            *NAMES,
            *MANY,
            "many/bad.flac",
            "many/empty.wav",
            "many/movie.m4a",
        ],
        key=os.fsencode,
    )
    assert {row[3] for row in whole} == {"wav", "flac", "m4a"}
    # The ids of a first scan are in the order of the paths, so that going through them is going by path.
    assert int(index.database.fact(IDS_BY_PATH)) == len(whole) == max(index.ids())
    assert list(index.ids()) == sorted(index.ids())
    add(workspace, *(f"later/{number}.wav" for number in range(20)), "a-first.wav")
    assert index.scan().num_examined == 21 + 2
    for text in ("wav", "a", "-many", "later or first", "dur<1 name:1"):
        assert list(index.first_ids(text, limit=7)) == list(index.ids(text))[:7]
        assert list(index.first_ids(text, descending=True, limit=7)) == list(index.ids(text, descending=True))[:7]


CRASHER = """
import os, sys
sys.argv[1:] = sys.argv[-1:]
from sao_tui.services import clip_headers, header_process
real = clip_headers._read_any
def read(folder, name):
    if b"poison" in name:
        os._exit(11)
    return real(folder, name)
clip_headers._read_any = read
header_process.main()
"""


@pytest.mark.usefixtures("with_children")
def test_a_file_that_crashes_its_reader_is_a_row_with_an_error_and_others_are_read(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    start = HeaderProcess.__init__
    command = (sys.executable, "-c", CRASHER)
    monkeypatch.setattr(HeaderProcess, "__init__", lambda self, root: start(self, root, command))
    monkeypatch.setattr(clip_queue.HeaderReader, "read", None)
    add(workspace, *(f"{number % 3}/{number}.wav" for number in range(30)))
    (workspace.dataset_folder / "1/poison.flac").write_text("crash")
    index = ClipIndex(workspace)
    assert index.scan().num_clips == 31
    rows = index.rows(index.ids("unreadable:yes"))
    assert [row.relpath for row in rows] == ["1/poison.flac"] and "crashes" in rows[0].error


def test_a_reader_that_cannot_be_started_leaves_the_work_to_this_process(workspace: Workspace) -> None:
    add(workspace, "a.wav")
    child = HeaderProcess(os.fspath(workspace.dataset_folder), ("/nowhere/python",))
    with pytest.raises(EOFError):
        list(child.walk())
    request = [(b"", [(b"a.wav", 1644)])]
    answers = []
    for _ in range(41):
        child.ask(request)
        answers.append(child.answer(request))
    assert answers[-1] == [[(0.1, 8000, 1, "wav", "")]]


@pytest.mark.usefixtures("with_children")
def test_clips_have_their_captions_from_the_first_scan_on(workspace: Workspace, index: ClipIndex) -> None:
    names = [f"{number % 3}/{number}.wav" for number in range(40)]
    add(workspace, *names)
    caption_lines(workspace, {name: f"Ünique {number} SOUND" for number, name in enumerate(names) if number % 2})
    captions = CaptionStore(workspace)
    refresh(index, captions)
    assert index.counts().num_captioned == 20
    assert sorted(relpaths(index, "ünique sound")) == sorted(names[1::2])
    assert relpaths(index, '"ünique 7 s"') == [names[7]]
    assert index.mirrored_signature() == index.captions_signature()
    assert index.folders() == [FolderCount("0", 14, 7), FolderCount("1", 13, 7), FolderCount("2", 13, 6)]
    # A new file finds its caption although metadata.jsonl has not changed.
    caption_lines(workspace, {"new.wav": "waiting for its file"})
    refresh(index, captions)
    add(workspace, "new.wav")
    refresh(index, captions, folders=[""])
    assert relpaths(index, "waiting") == ["new.wav"]


def test_captions_that_cannot_be_read_keep_no_clip_out(workspace: Workspace, index: ClipIndex) -> None:
    add(workspace, "a.wav")
    workspace.metadata_file.write_text("not json\n")
    with pytest.raises(SaoError, match="metadata"):
        refresh(index, CaptionStore(workspace))
    assert relpaths(index) == ["a.wav"]
    caption_lines(workspace, {"a.wav": "found"})
    refresh(index, CaptionStore(workspace))
    assert relpaths(index, "found") == ["a.wav"]


def test_only_captions_that_differ_are_written(workspace: Workspace, index: ClipIndex) -> None:
    add(workspace, *(f"{number}.wav" for number in range(10)))
    index.scan()
    pairs = [(f"{number}.wav", f"text {number}") for number in range(9)]
    assert index.set_captions(iter(pairs), complete=True) == 9
    assert index.set_captions(iter(pairs), complete=True) == 0
    assert index.set_captions([("3.wav", "other"), ("absent.wav", "x"), ("\ud800", "\ud800")]) == 1
    assert index.captions_of(index.ids("other")) == [("3.wav", "other")]
    assert index.set_captions(pairs[:2], complete=True) == 7
    assert index.counts().num_captioned == 2
    assert index.set_captions(pairs, should_stop=lambda: True) == 0


def test_words_are_found_however_often_a_caption_changes(workspace: Workspace, index: ClipIndex) -> None:
    add(workspace, *(f"{number}.wav" for number in range(4)))
    index.scan()
    for turn in range(60):
        index.set_captions({f"{number}.wav": f"turn{turn} clip{number}" for number in range(4)})
    index.set_captions({"2.wav": "the END"})
    assert relpaths(index, "turn59") == ["0.wav", "1.wav", "3.wav"]
    assert relpaths(index, "turn3 ") == [] and relpaths(index, "nd") == ["2.wav"]
    index.database.note_fact("words-entries", "1000000")
    add(workspace, "new.wav")
    index.scan()  # Makes the index of words anew.
    assert relpaths(index, "turn59") == ["0.wav", "1.wav", "3.wav"] and relpaths(index, "new") == ["new.wav"]


def test_a_search_that_is_not_wanted_any_more_is_given_up(tmp_path: Path) -> None:
    workspace = make_tree(tmp_path / "tree", 3000, 3)
    index = ClipIndex(workspace)
    index.scan()
    slow = "name:x or name:y or name:z or tag:a or (dur<1 and name:q)"
    with pytest.raises(QueryStopped):
        index.ids(slow, should_stop=lambda: True)
    with pytest.raises(QueryStopped):
        index.first_ids(slow, should_stop=lambda: True)
    assert len(index.ids(slow, should_stop=lambda: False)) == 0


def test_two_that_scan_the_same_folder_at_once_end_up_with_one_row_a_file(workspace: Workspace) -> None:
    add(workspace, *(f"{number % 5}/{number}.wav" for number in range(200)))
    failures: list[BaseException] = []

    def scan() -> None:
        try:
            other = ClipIndex(workspace)
            other.scan()
            other.close()
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=scan) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    index = ClipIndex(workspace)
    assert failures == []
    assert len(index.ids()) == len(index.ids("wav")) == index.database.query("SELECT count(*) FROM texts")[0][0] == 200
    assert sorted(relpaths(index, "/7")) == sorted(f"{n % 5}/{n}.wav" for n in range(200) if str(n).startswith("7"))


def test_an_old_sqlite_is_named(workspace: Workspace, index: ClipIndex, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sqlite3.sqlite_version_info", (3, 26, 0))
    with pytest.raises(SaoError, match=r"needs 3\.34 or newer"):
        index.counts()


def test_a_transaction_that_fails_leaves_nothing(tmp_path: Path) -> None:
    database = ClipsDatabase(tmp_path)
    versions = database.versions("facts")

    def write(fail: Callable[[], None]) -> None:
        with database.writing("facts") as connection:
            connection.execute("INSERT INTO facts VALUES ('a', 'b')")
            fail()

    with pytest.raises(ZeroDivisionError):
        write(lambda: print(1 // 0))
    assert database.fact("a") == "" and database.versions("facts") == versions
    write(lambda: None)
    assert database.fact("a") == "b" and database.versions("facts") != versions
