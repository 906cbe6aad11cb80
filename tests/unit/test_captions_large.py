from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sao_tui.core import metadata_module
from sao_tui.core.errors import SaoError
from sao_tui.services import captions_file, captions_writing, swapping
from sao_tui.services.captions import CaptionConflict, CaptionStore
from sao_tui.services.workspace import Workspace, init_workspace

EXTRA = {"bpm": 120, "tags": ["x"]}


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    """A workspace in which ten captions make a large file."""
    monkeypatch.setattr(captions_file, "SMALL_BYTES", 200)
    workspace = init_workspace(tmp_path)
    lines = [json.dumps({"audio_path": f"{n}.wav", "text": f"text {n}", **EXTRA}) for n in range(10)]
    workspace.metadata_file.write_text("\n".join(lines) + "\n")
    return workspace


def lines_of(workspace: Workspace) -> list[bytes]:
    return workspace.metadata_file.read_bytes().splitlines()


def append(workspace: Workspace, data: bytes) -> None:
    with workspace.metadata_file.open("ab") as file:
        file.write(data)


def test_an_edit_is_appended_with_all_other_keys_and_the_metadata_module_reads_it(workspace: Workspace) -> None:
    before = workspace.metadata_file.read_bytes()
    store = CaptionStore(workspace)
    store.set("3.wav", "neu: über")
    after = workspace.metadata_file.read_bytes()
    assert after.startswith(before)
    assert json.loads(after[len(before) :]) == {"audio_path": "3.wav", "text": "neu: über", **EXTRA}
    assert store.get("3.wav") == CaptionStore(workspace).get("3.wav") == "neu: über"
    info = {"path": str(workspace.dataset_folder / "3.wav")}
    assert metadata_module.get_custom_metadata(info, None) == {"prompt": "neu: über"}


def test_undo_of_a_new_clip_leaves_it_without_a_caption(workspace: Workspace) -> None:
    store = CaptionStore(workspace)
    store.set("new.wav", "new")
    store.undo()
    assert "new.wav" not in CaptionStore(workspace).all()
    assert store.redo() == "caption of new.wav"
    assert CaptionStore(workspace).get("new.wav") == "new"


def test_a_bulk_edit_replaces_the_file_once_and_drops_superseded_lines(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(captions_writing, "APPEND_BYTES", 300)
    store = CaptionStore(workspace)
    for turn in range(5):
        store.set("3.wav", f"turn {turn}")
    append(workspace, b'{"audio_path": "4.wav", "text": "text 4"}\n')
    assert len(lines_of(workspace)) == 16
    store.set_many({f"{n}.wav": f"bulk {n}" for n in range(8)}, "bulk")
    assert [json.loads(line)["audio_path"] for line in lines_of(workspace)].count("3.wav") == 1
    # Another program's short line is the last of 4.wav: the earlier one has keys that it has not, and stays.
    assert [json.loads(line).get("bpm") for line in lines_of(workspace) if b"4.wav" in line] == [120, None]
    assert all(json.loads(line)["text"] == "bulk 4" for line in lines_of(workspace) if b"4.wav" in line)
    store.undo()
    assert store.get("3.wav") == CaptionStore(workspace).get("3.wav") == "turn 4"


def test_closing_writes_a_file_with_many_superseded_lines_anew(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sao_tui.services.captions._MANY_CLIPS", 3)
    store = CaptionStore(workspace)
    for turn in range(2):
        store.set("3.wav", f"turn {turn}")
    store.close()
    assert len(lines_of(workspace)) == 12
    for turn in range(4):
        store.set("3.wav", f"turn {turn}")
    expected = store.all()
    store.close()
    assert len(lines_of(workspace)) == 10
    assert CaptionStore(workspace).all() == expected


@pytest.mark.parametrize("torn", [b'{"audio_path": "5.wav", "te', b"\0\0\0\0", b'{"audio_path": "5.wav"}x'])
def test_a_torn_last_line_is_left_out_kept_aside_and_cut_off_by_the_next_edit(
    workspace: Workspace, torn: bytes
) -> None:
    whole = workspace.metadata_file.read_bytes()
    append(workspace, torn)
    store = CaptionStore(workspace)
    assert store.get("5.wav") == "text 5"
    store.set("6.wav", "after")
    data = workspace.metadata_file.read_bytes()
    assert data.startswith(whole + b'{"audio_path": "6.wav"')
    assert (
        torn.decode()
        in json.loads((workspace.dataset_folder / ".captions-history.jsonl").read_bytes().split(b"\n")[0])["torn"]
    )


def test_a_torn_line_in_the_middle_is_still_a_bad_line(workspace: Workspace) -> None:
    append(workspace, b'{"audio_path": "5.wav", "te\n{"audio_path": "5.wav", "text": "x"}\n')
    with pytest.raises(SaoError, match=r"Line 11 of .* is not JSON"):
        CaptionStore(workspace).load()


def test_a_short_write_is_taken_back_and_nothing_changes(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    store = CaptionStore(workspace)
    store.set("a.wav", "a")
    before = workspace.metadata_file.read_bytes()
    real, target = os.write, os.stat(workspace.metadata_file).st_ino

    def short(descriptor: int, data: bytes) -> int:
        if os.fstat(descriptor).st_ino != target:
            return real(descriptor, data)
        if len(data) < 40:
            raise OSError(28, "No space left on device")
        return real(descriptor, data[:-30])

    with monkeypatch.context() as patched:
        patched.setattr(os, "write", short)
        with pytest.raises(SaoError, match="No space left on device"):
            store.set("a.wav", "a caption that is too long for this disk")
    assert workspace.metadata_file.read_bytes() == before
    assert store.get("a.wav") == "a"
    store.set("a.wav", "b")
    assert CaptionStore(workspace).get("a.wav") == "b"


def test_lines_that_another_program_appends_are_read_alone_and_told(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = CaptionStore(workspace)
    assert not store.take_changes().is_complete
    append(workspace, b'{"audio_path": "5.wav", "text": "theirs"}\n{"audio_path": "z.wav", "text": "new"}\n')
    monkeypatch.setattr(captions_file.MetadataFile, "_read_all", None)
    changes = store.take_changes()
    assert (changes.is_complete, changes.captions) == (True, {"5.wav": "theirs", "z.wav": "new"})
    assert store.get("5.wav") == "theirs"
    store.set("6.wav", "ours")
    assert store.take_changes().captions == {}


def test_a_replaced_file_is_told_clip_by_clip_unless_clips_are_gone(workspace: Workspace) -> None:
    store = CaptionStore(workspace)
    store.take_changes()
    replace_text(workspace, b"text 5", b"five")
    assert store.take_changes() == store.take_changes().__class__({"5.wav": "five"}, True)
    lines = workspace.metadata_file.read_bytes().splitlines(keepends=True)
    swap(workspace, b"".join(lines[1:]))
    assert not store.take_changes().is_complete


def replace_text(workspace: Workspace, old: bytes, new: bytes) -> None:
    swap(workspace, workspace.metadata_file.read_bytes().replace(old, new))


def swap(workspace: Workspace, data: bytes) -> None:
    """Save as most editors do: write beside, then rename over."""
    other = workspace.dataset_folder / "saved"
    other.write_bytes(data)
    os.replace(other, workspace.metadata_file)


def test_an_edit_in_the_middle_of_the_file_is_noticed_when_its_line_is_read(workspace: Workspace) -> None:
    store = CaptionStore(workspace)
    store.load()
    data = workspace.metadata_file.read_bytes()
    middle = data.replace(b"text 4", b"longer text 4").replace(b"text 6", b"t6").replace(b"text 7", b"2")
    assert len(middle) < len(data) + 8192
    with workspace.metadata_file.open("r+b") as file:
        file.write(middle)
        file.truncate()
    store.set("5.wav", "ours")
    assert CaptionStore(workspace).all() | {"x": ""} == {
        **{f"{n}.wav": f"text {n}" for n in range(10)},
        **{"4.wav": "longer text 4", "5.wav": "ours", "6.wav": "t6", "7.wav": "2", "x": ""},
    }


@pytest.mark.parametrize("exchanges", [True, False])
def test_a_save_between_our_reading_and_our_replacing_is_merged(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch, exchanges: bool
) -> None:
    monkeypatch.setattr(captions_writing, "APPEND_BYTES", -1)
    if not exchanges:
        monkeypatch.setattr(swapping, "_exchange", lambda one, other: False)
    store = CaptionStore(workspace)
    real: Callable[..., bool] = captions_writing.replace_expected
    saves = iter([b"theirs", None])

    def late(part: Path, path: Path, is_expected: Callable[[Path], bool]) -> bool:
        if (text := next(saves)) is None:
            return real(part, path, is_expected)
        if not exchanges:
            replace_text(workspace, b"text 5", text)
            return real(part, path, is_expected)
        calls = iter([True])

        def pretend(found: Path) -> bool:
            if next(calls, False):
                replace_text(workspace, b"text 5", text)
                return True  # As it was when it was looked at, before the save.
            return is_expected(found)

        return real(part, path, pretend)

    monkeypatch.setattr(captions_writing, "replace_expected", late)
    store.set("6.wav", "ours")
    expected = {**{f"{n}.wav": f"text {n}" for n in range(10)}, "5.wav": "theirs", "6.wav": "ours"}
    assert CaptionStore(workspace).all() == store.all() == expected


def test_a_save_that_changes_the_very_clip_meanwhile_is_a_conflict(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = CaptionStore(workspace)
    store.load()
    real = captions_writing._append

    def late(*arguments: object) -> None:
        replace_text(workspace, b"text 5", b"theirs")
        real(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(captions_writing, "_append", late)
    with pytest.raises(CaptionConflict) as caught:
        store.set("5.wav", "ours")
    assert caught.value.theirs == "theirs"
    assert CaptionStore(workspace).get("5.wav") == "theirs"


def test_a_file_cut_short_in_its_place_is_waited_for(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    store = CaptionStore(workspace)
    store.load()
    data = workspace.metadata_file.read_bytes()
    workspace.metadata_file.write_bytes(data[:100])  # As an editor does that saves in place, half-way.
    naps: list[float] = []

    def nap(seconds: float) -> None:
        naps.append(seconds)
        workspace.metadata_file.write_bytes(data.replace(b"text 9", b"nine"))

    monkeypatch.setattr("sao_tui.services.captions.time.sleep", nap)
    store.set("5.wav", "ours")
    assert naps
    assert CaptionStore(workspace).all()["9.wav"] == "nine"
    assert len(CaptionStore(workspace).all()) == 10


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.dictionaries(
            st.sampled_from(["0.wav", "7.wav", "d [x].wav", "ü\u2028.wav", "\udcff.wav"]),
            st.text(st.characters(exclude_categories=["Cs"]), max_size=12),
            min_size=1,
        ),
        max_size=8,
    )
)
def test_any_edits_read_back_as_given_undo_and_redo(workspace: Workspace, edits: list[dict[str, str]]) -> None:
    workspace.metadata_file.write_text(
        "".join(json.dumps({"audio_path": f"{n}.wav", "text": f"text {n}", **EXTRA}) + "\n" for n in range(10))
    )
    store = CaptionStore(workspace)
    states = [store.all()]
    for edit in edits:
        if store.set_many(edit):
            states.append({relpath: text for relpath, text in (states[-1] | edit).items() if text})
    assert CaptionStore(workspace).all() == store.all() == states[-1]
    for state in reversed(states[:-1]):
        assert store.undo() is not None
        assert store.all() == state
    assert store.undo() is None
    for state in states[1:]:
        assert store.redo() is not None
        assert CaptionStore(workspace).all() == state
    assert all(CaptionStore(workspace).record(f"{n}.wav")["bpm"] == 120 for n in range(10))
