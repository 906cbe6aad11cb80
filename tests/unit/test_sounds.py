"""The synthesised sounds and the classifier that must know them apart."""

from __future__ import annotations

import numpy as np
import pytest

from sao_tui.core.sounds import hearing, synth

KINDS = (*synth.BASE_CLASSES, synth.NEW_CLASS)


@pytest.mark.parametrize("kind", KINDS)
def test_every_class_is_recognised(kind: str) -> None:
    rng = np.random.default_rng(11)
    heard = [
        hearing.classify(synth.pad(synth.make_clip(kind, rng).audio), synth.SAMPLE_RATE_HZ).kind for _ in range(25)
    ]
    assert heard.count(kind) == len(heard)


def test_the_same_seed_makes_the_same_clip() -> None:
    first, second = (synth.make_clip("warble", np.random.default_rng(3)) for _ in range(2))
    assert first.caption == second.caption
    assert np.array_equal(first.audio, second.audio)


def test_silence_is_no_class() -> None:
    assert hearing.classify(np.zeros(synth.SAMPLE_SIZE, np.float32), synth.SAMPLE_RATE_HZ).kind == "silence"


def test_two_tones_at_once_are_no_class() -> None:
    seconds = np.arange(synth.SAMPLE_SIZE) / synth.SAMPLE_RATE_HZ
    chord = sum(np.sin(2 * np.pi * hz * seconds) for hz in (300.0, 800.0, 1500.0, 2500.0))
    assert hearing.classify(np.asarray(chord, np.float32), synth.SAMPLE_RATE_HZ).kind == "unclear"


def test_loudness_and_phase_do_not_matter() -> None:
    clip = synth.pad(synth.make_clip("rising sweep", np.random.default_rng(1)).audio)
    assert hearing.classify(-0.05 * clip, synth.SAMPLE_RATE_HZ).kind == "rising sweep"


def test_clips_are_as_long_and_as_loud_as_they_should_be() -> None:
    rng = np.random.default_rng(2)
    for kind in KINDS:
        clip = synth.make_clip(kind, rng)
        assert 1.4 * synth.SAMPLE_RATE_HZ <= len(clip.audio) <= 2 * synth.SAMPLE_RATE_HZ
        assert 0.1 < np.abs(clip.audio).max() <= 1
        assert clip.caption in synth.CAPTIONS[kind]


def test_the_captions_of_the_new_class_share_no_word_with_the_base() -> None:
    def words(kind: str) -> set[str]:
        return {word for caption in synth.CAPTIONS[kind] for word in caption.split()} - {"a", "and", "of"}

    base = set().union(*(words(kind) for kind in synth.BASE_CLASSES))
    assert words(synth.NEW_CLASS) & base <= {"up", "down"}
