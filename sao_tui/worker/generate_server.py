"""A warm generator: JSON lines in on stdin, JSON lines out on what was stdout.

Requests: {"id", "op": "generate", "model", "model_config", "text_encoder_home", "prompt",
"negative_prompt", "seconds", "steps", "cfg_scale", "sampler", "seed", "count", "output": [paths],
"init_audio", "init_noise", "device"}, {"id", "op": "load", "model", "model_config", …},
{"id", "op": "cancel"}, {"id", "op": "ping"}.
Replies: {"id", "event": "progress", "stage": "loading|sampling|decoding|writing", "done", "total"},
{"id", "event": "done", "clips": […]}, {"id", "event": "error", "message", "hint"}; to a ping
{"id", "event": "pong"}; to a cancelled request {"id", "event": "cancelled", "clips": […]}.
"""

from __future__ import annotations

import json
import os
import queue
import sys
import threading
import traceback
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any, TextIO

from sao_tui.core.errors import SaoError
from sao_tui.worker import sampling, upstream
from sao_tui.worker.startup import num_threads, prepare_environment

NUM_CACHED_MODELS = 2
OUT_OF_MEMORY_HINT = "Close other programs that use the GPU, or generate on the CPU."

Reply = Callable[..., None]


class Server:
    """Answers one request after the other; cancelling comes in between."""

    def __init__(self, send: Callable[[dict[str, Any]], None]) -> None:
        """Answer through `send`."""
        self._send = send
        self._waiting: queue.Queue[dict[str, Any] | None] = queue.Queue()
        self._models: OrderedDict[tuple[Any, ...], tuple[Any, dict[str, Any]]] = OrderedDict()
        self._cancelled: set[Any] = set()
        self._is_closing = False

    def read_requests(self, lines: TextIO) -> None:
        """Take requests until the other side is gone."""
        for line in lines:
            try:
                request = json.loads(line)
                operation = request["op"]
            except (ValueError, TypeError, KeyError):
                self._send({"id": None, "event": "error", "message": f"Not a request: {line.strip()}", "hint": ""})
                continue
            if operation == "cancel":
                self._cancelled.add(request.get("id"))
            else:
                self._waiting.put(request)
        self._is_closing = True
        self._waiting.put(None)

    def run(self) -> None:
        """Answer until the requests end."""
        while (request := self._waiting.get()) is not None:
            self._answer(request)

    def _answer(self, request: dict[str, Any]) -> None:
        number = request.get("id")

        def reply(event: str, **fields: Any) -> None:
            self._send({"id": number, "event": event, **fields})

        try:
            self._perform(request, reply)
        except sampling.CancelledError as error:
            reply("cancelled", clips=error.args[0] if error.args else [])
        except SaoError as error:
            reply("error", message=error.message, hint=error.hint)
        except Exception as error:  # the server stays up for the next request
            traceback.print_exc()
            message, hint = _in_words(error)
            reply("error", message=message, hint=hint)
        finally:
            self._cancelled.discard(number)

    def _perform(self, request: dict[str, Any], reply: Reply) -> None:
        if request["op"] == "ping":
            reply("pong")
        elif request["op"] == "load":
            self._load(request, reply)
            reply("done", clips=[])
        elif request["op"] == "generate":
            self._generate(request, reply)
        else:
            raise SaoError(f"{request['op']!r} is not an operation", "Use generate, load, cancel or ping.")

    def _generate(self, request: dict[str, Any], reply: Reply) -> None:
        outputs = [Path(path) for path in request["output"]]
        clips = [_clip_request(request, index) for index in range(len(outputs))]
        model, config = self._load(request, reply)
        device = _device(request)
        done: list[dict[str, Any]] = []
        try:
            for index, (clip, output) in enumerate(zip(clips, outputs, strict=True)):
                on_step = self._step_reporter(request, reply, clip.steps * index, clip.steps * len(clips))
                audio_CN = sampling.generate(model, config, clip, device, on_step)
                reply("progress", stage="writing", done=index, total=len(clips))
                peak = sampling.write_wav(output, audio_CN, config["sample_rate"])
                done.append(_description(output, clip, audio_CN, peak, model, config))
        except sampling.CancelledError:
            # What has been written is kept and named.
            raise sampling.CancelledError(done) from None
        reply("done", clips=done)

    def _step_reporter(self, request: dict[str, Any], reply: Reply, base: int, total: int) -> Callable[[int], None]:
        def on_step(steps_done: int) -> None:
            self._check_cancelled(request)
            reply("progress", stage="sampling", done=base + steps_done, total=total)
            if steps_done == request.get("steps", sampling.ClipRequest.steps):
                reply("progress", stage="decoding", done=base + steps_done, total=total)

        return on_step

    def _load(self, request: dict[str, Any], reply: Reply) -> tuple[Any, dict[str, Any]]:
        """Return the model and its config, warm when it was among the last NUM_CACHED_MODELS."""
        config = _read_config(request["model_config"])
        path = Path(request["model"])
        key = _model_key(path, config, _wanted_device(request))
        if key not in self._models:
            reply("progress", stage="loading", done=0, total=1)
            prepare_environment(request.get("text_encoder_home"), config)
            while len(self._models) >= NUM_CACHED_MODELS:
                self._models.popitem(last=False)
            model = _load_model(path, config)
            self._check_cancelled(request)
            self._models[key] = (model.to(_device(request)), config)
            reply("progress", stage="loading", done=1, total=1)
        self._models.move_to_end(key)
        return self._models[key]

    def _check_cancelled(self, request: dict[str, Any]) -> None:
        if self._is_closing or request.get("id") in self._cancelled:
            raise sampling.CancelledError


def main() -> int:
    """Serve until stdin ends."""
    # Whatever the libraries print goes to stderr; only replies go where stdout was.
    replies = os.fdopen(os.dup(1), "w", encoding="utf-8", buffering=1)
    os.dup2(2, 1)
    lock = threading.Lock()

    def send(reply: dict[str, Any]) -> None:
        try:
            with lock:
                replies.write(json.dumps(reply, ensure_ascii=False) + "\n")
        except BrokenPipeError:
            # Nobody is left to hear it.
            os._exit(0)

    server = Server(send)
    threading.Thread(target=server.read_requests, args=(sys.stdin,), daemon=True).start()
    server.run()
    return 0


def _load_model(path: Path, config: dict[str, Any]) -> Any:
    upstream.import_model_modules()
    upstream.apply_cures()
    import torch

    from sao_tui.worker.model import create_model, is_wrapped, load_weights, read_weights, unwrap

    torch.set_num_threads(num_threads())
    weights = read_weights(path)
    model = create_model(config)
    load_weights(model, unwrap(weights) if is_wrapped(weights) else weights, path, _log)
    return model.eval().requires_grad_(False)


def _in_words(error: Exception) -> tuple[str, str]:
    """Return what an unforeseen error means for the user, and what to do."""
    if isinstance(error, ModuleNotFoundError):
        return (
            f"The worker's Python {sys.executable} does not have the module {error.name}.",
            "Install `sao-tui[train]` into Python 3.10 or 3.11, or name its interpreter in sao.toml ([worker] python).",
        )
    is_memory = type(error).__name__ == "OutOfMemoryError"
    hint = OUT_OF_MEMORY_HINT if is_memory else "Read .sao/generator.log in the workspace."
    return f"Generating failed: {type(error).__name__}: {error}", hint


def _log(message: str) -> None:
    print(message, file=sys.stderr, flush=True)


def _clip_request(request: dict[str, Any], index: int) -> sampling.ClipRequest:
    try:
        init_audio = request.get("init_audio")
        return sampling.ClipRequest(
            prompt=str(request["prompt"]),
            seconds=float(request["seconds"]),
            # Each clip has its own seed, so that it can be made again alone.
            seed=int(request["seed"]) + index,
            steps=int(request.get("steps") or sampling.ClipRequest.steps),
            cfg_scale=float(request.get("cfg_scale", sampling.ClipRequest.cfg_scale)),
            negative_prompt=str(request.get("negative_prompt") or ""),
            sampler=request.get("sampler"),
            init_audio=Path(init_audio) if init_audio else None,
            init_noise=float(request.get("init_noise", 1.0)),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise SaoError(f"The request is incomplete: {error}", "Give prompt, seconds, seed and output.") from error


def _description(
    output: Path, clip: sampling.ClipRequest, audio_CN: Any, peak: float, model: Any, config: dict[str, Any]
) -> dict[str, Any]:
    sample_rate = config["sample_rate"]
    return {
        "path": str(output),
        "seed": clip.seed,
        "seconds": audio_CN.shape[1] / sample_rate,
        "sample_rate_hz": sample_rate,
        "sampler": sampling.choose_sampler(model.diffusion_objective, clip.sampler),
        "peak": peak,
        "objective": model.diffusion_objective,
    }


def _read_config(value: Any) -> dict[str, Any]:
    if isinstance(value, dict):
        return value
    try:
        config = json.loads(Path(value).read_text())
    except (OSError, ValueError) as error:
        raise SaoError(
            f"{value} is not a model config: {error}", "Choose the config that belongs to the model."
        ) from error
    if not isinstance(config, dict):
        raise SaoError(f"{value} is not a model config", "Choose the config that belongs to the model.")
    return config


def _model_key(path: Path, config: dict[str, Any], device: str) -> tuple[Any, ...]:
    try:
        status = path.stat()
    except OSError as error:
        raise SaoError(f"{path} does not exist", "Choose a model that does.") from error
    return (str(path), status.st_mtime_ns, status.st_size, json.dumps(config, sort_keys=True), device)


def _wanted_device(request: dict[str, Any]) -> str:
    return str(request.get("device") or "auto")


def _device(request: dict[str, Any]) -> str:
    import torch

    wanted = _wanted_device(request)
    if wanted == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    return "cuda" if wanted == "gpu" else wanted


if __name__ == "__main__":
    sys.exit(main())
