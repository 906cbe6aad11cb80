"""What each term of the filter language means, as a condition in SQL over the tables of the clip index."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable
from dataclasses import dataclass

from sao_tui.services.clip_conditions import EVERYTHING, Node, Not, Test
from sao_tui.services.clip_grammar import FilterError, Token
from sao_tui.services.clip_texts import folded, path_bytes, printable
from sao_tui.services.clip_writes import within

LINT_RULES = tuple(
    [
        "caption-missing",
        "caption-duplicate",
        "audio-duplicate",
        "audio-near-duplicate",
        "caption-filename",
        "caption-too-long",
        "caption-invariant",
        "caption-contradicts",
        "clip-silent",
        "clip-clipped",
        "clip-dc-offset",
        "clip-mono-in-stereo",
        "clip-dead-channel",
        "clip-sample-rate",
        "clip-too-long",
        "clip-mostly-padding",
        "clip-unreadable",
        "clip-unsupported",
        "dataset-too-small",
    ]
)
"""Ids that `lint:` completes; a clip may have others."""
NOT_LINT = ("split-validation", "suggestion")
"""Rules in the same table that no linter wrote."""

_NUMBER = re.compile(r"([+-]?(?:\d+\.?\d*|\.\d+))\s*([A-Za-z]*)")
_MINUTES = re.compile(r"(\d+):([0-5]\d(?:\.\d*)?)")
_UNITS = {
    "seconds": {"": 1.0, "s": 1.0, "ms": 0.001, "min": 60.0},
    "hertz": {"": 1.0, "hz": 1.0, "k": 1000.0, "khz": 1000.0},
    "decibels": {"": 1.0, "db": 1.0, "dbfs": 1.0, "lufs": 1.0},
    "beats": {"": 1.0, "bpm": 1.0},
    "count": {"": 1.0},
}
_NAMES = {
    "seconds": "a number of seconds, such as 2, 1.5s, 500ms or 1:30",
    "hertz": "a number of Hz, such as 44100 or 44.1k",
    "decibels": "a number of dB, such as -0.1",
    "beats": "a number of beats a minute, such as 120",
    "count": "a number, such as 2",
}


@dataclass(frozen=True)
class Term:
    """One word of the language that takes a value."""

    example: str
    meaning: str
    compile: Callable[[Token], Node]


def compile_term(token: Token) -> Node:
    """Return the condition that a term stands for.

    Raises:
        FilterError: There is no such term, or its value makes no sense.
    """
    if not token.key:
        return _word(token)
    term = TERMS.get(token.key)
    if term is None:
        near = difflib.get_close_matches(token.key, TERMS, n=1)
        hint = f"Did you mean {TERMS[near[0]].example}? " if near else ""
        text = f"The filter has no `{token.key}{token.operator}`."
        hint += f'Quote "{token.text}" to look for it as it is; the terms are {", ".join(TERMS)}.'
        raise FilterError(text, hint, *_place(token))
    if not token.value:
        text = f"`{token.key}{token.operator}` needs a value."
        raise FilterError(text, _hint(token), *_place(token))
    return term.compile(token)


def _place(token: Token) -> tuple[int, int]:
    return token.start, token.end


def _hint(token: Token) -> str:
    term = TERMS[token.key]
    return f"Such as {term.example}: {term.meaning}."


def _refuse(token: Token, wanted: str) -> FilterError:
    return FilterError(f"`{token.text}` needs {wanted}.", _hint(token), *_place(token))


def _word(token: Token) -> Node:
    word = folded(token.value)
    return (
        Test("texts", "(instr(texts.path, ?) OR instr(texts.caption, ?))", (word, word), word) if word else EVERYTHING
    )


def _in_caption(token: Token) -> Node:
    word = folded(token.value)
    return Test("texts", "instr(texts.caption, ?)", (word,), word)


def _in_name(token: Token) -> Node:
    # What is left of a path without all up to its last slash.
    name = "replace(texts.path, rtrim(texts.path, replace(texts.path, '/', '')), '')"
    word = folded(token.value)
    return Test("texts", f"instr({name}, ?)", (word,), word)


def _in_folder(token: Token) -> Node:
    folder = path_bytes(token.value.strip("/"))
    if not folder or folder == b".":
        return Test("clips", "clips.folder = ?", (b"",))
    return Test("clips", "(clips.relpath > ? AND clips.relpath < ?)", within(folder))


def _in_tags(token: Token) -> Node:
    key, equals, value = token.value.partition("=")
    test = "instr(fold(CAST(atom AS TEXT)), ?)"
    values: tuple[object, ...] = (folded(value if equals else token.value),)
    if equals:
        # A list of values has numbers for keys, and the tag in its path.
        test += " AND (fold(key) = ? OR instr(fold(path), ?))"
        values += (folded(key), f".{folded(key)}")
    each = f"EXISTS (SELECT 1 FROM json_tree(analysis.tags) WHERE atom IS NOT NULL AND {test})"  # noqa: S608
    return Test("analysis", f"analysis.tags <> '{{}}' AND {each}", values)


def _in_key(token: Token) -> Node:
    word = token.value.strip()
    short = re.fullmatch(r"([A-Ga-g][#b♯♭]?)m", word)
    word = f"{short[1]} minor" if short else word
    return Test("analysis", "instr(' ' || fold(analysis.musical_key) || ' ', ?)", (f" {folded(word)} ",))


def _measured(unit: str, table: str, column: str) -> Callable[[Token], Node]:
    def compile_number(token: Token) -> Node:
        operator = "=" if token.operator == ":" else token.operator
        return Test(table, column.replace("VALUE", f"{operator} ?"), (_number(token, unit),))

    return compile_number


def _number(token: Token, unit: str) -> float:
    minutes = _MINUTES.fullmatch(token.value) if unit == "seconds" else None
    if minutes:
        return 60 * int(minutes[1]) + float(minutes[2])
    found = _NUMBER.fullmatch(token.value)
    factor = _UNITS[unit].get(found[2].lower()) if found else None
    if found is None or factor is None:
        raise _refuse(token, _NAMES[unit])
    return float(found[1]) * factor


def _format(token: Token) -> Node:
    return Test("clips", "clips.format = ?", (printable(token.value).lower().removeprefix("."),))


def _yes_or_no(table: str, sql: str) -> Callable[[Token], Node]:
    def compile_yes(token: Token) -> Node:
        answer = token.value.lower()
        if answer not in ("yes", "no") or token.operator not in (":", "="):
            raise _refuse(token, f"yes or no: {token.key}:yes")
        test = Test(table, sql)
        return test if answer == "yes" else Not(test)

    return compile_yes


def _rule(token: Token) -> Node:
    value = printable(token.value).lower()
    if value == "any":
        return Test("lint", "rule NOT IN (?, ?)", NOT_LINT)
    known = tuple(rule for rule in LINT_RULES if value in rule)
    if not known:
        return Test("lint", "instr(rule, ?)", (value,))
    return Test("lint", f"rule IN ({', '.join('?' * len(known))})", known)


def _split(token: Token) -> Node:
    held_out = Test("lint", "rule = 'split-validation'")
    part = token.value.lower()
    if part in ("validation", "held-out"):
        return held_out
    if part in ("training", "train"):
        return Not(held_out)
    raise _refuse(token, "validation or training: split:validation")


def _named(compile_it: Callable[[Token], Node]) -> Callable[[Token], Node]:
    """Refuse comparisons on what is no number."""

    def compile_checked(token: Token) -> Node:
        if token.operator not in (":", "="):
            raise _refuse(token, f"a colon: {token.key}:{token.value}")
        return compile_it(token)

    return compile_checked


_SILENCE = "max(coalesce(analysis.head_silence_seconds, 0), coalesce(analysis.tail_silence_seconds, 0)) VALUE"

TERMS: dict[str, Term] = {
    "caption": Term("caption:kick", "the caption holds these letters", _named(_in_caption)),
    "name": Term("name:kick", "the file name holds these letters", _named(_in_name)),
    "folder": Term("folder:drums", "in this folder or one inside it; folder:. for none", _named(_in_folder)),
    "format": Term("format:wav", "the kind of file, by its ending", _named(_format)),
    "tag": Term("tag:techno", "a tag in the file holds these letters; tag:genre=techno", _named(_in_tags)),
    "key": Term("key:Am", 'the measured key: key:Am, key:"F# minor", key:minor', _named(_in_key)),
    "dur": Term(
        "dur<2", "seconds of sound", _measured("seconds", "clips", "(clips.seconds VALUE AND clips.is_readable)")
    ),
    "rate": Term(
        "rate:44100",
        "sample rate in Hz",
        _measured("hertz", "clips", "(clips.sample_rate_hz VALUE AND clips.is_readable)"),
    ),
    "channels": Term(
        "channels:2",
        "number of channels",
        _measured("count", "clips", "(clips.num_channels VALUE AND clips.is_readable)"),
    ),
    "peak": Term("peak>-0.1", "loudest sample in dBFS", _measured("decibels", "analysis", "analysis.peak_dbfs VALUE")),
    "loudness": Term("loudness<-30", "in LUFS", _measured("decibels", "analysis", "analysis.loudness_lufs VALUE")),
    "silence": Term("silence>0.5", "seconds of silence at one of the ends", _measured("seconds", "analysis", _SILENCE)),
    "bpm": Term("bpm>120", "measured beats a minute", _measured("beats", "analysis", "analysis.bpm VALUE")),
    "silent": Term("silent:yes", "no sound in it", _yes_or_no("analysis", "is_silent")),
    "clipped": Term("clipped:yes", "samples at full scale", _yes_or_no("analysis", "num_clipped > 0")),
    "uncaptioned": Term("uncaptioned:yes", "no caption", _yes_or_no("clips", "clips.is_captioned = 0")),
    "unreadable": Term(
        "unreadable:yes", "cannot be read, or not by upstream", _yes_or_no("clips", "clips.is_readable = 0")
    ),
    "analysed": Term("analysed:yes", "measured already", _yes_or_no("analysis", "1")),
    "lint": Term("lint:duplicate", "a lint finding holds this word; lint:any", _named(_rule)),
    "split": Term("split:validation", "held out of training, or split:training", _named(_split)),
    "suggested": Term("suggested:yes", "a caption is suggested", _yes_or_no("lint", "rule = 'suggestion'")),
}
