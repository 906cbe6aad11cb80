from __future__ import annotations

from pathlib import Path

import pytest

from sao_tui.services.endings import explain_ending, read_log_tail


@pytest.mark.parametrize(
    ("code", "number", "log", "reason"),
    [
        (
            1,
            None,
            ["torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2 GiB"],
            "The GPU ran out of memory.",
        ),
        (None, 6, ["terminate called", "what(): CUDA out of memory"], "The GPU ran out of memory."),
        (None, 9, ["CUDA out of memory in a demo, going on"], "killed by signal 9"),
        (1, None, ["OSError: [Errno 28] No space left on device: '/dev/shm/x'"], "Shared memory (/dev/shm) is full."),
        (1, None, ["OSError: [Errno 28] No space left on device"], "The disk is full."),
        (1, None, ["MemoryError"], "The machine ran out of memory."),
        (None, 7, [], "shared memory"),
        (None, 15, [], "signal 15 (SIGTERM)"),
        (None, 60, [], "signal 60 (unknown)"),
        (1, None, ["ModuleNotFoundError: No module named 'torch'"], "does not have the module torch."),
        (1, None, ["ModuleNotFoundError: No module named 'torch'", "bye"], "does not have the module torch."),
        (1, None, ["/usr/bin/python: No module named sao_tui.worker"], "does not have the module sao_tui.worker."),
        (1, None, ["Traceback (most recent call last):", "my.lib.OddError: it is odd"], "my.lib.OddError: it is odd"),
        (1, None, ["KeyError: 'state_dict'", "wandb: cleaning up"], "KeyError: 'state_dict'"),
        (3, None, ["nothing of use"], "exit code 3"),
        (0, None, [], "exit code 0"),
        (None, None, [], "nobody saw how"),
    ],
)
def test_an_ending_is_recognised(code: int | None, number: int | None, log: list[str], reason: str) -> None:
    ending = explain_ending(code, number, log)
    assert reason in ending.reason
    assert ending.hint
    assert "\n" not in ending.reason


def test_the_tail_of_a_log_is_safe_to_show(tmp_path: Path) -> None:
    log = tmp_path / "worker.log"
    log.write_bytes(
        b"first\n\n\x1b[31mred\x1b[0m\r\n  0%|   |\r 50%|## |\r100%|###|\n\x1b]0;title\x07bell\x07\xff\n" + b"x" * 9_000
    )
    tail = read_log_tail(log)
    assert tail[:4] == ["first", "red", "100%|###|", "bell\N{REPLACEMENT CHARACTER}"]
    assert len(tail[4]) == 500


def test_only_the_last_lines_of_a_long_log_are_kept(tmp_path: Path) -> None:
    log = tmp_path / "worker.log"
    log.write_text("".join(f"line {number}\n" for number in range(50_000)))
    assert read_log_tail(log, num_lines=2) == ["line 49998", "line 49999"]
    assert read_log_tail(tmp_path / "none.log") == []
