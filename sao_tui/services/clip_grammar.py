"""How a filter is written: words and terms joined by and, or, not and parentheses."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from sao_tui.core.errors import SaoError
from sao_tui.services.clip_conditions import EVERYTHING, Joined, Node, Not

FILTER_HELP = (
    "Words must all occur in the path or caption. Also: caption:WORD, tag:WORD, folder:NAME, name:WORD, format:wav, "
    "dur<2, rate:44100, channels:2, peak>-0.1, loudness<-30, silence>0.5, bpm>120, key:Am, silent:yes, clipped:yes, "
    "uncaptioned:yes, unreadable:yes, analysed:yes, lint:RULE, split:validation, suggested:yes; and, or, not, -word "
    'and parentheses join them. Quote "a phrase", or a word with a colon.'
)

_LITERAL = "Quote a parenthesis that is to be looked for."
_MAX_DEPTH = 40
"""Parentheses inside each other; SQLite has a limit of its own."""
_KEYED = re.compile(r"([A-Za-z_]+)(:|<=|>=|<|>|=)(.*)", re.DOTALL)
_OPERATORS = ("and", "or", "not")


class FilterError(SaoError):
    """A filter is not understood; `start` and `end` are the characters to mark."""

    def __init__(self, message: str, hint: str, start: int, end: int) -> None:
        """Say what is wrong with the characters from `start` up to `end`."""
        super().__init__(message, hint)
        self.start = start
        self.end = end


@dataclass(frozen=True)
class Token:
    """One piece of a filter."""

    kind: str
    """`(`, `)`, `and`, `or`, `not`, `-`, or `term`."""
    start: int
    end: int
    key: str = ""
    """What stands before the operator of a term in lower case, empty for a free word."""
    operator: str = ""
    value: str = ""
    """A term's value or the word, without quotes."""

    @property
    def text(self) -> str:
        """What was typed, but for quotes."""
        return f"{self.key}{self.operator}{self.value}"


Compile = Callable[[Token], Node]


def tokens(text: str) -> Iterator[Token]:
    """Give the pieces of a filter.

    Raises:
        FilterError: A quote is not closed.
    """
    position = depth = 0
    while position < len(text):
        letter = text[position]
        if letter.isspace():
            position += 1
        elif letter in "()":
            depth += 1 if letter == "(" else -1
            yield Token(letter, position, position + 1)
            position += 1
        elif letter == "-" and position + 1 < len(text) and not text[position + 1].isspace():
            yield Token("-", position, position + 1)
            position += 1
        else:
            end = _end_of_word(text, position, depth > 0)
            yield _word(text, position, end)
            position = end


def parse(text: str, compile_term: Compile) -> Node:
    """Return the condition that a filter stands for; empty text matches everything.

    Args:
        compile_term: Gives the condition of one term.

    Raises:
        FilterError: The filter is not understood.
    """
    pieces = list(tokens(text))
    if not pieces:
        return EVERYTHING
    return _Parser(text, pieces, compile_term).parse()


def _end_of_word(text: str, start: int, in_group: bool) -> int:
    """Return where the word ends: at white space, or at a parenthesis that closes a group, outside quotes."""
    opened = 0
    position = start
    while position < len(text):
        letter = text[position]
        if letter == '"':
            closing = text.find('"', position + 1)
            if closing < 0:
                raise FilterError(
                    "A quote is not closed.", 'Put a " where it ends, or take it away.', position, len(text)
                )
            position = closing
        elif letter.isspace():
            break
        elif letter == "(":
            opened += 1
        elif letter == ")":
            if opened == 0 and in_group:
                break
            opened -= 1
        position += 1
    return position


def _word(text: str, start: int, end: int) -> Token:
    word = text[start:end]
    if word.startswith('"'):
        return Token("term", start, end, value=word.replace('"', ""))
    if word.lower() in _OPERATORS:
        return Token(word.lower(), start, end)
    keyed = _KEYED.fullmatch(word)
    if keyed:
        return Token("term", start, end, keyed[1].lower(), keyed[2], keyed[3].replace('"', ""))
    return Token("term", start, end, value=word.replace('"', ""))


class _Parser:
    """Recursive descent: `or` binds loosest, then `and` (or nothing between two terms), then `not`."""

    def __init__(self, text: str, pieces: list[Token], compile_term: Compile) -> None:
        self._text = text
        self._pieces = pieces
        self._index = 0
        self._depth = 0
        self._compile = compile_term

    def parse(self) -> Node:
        condition = self._any_of()
        rest = self._peek()
        if rest is not None:
            raise FilterError("A parenthesis is closed that was not opened.", _LITERAL, *_at(rest))
        return condition

    def _any_of(self) -> Node:
        return self._joined("or", self._all_of)

    def _all_of(self) -> Node:
        return self._joined("and", self._negatable)

    def _joined(self, operator: str, operand: Callable[[], Node]) -> Node:
        parts = [operand()]
        while self._goes_on(operator):
            parts.append(operand())
        if len(parts) == 1:
            return parts[0]
        return Joined(operator.upper(), tuple(parts))

    def _goes_on(self, operator: str) -> bool:
        piece = self._peek()
        if piece is None or piece.kind == ")":
            return False
        if piece.kind == operator:
            self._index += 1
            return True
        return operator == "and" and piece.kind != "or"

    def _negatable(self) -> Node:
        piece = self._peek()
        self._deepen(piece)
        try:
            if piece is None or piece.kind in ("and", "or", ")"):
                raise self._missing(piece)
            self._index += 1
            if piece.kind in ("not", "-"):
                return Not(self._negatable())
            if piece.kind == "(":
                return self._group(piece)
            return self._compile(piece)
        finally:
            self._depth -= 1

    def _group(self, opening: Token) -> Node:
        condition = self._any_of()
        closing = self._peek()
        if closing is None:
            raise FilterError(
                "A parenthesis is not closed.", "Add a ) where it ends. " + _LITERAL, opening.start, len(self._text)
            )
        self._index += 1
        return condition

    def _deepen(self, piece: Token | None) -> None:
        self._depth += 1
        if self._depth > _MAX_DEPTH and piece is not None:
            raise FilterError("The filter is nested too deeply.", "Take some parentheses away.", *_at(piece))

    def _missing(self, piece: Token | None) -> FilterError:
        before = self._pieces[self._index - 1] if self._index else None
        place = piece or before
        assert place is not None  # noqa: S101
        hint = 'Quote "and", "or" and "not" where they are words to look for.'
        if before is not None and before.kind != "(":
            return FilterError(f"Nothing follows `{before.kind}`.", hint, *_at(before))
        if place.kind in ("(", ")"):
            return FilterError("There is nothing between the parentheses.", _LITERAL, *_at(place))
        return FilterError(f"Nothing stands before `{place.kind}`.", hint, *_at(place))

    def _peek(self) -> Token | None:
        return self._pieces[self._index] if self._index < len(self._pieces) else None


def _at(piece: Token) -> tuple[int, int]:
    return piece.start, piece.end
