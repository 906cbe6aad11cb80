from __future__ import annotations

from pathlib import Path

import pytest

from sao_tui.services import captioning, vocabulary
from sao_tui.services.bundle import Services, build_services
from sao_tui.services.vocabulary import Completion, Vocabulary, WordUse
from sao_tui.services.workspace import init_workspace


@pytest.fixture
def services(tmp_path: Path) -> Services:
    init_workspace(tmp_path)
    return build_services(tmp_path)


def built(services: Services, *captions: str) -> Vocabulary:
    services.captions.set_many({f"{number}.wav": text for number, text in enumerate(captions)})
    services.vocabulary.build()
    return services.vocabulary


def test_words_and_phrases_are_counted_over_all_captions(services: Services) -> None:
    words = built(services, "deep kick, warm analog pad", "deep snare (dry)", "warm analog pad, kick")
    assert words.words(3) == [WordUse("deep", 2), WordUse("kick", 2), WordUse("warm", 2)]
    assert words.phrases(1) == [WordUse("warm analog pad", 2)]


def test_completions_are_phrases_and_words_by_use(services: Services) -> None:
    words = built(services, "warm analog pad", "warm analog pad", "warm kick", "Wide pad", "a kick")
    assert words.complete("wa", 2) == [
        Completion("warm", 3, 0),
        Completion("warm analog pad", 2, 0),
        Completion("warm kick", 1, 0),
    ]
    assert Completion("Wide pad", 1, 8) in words.complete("a kick, w", 9)
    assert words.complete("deep ki", 7) == [Completion("kick", 2, 5)]


@pytest.mark.parametrize(("text", "cursor"), [("", 0), ("warm ", 5), ("warm", 2), ("kick,", 5), ("zzz", 3)])
def test_nothing_is_completed_between_words_or_inside_one(services: Services, text: str, cursor: int) -> None:
    assert [each.text for each in built(services, "warm kick", "zzz").complete(text, cursor)] in ([], ["warm kick"])
    assert not built(services, "zzz").complete(text[:cursor] + "zzzz", 1)


def test_edits_are_followed_without_counting_all_again(services: Services) -> None:
    words = built(services, "warm kick", "warm snare")
    captioning.write(services, {"0.wav": "cold kick"})
    assert words.is_built
    assert WordUse("warm", 1) in words.words(9)
    assert WordUse("cold", 1) in words.words(9)
    captioning.write(services, {"0.wav": "x", "1.wav": "y"}, "bulk")
    assert not words.is_built
    words.build()
    assert words.words(9) == [WordUse("x", 1), WordUse("y", 1)]


def test_the_rarest_are_forgotten_beyond_a_bound(services: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vocabulary, "MAX_ENTRIES", 10)
    words = built(services, *["common word"] * 3, *(f"rare{number}" for number in range(30)))
    assert len(words.words(100)) <= 20
    assert words.words(1) == [WordUse("common", 3)]


def test_a_count_that_is_stopped_leaves_the_old_one(services: Services) -> None:
    words = built(services, "warm kick")
    words.forget()
    words.build(should_stop=lambda: True)
    assert not words.is_built
    assert words.words(1) == [WordUse("warm", 1)]
