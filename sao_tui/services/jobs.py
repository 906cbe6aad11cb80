"""Jobs: start them detached, list them, ask them to stop. A job is a folder; nobody needs to stay attached."""

from __future__ import annotations

import copy
import os
import re
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sao_tui import __version__
from sao_tui.core.errors import SaoError
from sao_tui.core.jobs import FINAL_STATES, JobFolder, JobKind, JobSpec, JobState
from sao_tui.core.settings import EncodeSettings, SuggestSettings, TrainSettings
from sao_tui.services.launch import await_first_word, start_supervisor
from sao_tui.services.liveness import Life, look
from sao_tui.services.worker_process import end_group

if TYPE_CHECKING:
    from sao_tui.services.workspace import Workspace

POLL_SECONDS = 0.2

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


@dataclass(frozen=True)
class JobView:
    """A job as it is now."""

    name: str
    kind: JobKind
    state: JobState
    """Derived from lock, processes and heartbeat at the moment of asking."""
    step: int
    steps: int
    """Optimizer steps, or clips to encode, that were asked for; 0 while unknown."""
    reason: str
    """Why it ended or waits, in one sentence."""
    hint: str
    """What to do about the reason."""
    pid: int | None
    """The live worker's."""
    path: Path
    """The job's folder."""
    created: float
    """Unix seconds."""
    log_tail: tuple[str, ...] = ()
    """Last lines of worker.log when it ended badly."""
    exit_code: int | None = None
    exit_signal: int | None = None

    @property
    def is_final(self) -> bool:
        """Whether it has ended."""
        return self.state in FINAL_STATES

    @property
    def folder(self) -> JobFolder:
        """The files of the job."""
        return JobFolder(self.path)


JobViews = list[JobView]


class Jobs:
    """The jobs of one workspace."""

    def __init__(
        self,
        workspace: Workspace,
        clock: Callable[[], float] = time.time,
        worker_command: Sequence[str] | None = None,
    ) -> None:
        """Manage the jobs in the workspace's `runs` folder.

        Args:
            clock: Unix seconds.
            worker_command: Started in place of `PYTHON -m sao_tui.worker`; the job folder is appended.
        """
        self._workspace = workspace
        self._clock = clock
        self._worker_command = list(worker_command or ())
        self._specs: dict[Path, JobSpec] = {}
        self._launched: list[subprocess.Popen[bytes]] = []
        self._reaping = threading.Lock()

    def start_train(
        self,
        settings: TrainSettings,
        model_config: dict[str, Any],
        dataset_config: dict[str, Any],
        name: str | None = None,
    ) -> JobView:
        """Start a training run, detached; nothing is checked here.

        Raises:
            SaoError: The job's folder cannot be made, or its supervisor does not start.
        """
        resolved = replace(
            settings,
            base_weights=self._absolute(settings.base_weights),
            resume_from=self._absolute(settings.resume_from),
            latents=self._absolute(settings.latents),
            text_encoder_home=self._text_encoder_home(settings.text_encoder_home),
        )
        return self._start("train", asdict(resolved), model_config, dataset_config, name)

    def start_encode(
        self,
        settings: EncodeSettings,
        model_config: dict[str, Any],
        dataset_config: dict[str, Any],
        name: str | None = None,
    ) -> JobView:
        """Start the pre-encoding of the dataset, detached; nothing is checked here.

        Raises:
            SaoError: The job's folder cannot be made, or its supervisor does not start.
        """
        resolved = replace(
            settings,
            base_weights=self._absolute(settings.base_weights) or "",
            output=self._absolute(settings.output) or "",
            text_encoder_home=self._text_encoder_home(settings.text_encoder_home),
        )
        return self._start("encode", asdict(resolved), model_config, dataset_config, name)

    def start_suggest(
        self, settings: SuggestSettings, fill: Callable[[Path], None], name: str | None = None
    ) -> JobView:
        """Start a job that suggests captions, detached; `fill` writes its clips into the folder first.

        Raises:
            SaoError: The job's folder cannot be made or filled, or its supervisor does not start.
        """
        return self._start("suggest", asdict(settings), {}, {}, name, fill)

    def list(self) -> JobViews:
        """Return all jobs, newest first.

        Raises:
            SaoError: The folder of jobs cannot be read.
        """
        runs = self._workspace.runs_folder
        try:
            folders = [Path(entry.path) for entry in os.scandir(runs) if entry.is_dir()]
        except FileNotFoundError:
            return []
        except OSError as error:
            raise SaoError(f"Cannot read {runs}: {error.strerror}.", "Check the folder's permissions.") from error
        # A folder without job.json was never started: its maker was killed between the two, or it is not ours.
        views = [self._view(JobFolder(path)) for path in folders if (path / "job.json").exists()]
        return sorted(views, key=lambda view: (view.created, view.name), reverse=True)

    def get(self, name: str) -> JobView:
        """Return one job.

        Raises:
            SaoError: There is no such job.
        """
        folder = JobFolder(self._workspace.runs_folder / name)
        if not _NAME.fullmatch(name) or not folder.job_file.exists():
            raise SaoError(f"There is no job named {name}.", "See `sao-tui train list` for the jobs there are.")
        return self._view(folder)

    def latest_running(self) -> JobView | None:
        """Return the newest job that has not ended."""
        return next((view for view in self.list() if not view.is_final and view.state != "hung"), None)

    def stop(self, name: str) -> JobView:
        """Ask a job to write a checkpoint and leave; asking again changes nothing.

        Raises:
            SaoError: It has ended already, or its folder cannot be written.
        """
        view = self._unfinished(name)
        if view.state == "hung":
            return self.kill(name)
        _request(view.folder, "stop")
        return self.get(name)

    def kill(self, name: str) -> JobView:
        """End a job now; what it did since its last checkpoint is lost.

        Raises:
            SaoError: It has ended already.
        """
        view = self._unfinished(name)
        is_asked = True
        try:
            _request(view.folder, "kill")
        except SaoError:
            # A full disk must not keep a job alive.
            is_asked = False
        life = self._look(view.folder, view.created)
        if not (life.is_supervised and is_asked):
            # Nobody else will do it. A supervisor that is stuck goes as well, or its lock would stay.
            if life.worker is not None:
                end_group(life.worker)
            if life.status.supervisor is not None and not life.is_supervised:
                end_group(life.status.supervisor, grace_seconds=0)
        return self.get(name)

    def wait(
        self, name: str, timeout: float | None = None, on_poll: Callable[[JobView], None] | None = None
    ) -> JobView:
        """Return the job when it has ended or hangs, or as it is after `timeout` seconds.

        Raises:
            SaoError: There is no such job.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        while True:
            self._reap()
            view = self.get(name)
            if on_poll is not None:
                on_poll(view)
            if view.is_final or view.state == "hung" or (deadline is not None and time.monotonic() >= deadline):
                return view
            time.sleep(POLL_SECONDS)

    def _start(
        self,
        kind: JobKind,
        settings: dict[str, Any],
        model_config: dict[str, Any],
        dataset_config: dict[str, Any],
        name: str | None,
        fill: Callable[[Path], None] | None = None,
    ) -> JobView:
        """Make the job's folder, have it filled and start its supervisor."""
        now = self._clock()
        folder = self._new_folder(kind, name, now)
        spec = JobSpec(
            kind=kind,
            created=now,
            settings=settings,
            model_config=model_config,
            dataset_config=_absolute_dataset(dataset_config, self._workspace.root),
            worker_python=self._workspace.worker_python,
            argv=sys.argv,
            versions={"sao_tui": __version__, "python": sys.version.split()[0]},
        )
        folder.create(spec)
        if fill is not None:
            _fill_or_remove(folder.path, fill)
        process = start_supervisor(folder, self._worker_command)
        with self._reaping:
            self._launched.append(process)
        await_first_word(folder, process)
        return self._view(folder)

    def _new_folder(self, kind: JobKind, name: str | None, now: float) -> JobFolder:
        """Return a folder that does not exist yet."""
        runs = self._workspace.runs_folder
        if name is not None:
            if not _NAME.fullmatch(name):
                raise SaoError(f"{name!r} cannot name a job.", "Use letters, digits, dots, dashes and underscores.")
            if (runs / name).exists():
                raise SaoError(f"There is a job named {name} already.", "Choose another name.")
            return JobFolder(runs / name)
        stem = f"{time.strftime('%Y%m%d-%H%M%S', time.localtime(now))}-{kind}"
        candidates = (stem if number == 1 else f"{stem}-{number}" for number in range(1, 1_000))
        return JobFolder(next(runs / each for each in candidates if not (runs / each).exists()))

    def _reap(self) -> None:
        """Let supervisors that have ended leave the process table."""
        with self._reaping:
            self._launched = [process for process in self._launched if process.poll() is None]

    def _unfinished(self, name: str) -> JobView:
        """Return a job that can still be asked for something."""
        view = self.get(name)
        if view.is_final:
            raise SaoError(f"{name} is not running: it is {view.state} already.", "See `sao-tui train list`.")
        return view

    def _look(self, folder: JobFolder, created: float) -> Life:
        return look(folder, created, self._clock())

    def _view(self, folder: JobFolder) -> JobView:
        """Return a job as it is now; one whose job.json is broken is shown as such."""
        self._reap()
        try:
            spec = self._specs.get(folder.path) or folder.read_spec()
        except SaoError as error:
            return JobView(folder.name, "train", "crashed", 0, 0, error.message, error.hint, None, folder.path, 0.0)
        self._specs[folder.path] = spec
        life = self._look(folder, spec.created)
        status = life.status
        return JobView(
            name=folder.name,
            kind=spec.kind,
            state=status.state,
            step=status.step,
            steps=status.steps or int(spec.settings.get("max_steps", 0)),
            reason=status.reason,
            hint=status.hint,
            pid=life.worker.pid if life.worker else None,
            path=folder.path,
            created=spec.created,
            log_tail=tuple(status.log_tail),
            exit_code=status.exit_code,
            exit_signal=status.exit_signal,
        )

    def _absolute(self, path: str | None) -> str | None:
        """Return a path of the workspace as an absolute one; a worker runs in its job's folder."""
        return str(self._workspace.root / Path(path).expanduser()) if path else None

    def _text_encoder_home(self, asked: str | None) -> str | None:
        default = self._workspace.text_encoder_home
        return self._absolute(asked) or (str(default) if default else None)


def _absolute_dataset(config: dict[str, Any], root: Path) -> dict[str, Any]:
    """Return upstream's dataset config with absolute paths."""
    resolved = copy.deepcopy(config)
    for item in resolved.get("datasets", []):
        for key in ("path", "custom_metadata_module"):
            if isinstance(item, dict) and isinstance(item.get(key), str):
                item[key] = str(root / Path(item[key]).expanduser())
    return resolved


def _fill_or_remove(folder: Path, fill: Callable[[Path], None]) -> None:
    """Fill a job's folder; one that cannot be filled does not stay."""
    try:
        fill(folder)
    except BaseException as error:
        shutil.rmtree(folder, ignore_errors=True)
        if isinstance(error, OSError):
            raise SaoError(f"Cannot write {folder}: {error.strerror}.", "Free some space on its disk.") from error
        raise


def _request(folder: JobFolder, word: str) -> None:
    """Leave a request in the job's folder."""
    try:
        folder.requests.mkdir(exist_ok=True)
        (folder.requests / word).touch()
    except OSError as error:
        raise SaoError(
            f"Cannot ask {folder.name} to {word}: {error.strerror}: {folder.requests}.",
            "Free some space on its disk, or end the worker's process by its pid.",
        ) from error
