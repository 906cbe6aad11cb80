from __future__ import annotations

import json
from pathlib import Path

import pytest

from sao_tui.core.errors import SaoError
from sao_tui.services import captions_file, captions_history
from sao_tui.services.captions import DROPPED, CaptionConflict, CaptionStore, Earlier
from sao_tui.services.workspace import Workspace, init_workspace


@pytest.fixture(params=["small", "large"])
def workspace(tmp_path: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    """A workspace whose captions are replaced in one step, and one whose captions are appended."""
    if request.param == "large":
        monkeypatch.setattr(captions_file, "SMALL_BYTES", 0)
    workspace = init_workspace(tmp_path)
    workspace.metadata_file.write_text('{"audio_path": "a.wav", "bpm": 90, "text": "old"}\n')
    return workspace


def test_records_set_keys_beside_the_caption_and_undo_takes_each_back(workspace: Workspace) -> None:
    store = CaptionStore(workspace)
    before = store.record("a.wav")
    wanted = {"a.wav": {"captions": ["x", "y"], "bpm": DROPPED, "audio_path": "other.wav"}, "b.wav": {"text": "b"}}
    assert store.set_records(wanted, "import") == 2
    after = {"audio_path": "a.wav", "text": "old", "captions": ["x", "y"]}
    assert store.record("a.wav") == CaptionStore(workspace).record("a.wav") == after
    assert store.set_records(wanted, "import again") == 0
    assert store.undo() == "import"
    assert CaptionStore(workspace).record("a.wav") == before
    assert CaptionStore(workspace).get("b.wav") == ""
    assert store.redo() == "import"
    assert CaptionStore(workspace).record("a.wav") == after


def test_undo_leaves_other_keys_that_another_program_has_set_since(workspace: Workspace) -> None:
    ours, theirs = CaptionStore(workspace), CaptionStore(workspace)
    ours.set_records({"a.wav": {"key": "C"}}, "keys")
    theirs.set_records({"a.wav": {"bpm": 91}}, "tempo")
    ours.undo()
    assert CaptionStore(workspace).record("a.wav") == {"audio_path": "a.wav", "text": "old", "bpm": 91}


def test_undo_refuses_a_key_that_another_program_has_changed_since(workspace: Workspace) -> None:
    ours, theirs = CaptionStore(workspace), CaptionStore(workspace)
    ours.set_records({"a.wav": {"bpm": 100}}, "tempo")
    theirs.set_records({"a.wav": {"bpm": 110}}, "tempo")
    with pytest.raises(SaoError, match=r"`bpm` of a\.wav was changed by another program to 110"):
        ours.undo()
    assert CaptionStore(workspace).record("a.wav")["bpm"] == 110


def test_records_with_a_caption_that_another_program_changed_are_a_conflict(workspace: Workspace) -> None:
    ours, theirs = CaptionStore(workspace), CaptionStore(workspace)
    ours.load()
    theirs.set("a.wav", "theirs")
    with pytest.raises(CaptionConflict):
        ours.set_records({"a.wav": {"text": "mine", "bpm": 1}}, "import")
    assert CaptionStore(workspace).record("a.wav")["bpm"] == 90


@pytest.mark.parametrize(("text", "said"), [(None, "is no text"), (3, "is no text"), ("caf\udce9", "is not UTF-8")])
def test_a_caption_that_is_no_text_is_refused_before_anything_is_written(
    workspace: Workspace, text: object, said: str
) -> None:
    before = workspace.metadata_file.read_bytes()
    with pytest.raises(SaoError, match=said):
        CaptionStore(workspace).set_records({"b.wav": {"text": "fine"}, "a.wav": {"text": text}}, "import")
    assert workspace.metadata_file.read_bytes() == before


def test_history_holds_every_caption_that_was_replaced_with_the_time(workspace: Workspace) -> None:
    now = iter(range(100, 200))
    store = CaptionStore(workspace, clock=lambda: float(next(now)))
    store.set("a.wav", "new")
    store.set_many({"a.wav": 'with "quotes", ü', "b.wav": "b"}, "bulk")
    store.undo()
    assert store.history("a.wav") == [Earlier(102, 'with "quotes", ü'), Earlier(101, "new"), Earlier(100, "old")]
    assert [earlier.text for earlier in CaptionStore(workspace).history("b.wav")] == ["b"]
    assert store.history("never.wav") == []


def test_history_that_cannot_be_written_stops_no_edit_and_says_so(workspace: Workspace) -> None:
    (workspace.dataset_folder / captions_history.HISTORY_NAME).mkdir()
    store = CaptionStore(workspace)
    store.set("a.wav", "new")
    assert CaptionStore(workspace).get("a.wav") == "new"
    assert "Earlier captions are not kept" in store.history_problem


def test_history_that_has_grown_too_large_loses_its_older_half(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(captions_history, "MAX_BYTES", 2000)
    store = CaptionStore(workspace)
    for turn in range(60):
        store.set("a.wav", f"turn {turn}")
    store.close()
    path = workspace.dataset_folder / captions_history.HISTORY_NAME
    assert 900 < path.stat().st_size <= 1000
    texts = [json.loads(line)["text"] for line in path.read_text().splitlines()]
    assert texts[-1] == "turn 58"
    assert [earlier.text for earlier in store.history("a.wav")] == texts[::-1]


def test_undo_of_an_edit_too_large_for_memory_comes_from_a_file_that_nobody_sees(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sao_tui.services.captions_edits._MEMORY_BYTES", 100)
    store = CaptionStore(workspace)
    store.set_many({f"{n}.wav": f"text {n}" for n in range(50)}, "bulk")
    assert list(workspace.cache_folder.iterdir()) == []
    assert store.undo() == "bulk"
    assert CaptionStore(workspace).all() == {"a.wav": "old"}
    assert store.redo() == "bulk"
    assert len(CaptionStore(workspace).all()) == 51


def test_captions_are_compared_by_hash_and_only_those_that_differ_are_read(workspace: Workspace) -> None:
    store = CaptionStore(workspace)
    assert list(store.differing([("a.wav", "old"), ("b.wav", "")])) == []
    assert list(store.differing([("a.wav", "older"), ("b.wav", "gone")])) == [("a.wav", "old"), ("b.wav", "")]
