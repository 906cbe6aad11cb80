"""Noticing new clips through the operating system."""

from __future__ import annotations

import threading
from pathlib import Path

from sao_tui.services.watching import watch_folder

SECONDS = 20.0


def test_a_new_clip_is_noticed_and_the_watch_ends_when_asked(tmp_path: Path) -> None:
    noticed, stop = threading.Event(), threading.Event()
    thread = threading.Thread(target=watch_folder, args=(tmp_path, noticed.set, stop.is_set))
    thread.start()
    number = 0
    while not noticed.wait(0.2):  # The watch may not be armed yet when the first clip comes.
        number += 1
        assert number < SECONDS / 0.2
        (tmp_path / f"{number}.wav").write_bytes(b"RIFF")
    stop.set()
    thread.join(SECONDS)
    assert not thread.is_alive()


def test_captions_and_hidden_files_are_not_clips(tmp_path: Path) -> None:
    noticed, armed, stop = [], threading.Event(), threading.Event()

    def on_change() -> None:
        noticed.append(sorted(path.name for path in tmp_path.iterdir()))
        armed.set()

    thread = threading.Thread(target=watch_folder, args=(tmp_path, on_change, stop.is_set))
    thread.start()
    for number in range(100):
        (tmp_path / "metadata.jsonl").write_text(f"{number}\n")
        (tmp_path / ".half-written.part").write_text(f"{number}\n")
        if stop.wait(0.01):
            break
    assert noticed == []
    while not armed.wait(0.2):
        (tmp_path / f"clip-{len(list(tmp_path.iterdir()))}.wav").write_bytes(b"RIFF")
    stop.set()
    thread.join(SECONDS)
    assert any(name.startswith("clip-") for name in noticed[0])
