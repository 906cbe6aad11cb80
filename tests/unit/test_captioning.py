from __future__ import annotations

import wave
from pathlib import Path

import pytest

from sao_tui.services import captioning
from sao_tui.services.bundle import Services, build_services
from sao_tui.services.captions import CaptionConflict, CaptionStore
from sao_tui.services.workspace import init_workspace


@pytest.fixture
def services(tmp_path: Path) -> Services:
    workspace = init_workspace(tmp_path)
    for name in ("a", "b", "c"):
        with wave.open(str(workspace.dataset_folder / f"{name}.wav"), "wb") as file:
            file.setparams((1, 2, 8000, 0, "NONE", ""))
            file.writeframes(bytes(1600))
    services = build_services(tmp_path)
    services.clips.scan()
    return services


def mirrored(services: Services) -> dict[str, str]:
    return {row.relpath: row.caption for row in services.clips.rows(services.clips.ids()) if row.caption}


def test_a_caption_is_written_mirrored_and_taken_back_in_both_places(services: Services) -> None:
    assert captioning.write(services, {"a.wav": "a kick"}) == 1
    assert captioning.write(services, {"a.wav": "A", "b.wav": "B"}, "bulk") == 2
    assert mirrored(services) == services.captions.all() == {"a.wav": "A", "b.wav": "B"}
    moved = captioning.undo(services)
    assert moved == captioning.EditMoved("bulk", 2, "")
    assert mirrored(services) == services.captions.all() == {"a.wav": "a kick"}
    assert captioning.undo(services) == captioning.EditMoved("caption of a.wav", 1, "a.wav")
    assert captioning.undo(services) is None
    assert captioning.redo(services) == captioning.EditMoved("caption of a.wav", 1, "a.wav")
    assert mirrored(services) == {"a.wav": "a kick"}


def test_records_mirror_their_captions_and_keep_the_rest_for_the_file(services: Services) -> None:
    assert captioning.write_records(services, {"a.wav": {"text": "A", "bpm": 1}, "b.wav": {"bpm": 2}}, "import") == 2
    assert mirrored(services) == {"a.wav": "A"}
    assert services.captions.record("b.wav") == {"audio_path": "b.wav", "bpm": 2}


def test_a_conflict_leaves_the_mirror_alone(services: Services) -> None:
    captioning.write(services, {"a.wav": "first"})
    CaptionStore(services.workspace).set("a.wav", "theirs")
    with pytest.raises(CaptionConflict):
        captioning.write(services, {"a.wav": "mine"}, expected={"a.wav": "first"})
    assert mirrored(services) == {"a.wav": "first"}


def test_what_other_programs_write_is_taken_in_clip_by_clip_or_as_a_whole(services: Services) -> None:
    captioning.write(services, {"a.wav": "A", "b.wav": "B"}, "bulk")
    assert captioning.take_in(services) is False
    CaptionStore(services.workspace).set("a.wav", "theirs")
    assert captioning.take_in(services) is True
    assert mirrored(services) == {"a.wav": "theirs", "b.wav": "B"}
    services.workspace.metadata_file.unlink()
    assert captioning.take_in(services) is True
    assert mirrored(services) == {}
