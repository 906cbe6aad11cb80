from __future__ import annotations

import json
from pathlib import Path

from sao_tui.services.run_history import MAX_LINES, RunHistory, log_line, read_history
from sao_tui.services.telemetry import EventTail


def metric(step: int, **fields: object) -> dict[str, object]:
    return {"t": 1_781_000_000.0 + step, "kind": "metric", "step": step, "loss": 1 / step, **fields}


def test_the_whole_history_of_a_run_is_read_in_one_go(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    path.write_text("".join(json.dumps(metric(step)) + "\n" for step in range(1, 5_001)))
    history = read_history(EventTail(path))
    assert history.loss.raw.num_points == 5_000
    assert history.loss.raw.last_step == 5_000
    assert history.metric["step"] == 5_000


def test_a_reader_that_is_not_wanted_any_more_stops(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    path.write_text(json.dumps(metric(1)) + "\n")
    assert read_history(EventTail(path), should_stop=lambda: True).loss.raw.num_points == 0


def test_the_time_left_follows_from_pace_and_steps() -> None:
    history = RunHistory()
    history.apply([{"kind": "state", "state": "running", "steps": 100}, metric(40, steps_per_second=4.0)])
    assert history.eta_seconds == 15


def test_the_time_left_is_unknown_without_a_pace() -> None:
    history = RunHistory()
    history.apply([metric(40, steps_per_second=None)])
    assert history.eta_seconds is None


def test_the_share_of_waiting_for_data_is_that_of_the_step() -> None:
    history = RunHistory()
    history.apply([metric(1, step_seconds=2.0, data_seconds=0.5)])
    assert history.data_wait_share == 0.25


def test_the_log_is_bounded_and_keeps_its_end() -> None:
    history = RunHistory()
    history.apply({"kind": "log", "message": f"line {number}"} for number in range(MAX_LINES + 20))
    assert len(history.lines) == MAX_LINES
    assert history.lines[-1] == f"line {MAX_LINES + 19}"
    assert history.num_lines == MAX_LINES + 20


def test_events_of_an_unexpected_shape_change_nothing() -> None:
    history = RunHistory()
    history.apply(
        [
            {"kind": "metric", "step": "three", "loss": None, "steps_per_second": "fast"},
            {"kind": "progress", "done": None, "total": "all"},
            {"kind": "gpu", "gpus": []},
            {},
        ]
    )
    assert history.loss.raw.num_points == 0
    assert history.eta_seconds is None
    assert not history.lines


def test_each_kind_of_event_has_its_words_in_the_log() -> None:
    assert log_line({"t": 0, "kind": "log", "message": "750/750 tensors"}) == "00:00:00 750/750 tensors"
    assert log_line({"kind": "warning", "message": "slow disk", "hint": "use latents"}) == (
        "warning: slow disk → use latents"
    )
    assert log_line({"kind": "checkpoint", "path": "/runs/a/step=00000500.ckpt", "step": 500}) == (
        "checkpoint step=00000500.ckpt"
    )
    assert log_line({"kind": "state", "state": "failed", "reason": "no memory"}) == "failed: no memory"
    assert log_line(metric(1)) == ""
