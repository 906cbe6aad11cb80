"""The weights files of a workspace: what each one is, and exporting the model inside a training checkpoint."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Literal

from sao_tui.core.errors import SaoError
from sao_tui.core.files import sync_folder, write_json
from sao_tui.core.units import format_bytes
from sao_tui.core.weights import TensorInfo, WeightsError, read_header
from sao_tui.core.weights.header import DTYPE_BYTES
from sao_tui.core.weights.kinds import (
    EXPORT_KEY,
    OBJECTIVE_KEY,
    SOURCE_KEY,
    STEP_KEY,
    Kind,
    core_tensors,
)
from sao_tui.services import models
from sao_tui.services.models import ModelReport

if TYPE_CHECKING:
    from sao_tui.services.workspace import Workspace

Which = Literal["ema", "raw"]
Progress = Callable[[int, int], None]
"""Called with bytes done and bytes in all; writing and comparing count alike."""

CHUNK_BYTES = 4_194_304

_seen: dict[tuple[str, int, int, int], ModelReport] = {}
"""What files were when they were last listed, by path, size and times."""


@dataclass(frozen=True)
class CheckpointRow:
    """One weights file of a workspace."""

    path: Path
    job: str
    """Name of the run that wrote it; empty for a file in models/."""
    step: int | None
    kind: Kind
    num_bytes: int
    modified: float
    """Unix seconds."""
    has_ema: bool
    whole: bool
    """Whether it can be used: neither cut short nor dangerous."""
    message: str = ""
    """What it is, in one sentence."""


@dataclass(frozen=True)
class ExportReport:
    """What an export wrote."""

    source: Path
    path: Path
    weights: Which
    tensors: int
    verified: bool
    """Whether every byte was read back and equals the source's."""
    num_bytes: int
    seconds: float
    config: Path | None
    """Model config written beside it; None when none was found for the checkpoint."""

    def as_dict(self) -> dict[str, Any]:
        """Return the JSON document of `checkpoint export`."""
        return {
            "source": str(self.source),
            "path": str(self.path),
            "weights": self.weights,
            "tensors": self.tensors,
            "verified": self.verified,
            "bytes": self.num_bytes,
            "seconds": round(self.seconds, 3),
            "config": None if self.config is None else str(self.config),
        }


def list_checkpoints(workspace: Workspace) -> list[CheckpointRow]:
    """Return the checkpoints of all runs and the files in models/, newest first."""
    files = [
        *((path.parent.parent.name, path) for path in workspace.runs_folder.glob("*/checkpoints/*")),
        *(("", path) for path in workspace.models_folder.glob("*")),
    ]
    rows = [row for job, path in files if (row := _row(job, path)) is not None]
    return sorted(rows, key=lambda row: (row.modified, row.step or 0, row.path.name), reverse=True)


def inspect(file: Path, config: Path | None = None) -> ModelReport:
    """Return what a checkpoint is; see services.models.inspect."""
    return models.inspect(file, config)


def export(
    file: Path, output: Path | None = None, weights: Which | None = None, progress: Progress | None = None
) -> ExportReport:
    """Write the model inside a training checkpoint as safetensors, byte for byte, and read it back to prove it.

    Args:
        output: By default models/JOB-stepN.safetensors for a checkpoint of a workspace's run, else beside it.
        weights: EMA or raw; by default the EMA where the file holds one.

    Raises:
        SaoError: The file holds no such weights, the output is something else's, or the disk is full.
    """
    started = time.monotonic()
    report = models.inspect(file)
    which, tensors = _choose(report, weights)
    target = output or _default_output(file, report)
    _refuse_foreign_target(file, target)
    config = models.config_of(report.header) if report.header is not None else None
    metadata = {"format": "pt", EXPORT_KEY: which, SOURCE_KEY: file.name}
    if report.step is not None:
        metadata[STEP_KEY] = str(report.step)
    if report.objective != "unknown":
        metadata[OBJECTIVE_KEY] = report.objective
    num_bytes = _write(file, target, tensors, metadata, progress)
    config_file = target.with_suffix(".json")
    if config is not None:
        _write_config(config_file, config)
    return ExportReport(
        source=file,
        path=target,
        weights=which,
        tensors=len(tensors),
        verified=True,
        num_bytes=num_bytes,
        seconds=time.monotonic() - started,
        config=None if config is None else config_file,
    )


def _row(job: str, path: Path) -> CheckpointRow | None:
    if path.suffix not in models.WEIGHTS_SUFFIXES or path.name.startswith("."):
        return None
    try:
        status = path.stat()
        # A config that is put beside a model changes what is known of it; a run's checkpoints have job.json.
        folder_time = 0 if job else path.parent.stat().st_mtime_ns
        key = (str(path), status.st_size, status.st_mtime_ns, folder_time)
        if key not in _seen:
            _seen[key] = replace(models.inspect(path), header=None)
        report = _seen[key]
    except (OSError, SaoError):
        # Removed by the run's own clean-up since the folder was listed.
        return None
    whole = report.kind not in ("truncated", "dangerous")
    return CheckpointRow(
        path, job, report.step, report.kind, status.st_size, status.st_mtime, report.has_ema, whole, report.message
    )


def _choose(report: ModelReport, weights: Which | None) -> tuple[Which, dict[str, TensorInfo]]:
    file = report.file
    if report.header is None:
        raise SaoError(f"{file} cannot be exported: {report.message}", "Choose another checkpoint.")
    if report.kind in models.CORE_KINDS:
        raise SaoError(
            f"{file} holds core weights already; there is nothing to export.",
            "Use it as it is: start a run from it, or generate with it.",
        )
    if report.kind not in models.WRAPPED_KINDS:
        raise SaoError(
            f"{file} cannot be exported: {report.message}", "Choose a training checkpoint in runs/JOB/checkpoints."
        )
    if weights == "ema" and not report.has_ema:
        raise SaoError(
            f"{file} holds no EMA: the run was made without one.", "Export its raw weights: `--weights raw`."
        )
    which: Which = weights or ("ema" if report.has_ema else "raw")
    try:
        return which, core_tensors(report.header.tensors, use_ema=which == "ema")
    except WeightsError as problem:
        raise SaoError(f"{file.name} {problem.message}.", "Export its raw weights: `--weights raw`.") from problem


def _default_output(file: Path, report: ModelReport) -> Path:
    file = file.absolute()
    if file.parent.name != "checkpoints":
        return file.with_suffix(".safetensors")
    job = file.parent.parent
    step = f"step{report.step}" if report.step is not None else file.stem
    root = job.parent.parent
    folder = root / "models" if (root / "sao.toml").is_file() else file.parent
    return folder / f"{job.name}-{step}.safetensors"


def _refuse_foreign_target(file: Path, target: Path) -> None:
    """Refuse to replace anything but an earlier export of the same checkpoint."""
    if target.suffix != ".safetensors":
        raise SaoError(f"{target} is not named as safetensors.", "Give an output that ends in .safetensors.")
    try:
        is_ours = not target.exists() or read_header(target).metadata.get(SOURCE_KEY) == file.name
    except (WeightsError, OSError):
        is_ours = False
    if not is_ours:
        raise SaoError(f"{target} exists and is not an export of {file.name}.", "Give another output, or remove it.")
    config = target.with_suffix(".json")
    if config.exists() and "model" not in models.read_model_config(config):
        raise SaoError(f"{config} exists and is no model config.", "Give another output, or move it away.")


def _write(
    file: Path,
    target: Path,
    tensors: Mapping[str, TensorInfo],
    metadata: Mapping[str, str],
    progress: Progress | None,
) -> int:
    from sao_tui.core.weights.safetensors import layout

    head, places = layout(tensors, metadata)
    data_bytes = sum(info.num_bytes for info in tensors.values())
    total = len(head) + data_bytes
    part = target.with_name(f".{target.name}.{os.getpid()}.part")
    meter = _Meter(progress, 2 * data_bytes)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        _require_space(target.parent, total)
        with file.open("rb") as source, part.open("wb") as out:
            offsets = _storage_offsets(source, file, tensors)
            out.write(head)
            for name in places:
                _copy(source, out, tensors[name], offsets, meter)
            out.flush()
            os.fsync(out.fileno())
            _verify(source, part, tensors, offsets, meter)
        os.replace(part, target)
        sync_folder(target.parent)
    except (OSError, WeightsError) as error:
        raise _write_error(file, target, error) from error
    finally:
        # A folder that cannot be written refuses this as well, even where there is nothing to remove.
        with suppress(OSError):
            part.unlink(missing_ok=True)
    return total


def _write_config(path: Path, config: dict[str, Any]) -> None:
    try:
        write_json(path, config)
    except OSError as error:
        raise SaoError(f"{path} cannot be written: {error.strerror}.", "Free some space, and export again.") from error


def _write_error(file: Path, target: Path, error: OSError | WeightsError) -> SaoError:
    if isinstance(error, WeightsError):
        return SaoError(f"{file.name} {error.message}.", "Export an older checkpoint of the run.")
    return SaoError(
        f"{file.name} could not be exported to {target}: {error.strerror}.",
        "Check the folder's permissions and free some space, or give an output elsewhere.",
    )


def _require_space(folder: Path, num_bytes: int) -> None:
    disk = os.statvfs(folder)
    free = disk.f_bavail * disk.f_frsize
    if free < num_bytes:
        raise SaoError(
            f"The export needs {format_bytes(num_bytes)} and {folder} has {format_bytes(free)} free.",
            "Free some space, or give an output on another disk.",
        )


class _Meter:
    """Adds up bytes for a progress bar."""

    def __init__(self, progress: Progress | None, total: int) -> None:
        self._progress, self._total, self._done = progress, total, 0

    def add(self, num_bytes: int) -> None:
        self._done += num_bytes
        if self._progress is not None:
            self._progress(self._done, self._total)


def _storage_offsets(source: BinaryIO, file: Path, tensors: Mapping[str, TensorInfo]) -> dict[str, int]:
    """Return where each storage begins in the file; the empty name is the file itself."""
    offsets = {"": 0}
    wanted = {info.storage for info in tensors.values()} - {""}
    if wanted:
        from zipfile import ZipFile

        from sao_tui.core.weights.torchfile import data_offset

        with ZipFile(file) as archive:
            headers = {name: archive.getinfo(name).header_offset for name in wanted}
        offsets |= {name: data_offset(source, at) for name, at in headers.items()}
    return offsets


def _copy(source: BinaryIO, out: BinaryIO, info: TensorInfo, offsets: Mapping[str, int], meter: _Meter) -> None:
    for chunk in _chunks(source, info, offsets):
        out.write(chunk)
        meter.add(len(chunk))


def _verify(
    source: BinaryIO, part: Path, tensors: Mapping[str, TensorInfo], offsets: Mapping[str, int], meter: _Meter
) -> None:
    """Open what was written as a stranger would and compare every tensor with the source."""
    written = read_header(part)
    if written.tensors.keys() != tensors.keys():
        raise WeightsError("truncated", "was not written whole")
    with part.open("rb") as copy:
        for name, info in tensors.items():
            place = written.tensors[name]
            if (place.dtype, place.shape) != (info.dtype, info.shape):
                raise WeightsError("truncated", f"was written wrongly ({name})")
            copy.seek(place.offset_bytes)
            for chunk in _chunks(source, info, offsets):
                if copy.read(len(chunk)) != chunk:
                    raise WeightsError("truncated", f"was written wrongly ({name})")
                meter.add(len(chunk))


def _chunks(source: BinaryIO, info: TensorInfo, offsets: Mapping[str, int]) -> Iterator[bytes]:
    """Yield a tensor's numbers in order, a few megabytes at a time."""
    start = offsets[info.storage] + info.offset_bytes
    if info.strides is not None:
        yield _gather(source, start, info)
        return
    source.seek(start)
    left = info.num_bytes
    while left:
        chunk = source.read(min(left, CHUNK_BYTES))
        if not chunk:
            raise WeightsError("truncated", "ends in the middle of its tensors")
        left -= len(chunk)
        yield chunk


def _gather(source: BinaryIO, start: int, info: TensorInfo) -> bytes:
    """Return the numbers of a tensor that does not lie in order, such as a transposed one."""
    import numpy

    if info.strides is None or info.num_bytes > info.storage_bytes:
        raise WeightsError("foreign", "holds a tensor that repeats its numbers")
    width = DTYPE_BYTES[info.dtype]
    source.seek(start)
    raw = source.read(info.storage_bytes - info.offset_bytes)
    numbers = numpy.frombuffer(raw, dtype=f"u{width}")
    view = numpy.lib.stride_tricks.as_strided(
        numbers, info.shape, tuple(stride * width for stride in info.strides), writeable=False
    )
    return view.tobytes()
