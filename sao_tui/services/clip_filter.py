"""The filter language of the dataset table: what is typed after `/`, as a condition in SQL, and its completion."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from sao_tui.services.clip_conditions import Node
from sao_tui.services.clip_grammar import FILTER_HELP, FilterError, parse
from sao_tui.services.clip_terms import LINT_RULES, TERMS, compile_term

__all__ = ["FILTER_HELP", "Completion", "FilterError", "filter_completions", "parse_filter", "word_at"]

_VALUES: dict[str, tuple[str, ...]] = {
    "lint": ("any", "duplicate", *LINT_RULES),
    "split": ("validation", "training"),
    "format": ("wav", "flac", "mp3", "ogg", "opus", "aif", "aiff", "m4a"),
    "rate": ("44100", "48000"),
    "channels": ("1", "2"),
} | {key: ("yes", "no") for key in ("silent", "clipped", "uncaptioned", "unreadable", "analysed", "suggested")}

_OPERATORS = (("and", "both sides hold"), ("or", "one side holds"), ("not", "what follows does not hold"))


@dataclass(frozen=True)
class Completion:
    """One way to go on."""

    text: str
    """What takes the place of the word under the cursor (word_at)."""
    meaning: str


def parse_filter(text: str) -> Node:
    """Return the condition that a filter stands for; empty text matches everything.

    Raises:
        FilterError: A term is not understood; it has the place, and the hint explains the language.
    """
    return parse(text, compile_term)


def word_at(text: str, cursor: int) -> tuple[int, int]:
    """Return start and end of the word that the cursor is in or behind; both are the cursor where there is none."""
    start = cursor
    while start > 0 and not text[start - 1].isspace() and text[start - 1] != "(":
        start -= 1
    # A minus stays where it is.
    start += text.startswith("-", start) and start < cursor
    end = cursor
    while end < len(text) and not text[end].isspace() and text[end] != ")":
        end += 1
    return start, end


def filter_completions(text: str, cursor: int, values: Mapping[str, Iterable[str]] | None = None) -> list[Completion]:
    """Return how the word under the cursor may go on, the likeliest first.

    Args:
        values: Values by term beside those that are always the same, such as the names of folders.
    """
    start, end = word_at(text, cursor)
    typed = text[start:cursor].lower()
    key, colon, value = typed.partition(":")
    if colon and key in TERMS:
        known = [*_VALUES.get(key, ()), *((values or {}).get(key, ()))]
        fitting = [each for each in dict.fromkeys(known) if value.strip('"') in each.lower()]
        fitting.sort(key=lambda each: not each.lower().startswith(value.strip('"')))
        return [Completion(f"{key}:{_quoted(each)}", TERMS[key].meaning) for each in fitting if each.lower() != value]
    found = [
        Completion(_opening(term.example, name), f"{term.example}  {term.meaning}")
        for name, term in TERMS.items()
        if name.startswith(typed)
    ]
    if text[:start].strip():
        found += [Completion(name, meaning) for name, meaning in _OPERATORS if name.startswith(typed)]
    return [each for each in found if each.text != text[start:end]]


def _opening(example: str, name: str) -> str:
    """Return a term up to where its value begins; a yes is the value that is meant."""
    return example if example.endswith(":yes") else f"{name}{example[len(name)]}"


def _quoted(value: str) -> str:
    return f'"{value}"' if any(letter.isspace() or letter in "()" for letter in value) else value
