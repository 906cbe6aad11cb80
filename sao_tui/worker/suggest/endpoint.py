"""The captioner that asks: any OpenAI-compatible /chat/completions endpoint that takes audio.

The key comes from an environment variable alone. It is sent to the one host of the URL, over https unless that
is this machine; redirects are not followed, since they would carry it elsewhere.
"""

from __future__ import annotations

import base64
import io
import json
import os
import time
import urllib.error
import urllib.request
from email.message import Message
from http.client import HTTPException
from typing import IO, Any

from sao_tui.core.captioners import CAPTIONERS, CaptionerInfo
from sao_tui.core.endpoints import completions_url, is_loopback
from sao_tui.core.errors import SaoError
from sao_tui.worker.suggest.audio import read_mono
from sao_tui.worker.suggest.base import Clip, ClipError, Context, Suggestion

FIRST_WAIT_SECONDS = 1.0
MAX_WAIT_SECONDS = 60.0
MAX_ANSWER_BYTES = 1_000_000
MAX_TEXT_LETTERS = 1_000
MAX_FAILURES_IN_A_ROW = 5
"""Clips without an answer after which the endpoint is taken to be at fault, not the clips."""
_SLICE_SECONDS = 0.2


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    def redirect_request(
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: Message, newurl: str
    ) -> None:
        return None


class _Retry(Exception):  # noqa: N818 - not an error yet
    """The endpoint may answer later."""

    def __init__(self, reason: str, wait_seconds: float | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.wait_seconds = wait_seconds


class EndpointCaptioner:
    """Asks a model behind a URL."""

    def __init__(self) -> None:
        self._options: dict[str, str] = {}
        self._url = ""
        self._key = ""
        self._num_failed_in_a_row = 0
        self._context: Context | None = None
        self._opener = urllib.request.build_opener(_NoRedirects)

    def describe(self) -> CaptionerInfo:
        """Return what it is."""
        return CAPTIONERS["openai"]

    def prepare(self, context: Context) -> None:
        """Check the URL and find the key.

        Raises:
            SaoError: The URL is none that a key may be sent to, or the key is missing.
        """
        import soundfile  # noqa: F401 - so that it is missed before the first clip

        self._context = context
        self._options = dict(context.options)
        self._url = completions_url(self._options["url"])
        variable = self._options["key_variable"]
        self._key = os.environ.get(variable, "").strip()
        handlers: list[Any] = [_NoRedirects]
        if is_loopback(self._url):
            handlers.append(urllib.request.ProxyHandler({}))
        elif not self._key:
            raise SaoError(
                f"The environment variable {variable} holds no key", f"export {variable}=…, then start again."
            )
        self._opener = urllib.request.build_opener(*handlers)

    def suggest(self, clip: Clip) -> Suggestion:
        """Send the clip and return the answer."""
        audio = read_mono(clip, int(self._options["rate"]), float(self._options["seconds"]))
        body = json.dumps(self._request(audio)).encode()
        try:
            answer = self._ask_patiently(body, clip)
        except ClipError as error:
            self._num_failed_in_a_row += 1
            if self._num_failed_in_a_row >= MAX_FAILURES_IN_A_ROW and not self._should_stop():
                raise SaoError(
                    f"{self._url} failed for {MAX_FAILURES_IN_A_ROW} clips in a row; the last: {error.message}",
                    "See to the endpoint, then resume the job.",
                ) from error
            raise
        self._num_failed_in_a_row = 0
        text, model = _content(answer, clip)
        details = {"model": model or self._options["model"], "url": self._url}
        return Suggestion(text, None, f"openai:{self._options['model']}", details)

    def _request(self, audio_N: Any) -> dict[str, Any]:
        sound = {"data": _wav_base64(audio_N, int(self._options["rate"])), "format": "wav"}
        content = [{"type": "text", "text": self._options["prompt"]}, {"type": "input_audio", "input_audio": sound}]
        return {
            "model": self._options["model"],
            "messages": [{"role": "user", "content": content}],
            "max_tokens": int(self._options["max_tokens"]),
        }

    def _ask_patiently(self, body: bytes, clip: Clip) -> bytes:
        wait_seconds = FIRST_WAIT_SECONDS
        for attempt in range(int(self._options["retries"]) + 1):
            try:
                return self._ask(body)
            except _Retry as retry:
                reason = retry.reason
                if attempt == int(self._options["retries"]):
                    break
                self._wait(retry.wait_seconds or wait_seconds)
                wait_seconds = min(wait_seconds * 2, MAX_WAIT_SECONDS)
            if self._should_stop():
                break
        raise ClipError(f"{clip.name} got no answer: {self._without_key(reason)}", "Resume the job to try it again.")

    def _ask(self, body: bytes) -> bytes:
        headers = {"Content-Type": "application/json", "Accept": "application/json"}
        if self._key:
            headers["Authorization"] = f"Bearer {self._key}"
        # The scheme was checked when the URL was.
        request = urllib.request.Request(self._url, body, headers)  # noqa: S310
        try:
            with self._opener.open(request, timeout=float(self._options["timeout"])) as response:
                return bytes(response.read(MAX_ANSWER_BYTES + 1))
        except urllib.error.HTTPError as error:
            with error:
                raise self._refusal(error) from error
        except (OSError, HTTPException) as error:
            reason = getattr(error, "reason", error)
            raise _Retry(f"{type(error).__name__}: {reason}") from error

    def _refusal(self, error: urllib.error.HTTPError) -> Exception:
        """Return what an HTTP status means: try later, or no clip will do better."""
        try:
            said = " ".join(error.read(2_000).decode(errors="replace").split())[:300]
        except (OSError, HTTPException):
            said = ""
        said = self._without_key(said)
        status = f"HTTP {error.code}" + (f": {said}" if said else "")
        if error.code == 429 or error.code >= 500 or error.code == 408:
            return _Retry(status, _retry_after(error.headers.get("Retry-After")))
        variable = self._options["key_variable"]
        hints = {
            401: f"Check the key in the environment variable {variable}.",
            403: f"The key in {variable} may not use this model.",
            404: "Check the options url and model.",
        }
        if 300 <= error.code < 400:
            return SaoError(f"{self._url} answers with a redirect ({status[:8]})", "Give the URL that it leads to.")
        return SaoError(
            f"{self._url} refuses: {status}", hints.get(error.code, "Check that the model takes audio (input_audio).")
        )

    def _wait(self, seconds: float) -> None:
        """Wait, in slices, so that a stop is heard."""
        deadline = time.monotonic() + min(seconds, MAX_WAIT_SECONDS)
        while time.monotonic() < deadline and not self._should_stop():
            time.sleep(min(_SLICE_SECONDS, max(0.0, deadline - time.monotonic())))

    def _should_stop(self) -> bool:
        return self._context is not None and self._context.should_stop()

    def _without_key(self, text: str) -> str:
        return text.replace(self._key, "…") if self._key else text


def _content(answer: bytes, clip: Clip) -> tuple[str, str]:
    """Return the text of an answer and the model that it names."""
    try:
        document = json.loads(answer)
        content = document["choices"][0]["message"]["content"]
        if isinstance(content, list):
            content = " ".join(str(part.get("text", "")) for part in content)
        if not isinstance(content, str):
            raise TypeError
    except (ValueError, KeyError, IndexError, TypeError, AttributeError) as error:
        raise ClipError(f"{clip.name} got an answer that is no chat completion", "Check the option url.") from error
    model = document.get("model")
    return one_sentence(content), model if isinstance(model, str) else ""


def one_sentence(text: str) -> str:
    """Return a model's answer as a caption is written: one line, without quotes around it."""
    line = " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())
    for mark in ('"', "'", "“”"):
        if len(line) > 1 and line[0] == mark[0] and line[-1] == mark[-1]:
            line = line[1:-1].strip()
    return line[:MAX_TEXT_LETTERS]


def _wav_base64(audio_N: Any, sample_rate_hz: int) -> str:
    import soundfile

    buffer = io.BytesIO()
    soundfile.write(buffer, audio_N, sample_rate_hz, format="WAV", subtype="PCM_16")
    return base64.b64encode(buffer.getvalue()).decode()


def _retry_after(value: str | None) -> float | None:
    try:
        seconds = float(value or "")
    except ValueError:
        return None
    return min(seconds, MAX_WAIT_SECONDS) if seconds >= 0 else None
