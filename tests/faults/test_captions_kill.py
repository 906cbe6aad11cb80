from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from sao_tui.services.captions import CaptionStore
from sao_tui.services.workspace import init_workspace

EDITOR = """
import sys
from pathlib import Path
from sao_tui.services.captions import CaptionStore
from sao_tui.services.workspace import open_workspace

store = CaptionStore(open_workspace(Path(sys.argv[1])))
turn = int(sys.argv[2])
while True:
    turn += 1
    store.set(f"clip{turn % 50:03}.wav", f"turn {turn}")
    sys.stdout.write(f"{turn}\\n")
    sys.stdout.flush()
"""


@pytest.mark.parametrize("kill_after_seconds", [0.0, 0.05, 0.11, 0.23, 0.37])
def test_a_killed_editor_leaves_a_whole_file_with_every_acknowledged_edit(
    tmp_path: Path, kill_after_seconds: float
) -> None:
    workspace = init_workspace(tmp_path)
    extra = {"bpm": 120, "tags": ["kept"]}
    lines = [json.dumps({"audio_path": f"clip{n:03}.wav", "text": "turn 0", **extra}) for n in range(3000)]
    workspace.metadata_file.write_text("\n".join(lines) + "\n")

    editor = subprocess.Popen(
        [sys.executable, "-c", EDITOR, str(tmp_path), "0"],
        stdout=subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
    )
    assert editor.stdout is not None
    first = editor.stdout.readline()
    time.sleep(kill_after_seconds)  # The moment of death is what is varied here.
    editor.send_signal(signal.SIGKILL)
    rest = editor.stdout.read()
    editor.wait()
    acknowledged = int((first + rest).split()[-1])

    records = [json.loads(line) for line in workspace.metadata_file.read_text().splitlines()]
    assert len(records) == 3000
    assert all(record["bpm"] == 120 and record["tags"] == ["kept"] for record in records)
    store = CaptionStore(workspace)
    # The edit under way when it died may be there or not; all before it must be.
    newest = max(int(text.split()[1]) for text in store.all().values())
    assert newest in (acknowledged, acknowledged + 1)
    for turn in range(max(1, newest - 49), acknowledged + 1):
        assert store.get(f"clip{turn % 50:03}.wav") == f"turn {turn}" or newest == turn + 50
    store.set("clip000.wav", "after")
    assert sorted(os.listdir(workspace.dataset_folder)) == ["metadata.jsonl"]


def test_two_processes_that_edit_at_once_lose_nothing(tmp_path: Path) -> None:
    workspace = init_workspace(tmp_path)
    code = (
        "import sys; from pathlib import Path; from sao_tui.services.captions import CaptionStore;"
        "from sao_tui.services.workspace import open_workspace;"
        "store = CaptionStore(open_workspace(Path(sys.argv[1])));"
        "[store.set(f'{sys.argv[2]}{n}.wav', f'text {n}') for n in range(40)]"
    )
    environ = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    editors = [
        subprocess.Popen([sys.executable, "-c", code, str(tmp_path), name], env=environ) for name in ("a", "b", "c")
    ]
    assert [editor.wait(60) for editor in editors] == [0, 0, 0]
    expected = {f"{name}{n}.wav": f"text {n}" for name in ("a", "b", "c") for n in range(40)}
    assert CaptionStore(workspace).all() == expected
