"""Findings: what a check has to say, in the shape that `--json` prints."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any, Literal

Severity = Literal["error", "warning", "info"]


@dataclass(frozen=True)
class Finding:
    """One result of a check."""

    id: str
    """Stable name, such as `caption-missing`."""
    severity: Severity
    message: str
    """One sentence that names the file or field."""
    where: str | None = None
    """Path or field the finding is about."""
    fix: str = ""
    """The key, command or edit that cures it."""


def is_ok(findings: Iterable[Finding]) -> bool:
    """Return whether nothing stands in the way: no finding is an error."""
    return all(finding.severity != "error" for finding in findings)


def report(findings: Iterable[Finding]) -> dict[str, Any]:
    """Return the JSON document of doctor, `dataset lint` and `config check`."""
    found = list(findings)
    return {"ok": is_ok(found), "findings": [asdict(finding) for finding in found]}
