from __future__ import annotations

import json
from pathlib import Path

import pytest

from sao_tui.core.errors import SaoError
from sao_tui.core.events import EventWriter
from sao_tui.services.telemetry import EventTail, read_last_events

LINE = b'{"t": 1.0, "kind": "metric", "step": 1}\n'


def test_a_file_that_is_not_there_yet_holds_no_events(tmp_path: Path) -> None:
    tail = EventTail(tmp_path / "events.jsonl")
    assert tail.read_new() == []
    (tmp_path / "events.jsonl").write_bytes(LINE)
    assert len(tail.read_new()) == 1


def test_a_torn_last_line_is_read_once_it_is_complete(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    path.write_bytes(LINE + LINE[:10])
    tail = EventTail(path)
    assert [record["step"] for record in tail.read_new()] == [1]
    assert tail.read_new() == []
    with path.open("ab") as file:
        file.write(LINE[10:])
    assert len(tail.read_new()) == 1
    assert tail.num_bad_lines == 0


def test_bad_lines_are_counted_and_skipped(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    path.write_bytes(LINE + b'{"t": 1, "kind": "met\n' + b"[1, 2]\n" + b"\xff\xfe\n" + LINE)
    tail = EventTail(path)
    assert len(tail.read_new()) == 2
    assert tail.num_bad_lines == 3


def test_a_long_file_comes_in_parts_without_loss(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    path.write_text("".join(json.dumps({"kind": "metric", "step": step}) + "\n" for step in range(25)))
    tail = EventTail(path)
    steps: list[int] = []
    while records := tail.read_new(max_records=10):
        assert len(records) <= 10
        steps += [record["step"] for record in records]
    assert steps == list(range(25))


def test_bad_lines_do_not_look_like_the_end(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    path.write_bytes(b"bad\n" * 50 + LINE)
    assert len(EventTail(path).read_new(max_records=10)) == 1


def test_what_a_writer_appends_after_a_torn_line_is_read(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    path.write_bytes(LINE + LINE[:10])
    tail = EventTail(path)
    tail.read_new()
    writer = EventWriter(path)
    writer.write("log", message="hello")
    writer.close()
    assert [record["kind"] for record in tail.read_new()] == ["log"]
    assert tail.num_bad_lines == 1


def test_a_shorter_file_in_its_place_is_read_from_its_beginning(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    path.write_bytes(LINE * 3)
    tail = EventTail(path)
    tail.read_new()
    path.write_bytes(LINE)
    assert len(tail.read_new()) == 1


def test_an_unreadable_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(SaoError, match=str(tmp_path)):
        EventTail(tmp_path).read_new()


def test_the_last_events_of_a_long_file_are_whole(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    path.write_bytes(LINE * 1_000 + b'{"kind": "state", "state": "finished"}\n' + LINE[:7])
    events = read_last_events(path, num_bytes=100)
    assert [event["kind"] for event in events] == ["metric", "state"]


def test_the_last_events_of_a_short_file_are_all_of_it(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    path.write_bytes(LINE * 2)
    assert len(read_last_events(path)) == 2
    assert read_last_events(tmp_path / "none.jsonl") == []
