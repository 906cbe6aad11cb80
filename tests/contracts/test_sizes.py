"""Modules, classes and functions stay small enough to be read in one go."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import sao_tui

PACKAGE = Path(sao_tui.__file__).parent
MODULES = sorted(PACKAGE.rglob("*.py"))
MAX_LINES = {ast.ClassDef: 250, ast.FunctionDef: 40, ast.AsyncFunctionDef: 40}
MAX_MODULE_LINES = 400


def too_long(path: Path) -> Iterator[str]:
    source = path.read_text(encoding="utf-8")
    num_lines = source.count("\n")
    if num_lines > MAX_MODULE_LINES:
        yield f"{path.name} has {num_lines} lines"
    # The oldest Python that the dashboard supports must be able to read it.
    for node in ast.walk(ast.parse(source, feature_version=(3, 10))):
        limit = MAX_LINES.get(type(node))
        if limit and isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            num_lines = (node.end_lineno or node.lineno) - node.lineno + 1
            if num_lines > limit:
                yield f"{path.name}:{node.lineno} {node.name} has {num_lines} lines"


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_nothing_is_longer_than_agreed(path: Path) -> None:
    assert list(too_long(path)) == []
