"""The filter language: what it means, what it says about mistakes, and how it is completed."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sao_tui.services.clip_filter import FilterError, filter_completions, parse_filter, word_at
from sao_tui.services.clips import ClipIndex
from sao_tui.services.workspace import init_workspace
from tests.bench.clips_tree import wav_bytes

CLIPS = {
    "drums/kick one.wav": ("Deep ÜBER kick", 0.5),
    "drums/deep/snare.wav": ("a snare at 3:05", 3.0),
    "drums/deep/hat(2).wav": ("", 0.1),
    "pads/ki.wav": ("warm pad and choir", 6.0),
    "top.wav": ("kick", 0.25),
}
ANALYSES = (
    (
        "drums/kick one.wav",
        -0.05,
        -12.0,
        0.0,
        0.7,
        3,
        0,
        120.0,
        "A minor",
        {"genre": "Techno", "artist": ["Ann", "Bo"]},
    ),
    ("drums/deep/snare.wav", -9.0, -33.0, 0.0, 0.0, 0, 0, 90.5, "F# minor", {"title": "techno snare"}),
    ("pads/ki.wav", None, None, 0.0, 0.0, 0, 1, None, "", {}),
)


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClipIndex]:
    workspace = init_workspace(tmp_path_factory.mktemp("filter"))
    for relpath, (_, seconds) in CLIPS.items():
        path = workspace.dataset_folder / relpath
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(wav_bytes(seconds, 8000, 1))
    (workspace.dataset_folder / "bad.flac").write_text("no")
    index = ClipIndex(workspace)
    index.scan()
    index.set_captions((relpath, text) for relpath, (text, _) in CLIPS.items())
    for relpath, peak, loudness, head, tail, clipped, silent, bpm, key, tags in ANALYSES:
        index.database.write_many(
            "INSERT INTO analysis (clip_id, num_bytes, mtime_ns, peak_dbfs, loudness_lufs, head_silence_seconds, "
            "tail_silence_seconds, num_clipped, is_silent, bpm, musical_key, tags) "
            "SELECT id, num_bytes, mtime_ns, ?, ?, ?, ?, ?, ?, ?, ?, ? FROM clips WHERE relpath = CAST(? AS BLOB)",
            [(peak, loudness, head, tail, clipped, silent, bpm, key, json.dumps(tags), relpath)],
        )
    for relpath, rule in (
        ("top.wav", "audio-near-duplicate"),
        ("pads/ki.wav", "split-validation"),
        ("top.wav", "suggestion"),
    ):
        index.database.write_many(
            "INSERT INTO lint SELECT id, ? FROM clips WHERE relpath = CAST(? AS BLOB)", [(rule, relpath)]
        )
    yield index
    index.close()


def found(index: ClipIndex, text: str) -> set[str]:
    """The clips that a filter leaves, which must be the same whichever way they are looked for."""
    ids = index.ids(text)
    assert list(index.first_ids(text, limit=100)) == list(ids)
    for sort in ("seconds", "bpm", "caption"):
        for descending in (False, True):
            every = list(index.ids("", sort, descending))
            expected = [each for each in every if each in ids]
            assert list(index.ids(text, sort, descending)) == expected
            assert list(index.first_ids(text, sort, descending, limit=2)) == expected[:2]
    return {row.relpath for row in index.rows(ids)}


ALL = {*CLIPS, "bad.flac"}
KICK, SNARE, HAT, PAD, TOP = CLIPS
NOT_WAV = "bad.flac"


@pytest.mark.parametrize(
    ("text", "clips"),
    [
        ("kick", {KICK, TOP}),
        ("ki", {KICK, PAD, TOP}),
        ("k", {KICK, PAD, TOP}),
        ("ü", {KICK}),
        ("kick or snare", {KICK, TOP, SNARE}),
        ("KICK and DEEP", {KICK}),
        ("deep -snare", {KICK, HAT}),
        ("deep not (snare or kick)", {HAT}),
        ("-(kick or snare)", {HAT, PAD, NOT_WAV}),
        ("not not kick", {KICK, TOP}),
        ('"pad and choir"', {PAD}),
        ('"and"', {PAD}),
        ("hat(2)", {HAT}),
        ("(hat(2) or top)", {HAT, TOP}),
        ('"kick one" deep', {KICK}),
        ("caption:kick", {KICK, TOP}),
        ('caption:"a snare"', {SNARE}),
        ("name:deep", set()),
        ("name:ki", {KICK, PAD}),
        ("folder:drums name:s", {SNARE}),
        ("folder:drums/deep", {SNARE, HAT}),
        ("folder:.", {TOP, NOT_WAV}),
        ("format:flac", {NOT_WAV}),
        ("format:.WAV top", {TOP}),
        ("dur:500ms or dur=6", {KICK, PAD}),
        ("dur<0:01", {KICK, HAT, TOP}),
        ("dur>0.05min", {PAD}),
        ("rate:8k", set(CLIPS)),
        ("rate<44100 channels:1", set(CLIPS)),
        ("peak>-0.1", {KICK}),
        ("peak<-0.1dB", {SNARE}),
        ("loudness<-30", {SNARE}),
        ("silence>0.5", {KICK}),
        ("bpm>100", {KICK}),
        ("bpm:90.5", {SNARE}),
        ("key:Am", {KICK}),
        ("key:f#m", {SNARE}),
        ("key:minor", {KICK, SNARE}),
        ('key:"A minor"', {KICK}),
        ("tag:techno", {KICK, SNARE}),
        ("tag:genre=techno", {KICK}),
        ("tag:artist=bo", {KICK}),
        ("tag:artist=techno", set()),
        ("silent:yes", {PAD}),
        ("silent:no", ALL - {PAD}),
        ("clipped:yes", {KICK}),
        ("analysed:no", {HAT, TOP, NOT_WAV}),
        ("uncaptioned:yes", {HAT, NOT_WAV}),
        ("unreadable:no", set(CLIPS)),
        ("lint:duplicate", {TOP}),
        ("lint:audio-near-duplicate", {TOP}),
        ("lint:any", {TOP}),
        ("lint:nonsense", set()),
        ("split:validation", {PAD}),
        ("split:training", ALL - {PAD}),
        ("suggested:yes", {TOP}),
        ("NOT peak>-0.1", ALL - {KICK}),
        ("it's", set()),
        ("%", set()),
    ],
)
def test_every_term_finds_its_clips(index: ClipIndex, text: str, clips: set[str]) -> None:
    assert found(index, text) == clips


@pytest.mark.parametrize(
    ("text", "marked", "says"),
    [
        ("kick colour:red", "colour:red", "no `colour:`"),
        ("durr<2", "durr<2", "no `durr<`"),
        ("kick dur<abc", "dur<abc", "number of seconds"),
        ("dur<5kg", "dur<5kg", "number of seconds"),
        ("caption:", "caption:", "needs a value"),
        ("uncaptioned:maybe", "uncaptioned:maybe", "yes or no"),
        ("caption<x", "caption<x", "a colon"),
        ("split:half", "split:half", "validation or training"),
        ('a "b c', '"b c', "quote is not closed"),
        ("(kick or snare", "(kick or snare", "parenthesis is not closed"),
        ("kick )", ")", "closed that was not opened"),
        ("()", ")", "nothing between"),
        ("kick or", "or", "Nothing follows `or`"),
        ("and kick", "and", "Nothing stands before `and`"),
        ("not", "not", "Nothing follows `not`"),
        ("(" * 60 + "a" + ")" * 60, "(", "nested too deeply"),
    ],
)
def test_a_mistake_is_named_with_its_place_and_a_hint(text: str, marked: str, says: str) -> None:
    with pytest.raises(FilterError, match=says.replace("(", r"\(")) as caught:
        parse_filter(text)
    assert text[caught.value.start : caught.value.end] == marked
    assert caught.value.hint


def test_a_mistyped_term_suggests_the_right_one() -> None:
    with pytest.raises(FilterError) as caught:
        parse_filter("duration<2")
    assert 'Quote "duration<2"' in caught.value.hint
    with pytest.raises(FilterError, match="captoin") as caught:
        parse_filter("captoin:kick")
    assert "Did you mean caption:kick?" in caught.value.hint


@dataclass(frozen=True)
class Written:
    """A filter as text beside what it means."""

    text: str
    holds: Callable[[str, str], bool]
    """Of a path and a caption."""


def word(value: str) -> Written:
    return Written(value, lambda path, caption: value in f"{path}\n{caption}".casefold())


def grown(parts: st.SearchStrategy[Written]) -> st.SearchStrategy[Written]:
    both = st.tuples(parts, parts)
    return (
        parts.map(lambda part: Written(f"not {part.text}", lambda *clip: not part.holds(*clip)))
        | parts.map(lambda part: Written(f"-{part.text}", lambda *clip: not part.holds(*clip)))
        | both.map(
            lambda two: Written(f"({two[0].text} {two[1].text})", lambda *c: two[0].holds(*c) and two[1].holds(*c))
        )
        | both.map(
            lambda two: Written(f"({two[0].text} OR {two[1].text})", lambda *c: two[0].holds(*c) or two[1].holds(*c))
        )
    )


TYPED = (*"ab \"():<>=-'%_*\0é\ud800", "not ", "or ", "dur", "key:", "tag:", "lint:", "folder:", "2")
WORDS = st.sampled_from(["kick", "deep", "snare", "ki", "a", "pad", "über", "zzz", ".wav", "3"]).map(word)


@settings(max_examples=150, deadline=None)
@given(st.recursive(WORDS, grown, max_leaves=6))
def test_any_nesting_means_what_logic_says(index: ClipIndex, written: Written) -> None:
    captions = {relpath: text for relpath, (text, _) in CLIPS.items()} | {NOT_WAV: ""}
    expected = {relpath for relpath, caption in captions.items() if written.holds(relpath, caption)}
    ids = index.ids(written.text)
    assert {row.relpath for row in index.rows(ids)} == expected
    assert list(index.first_ids(written.text)) == list(ids)


@settings(max_examples=300, deadline=None)
@given(st.lists(st.sampled_from(TYPED), max_size=14).map("".join))
def test_whatever_is_typed_is_answered_or_refused_in_words(index: ClipIndex, text: str) -> None:
    try:
        index.ids(text)
        index.first_ids(text, "seconds")
    except FilterError as error:
        assert error.message and error.hint and 0 <= error.start <= error.end <= len(text)
    for cursor in range(len(text) + 1):
        start, end = word_at(text, cursor)
        assert 0 <= start <= cursor <= end <= len(text)
        filter_completions(text, cursor)


def completed(text: str, values: dict[str, list[str]] | None = None) -> list[str]:
    start, end = word_at(text, len(text))
    return [text[:start] + each.text + text[end:] for each in filter_completions(text, len(text), values)]


def test_terms_and_their_values_are_completed() -> None:
    assert "dur<" in completed("du")
    assert "kick uncaptioned:yes" in completed("kick unc")
    assert "kick (-uncaptioned:yes" in completed("kick (-unc")
    assert completed("lint:dup")[0] == "lint:duplicate" and "lint:caption-duplicate" in completed("lint:dup")
    assert completed("silent:") == ["silent:yes", "silent:no"]
    assert completed("folder:dr", {"folder": ["drums", "old drums", "pads"]}) == ["folder:drums", 'folder:"old drums"']
    assert completed("o") == [] and completed("kick o") == ["kick or"]
    assert all(each.meaning for each in filter_completions("", 0))


def test_folders_of_the_dataset_are_offered(index: ClipIndex) -> None:
    assert [each.text for each in index.completions("folder:de", 9)] == ["folder:drums/deep"]
