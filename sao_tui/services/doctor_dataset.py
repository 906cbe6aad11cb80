"""Checks of the clips: what upstream would pass over, replace or wait for without a word."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sao_tui.core.errors import SaoError
from sao_tui.core.findings import Finding, Severity
from sao_tui.core.settings import TrainSettings
from sao_tui.core.split import read_split
from sao_tui.core.weights.header import some_names

if TYPE_CHECKING:
    from sao_tui.services.clips import ClipIndex
    from sao_tui.services.workspace import Workspace

MAX_LISTENED = 200
"""Clips that are read to their end; more are sampled evenly."""
MAX_LISTEN_SECONDS = 10.0
MAX_NAMED = 5
"""Clips that get a finding of their own; the rest is counted."""
SILENCE = 1e-3
"""-60 dB, upstream's own limit."""


class DatasetCheck:
    """One look at the clips of a workspace as a run would use them."""

    def __init__(
        self,
        workspace: Workspace,
        settings: TrainSettings,
        model_config: Mapping[str, Any],
        dataset_config: Mapping[str, Any],
        tell: Callable[[str, int, int], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._workspace = workspace
        self._settings = settings
        self._model_config = model_config
        self._dataset_config = dataset_config
        self._tell = tell
        self._clock = clock
        self._findings: list[Finding] = []

    def run(self) -> list[Finding]:
        """Return what was found."""
        self.check_folders()
        folder = self._workspace.dataset_folder
        try:
            index = self._scan()
        except SaoError as error:
            name = "dataset-empty" if not folder.is_dir() else "dataset-unreadable"
            self._add(name, "error", error.message, str(folder), error.hint)
            return self._findings
        num_usable = self._check_readable(index)
        if not num_usable:
            fix = "Copy wav, flac, mp3, ogg, opus or aif files into it."
            self._add("dataset-empty", "error", f"{folder} holds no clip that can be read.", str(folder), fix)
            return self._findings
        self._check_captions(index, num_usable)
        self._check_size(num_usable)
        self._listen(index, num_usable)
        return self._findings

    def _add(self, name: str, severity: Severity, message: str, where: str | None, fix: str) -> None:
        self._findings.append(Finding(name, severity, message, where, fix))

    def _scan(self) -> ClipIndex:
        from sao_tui.services.captions import CaptionStore
        from sao_tui.services.clips import ClipIndex, refresh

        index = ClipIndex(self._workspace)
        refresh(index, CaptionStore(self._workspace), lambda done, total: self._tell("clips", done, total))
        return index

    def check_folders(self) -> list[Finding]:
        """Return what is wrong with the folders and the metadata module that the dataset config names."""
        datasets = self._dataset_config.get("datasets")
        if not isinstance(datasets, list) or self._dataset_config.get("dataset_type") not in (
            "audio_dir",
            "pre_encoded",
        ):
            return self._findings
        for entry in datasets:
            path = entry.get("path") if isinstance(entry, dict) else None
            if not isinstance(path, str):
                continue
            folder = self._workspace.root / path
            name = self._workspace.dataset_config_file.name
            if not folder.is_dir():
                self._add(
                    "dataset-missing", "error", f"{name}: the folder {path} does not exist.", path, "Correct its path."
                )
            elif self._dataset_config["dataset_type"] == "audio_dir" and not folder.samefile(
                self._workspace.dataset_folder if self._workspace.dataset_folder.is_dir() else self._workspace.root
            ):
                fix = "Make path and sao.toml's dataset folder the same."
                message = f"{name}: {path} is not this workspace's dataset folder, so its clips are not checked."
                self._add("dataset-elsewhere", "warning", message, path, fix)
            self._check_module(entry, name)
        return self._findings

    def _check_module(self, entry: Mapping[str, Any], name: str) -> None:
        module = entry.get("custom_metadata_module")
        if isinstance(module, str) and (self._workspace.root / module).is_file():
            return
        what = f"its metadata module {module} does not exist" if module else "it names no metadata module"
        fix = "Remove the file and run `sao-tui config new`, which names ours."
        self._add("caption-module-missing", "error", f"{name}: {what}, so no caption reaches the model.", module, fix)

    def _check_readable(self, index: ClipIndex) -> int:
        """Report what cannot be read, and return how many clips can."""
        from sao_tui.services.audio import UNREADABLE_SUFFIXES

        failed = list(index.database.query("SELECT relpath, error FROM clips WHERE error <> '' ORDER BY relpath"))
        clips = [(os.fsdecode(name), error) for name, error in failed]
        passed_over = [name for name, _ in clips if os.path.splitext(name)[1].lower() in UNREADABLE_SUFFIXES]
        if passed_over:
            self._add(
                "clip-unsupported",
                "warning",
                f"{_count(passed_over)} of a kind that stable-audio-tools passes over: {some_names(passed_over)}.",
                passed_over[0],
                "Convert to wav or flac (sao-tui dataset prepare), or move out of the dataset.",
            )
        skipped = set(passed_over)
        self._report_unreadable([(name, error) for name, error in clips if name not in skipped])
        return index.counts().num_clips - len(clips)

    def _report_unreadable(self, clips: Sequence[tuple[str, str]]) -> None:
        fix = "Replace it with a sound file, or move it out of the dataset: upstream would train on others instead."
        for relpath, reason in clips[:MAX_NAMED]:
            self._add("clip-unreadable", "error", f"{relpath} cannot be read: {reason.rstrip('.')}.", relpath, fix)
        rest = [relpath for relpath, _ in clips[MAX_NAMED:]]
        if rest:
            message = f"{len(rest)} more clips cannot be read: {some_names(rest)}."
            self._add("clip-unreadable", "error", message, rest[0], "Filter the table by unreadable:yes.")

    def _check_captions(self, index: ClipIndex, num_usable: int) -> None:
        bare = index.ids("uncaptioned:yes unreadable:no")
        if not bare:
            return
        file = self._workspace.metadata_file
        if len(bare) == num_usable:
            message = f"None of the {num_usable} clips has a caption in {file}, so the model would learn no words."
            fix = "Write captions in the dataset screen, or with `sao-tui dataset caption CLIP TEXT`."
            self._add("caption-missing", "error", message, str(file), fix)
            return
        first = [row.relpath for row in index.rows(bare[:MAX_NAMED])]
        has = "clip has" if len(bare) == 1 else "clips have"
        names = some_names([*first, *[""] * (len(bare) - len(first))])
        message = f"{len(bare)} of {num_usable} {has} no caption: {names}."
        self._add("caption-missing", "warning", message, first[0], "Filter the table by uncaptioned:yes.")

    def _check_size(self, num_usable: int) -> None:
        batch = self._settings.batch_size
        count, what = num_usable, "clips"
        latents = self._settings.latents
        if latents:
            folder = self._workspace.root / latents
            count, what = sum(1 for _ in folder.rglob("*.npy")), "latents"
            if count == 0:
                fix = "Run `sao-tui encode start`, or take latents out of train.toml."
                self._add("latents-missing", "error", f"{folder} holds no pre-encoded clips.", str(folder), fix)
                return
        count -= self._num_held_out()
        if count < batch and self._dataset_config.get("drop_last", True):
            self._add(
                "dataset-too-small",
                "error",
                f"{count} {what} do not fill one batch of {batch}, so the run would end at step 0.",
                str(self._workspace.dataset_folder),
                f"Set batch_size to {count} or less, or add clips.",
            )

    def _num_held_out(self) -> int:
        try:
            split = read_split(Path(self._settings.held_out)) if self._settings.held_out else None
        except SaoError as error:
            self._add("split-unusable", "error", error.message, self._settings.held_out, error.hint)
            return 0
        return len(split.validation) if split else 0

    def _listen(self, index: ClipIndex, num_usable: int) -> None:
        """Read clips to their end: a header may be fine above damaged or silent sound."""
        from sao_tui.services.audio import UnreadableClipError, read_audio

        ids = index.ids("unreadable:no")
        sample = index.rows(ids[:: max(1, len(ids) // MAX_LISTENED)][:MAX_LISTENED])
        silent: list[str] = []
        broken: list[tuple[str, str]] = []
        started, heard = self._clock(), 0
        for row in sample:
            if self._clock() - started > MAX_LISTEN_SECONDS:
                break
            heard += 1
            self._tell("listening", heard, len(sample))
            try:
                audio, _ = read_audio(self._workspace.dataset_folder / row.relpath)
            except UnreadableClipError as error:
                broken.append((row.relpath, error.reason))
                continue
            if not audio.size or float(abs(audio).max()) < SILENCE:
                silent.append(row.relpath)
        self._report_unreadable(broken)
        self._report_silent(silent, heard, is_all=heard == num_usable)

    def _report_silent(self, silent: Sequence[str], heard: int, *, is_all: bool) -> None:
        if not silent:
            return
        fix = "Replace them, or move them out of the dataset."
        if len(silent) == heard and is_all:
            message = "All clips are silent, and upstream would look for one that is not for ever."
            self._add("clip-silent", "error", message, silent[0], fix)
            return
        of = "" if is_all else f" of {heard} that were read"
        are = "clip is" if len(silent) == 1 else "clips are"
        message = f"{len(silent)} {are} silent{of}, and others would be trained in their place: {some_names(silent)}."
        self._add("clip-silent", "warning", message, silent[0], fix)


def _count(names: Sequence[str]) -> str:
    return "1 file is" if len(names) == 1 else f"{len(names)} files are"
