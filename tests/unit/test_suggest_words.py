"""Words out of names and tags."""

from __future__ import annotations

from pathlib import Path

import pytest

from sao_tui.core.captioners import CAPTIONERS
from sao_tui.worker.suggest.base import Clip, Context
from sao_tui.worker.suggest.tags import TagsCaptioner, describing_tags
from sao_tui.worker.suggest.words import join_phrases, key_from_tag, read_name


@pytest.mark.parametrize(
    ("name", "words", "bpm", "key"),
    [
        ("02_DeepKick-Loop_120bpm_Amin", "deep kick loop", 120.0, "A minor"),
        ("BPM174.5 amen", "amen", 174.5, ""),
        ("TR808EmulationKit", "tr 808 emulation kit", None, ""),
        ("HH_closed (003)", "hi-hat closed", None, ""),
        ("Pad F#m 90 BPM", "pad", 90.0, "F# minor"),
        ("Bbmaj_Rhodes", "rhodes", None, "Bb major"),
        ("C_major-scale", "scale", None, "C major"),
        ("I am here", "i am here", None, ""),
        ("Amen Break", "amen break", None, ""),
        ("sample_0001", "", None, ""),
        ("999bpm hat", "hi-hat", None, ""),
        ("Große Trommel", "große trommel", None, ""),
    ],
)
def test_names_are_read(name: str, words: str, bpm: float | None, key: str) -> None:
    found = read_name(name)
    assert (" ".join(found.words), found.bpm, found.key) == (words, bpm, key)


def test_phrases_that_others_have_said_are_left_out() -> None:
    assert join_phrases(["deep kick", "kick", "Deep kick loop", ""]) == "Deep kick loop"


@pytest.mark.parametrize(
    ("text", "key"), [("Am", "A minor"), ("F#m", "F# minor"), ("Bb", "Bb major"), ("8A", ""), ("o", "")]
)
def test_keys_of_tags_are_read(text: str, key: str) -> None:
    assert key_from_tag(text) == key


def test_tags_of_any_format_become_words() -> None:
    raw = {"genre": ["Techno"], "bpm": "128", "initialkey": ["Am"], "encodedby": "x", "comment": "\n"}
    assert describing_tags(raw) == {"genre": "techno", "bpm": 128.0, "key": "A minor"}
    assert describing_tags({"bpm": "fast", "key": "H"}) == {}


def suggest(relpath: str, **facts: object) -> tuple[str, float | None]:
    captioner = TagsCaptioner()
    options = CAPTIONERS["tags"].parse({})
    captioner.prepare(Context(options, (), lambda text: None, lambda text, hint: None, lambda: False))
    found = captioner.suggest(Clip(relpath, Path("missing") / relpath, **facts))  # type: ignore[arg-type]
    return found.text, found.confidence


def test_a_clip_is_described_by_name_folder_and_the_tags_that_are_known() -> None:
    assert suggest("Warm Pads/01-Choir.wav") == ("choir, warm pads", 0.6)
    assert suggest("x/001.wav", tags={"genre": "Ambient"}) == ("ambient", 0.9)
    assert suggest("001.wav") == ("", 0.0)
    assert suggest("odd\udcff/\udcfe.wav")[0] == "odd"
