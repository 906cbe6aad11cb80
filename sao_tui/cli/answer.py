"""What a command answers, and how it is printed."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sao_tui.core.findings import is_ok, report

if TYPE_CHECKING:
    from sao_tui.core.findings import Finding

BAR_WIDTH = 28

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")


@dataclass(frozen=True)
class Answer:
    """The result of a command: one JSON document, and the same for people."""

    document: Any
    lines: Sequence[str] = field(default_factory=tuple)
    ok: bool = True
    """False when the thing asked for is not so: exit status 1."""


def show(answer: Answer, *, as_json: bool) -> None:
    """Print an answer on stdout; clip names that are not UTF-8 come out escaped, not as a crash."""
    text = json.dumps(answer.document, indent=2) if as_json else "\n".join(map(harmless, answer.lines))
    if text:
        encoding = sys.stdout.encoding or "utf-8"
        print(text.encode(encoding, "backslashreplace").decode(encoding))
    sys.stdout.flush()


def harmless(text: str) -> str:
    """Return text with control characters escaped: names and captions of others must not steer the terminal."""
    return _CONTROL.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


def from_findings(findings: Iterable[Finding], *, good: str = "Nothing to complain about.") -> Answer:
    """Return findings as an answer that is ok when none is an error."""
    found = list(findings)
    lines = []
    for finding in found:
        where = f" ({finding.where})" if finding.where and finding.where not in finding.message else ""
        lines.append(f"{finding.severity:<8}{finding.id}: {finding.message}{where}")
        if finding.fix:
            lines.append(f"        fix: {finding.fix}")
    return Answer(report(found), lines or [good], is_ok(found))


def table(rows: Sequence[Sequence[str]], header: Sequence[str]) -> list[str]:
    """Return rows in aligned columns below a header."""
    everything = [header, *([harmless(cell) for cell in row] for row in rows)]
    widths = [max(len(row[column]) for row in everything) for column in range(len(header))]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in everything
    ]


class ProgressBar:
    """Progress on stderr: a bar that redraws itself in a terminal, a line a stage elsewhere."""

    def __init__(self, *, quiet: bool = False) -> None:
        self._quiet = quiet
        self._is_terminal = sys.stderr.isatty()
        self._shown = ""

    def __call__(self, stage: str, done: int, total: int) -> None:
        """Show how far a stage is."""
        if self._quiet:
            return
        if not self._is_terminal:
            if stage != self._shown:
                print(f"{stage} …", file=sys.stderr, flush=True)
            self._shown = stage
            return
        share = min(1.0, done / total) if total else 0.0
        filled = round(share * BAR_WIDTH)
        text = f"{stage:<38} {'━' * filled}{'─' * (BAR_WIDTH - filled)} {done}/{total or '?'}"
        if text != self._shown:
            print(f"\r\x1b[K{text}", end="", file=sys.stderr, flush=True)
        self._shown = text

    def close(self) -> None:
        """Leave the line of the bar."""
        if self._is_terminal and self._shown and not self._quiet:
            print(file=sys.stderr, flush=True)
        self._shown = ""
