from __future__ import annotations

import json
import os
import threading
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sao_tui.core.errors import SaoError
from sao_tui.services.captions import CaptionConflict, CaptionStore
from sao_tui.services.workspace import Workspace, init_workspace


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return init_workspace(tmp_path)


def write_lines(workspace: Workspace, *lines: str) -> None:
    workspace.metadata_file.write_text("".join(line + "\n" for line in lines))


def records(workspace: Workspace) -> list[dict[str, object]]:
    return [json.loads(line) for line in workspace.metadata_file.read_text().splitlines()]


def test_a_caption_is_on_the_disk_when_set_returns(workspace: Workspace) -> None:
    CaptionStore(workspace).set("a/kick.wav", "a kick")
    assert records(workspace) == [{"audio_path": "a/kick.wav", "text": "a kick"}]
    assert CaptionStore(workspace).get("a/kick.wav") == "a kick"


def test_other_keys_lines_and_their_order_stay_byte_by_byte(workspace: Workspace) -> None:
    untouched = '{"bpm":120,  "text": "old b", "audio_path": "b.wav"}'
    write_lines(workspace, '{"bpm": 90, "audio_path": "a.wav", "text": "old", "tags": ["x"]}', "", untouched)
    CaptionStore(workspace).set("a.wav", "neu: über")
    lines = workspace.metadata_file.read_text().splitlines()
    assert lines[0] == '{"bpm": 90, "audio_path": "a.wav", "text": "neu: über", "tags": ["x"]}'
    assert lines[1:] == ["", untouched]


def test_a_file_without_a_last_newline_gets_one_before_the_new_line(workspace: Workspace) -> None:
    workspace.metadata_file.write_text('{"audio_path": "a.wav", "text": "a"}')
    CaptionStore(workspace).set("b.wav", "b")
    assert [record["audio_path"] for record in records(workspace)] == ["a.wav", "b.wav"]


def test_windows_line_ends_and_a_byte_order_mark_are_kept(workspace: Workspace) -> None:
    workspace.metadata_file.write_bytes(b'\xef\xbb\xbf{"audio_path": "a.wav", "text": "a"}\r\n')
    store = CaptionStore(workspace)
    assert store.get("a.wav") == "a"
    store.set("a.wav", "b")
    assert workspace.metadata_file.read_bytes() == b'\xef\xbb\xbf{"audio_path": "a.wav", "text": "b"}\r\n'


def test_absolute_and_roundabout_paths_mean_the_clip_and_stay_written_so(workspace: Workspace) -> None:
    absolute = str(workspace.dataset_folder / "sub" / "a.wav")
    write_lines(workspace, json.dumps({"audio_path": absolute, "text": "a"}), '{"audio_path": "./b.wav", "text": "b"}')
    store = CaptionStore(workspace)
    assert store.all() == {"sub/a.wav": "a", "b.wav": "b"}
    store.set_many({"sub/a.wav": "A", "b.wav": "B"})
    assert [(r["audio_path"], r["text"]) for r in records(workspace)] == [(absolute, "A"), ("./b.wav", "B")]


def test_a_clip_with_two_lines_has_the_last_caption_and_an_edit_changes_both(workspace: Workspace) -> None:
    write_lines(workspace, '{"audio_path": "a.wav", "text": "1"}', '{"audio_path": "a.wav", "text": "2"}')
    store = CaptionStore(workspace)
    assert store.get("a.wav") == "2"
    store.set("a.wav", "3")
    store.set("a.wav", "4")
    assert [record["text"] for record in records(workspace)] == ["4", "4"]


def test_a_file_name_that_is_not_utf8_has_a_caption_like_any_other(workspace: Workspace) -> None:
    name = os.fsdecode(b"\xff.wav")
    CaptionStore(workspace).set(name, "noise")
    assert CaptionStore(workspace).all() == {name: "noise"}


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("{broken", "is not JSON"),
        ("[1, 2]", "is not a JSON object"),
        ('{"audio_path": "a.wav", "text": ["x"]}', "no string"),
        ("[" * 100_000, "is not JSON"),
    ],
)
def test_a_bad_line_is_named_by_its_number_and_nothing_is_written(workspace: Workspace, line: str, said: str) -> None:
    write_lines(workspace, '{"audio_path": "a.wav", "text": "a"}', line)
    before = workspace.metadata_file.read_bytes()
    with pytest.raises(SaoError, match=f"Line 2 of .*metadata.jsonl {said}|Line 2 of .*{said}"):
        CaptionStore(workspace).set("a.wav", "b")
    assert workspace.metadata_file.read_bytes() == before


def test_bytes_that_are_not_utf8_are_a_bad_line(workspace: Workspace) -> None:
    workspace.metadata_file.write_bytes(b'{"audio_path": "a.wav", "text": "a"}\n{"audio_path": "\xff"}\n')
    with pytest.raises(SaoError, match="Line 2"):
        CaptionStore(workspace).load()


def test_a_file_of_another_convention_is_not_taken_for_one_without_captions(workspace: Workspace) -> None:
    write_lines(workspace, '{"file_name": "a.wav", "text": "a"}')
    with pytest.raises(SaoError, match="names no clip"):
        CaptionStore(workspace).all()


def test_edits_of_other_clips_by_another_program_are_merged(workspace: Workspace) -> None:
    ours, theirs = CaptionStore(workspace), CaptionStore(workspace)
    ours.set("a.wav", "a")
    theirs.set("b.wav", "b")
    assert ours.changed_on_disk()
    ours.set("c.wav", "c")
    assert not ours.changed_on_disk()
    assert ours.all() == {"a.wav": "a", "b.wav": "b", "c.wav": "c"}


def test_a_clip_changed_on_both_sides_is_a_conflict_and_stays_theirs(workspace: Workspace) -> None:
    ours, theirs = CaptionStore(workspace), CaptionStore(workspace)
    ours.set("a.wav", "first")
    theirs.set("a.wav", "theirs")
    with pytest.raises(CaptionConflict) as caught:
        ours.set("a.wav", "mine")
    assert (caught.value.mine, caught.value.theirs) == ("mine", "theirs")
    assert CaptionStore(workspace).get("a.wav") == "theirs"
    ours.set("a.wav", "mine")
    assert CaptionStore(workspace).get("a.wav") == "mine"


def test_an_edit_that_began_before_the_last_read_is_a_conflict_too(workspace: Workspace) -> None:
    ours, theirs = CaptionStore(workspace), CaptionStore(workspace)
    ours.set("a.wav", "first")
    theirs.set("a.wav", "theirs")
    ours.load()
    with pytest.raises(CaptionConflict):
        ours.set("a.wav", "mine", expected="first")


def test_the_same_text_on_both_sides_is_no_conflict(workspace: Workspace) -> None:
    ours, theirs = CaptionStore(workspace), CaptionStore(workspace)
    assert ours.get("a.wav") == ""
    theirs.set("a.wav", "same")
    ours.set("a.wav", "same")
    assert len(records(workspace)) == 1


def test_a_conflict_in_a_bulk_edit_writes_none_of_it(workspace: Workspace) -> None:
    ours, theirs = CaptionStore(workspace), CaptionStore(workspace)
    ours.set_many({"a.wav": "a", "b.wav": "b"})
    theirs.set("b.wav", "theirs")
    with pytest.raises(CaptionConflict):
        ours.set_many({"a.wav": "A", "b.wav": "B"})
    assert CaptionStore(workspace).all() == {"a.wav": "a", "b.wav": "theirs"}


def test_undo_and_redo_go_back_and_forth_through_single_and_bulk_edits(workspace: Workspace) -> None:
    write_lines(workspace, '{"audio_path": "a.wav", "text": "old", "bpm": 1}', '{"audio_path": "z.wav", "text": ""}')
    before = workspace.metadata_file.read_bytes()
    store = CaptionStore(workspace)
    store.set("a.wav", "new")
    assert store.set_many({"b.wav": "b", "a.wav": "newer", "z.wav": ""}, "replace in 2 clips") == 2
    after = workspace.metadata_file.read_bytes()
    assert store.undo() == "replace in 2 clips"
    assert store.all() == {"a.wav": "new"}
    assert store.undo() == "caption of a.wav"
    assert workspace.metadata_file.read_bytes() == before
    assert store.undo() is None
    assert store.redo() == "caption of a.wav"
    assert store.redo() == "replace in 2 clips"
    assert store.redo() is None
    assert workspace.metadata_file.read_bytes() == after


def test_undo_does_not_take_back_what_another_program_wrote_since(workspace: Workspace) -> None:
    ours, theirs = CaptionStore(workspace), CaptionStore(workspace)
    ours.set("a.wav", "mine")
    theirs.set("a.wav", "theirs")
    with pytest.raises(CaptionConflict):
        ours.undo()
    assert CaptionStore(workspace).get("a.wav") == "theirs"


def test_a_full_disk_leaves_file_and_memory_as_they_were(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    store = CaptionStore(workspace)
    store.set("a.wav", "a")
    before = workspace.metadata_file.read_bytes()

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", full)
        with pytest.raises(SaoError, match="No space left on device"):
            store.set("a.wav", "b")
    assert workspace.metadata_file.read_bytes() == before
    assert store.get("a.wav") == "a"
    assert os.listdir(workspace.dataset_folder) == ["metadata.jsonl"]
    store.set("a.wav", "c")
    assert CaptionStore(workspace).get("a.wav") == "c"


def test_a_linked_metadata_file_stays_a_link(workspace: Workspace, tmp_path: Path) -> None:
    target = tmp_path / "elsewhere.jsonl"
    target.write_text("")
    workspace.metadata_file.symlink_to(target)
    CaptionStore(workspace).set("a.wav", "a")
    assert workspace.metadata_file.is_symlink()
    assert json.loads(target.read_text())["text"] == "a"


def test_the_leftover_of_a_killed_writer_is_removed(workspace: Workspace) -> None:
    leftover = workspace.dataset_folder / ".metadata.jsonl.99999.part"
    leftover.write_text("half")
    CaptionStore(workspace).set("a.wav", "a")
    assert not leftover.exists()


def test_threads_and_stores_that_write_at_once_lose_nothing(workspace: Workspace) -> None:
    stores = [CaptionStore(workspace) for _ in range(2)]

    def edit(number: int) -> None:
        for turn in range(10):
            stores[number % 2].set(f"clip{number}.wav", f"text {turn}")

    threads = [threading.Thread(target=edit, args=[number]) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert CaptionStore(workspace).all() == {f"clip{number}.wav": "text 9" for number in range(4)}


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.tuples(st.sampled_from(["a.wav", "b/c.wav", "d [x].wav"]), st.text(max_size=12).filter(bool)), max_size=8
    )
)
def test_any_edits_read_back_as_given_and_undo_to_where_they_began(
    workspace: Workspace, edits: list[tuple[str, str]]
) -> None:
    workspace.metadata_file.write_text('{"audio_path": "a.wav", "text": "first", "n": 1}\n')
    before = workspace.metadata_file.read_bytes()
    store = CaptionStore(workspace)
    expected = {"a.wav": "first"}
    for relpath, text in edits:
        store.set(relpath, text)
        expected[relpath] = text
    assert CaptionStore(workspace).all() == expected
    while store.undo() is not None:
        continue
    assert workspace.metadata_file.read_bytes() == before


def test_half_a_character_is_refused_before_anything_is_written(workspace: Workspace) -> None:
    write_lines(workspace, '{"audio_path": "a.wav", "text": "old"}')
    with pytest.raises(SaoError, match=r"a\.wav is not UTF-8"):
        CaptionStore(workspace).set("a.wav", "caf\udce9")
    assert records(workspace) == [{"audio_path": "a.wav", "text": "old"}]


def test_half_a_character_written_by_another_program_is_named_with_its_line(workspace: Workspace) -> None:
    write_lines(workspace, '{"audio_path": "a.wav", "text": "fine"}', '{"audio_path": "b.wav", "text": "cut \\ud83d"}')
    with pytest.raises(SaoError, match=r"Line 2 of .* half a character"):
        CaptionStore(workspace).load()
