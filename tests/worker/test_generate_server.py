"""The warm generator: its protocol over pipes, and what it answers to what."""

from __future__ import annotations

import io
import json
import os
import pickle
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.worker.conftest import ROOT, Nano

pytestmark = pytest.mark.worker


@pytest.fixture(scope="module")
def server() -> Any:
    """One server for all tests of this module: its models stay warm."""
    from sao_tui.worker.generate_server import Server

    class Recorded(Server):
        def __init__(self) -> None:
            self.replies: list[dict[str, Any]] = []
            super().__init__(self.replies.append)

        def ask(self, **request: Any) -> list[dict[str, Any]]:
            self.replies.clear()
            self._answer(json.loads(json.dumps({"id": 1, "op": "generate", **request})))
            return list(self.replies)

    return Recorded()


@pytest.fixture
def request_(nano: Nano, tmp_path) -> dict[str, Any]:
    return {
        "model": str(nano.weights),
        "model_config": nano.config,
        "text_encoder_home": str(nano.home),
        "prompt": "a low tone",
        "negative_prompt": "",
        "seconds": 1.5,
        "steps": 3,
        "cfg_scale": 4.0,
        "sampler": None,
        "seed": 11,
        "output": [str(tmp_path / "a.wav")],
        "device": "cpu",
    }


def test_a_clip_is_written_as_asked_and_reported_step_by_step(server, request_) -> None:
    import soundfile

    replies = server.ask(**request_)
    sampling = [reply["done"] for reply in replies if reply.get("stage") == "sampling"]
    assert sampling == [1, 2, 3]
    assert [r["stage"] for r in replies if r["event"] == "progress"][-2:] == ["decoding", "writing"]
    (clip,) = replies[-1]["clips"]
    assert replies[-1]["event"] == "done"
    assert (clip["seed"], clip["seconds"], clip["sample_rate_hz"], clip["sampler"]) == (11, 1.5, 8000, "euler")
    info = soundfile.info(clip["path"])
    assert (info.frames, info.samplerate, info.channels, info.subtype) == (12000, 8000, 2, "PCM_16")
    assert [path.name for path in Path(clip["path"]).parent.iterdir()] == ["a.wav"]


def test_a_clip_is_the_same_alone_and_in_a_list(server, request_, tmp_path) -> None:
    outputs = [str(tmp_path / f"{index}.wav") for index in range(3)]
    clips = server.ask(**{**request_, "output": outputs})[-1]["clips"]
    assert [clip["seed"] for clip in clips] == [11, 12, 13]
    alone = str(tmp_path / "alone.wav")
    server.ask(**{**request_, "seed": 12, "output": [alone]})
    contents = [Path(path).read_bytes() for path in outputs]
    assert Path(alone).read_bytes() == contents[1]
    assert len(set(contents)) == 3


def test_negative_prompt_and_init_audio_change_the_clip(server, request_, tmp_path, nano: Nano) -> None:
    def make(name: str, **changes: Any) -> bytes:
        path = tmp_path / name
        replies = server.ask(**{**request_, "output": [str(path)], **changes})
        assert replies[-1]["event"] == "done", replies[-1]
        return path.read_bytes()

    plain = make("plain.wav")
    assert make("negative.wav", negative_prompt="noise") != plain
    init = {"init_audio": str(nano.dataset / "clip1.wav"), "init_noise": 0.2}
    assert make("init.wav", **init) != plain
    assert make("init2.wav", **init) == (tmp_path / "init.wav").read_bytes()


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"sampler": "pingpong"}, "pingpong"),
        ({"seconds": 9.0}, "2.048"),
        ({"steps": -1}, "steps"),
        ({"seed": -1, "output": ["/nowhere/a.wav"]}, None),
        ({"init_audio": "x.wav", "init_noise": 0.01}, "init noise"),
        ({"model": "/nowhere/model.safetensors"}, "/nowhere/model.safetensors"),
        ({"op": "sing"}, "sing"),
    ],
)
def test_a_wrong_request_is_refused_in_one_sentence(server, request_, changes, word) -> None:
    reply = server.ask(**{**request_, **changes})[-1]
    assert reply["event"] == "error"
    assert word is None or word in reply["message"]
    assert "Traceback" not in reply["message"]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"PK\x03\x04" + bytes(1_000), "is cut short"),
        (b"<html>please log in</html>", "is a web page"),
        (pickle.dumps(os.system), "would run"),
    ],
    ids=["half an archive", "web page", "pickle of code"],
)
def test_a_file_that_is_no_model_is_described_in_words(server, request_, tmp_path, content, words) -> None:
    file = tmp_path / "model.ckpt"
    file.write_bytes(content)
    (reply,) = [each for each in server.ask(**request_ | {"model": str(file)}) if each["event"] == "error"]
    assert reply["message"].startswith(f"{file} {words}")


def test_a_missing_module_is_not_a_riddle(server, request_, monkeypatch) -> None:
    def fail(*_: object) -> None:
        raise ModuleNotFoundError("No module named 'torch'", name="torch")

    monkeypatch.setattr(server, "_perform", fail)
    (reply,) = server.ask(**request_)
    assert reply["message"].endswith("does not have the module torch.")
    assert "worker" in reply["hint"]


def test_pingpong_is_the_sampler_of_an_arc_model_and_others_are_refused() -> None:
    from sao_tui.core.errors import SaoError
    from sao_tui.worker.sampling import choose_sampler

    assert choose_sampler("rf_denoiser", None) == "pingpong"
    assert choose_sampler("rectified_flow", None) == "euler"
    with pytest.raises(SaoError, match="euler does not fit"):
        choose_sampler("rf_denoiser", "euler")


def test_cancelling_ends_the_clip_and_the_next_one_is_as_ever(server, request_, tmp_path, monkeypatch) -> None:
    server.ask(**request_)
    expected = Path(request_["output"][0]).read_bytes()
    send = server._send

    def cancel_in_the_second_clip(reply: dict[str, Any]) -> None:
        send(reply)
        if reply.get("stage") == "sampling" and reply["done"] == 4:
            server._cancelled.add(1)

    monkeypatch.setattr(server, "_send", cancel_in_the_second_clip)
    outputs = [str(tmp_path / f"c{index}.wav") for index in range(3)]
    last = server.ask(**{**request_, "output": outputs})[-1]
    assert last["event"] == "cancelled"
    assert [clip["path"] for clip in last["clips"]] == outputs[:1]
    assert not Path(outputs[1]).exists()
    monkeypatch.undo()
    server.ask(**request_)
    assert Path(request_["output"][0]).read_bytes() == expected


def test_the_last_two_models_stay_warm(server, request_, nano: Nano, tmp_path, monkeypatch) -> None:
    import shutil

    copies = []
    for name in ("b", "c"):
        copies.append(tmp_path / f"{name}.safetensors")
        shutil.copy(nano.weights, copies[-1])
    server.ask(**request_)
    loads = [
        any(reply.get("stage") == "loading" for reply in server.ask(**{**request_, "model": str(path)}))
        for path in (copies[0], nano.weights, copies[0], copies[1], nano.weights)
    ]
    assert loads == [True, False, False, True, True]


def test_a_training_checkpoint_generates_with_its_ema(nano: Nano) -> None:
    import torch

    from sao_tui.worker.model import is_wrapped, unwrap

    wrapped = {
        "diffusion.model.model.a": torch.zeros(1),
        "diffusion.conditioner.c": torch.ones(1),
        "diffusion_ema.ema_model.model.a": torch.full((1,), 2.0),
        "diffusion_ema.step": torch.zeros(1),
        "losses.x": torch.zeros(1),
    }
    assert is_wrapped(wrapped)
    unwrapped = unwrap(wrapped)
    assert {name: float(value) for name, value in unwrapped.items()} == {"model.model.a": 2.0, "conditioner.c": 1.0}
    del wrapped["diffusion_ema.ema_model.model.a"]
    assert float(unwrap(wrapped)["model.model.a"]) == 0.0


def test_only_what_would_clip_is_made_softer(tmp_path) -> None:
    import soundfile
    import torch

    from sao_tui.worker.sampling import write_wav

    for peak, expected in ((0.25, 0.25), (4.0, 1.0)):
        assert write_wav(tmp_path / "x.wav", torch.full((2, 8), peak), 8000) == peak
        assert soundfile.read(tmp_path / "x.wav")[0].max() == pytest.approx(expected, abs=1e-3)


def test_the_process_speaks_json_alone_on_its_stdout_and_ends_with_its_stdin(request_, tmp_path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "sao_tui.worker.generate_server"]
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True, env=environment
        )
        assert process.stdin is not None and process.stdout is not None
        timer = threading.Timer(180, process.kill)
        timer.start()
        process.stdin.write("nonsense\n" + json.dumps({"id": 1, "op": "ping"}) + "\n")
        process.stdin.write(json.dumps({"id": 2, "op": "generate", **request_}) + "\n")
        process.stdin.flush()
        replies = list(until_done(process.stdout))
        process.stdin.close()
        assert process.wait(60) == 0
        timer.cancel()
    assert replies[0]["event"] == "error"
    assert replies[1] == {"id": 1, "event": "pong"}
    assert replies[-1]["event"] == "done", (tmp_path / "log").read_text()
    assert Path(replies[-1]["clips"][0]["path"]).exists()


def until_done(lines: Any) -> Iterator[dict[str, Any]]:
    for line in lines:
        reply = json.loads(line)
        yield reply
        if reply.get("id") == 2 and reply["event"] in ("done", "error"):
            return


def test_requests_end_with_their_source() -> None:
    from sao_tui.worker.generate_server import Server

    replies: list[dict[str, Any]] = []
    server = Server(replies.append)
    server.read_requests(io.StringIO('{"id": 7, "op": "ping"}\n'))
    server.run()
    assert replies == [{"id": 7, "event": "pong"}]
