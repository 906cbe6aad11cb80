"""Suggestions on the disk under services in memory, for tests of the dialog."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from sao_tui.services.jobs import JobView
from sao_tui.services.workspace import WorkspaceSettings, init_workspace
from tests.fakes.services import FakeCaptions, FakeServices

WORDS = ("tonal, deep, slow attack", "noisy, very bright", "percussive, sharp attack, 4-bar loop, 120 BPM", "dark")
JOB = "20260102-030405-suggest"


class OneEditCaptions(FakeCaptions):
    """Captions of which many can be written as one edit."""

    edits: list[tuple[str, dict[str, str]]]

    def set_many(
        self, captions: Mapping[str, str], description: str = "", *, expected: Mapping[str, str] | None = None
    ) -> int:
        changed = {path: text for path, text in captions.items() if self.get(path) != text}
        self.edits.append((description, {path: self.get(path) for path in changed}))
        self.texts.update(changed)
        return len(changed)

    def undo(self) -> str | None:
        if not self.edits:
            return None
        description, before = self.edits.pop()
        self.texts.update(before)
        return description


class NoDatabase:
    """The index's tables, where nobody looks."""

    def query(self, text: str, parameters: Sequence[object] = ()) -> list[Any]:
        return []

    def write_many(self, text: str, rows: Sequence[Sequence[object]]) -> None:
        pass


def suggestion_services(root: Path, num_suggestions: int = 40, state: str = "running") -> FakeServices:
    """Services over a workspace in which the captioner `signal` has suggested something."""
    services = FakeServices()
    services.workspace = init_workspace(root)
    services.workspace.__dict__["settings"] = WorkspaceSettings(name="kicks")
    rows = services.clips.rows(list(services.clips.ids()))
    services.captions = OneEditCaptions(rows)
    services.captions.edits = []
    services.clips.database = NoDatabase()  # type: ignore[attr-defined]
    if not num_suggestions:
        return services
    path = services.workspace.runs_folder / JOB
    path.mkdir()
    lines = []
    for index, row in enumerate(rows[:num_suggestions]):
        record = {"t": 1.0 + index, "relpath": row.relpath, "text": WORDS[index % len(WORDS)], "source": "signal"}
        record |= {"confidence": (index * 37 % 100) / 100, "details": {"centroid_hz": 310.5, "num_onsets": 4}}
        lines.append(json.dumps(record) + "\n")
    (path / "suggestions.jsonl").write_text("".join(lines))
    view = JobView(JOB, "suggest", state, num_suggestions, 60, "", "", 42, path, 1.0)  # type: ignore[arg-type]
    services.jobs.views = [view]
    return services
