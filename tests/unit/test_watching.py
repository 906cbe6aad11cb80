"""Noticing new clips through the operating system."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from sao_tui.services import watching
from sao_tui.services.watching import file_system_of, watch_folder, watch_folders

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


MOUNTS = r"""
22 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw
40 22 0:40 / /data rw shared:5 - nfs4 server:/export rw
41 40 0:41 / /data/local rw - ext4 /dev/vdb rw
42 22 0:42 / /mnt/my\040sounds rw - fuse.sshfs me@there: rw
43 22 0:43 / /over rw - ext4 /dev/vdc rw
44 22 0:44 / /over rw - cifs //server/share rw
nonsense
"""


@pytest.mark.parametrize(
    ("folder", "kind"),
    [
        ("/home/me", "ext4"),
        ("/data", "nfs4"),
        ("/data/sounds", "nfs4"),
        ("/database", "ext4"),
        ("/data/local/x", "ext4"),
        ("/mnt/my sounds/kicks", "fuse.sshfs"),
        ("/over/x", "cifs"),
    ],
)
def test_the_file_system_is_that_of_the_nearest_mount(tmp_path: Path, folder: str, kind: str) -> None:
    mounts = tmp_path / "mountinfo"
    mounts.write_text(MOUNTS)
    assert file_system_of(Path(folder), mounts) == kind
    assert file_system_of(Path(folder), tmp_path / "absent") == ""


def run_until_changed(folder: Path, change: Callable[[int], None], **options: float) -> tuple[list[object], list[str]]:
    """Watch while `change` is made again and again, and return what was noticed and said."""
    noticed: list[object] = []
    said: list[str] = []
    stop = threading.Event()
    arguments = (folder, noticed.append, stop.is_set, said.append)
    thread = threading.Thread(target=watch_folders, args=arguments, kwargs=options)
    thread.start()
    number = 0
    while not noticed and number < 200:
        number += 1
        change(number)
        stop.wait(0.1)
    stop.set()
    thread.join(SECONDS)
    assert not thread.is_alive()
    return noticed, said


def test_the_folders_that_changed_are_named(tmp_path: Path) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "c").mkdir()
    noticed, said = run_until_changed(tmp_path, lambda number: (tmp_path / f"a/b/{number}.wav").touch())
    assert noticed[0] == ["a/b"] and said == []
    noticed, _ = run_until_changed(tmp_path, lambda number: (tmp_path / f"{number}.wav").touch())
    assert noticed[0] == [""]


def test_a_network_mount_is_looked_at_now_and_then_and_that_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watching, "file_system_of", lambda _folder: "nfs4")
    noticed, said = run_until_changed(tmp_path, lambda _number: None, poll_seconds=0.05)
    assert noticed[0] is None
    assert said == [f"Changes in {tmp_path.name} are looked for every 0 s: it is on nfs4."]


def test_a_system_without_notices_is_looked_at_now_and_then(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("watchfiles.watch", refuse)
    noticed, said = run_until_changed(tmp_path, lambda _number: None, poll_seconds=0.05)
    assert noticed[0] is None and "no space left on device" in said[0]
