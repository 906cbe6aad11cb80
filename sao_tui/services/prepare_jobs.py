"""Starting prepare jobs: what they are asked to do, in which folder, and going on with one that was cut short."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sao_tui.core.errors import SaoError
from sao_tui.core.files import write_atomically
from sao_tui.core.preparing import PrepareSettings, read_settings
from sao_tui.services.prepare_journal import JOURNAL_NAME, Journal
from sao_tui.services.prepare_near import near_duplicates

if TYPE_CHECKING:
    from sao_tui.services.bundle import Services
    from sao_tui.services.jobs import JobView
    from sao_tui.services.workspace import Workspace

CLIPS_NAME = "clips.jsonl"
DUPLICATES_NAME = "duplicates.json"
OUTPUT_NAME = "dataset-prepared"
ORIGINALS_NAME = "originals"


def default_settings(workspace: Workspace, **changes: Any) -> PrepareSettings:
    """Return the settings that suit the workspace's model: its rate, and no clip longer than it hears.

    Raises:
        SaoError: A change is out of its range, or the settings of the workspace cannot be read.
    """
    rate_hz, sample_size = _model_numbers(workspace)
    values: dict[str, Any] = {
        "source": str(workspace.dataset_folder),
        "output": str(workspace.root / OUTPUT_NAME),
        "workspace": str(workspace.root),
        "rate_hz": rate_hz,
        "max_seconds": sample_size / rate_hz if rate_hz and sample_size else 0.0,
    }
    settings = PrepareSettings(**{**values, **changes})
    settings.check()
    return settings


def in_place(
    settings: PrepareSettings, workspace: Workspace, clock: Callable[[], float] = time.time
) -> PrepareSettings:
    """Return the settings for changing the dataset itself, with a new folder for the originals."""
    stamp = time.strftime("%Y%m%d-%H%M%S", time.localtime(clock()))
    folder = workspace.root / ORIGINALS_NAME / stamp
    return replace(settings, output=settings.source, originals=str(folder), use=False)


def check_folders(settings: PrepareSettings) -> None:
    """Refuse an output that would mix with other files.

    Raises:
        SaoError: The output lies inside the dataset or around it, or holds other files.
    """
    source, output = Path(settings.source).resolve(), Path(settings.output).resolve()
    if settings.is_in_place:
        if Path(settings.originals).resolve().is_relative_to(source):
            raise SaoError("The originals would stay in the dataset.", "Name a folder outside of it.")
        return
    if output == source:
        raise SaoError("The output is the dataset itself.", "Add --in-place to change the clips where they are.")
    if output.is_relative_to(source) or source.is_relative_to(output):
        raise SaoError(f"The output {output} and the dataset lie in one another.", "Name a folder beside the dataset.")
    if not output.exists():
        return
    if not output.is_dir():
        raise SaoError(f"{output} is a file.", "Name a new folder.")
    journal = Journal.read(output / JOURNAL_NAME)
    if journal is None and any(output.iterdir()):
        raise SaoError(f"{output} holds other files.", "Name a new folder with --output.")
    if journal is not None and not journal.settings.same_work(settings):
        raise SaoError(
            f"{output} was prepared with other settings.", "Name a new folder with --output, or remove that one."
        )


def start_prepare(services: Services, clips: Sequence[str], settings: PrepareSettings) -> JobView:
    """Start a prepare job, detached; an output folder that holds a part of the same work is completed.

    Raises:
        SaoError: There is nothing to do, the folders do not fit, or the job cannot be started.
    """
    settings.check()
    check_folders(settings)
    if not clips:
        raise SaoError("No clip is selected.", "Widen the filter.")
    duplicates = near_duplicates(services, clips) if settings.dedupe == "near" else {}
    return services.jobs.start_prepare(settings, clips, duplicates)


def resume_prepare(services: Services, name: str) -> JobView:
    """Go on with a prepare job that ended before its time, in a new job.

    Raises:
        SaoError: There is no such job, it runs still, or it is complete.
    """
    job = services.jobs.get(name)
    if job.kind != "prepare":
        raise SaoError(f"{name} is no prepare job but a {job.kind} one.", "See `sao-tui train list`.")
    if not job.is_final:
        raise SaoError(f"{name} is {job.state} still.", f"Watch it: sao-tui train follow {name}")
    settings = read_settings(job.folder.read_spec().settings)
    return services.jobs.start_prepare(settings, read_clips(job.path), read_duplicates(job.path))


def write_clips(folder: Path, clips: Iterable[str], duplicates: Mapping[str, str]) -> None:
    """Write a job's clips into its folder.

    Raises:
        OSError: The disk is full or gone.
    """
    # Plain ASCII: names that are not UTF-8 have surrogates, which only escapes can hold.
    write_atomically(folder / CLIPS_NAME, b"".join(json.dumps(clip).encode() + b"\n" for clip in clips))
    if duplicates:
        write_atomically(folder / DUPLICATES_NAME, json.dumps(dict(duplicates)).encode())


def read_clips(folder: Path) -> list[str]:
    """Return a job's clips.

    Raises:
        SaoError: They cannot be read.
    """
    path = folder / CLIPS_NAME
    try:
        return [str(json.loads(line)) for line in path.read_bytes().splitlines()]
    except (OSError, ValueError) as error:
        raise SaoError(f"{path} cannot be read: {error}.", "Start the job again.") from error


def read_duplicates(folder: Path) -> dict[str, str]:
    """Return the clips that nearly equal an earlier one, with that one."""
    try:
        return dict(json.loads((folder / DUPLICATES_NAME).read_bytes()))
    except (OSError, ValueError):
        return {}


def _model_numbers(workspace: Workspace) -> tuple[int, int]:
    """Return the model's sample rate and size, SAO-small's while there is no config."""
    try:
        config = json.loads(workspace.model_config_file.read_text(encoding="utf-8"))
        return int(config["sample_rate"]), int(config["sample_size"])
    except (OSError, ValueError, KeyError, TypeError):
        return 44_100, 524_288
