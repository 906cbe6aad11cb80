"""The filter language of the dataset table: what is typed after `/`, as a condition in SQL."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Callable
from dataclasses import dataclass

from sao_tui.core.errors import SaoError

Condition = tuple[str, list[object]]

FILTER_HELP = (
    "Words must all occur in the path or caption. Also: uncaptioned:yes, unreadable:yes, dur<2, dur>5, folder:NAME; "
    'quote "a phrase" or a word with a colon.'
)

_COMPARISON = re.compile(r"dur(<=|>=|<|>|=)(.*)", re.DOTALL)
_KEYED = re.compile(r"([A-Za-z_]+):(.*)", re.DOTALL)


def parse_filter(text: str) -> Condition:
    """Return the WHERE condition and its parameters for a filter; empty text matches everything.

    Raises:
        SaoError: A term is not understood; the hint explains the language.
    """
    conditions: list[str] = []
    parameters: list[object] = []
    for word, quoted in _words(text):
        condition, values = _free_word(word) if quoted else _term(word)
        conditions.append(condition)
        parameters.extend(values)
    return " AND ".join(conditions) or "1", parameters


@dataclass(frozen=True)
class Completion:
    """One way to go on with a filter."""

    text: str
    """What the word at the cursor becomes."""
    meaning: str


def filter_completions(text: str, cursor: int) -> list[Completion]:
    """Return the ways to go on with the word before `cursor`."""
    start = max((text.rfind(each, 0, cursor) for each in " ()"), default=-1) + 1
    word = text[start:cursor].lower()
    terms = {"uncaptioned:yes": "without a caption", "unreadable:yes": "cannot be read", "folder:": "in a folder"}
    terms |= {"dur<": "shorter than, in seconds", "dur>": "longer than, in seconds"}
    return [Completion(term, meaning) for term, meaning in terms.items() if term.startswith(word)]


def search_text(relpath: str, caption: str) -> str:
    """Return what free words are looked up in."""
    return f"{printable(relpath)}\n{caption}".casefold()


def printable(relpath: str) -> str:
    """Return a path that any terminal and SQLite can hold: bytes that are not UTF-8 become question marks."""
    return relpath.encode(errors="replace").decode()


def _words(text: str) -> list[tuple[str, bool]]:
    """Split at white space, with whether each word was quoted as a whole."""
    lexer = shlex.shlex(text, posix=False, punctuation_chars=False)
    lexer.whitespace_split = True
    lexer.commenters = ""
    lexer.quotes = '"'
    try:
        words = list(lexer)
    except ValueError as error:
        raise SaoError(f"The filter {text} has a quote that is not closed.", FILTER_HELP) from error
    return [(word.strip('"'), word.startswith('"')) for word in words]


def _term(word: str) -> Condition:
    if comparison := _COMPARISON.fullmatch(word):
        return _duration(*comparison.groups())
    keyed = _KEYED.fullmatch(word)
    if not keyed:
        return _free_word(word)
    key, value = keyed[1].lower(), keyed[2].strip('"')
    if key not in _TERMS:
        raise SaoError(f"The filter has no `{key}:`.", FILTER_HELP)
    return _TERMS[key](value)


def _free_word(word: str) -> Condition:
    return "instr(search, ?) > 0", [printable(word).casefold()]


def _duration(operator: str, value: str) -> Condition:
    try:
        seconds = float(value.removesuffix("s"))
    except ValueError as error:
        raise SaoError(f"The filter dur{operator}{value} needs a number of seconds.", FILTER_HELP) from error
    return f"(error = '' AND seconds {operator} ?)", [seconds]


def _yes_or_no(key: str, condition: str) -> Callable[[str], Condition]:
    def term(value: str) -> Condition:
        if value.lower() not in ("yes", "no"):
            raise SaoError(f"The filter {key}:{value} must be {key}:yes or {key}:no.", FILTER_HELP)
        return (condition if value.lower() == "yes" else f"NOT ({condition})"), []

    return term


def _folder(value: str) -> Condition:
    folder = os.fsencode(value.strip("/"))
    if not folder or folder == b".":
        return "folder = ?", [b""]
    inside = folder + b"/"
    return "(folder = ? OR substr(folder, 1, ?) = ?)", [folder, len(inside), inside]


_TERMS: dict[str, Callable[[str], Condition]] = {
    "uncaptioned": _yes_or_no("uncaptioned", "caption = ''"),
    "unreadable": _yes_or_no("unreadable", "error <> ''"),
    "folder": _folder,
}
