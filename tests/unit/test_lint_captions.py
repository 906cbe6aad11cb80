"""What captions alone give away."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sao_tui.services.lint_captions import (
    as_words,
    common_phrases,
    contradictions,
    corrected,
    looks_like_file_name,
    parse_key,
    without_phrase,
)


@pytest.mark.parametrize(
    ("caption", "relpath", "expected"),
    [
        ("Kick_01", "x/Kick_01.wav", True),
        ("Kick 01", "Kick 01.wav", True),
        ("CH-HiHat-03", "other.wav", True),
        ("siren.wav", "a.wav", True),
        ("drums/kick", "a.wav", True),
        ("Loop120", "a.wav", True),
        ("kick", "kick.wav", False),
        ("low tone", "low tone.wav", False),
        ("hi-hat", "a.wav", False),
        ("a warm pad, 120 BPM", "a.wav", False),
        ("", "a.wav", False),
    ],
)
def test_captions_that_look_like_file_names_are_told_from_words(caption: str, relpath: str, expected: bool) -> None:
    assert looks_like_file_name(caption, relpath) is expected


@pytest.mark.parametrize(
    ("caption", "expected"),
    [
        ("Kick_01", "kick"),
        ("CH-HiHat-03", "CH hi hat"),
        ("DeepBass_120bpm_v2.wav", "deep bass 120 BPM"),
        ("loops/AnalogPad", "analog pad"),
    ],
)
def test_a_file_name_becomes_words(caption: str, expected: str) -> None:
    assert as_words(caption) == expected


def test_what_all_captions_have_is_found() -> None:
    captions = [f"lofi, {name}, tape" for name in ("kick", "snare", "hat", "clap", "tom")]
    assert common_phrases(captions) == ["lofi", "tape"]
    assert common_phrases(f"a lofi {name} drum" for name in ("kick", "snare", "hat", "clap", "tom")) == ["drum", "lofi"]
    assert common_phrases(["a kick", "a snare", "a hat", "a clap", "a tom"]) == []


def test_few_captions_or_all_the_same_have_nothing_in_common_to_tell() -> None:
    assert common_phrases(["lofi kick", "lofi hat"]) == []
    assert common_phrases(["a siren"] * 50) == []


@pytest.mark.parametrize(
    ("caption", "bpm", "key", "expected"),
    [
        ("a loop, 120 BPM, A minor", 90.0, "C major", [("120 BPM", "90 BPM"), ("A minor", "C major")]),
        ("a loop at 60bpm in Am", 120.5, "A minor", []),
        ("Db major chord", None, "C# major", []),
        ("B♭ minor", None, "A# minor", []),
        ("a major hit", None, "C minor", []),
        ("120 BPM", None, "", []),
        ("bpm: 140", 100.0, "", [("bpm: 140", "bpm: 100")]),
    ],
)
def test_tempo_and_key_are_compared_with_those_measured(caption: str, bpm: float | None, key: str, expected) -> None:
    assert contradictions(caption, bpm, key) == expected


def test_a_corrected_caption_contradicts_nothing() -> None:
    text = corrected("a loop, 128 BPM, F# minor", 90.2, "G major")
    assert text == "a loop, 90 BPM, G major"
    assert contradictions(text, 90.2, "G major") == []


@pytest.mark.parametrize(("text", "expected"), [("F# minor", ("F#", "minor")), ("Cmaj", ("C", "major")), ("x", None)])
def test_keys_are_read(text: str, expected: tuple[str, str] | None) -> None:
    assert parse_key(text) == expected


def test_a_phrase_is_taken_out_without_leaving_holes() -> None:
    assert without_phrase("lofi, warm kick, tape", "lofi") == "warm kick, tape"
    assert without_phrase("a lofi kick drum", "lofi") == "a kick drum"
    assert without_phrase("a lofi, kick", "kick") == "a lofi"
    assert without_phrase("lofikick lofi", "lofi") == "lofikick"


@settings(deadline=None)
@given(st.text(max_size=80), st.text(max_size=30))
def test_any_text_is_looked_at_without_a_fault(caption: str, relpath: str) -> None:
    looks_like_file_name(caption, relpath)
    as_words(caption)
    contradictions(caption, 120.0, "A minor")
    for phrase in common_phrases([caption, relpath, "x"] * 3):
        without_phrase(caption, phrase)
