"""What captions alone can give away: file names, phrases that all have, tempo and key against what was measured."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator

MIN_CAPTIONS = 5
"""With fewer captions nothing is said of what all of them have in common."""

_SUFFIX = re.compile(r"\.(wav|mp3|flac|ogg|opus|aiff?|m4a|aac)$", re.IGNORECASE)
_JOINED = re.compile(r"^\S*[_/\\]\S*$|^\S+-\S+-\S+$|^\S*[A-Za-z]\d{2,}\S*$")
_BPM = re.compile(r"\b(\d{2,3}(?:\.\d+)?)[ -]?bpm\b|\bbpm[ :=]{1,2}(\d{2,3}(?:\.\d+)?)\b", re.IGNORECASE)
_KEY = re.compile(
    r"(?<![A-Za-z#])([A-G])(#|♯|b|♭| sharp| flat)?[ -]?(?:(major|maj)|(minor|min|m))(?![A-Za-z])", re.IGNORECASE
)
_WORD = re.compile(r"[^\W_]+(?:'[^\W_]+)?")
_EMPTY_WORDS = frozenset(
    [
        "a",
        "an",
        "and",
        "at",
        "by",
        "for",
        "from",
        "in",
        "into",
        "is",
        "it",
        "of",
        "on",
        "or",
        "the",
        "then",
        "to",
        "with",
    ]
)
_NOTES = ("C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "A#", "B")
_BPM_TOLERANCE = 0.04


def looks_like_file_name(caption: str, relpath: str) -> bool:
    """Return whether a caption is the clip's file name, or is put together like one."""
    text = caption.strip()
    if not text:
        return False
    stem = os.path.splitext(os.path.basename(relpath))[0]
    if _SUFFIX.search(text) or (text == stem and text != as_words(text)):
        return True
    return " " not in text and bool(_JOINED.match(text))


def as_words(caption: str) -> str:
    """Return a caption that is put together like a file name as plain words, numbering left out."""
    text = _SUFFIX.sub("", os.path.basename(caption.strip()))
    text = re.sub(r"([a-z])([A-Z])", r"\1 \2", re.sub(r"[_/\\.-]+", " ", text))
    text = re.sub(r"(\d+) ?bpm", r"\1 BPM", text, flags=re.IGNORECASE)
    words = [word for word in text.split() if not re.fullmatch(r"0\d*|\d{1,2}|v\d+", word)]
    kept = [re.sub(r"(?<=[A-Za-z]{3})\d+$", "", word) for word in words]
    return " ".join(word if word.isupper() and len(word) > 1 else word.lower() for word in kept if word)


class CommonPhrases:
    """Finds what every caption has: comma-separated phrases first, single words where no phrase is common."""

    def __init__(self) -> None:
        self._phrases: set[str] | None = None
        self._words: set[str] | None = None
        self._distinct: set[str] = set()
        self._num = 0

    def add(self, caption: str) -> None:
        """Take one caption in."""
        self._num += 1
        if len(self._distinct) < 2:
            self._distinct.add(caption)
        phrases = set(phrases_of(caption))
        words = {word.casefold() for word in _WORD.findall(caption)} - _EMPTY_WORDS
        self._phrases = phrases if self._phrases is None else self._phrases & phrases
        self._words = words if self._words is None else self._words & words

    def found(self) -> list[str]:
        """Return the common phrases, else the common words; none where captions are few or all the same."""
        if self._num < MIN_CAPTIONS or len(self._distinct) < 2:
            return []
        return sorted(self._phrases or ()) or sorted(self._words or ())


def phrases_of(caption: str) -> list[str]:
    """Return the comma-separated phrases of a caption that has a comma, in small letters."""
    return [part for part in (part.strip().casefold() for part in caption.split(",")) if part] if "," in caption else []


def contradictions(caption: str, bpm: float | None, musical_key: str) -> list[tuple[str, str]]:
    """Return (what the caption says, what it should say) where tempo or key differ from those measured.

    Half and double tempo agree with each other, as do a key and its other spelling.
    """
    found: list[tuple[str, str]] = []
    if bpm:
        for said in _BPM.finditer(caption):
            number = said[1] or said[2]
            if not _same_tempo(float(number), bpm):
                found.append((said[0], said[0].replace(number, f"{bpm:.0f}")))
    if measured := parse_key(musical_key):
        for text, key in keys_in(caption):
            if key != measured:
                found.append((text, musical_key))
    return found


def corrected(caption: str, bpm: float | None, musical_key: str) -> str:
    """Return a caption with the measured tempo and key in place of what it says."""
    for said, right in contradictions(caption, bpm, musical_key):
        caption = caption.replace(said, right)
    return caption


def keys_in(caption: str) -> Iterator[tuple[str, tuple[str, str]]]:
    """Give each musical key that a caption names, as it stands there and as (note, mode)."""
    for said in _KEY.finditer(caption):
        # "a major hit" and "a minor change" are English.
        if said[1].islower() and not said[2]:
            continue
        # "Am" and "Em" are keys, "A M" and the English "Am I" would be guesses.
        mode = "major" if said[3] else "minor"
        yield said[0], (_note(said[1], said[2]), mode)


def parse_key(text: str) -> tuple[str, str] | None:
    """Return (note, mode) of a key such as `F# minor`, None where it is none."""
    return next((key for _, key in keys_in(text.strip())), None)


def common_phrases(captions: Iterable[str]) -> list[str]:
    """Return what all captions have, see CommonPhrases."""
    common = CommonPhrases()
    for caption in captions:
        common.add(caption)
    return common.found()


def without_phrase(caption: str, phrase: str) -> str:
    """Return a caption without a comma-separated phrase or word."""
    if phrase in phrases_of(caption):
        return ", ".join(part.strip() for part in caption.split(",") if part.strip().casefold() not in ("", phrase))
    text = re.sub(rf"(?i)(?<!\w){re.escape(phrase)}(?!\w)", "", caption)
    return re.sub(r"\s+([,.;])", r"\1", re.sub(r"\s{2,}", " ", text)).strip(" ,;")


def _same_tempo(said: float, measured: float) -> bool:
    return any(abs(said * factor - measured) <= _BPM_TOLERANCE * measured for factor in (0.5, 1.0, 2.0))


def _note(letter: str, accidental: str | None) -> str:
    place = _NOTES.index(letter.upper())
    sign = (accidental or "").strip().lower()
    return _NOTES[(place + (1 if sign in ("#", "♯", "sharp") else -1 if sign in ("b", "♭", "flat") else 0)) % 12]
