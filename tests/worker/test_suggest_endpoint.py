"""The captioner that asks an endpoint, against a real HTTP server on this machine."""

from __future__ import annotations

import base64
import io
import json
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from sao_tui.core.captioners import CAPTIONERS
from sao_tui.core.errors import SaoError
from sao_tui.worker.suggest import endpoint
from sao_tui.worker.suggest.base import Clip, ClipError, Context, Suggestion
from tests.worker.test_suggest import events, lines_of, make_job, texts, work

pytestmark = pytest.mark.worker

KEY = "sk-very-secret-123"
Answer = tuple[int, dict[str, str], bytes]


def said(text: str) -> Answer:
    return 200, {}, json.dumps({"model": "ears-1", "choices": [{"message": {"content": text}}]}).encode()


@dataclass
class Endpoint:
    """What the server was asked, and what it answers next; the last answer stays."""

    url: str = ""
    answers: list[Answer] = field(default_factory=list)
    seconds: float = 0.0
    requests: list[tuple[str, dict[str, str], dict[str, Any]]] = field(default_factory=list)


@pytest.fixture
def server() -> Iterator[Endpoint]:
    state = Endpoint()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            state.requests.append((self.path, dict(self.headers), json.loads(body)))
            code, headers, answer = state.answers.pop(0) if len(state.answers) > 1 else state.answers[0]
            time.sleep(state.seconds)
            try:
                self.send_response(code)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)
            except OSError:
                pass  # The client has left.

        def log_message(self, *_: Any) -> None:
            pass

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    state.url = f"http://127.0.0.1:{http.server_port}/v1"
    threading.Thread(target=http.serve_forever, daemon=True).start()
    yield state
    http.shutdown()
    http.server_close()


@pytest.fixture
def clip(tmp_path: Path) -> Clip:
    path = tmp_path / "long.wav"
    soundfile.write(path, np.stack([np.sin(np.arange(44_100 * 40) / 20)] * 2, axis=1) * 0.5, 44_100)
    return Clip("long.wav", path)


@pytest.fixture
def ask(server: Endpoint, clip: Clip, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Suggestion]:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.setattr(endpoint, "FIRST_WAIT_SECONDS", 0.01)

    def run(should_stop: Callable[[], bool] = lambda: False, **options: str) -> Suggestion:
        given = {"url": server.url, "model": "ears", "retries": "2", **options}
        captioner = endpoint.EndpointCaptioner()
        nothing: Any = lambda *_: None  # noqa: E731
        captioner.prepare(Context(CAPTIONERS["openai"].parse(given), (), nothing, nothing, should_stop))
        return captioner.suggest(clip)

    return run


def test_the_clip_is_sent_as_mono_wav_of_at_most_30_seconds(server: Endpoint, ask: Any) -> None:
    server.answers = [said('"A low\n drone."')]
    found = ask(prompt="What is it?")
    assert (found.text, found.confidence, found.source) == ("A low drone.", None, "openai:ears")
    path, headers, body = server.requests[0]
    assert path == "/v1/chat/completions" and headers["Authorization"] == f"Bearer {KEY}"
    text, sound = body["messages"][0]["content"]
    assert (body["model"], text["text"], sound["input_audio"]["format"]) == ("ears", "What is it?", "wav")
    audio, rate = soundfile.read(io.BytesIO(base64.b64decode(sound["input_audio"]["data"])))
    assert (rate, audio.ndim) == (16_000, 1) and abs(len(audio) / rate - 30) < 0.01


def test_too_many_requests_and_a_broken_server_are_tried_again(server: Endpoint, ask: Any) -> None:
    server.answers = [(429, {"Retry-After": "0"}, b"slow down"), (503, {}, b"busy"), said("a hum")]
    assert ask().text == "a hum"
    assert len(server.requests) == 3


def test_a_wait_that_the_server_asks_for_is_kept(server: Endpoint, ask: Any) -> None:
    server.answers = [(429, {"Retry-After": "0.4"}, b""), said("a hum")]
    started = time.monotonic()
    assert ask().text == "a hum"
    assert time.monotonic() - started >= 0.4


def test_a_server_that_stays_busy_costs_the_clip(server: Endpoint, ask: Any) -> None:
    server.answers = [(500, {}, b"no")]
    with pytest.raises(ClipError, match=r"long\.wav got no answer: HTTP 500"):
        ask()
    assert len(server.requests) == 3


def test_a_slow_server_is_given_up(server: Endpoint, ask: Any) -> None:
    server.answers, server.seconds = [said("late")], 1.0
    with pytest.raises(ClipError, match="got no answer"):
        ask(timeout="0.2", retries="0")


def test_a_stop_ends_the_waiting(server: Endpoint, ask: Any) -> None:
    server.answers = [(429, {"Retry-After": "60"}, b"")]
    started = time.monotonic()
    with pytest.raises(ClipError):
        ask(should_stop=lambda: bool(server.requests))
    assert time.monotonic() - started < 10


@pytest.mark.parametrize(
    "body", [b"", b"<html>", b"[]", b'{"choices": []}', b'{"choices":[{"message":{"content":3}}]}']
)
def test_garbage_costs_the_clip(server: Endpoint, ask: Any, body: bytes) -> None:
    server.answers = [(200, {}, body)]
    with pytest.raises(ClipError, match="no chat completion"):
        ask()


def test_a_refused_key_ends_the_job_and_the_key_is_nowhere(server: Endpoint, clip: Clip, tmp_path: Path) -> None:
    server.answers = [(401, {}, f"Incorrect API key provided: {KEY}".encode())]
    options = {"url": server.url, "model": "ears", "key_variable": "EARS_KEY"}
    job = make_job(tmp_path / "job", [clip.path] * 3, "openai", options)
    assert work(job, EARS_KEY=KEY) == 1
    last = events(job, "state")[-1]
    assert last["state"] == "failed" and "HTTP 401" in last["reason"] and "EARS_KEY" in last["hint"]
    assert len(server.requests) == 1
    for file in job.path.rglob("*"):
        assert not file.is_file() or KEY.encode() not in file.read_bytes()


def test_a_redirect_is_not_followed(server: Endpoint, ask: Any) -> None:
    server.answers = [(307, {"Location": "https://example.org/"}, b"")]
    with pytest.raises(SaoError, match="redirect"):
        ask()


def test_an_endpoint_that_is_not_there_ends_the_job_after_some_clips(clip: Clip, tmp_path: Path) -> None:
    copies = []
    for index in range(8):
        copies.append(tmp_path / f"c{index}.wav")
        copies[-1].symlink_to(clip.path)
    options = {"url": "http://127.0.0.1:9/v1", "model": "m", "retries": "0"}
    job = make_job(tmp_path / "job", copies, "openai", options)
    assert work(job) == 1
    assert "5 clips in a row" in events(job, "state")[-1]["reason"]


def test_a_job_over_an_endpoint_writes_what_it_says(server: Endpoint, clip: Clip, tmp_path: Path) -> None:
    server.answers = [said("a steady hum")]
    job = make_job(tmp_path / "job", [clip.path], "openai", {"url": server.url, "model": "ears"})
    assert work(job, http_proxy="http://127.0.0.1:9") == 0
    assert texts(job) == {"long.wav": "a steady hum"}
    assert lines_of(job.path / "suggestions.jsonl")[0]["confidence"] is None
    assert "Authorization" not in server.requests[0][1] or "Bearer" in server.requests[0][1]["Authorization"]


def test_remote_endpoints_need_a_key(ask: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY")
    with pytest.raises(SaoError, match="holds no key"):
        ask(url="https://example.org/v1")
