"""Generation: one warm worker that keeps its model loaded, and the clips that it has made."""

from __future__ import annotations

import json
import re
import secrets
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sao_tui.core.errors import SaoError
from sao_tui.core.files import write_json
from sao_tui.services.generation_limits import NUM_SEEDS, check_request
from sao_tui.services.generation_model import ModelChoice, choose_model
from sao_tui.services.hashes import sha256_of_file, sha256_of_json
from sao_tui.services.json_lines import JsonLinesProcess
from sao_tui.services.worker_process import worker_environment

if TYPE_CHECKING:
    from sao_tui.services.workspace import Workspace

Progress = Callable[[int, int, str], None]
"""Called with (done, total, stage); stages are loading, sampling, decoding and writing."""

LOG_NAME = "generator.log"
CANCEL_SECONDS = 5.0
"""Time that the worker gets to leave off before it is ended and started again."""
ROUNDING_SECONDS = 0.05
"""Who asks for 11.9 s means the 11.888 s that the model has."""


@dataclass(frozen=True)
class GenerateRequest:
    """What is to be generated; None leaves it to the model's objective and length."""

    prompt: str
    negative_prompt: str = ""
    """Without effect at a cfg_scale of 1."""
    seconds: float | None = None
    steps: int | None = None
    cfg_scale: float | None = None
    sampler: str | None = None
    seed: int | None = None
    """Of the first clip, the next ones count on; None draws one."""
    count: int = 1
    model: Path | None = None
    """Weights; None for the workspace's base weights."""
    init_audio: Path | None = None
    """Clip to begin with instead of noise alone."""
    init_noise: float = 0.7
    """How much of `init_audio` noise replaces: 0.12 to 1."""
    device: str = "auto"


@dataclass(frozen=True)
class GeneratedClip:
    """One clip and everything needed to make it again."""

    path: Path
    seed: int
    seconds: float
    sample_rate_hz: int
    prompt: str = ""
    negative_prompt: str = ""
    steps: int = 0
    cfg_scale: float = 0.0
    sampler: str = ""
    model: str = ""
    """Relative to the workspace where it lies inside."""
    weights_sha256: str = ""
    config_sha256: str = ""
    init_audio: str = ""
    init_noise: float | None = None
    created: float = 0.0
    """Unix seconds."""


class GenerationCancelled(SaoError):  # noqa: N818 - what the user wanted, not an error
    """The user left off; `clips` were finished before."""

    def __init__(self, clips: Sequence[GeneratedClip] = ()) -> None:
        super().__init__(f"Cancelled after {len(clips)} finished clips." if clips else "Cancelled.")
        self.clips = list(clips)


@dataclass
class _Call:
    """The call of `generate` that is going on."""

    process: JsonLinesProcess
    id: int = 0
    is_cancelled: threading.Event = field(default_factory=threading.Event)
    give_up_at: float | None = None
    """When a cancelled worker that does not heed is ended."""


class Generator:
    """The warm worker of one workspace; any thread may call, one clip is made at a time."""

    def __init__(
        self,
        workspace: Workspace,
        clock: Callable[[], float] = time.time,
        command: Sequence[str] | None = None,
    ) -> None:
        """Prepare; nothing is started yet.

        Args:
            clock: Unix seconds.
            command: Started in place of `PYTHON -m sao_tui.worker.generate_server`.
        """
        self._workspace = workspace
        self._clock = clock
        self._command = list(command or (workspace.worker_python, "-m", "sao_tui.worker.generate_server"))
        self._one_at_a_time = threading.Lock()
        self._starting = threading.Lock()
        self._process: JsonLinesProcess | None = None
        self._call: _Call | None = None
        self._last_id = 0

    def start(self) -> None:
        """Start the worker, so that its imports are over when the first prompt comes.

        Raises:
            SaoError: It cannot be started.
        """
        self._running_process()

    def generate(self, request: GenerateRequest, on_progress: Progress | None = None) -> list[GeneratedClip]:
        """Make the clips of a request; each is on disk with its description when the next one begins.

        Raises:
            SaoError: The request cannot be met, or the worker failed or ended.
            GenerationCancelled: cancel() or close() was called.
        """
        with self._one_at_a_time:
            choice = choose_model(self._workspace, request.model)
            resolved = _resolve(request, choice)
            call = self._call = _Call(self._running_process())
            clips: list[GeneratedClip] = []
            try:
                for index in range(request.count):
                    if call.is_cancelled.is_set():
                        raise GenerationCancelled(clips)
                    clips.append(self._make_one(call, resolved, choice, index, on_progress))
            except GenerationCancelled:
                raise GenerationCancelled(clips) from None
            finally:
                self._call = None
            return clips

    def cancel(self) -> None:
        """Leave off what is being generated; the worker stays warm if it heeds."""
        call = self._call
        if call is not None:
            # generate() passes it on: from here it could come before the request that it is about.
            call.is_cancelled.set()

    def close(self) -> None:
        """End the worker; generate() starts another one."""
        call = self._call
        if call is not None:
            call.is_cancelled.set()
        with self._starting:
            process, self._process = self._process, None
        if process is not None:
            process.close()

    def _running_process(self) -> JsonLinesProcess:
        """Return the worker, started again when it has ended."""
        workspace = self._workspace
        with self._starting:
            if self._process is None or not self._process.is_alive:
                home = workspace.text_encoder_home
                environment = worker_environment(
                    workspace.worker_python, workspace.cache_folder, str(home) if home else None
                )
                log_file = workspace.cache_folder / LOG_NAME
                self._process = JsonLinesProcess(self._command, environment, workspace.root, log_file)
            return self._process

    def _make_one(
        self, call: _Call, request: GenerateRequest, choice: ModelChoice, index: int, on_progress: Progress | None
    ) -> GeneratedClip:
        """Make clip number `index` as a request of its own, so that it can be made again alone."""
        request = replace(request, seed=(request.seed or 0) + index)
        path = self._new_path(request)
        self._last_id += 1
        call.id = self._last_id
        call.process.send(_message(call.id, request, choice, path, self._workspace.text_encoder_home))
        # The worker loads and samples meanwhile.
        weights_sha256 = sha256_of_file(choice.weights, self._workspace.cache_folder)

        def show(done: int, total: int, stage: str) -> None:
            if on_progress is not None and stage == "loading":
                on_progress(done, total, stage)
            elif on_progress is not None:
                on_progress(index * total + done, request.count * total, stage)

        made = self._await_reply(call, show)
        if not path.is_file():
            raise SaoError(f"The generator did not write {path}.", f"Read {self._workspace.cache_folder / LOG_NAME}.")
        clip = GeneratedClip(
            path=path,
            seed=request.seed or 0,
            seconds=float(made.get("seconds") or request.seconds or 0.0),
            sample_rate_hz=int(made.get("sample_rate") or made.get("sample_rate_hz") or choice.sample_rate_hz),
            prompt=request.prompt,
            negative_prompt=request.negative_prompt,
            steps=request.steps or 0,
            cfg_scale=request.cfg_scale or 0.0,
            sampler=str(made.get("sampler") or request.sampler or ""),
            model=self._relative(choice.weights),
            weights_sha256=weights_sha256,
            config_sha256=sha256_of_json(choice.config),
            init_audio=str(request.init_audio or ""),
            init_noise=request.init_noise if request.init_audio else None,
            created=self._clock(),
        )
        _describe(clip)
        return clip

    def _await_reply(self, call: _Call, show: Progress) -> dict[str, Any]:
        """Return what the worker says of the finished clip."""
        while True:
            reply = self._next_reply(call)
            if reply is None or reply.get("id") != call.id:
                continue
            event = reply.get("event")
            if event == "progress":
                show(int(reply.get("done") or 0), int(reply.get("total") or 0), str(reply.get("stage") or ""))
            elif event == "done":
                clips = reply.get("clips") or [{}]
                return clips[0] if isinstance(clips[0], dict) else {}
            elif event in ("error", "cancelled"):
                if call.is_cancelled.is_set():
                    raise GenerationCancelled
                raise SaoError(str(reply.get("message") or "The generator failed."), str(reply.get("hint") or ""))

    def _next_reply(self, call: _Call) -> dict[str, Any] | None:
        """Return what the worker says next, None when it was silent for a moment."""
        if call.is_cancelled.is_set():
            if call.give_up_at is None:
                call.give_up_at = time.monotonic() + CANCEL_SECONDS
                call.process.send({"id": call.id, "op": "cancel"})
            elif time.monotonic() >= call.give_up_at:
                # It loads or hangs, and nobody wants the result.
                call.process.close()
                raise GenerationCancelled
        try:
            return call.process.receive(timeout=0.2)
        except EOFError:
            if call.is_cancelled.is_set():
                raise GenerationCancelled from None
            ending = call.process.ending()
            raise SaoError(f"The generator ended. {ending.reason}", ending.hint) from None

    def _new_path(self, request: GenerateRequest) -> Path:
        """Return a name of its own for a clip."""
        folder = self._workspace.generations_folder
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise SaoError(
                f"Cannot make {folder}: {error.strerror}.", "Check its permissions and the space."
            ) from error
        moment = time.strftime("%Y%m%d-%H%M%S", time.localtime(self._clock()))
        stem = f"{moment}-{_slug(request.prompt)}-{request.seed}"
        candidates = (folder / f"{stem}{tail}.wav" for tail in ("", *(f"-{number}" for number in range(2, 1_000))))
        return next(path for path in candidates if not path.exists() and not path.with_suffix(".json").exists())

    def _relative(self, path: Path) -> str:
        root = self._workspace.root
        return str(path.relative_to(root) if path.is_relative_to(root) else path)


def history(workspace: Workspace, limit: int | None = None) -> list[GeneratedClip]:
    """Return the clips generated so far, newest first; what is not described or not there is left out."""
    clips: list[GeneratedClip] = []
    # Names begin with the time.
    for file in sorted(workspace.generations_folder.glob("*.json"), reverse=True):
        if limit is not None and len(clips) >= limit:
            break
        clip = _read_description(file)
        if clip is not None and clip.path.is_file():
            clips.append(clip)
    return sorted(clips, key=lambda clip: (clip.created, clip.path.name), reverse=True)


def _resolve(request: GenerateRequest, choice: ModelChoice) -> GenerateRequest:
    """Return the request with everything decided.

    Raises:
        SaoError: It cannot be met.
    """
    defaults = choice.defaults
    seconds = defaults.seconds if request.seconds is None else request.seconds
    if defaults.seconds < seconds <= defaults.seconds + ROUNDING_SECONDS:
        seconds = defaults.seconds
    resolved = replace(
        request,
        seconds=seconds,
        steps=defaults.steps if request.steps is None else request.steps,
        cfg_scale=defaults.cfg_scale if request.cfg_scale is None else request.cfg_scale,
        sampler=request.sampler or defaults.sampler,
        seed=secrets.randbelow(max(1, NUM_SEEDS - request.count)) if request.seed is None else request.seed,
        init_audio=request.init_audio.absolute() if request.init_audio else None,
    )
    check_request(resolved, defaults.seconds)
    return resolved


def _message(
    request_id: int, request: GenerateRequest, choice: ModelChoice, path: Path, text_encoder_home: Path | None
) -> dict[str, Any]:
    """Return the request as the worker's protocol has it."""
    return {
        "id": request_id,
        "op": "generate",
        "model": str(choice.weights),
        "model_config": choice.config,
        "text_encoder_home": str(text_encoder_home) if text_encoder_home else None,
        "prompt": request.prompt,
        "negative_prompt": request.negative_prompt,
        "seconds": request.seconds,
        "steps": request.steps,
        "cfg_scale": request.cfg_scale,
        "sampler": request.sampler,
        "seed": request.seed,
        "count": 1,
        "init_audio": str(request.init_audio) if request.init_audio else None,
        "init_noise": request.init_noise,
        "output": [str(path)],
        "device": request.device,
    }


def _describe(clip: GeneratedClip) -> None:
    """Write the description beside a clip."""
    file = clip.path.with_suffix(".json")
    described = {name: value for name, value in vars(clip).items() if name != "path"}
    try:
        write_json(file, {"file": clip.path.name, **described})
    except OSError as error:
        raise SaoError(
            f"{clip.path} is there, but {file.name} cannot be written: {error.strerror}.",
            "Free some space on its disk.",
        ) from error


def _read_description(file: Path) -> GeneratedClip | None:
    """Return the clip that a file describes, None when it describes none."""
    try:
        described = json.loads(file.read_text(encoding="utf-8"))
        known = {name: described[name] for name in GeneratedClip.__dataclass_fields__ if name in described}
        clip = GeneratedClip(**{**known, "path": file.with_suffix(".wav")})
        return replace(clip, created=float(clip.created), seed=int(clip.seed), seconds=float(clip.seconds))
    except (OSError, ValueError, TypeError, AttributeError):
        return None


def _slug(prompt: str) -> str:
    """Return a prompt as part of a file name."""
    return re.sub(r"[^a-z0-9]+", "-", prompt.lower()).strip("-")[:40].rstrip("-") or "clip"
