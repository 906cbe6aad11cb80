"""The whole path, unattended: pre-encode, train, export, generate, and count what the model learned."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sao_tui.core.errors import SaoError
from sao_tui.services.demo import Progress

if TYPE_CHECKING:
    from sao_tui.services.bundle import Services
    from sao_tui.services.generation import GeneratedClip
    from sao_tui.services.jobs import JobView

NUM_TEST_CLIPS = 12
GENERATION_STEPS = 24
GENERATION_CFG_SCALE = 4.0
SEED = 1_000
NEEDED_ADHERENCE = 0.8


@dataclass
class HeadlessReport:
    """What the run achieved; `as_dict` is the JSON document of `demo --headless`."""

    before: float = 0.0
    after: float = 0.0
    seconds: float = 0.0
    stages: dict[str, float] = field(default_factory=dict)
    """Seconds of each stage."""
    job: str = ""
    checkpoint: str = ""
    export: str = ""
    clips: list[str] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """Whether the model learned the new class."""
        return self.after >= NEEDED_ADHERENCE

    def as_dict(self) -> dict[str, Any]:
        """Return the JSON document."""
        return {
            "ok": self.ok,
            "adherence": {"before": self.before, "after": self.after},
            "seconds": round(self.seconds, 1),
            "stages": {name: round(seconds, 1) for name, seconds in self.stages.items()},
            "job": self.job,
            "checkpoint": self.checkpoint,
            "export": self.export,
            "clips": self.clips,
        }


def run_headless(services: Services, progress: Progress) -> HeadlessReport:
    """Fine-tune the demo workspace and measure prompt adherence of its new class before and after.

    Raises:
        SaoError: A check, a job or the generator failed.
    """
    report, started = HeadlessReport(), time.monotonic()
    try:
        with _timed(report, "check"):
            progress("checking", 0, 1)
            _check(services)
        # Pre-encoding has a core to itself while the base model's clips are made.
        encoding = _start_encoding(services)
        with _timed(report, "generate before"):
            report.before, _ = _adherence(services, None, progress, "generating with the base model")
        with _timed(report, "pre-encode"):
            _finish(services, encoding, progress, "pre-encoding")
        with _timed(report, "train"):
            job = _finish(services, _start_training(services), progress, "training")
        report.job = job.name
        with _timed(report, "export"):
            checkpoint, exported = _export(services, job.name, progress)
        report.checkpoint, report.export = str(checkpoint), str(exported)
        with _timed(report, "generate after"):
            report.after, clips = _adherence(services, exported, progress, "generating with the fine-tuned model")
        report.clips = [str(clip.path) for clip in clips]
    finally:
        services.close()
    report.seconds = time.monotonic() - started
    return report


def _check(services: Services) -> None:
    from sao_tui.core.findings import is_ok
    from sao_tui.services.start_plan import plan_train

    services.clips.scan()
    plan = plan_train(services)
    if not is_ok(plan.findings):
        first = next(finding for finding in plan.findings if finding.severity == "error")
        raise SaoError(first.message, first.fix)


def _start_encoding(services: Services) -> JobView:
    from sao_tui.services.start_plan import plan_encode

    plan = plan_encode(services)
    return services.jobs.start_encode(plan.settings, plan.model_config, plan.dataset_config)


def _start_training(services: Services) -> JobView:
    from sao_tui.services.start_plan import plan_train

    plan = plan_train(services)
    settings = replace(plan.settings, latents=str(services.workspace.latents_folder))
    return services.jobs.start_train(settings, plan.model_config, plan.dataset_config)


def _finish(services: Services, job: JobView, progress: Progress, stage: str) -> JobView:
    ended = services.jobs.wait(job.name, on_poll=lambda view: progress(stage, view.step, view.steps))
    if ended.state != "finished":
        tail = f" Last lines: {' | '.join(ended.log_tail[-3:])}" if ended.log_tail else ""
        raise SaoError(f"{job.name} {ended.state}: {ended.reason}{tail}", ended.hint or f"See {ended.path}/worker.log.")
    return ended


def _export(services: Services, job: str, progress: Progress) -> tuple[Path, Path]:
    from sao_tui.services.checkpoints import export
    from sao_tui.services.start_plan import newest_checkpoint

    checkpoint, _step = newest_checkpoint(services, job)
    report = export(checkpoint, progress=lambda done, total: progress("exporting", done, total))
    return checkpoint, report.path


def _adherence(
    services: Services, model: Path | None, progress: Progress, stage: str
) -> tuple[float, list[GeneratedClip]]:
    """Return the share of clips of the new class that the signal classifier recognises, and the clips."""
    from sao_tui.core.sounds.hearing import classify
    from sao_tui.core.sounds.synth import CAPTIONS, NEW_CLASS
    from sao_tui.services.audio import read_audio
    from sao_tui.services.generation import GenerateRequest

    captions, clips, recognised = CAPTIONS[NEW_CLASS], [], 0
    for index in range(NUM_TEST_CLIPS):
        progress(stage, index, NUM_TEST_CLIPS)
        request = GenerateRequest(
            prompt=captions[index % len(captions)],
            seconds=2.0,
            steps=GENERATION_STEPS,
            cfg_scale=GENERATION_CFG_SCALE,
            seed=SEED + index,
            model=model,
        )
        clips += services.generator.generate(request)
        recognised += classify(*read_audio(clips[-1].path)).kind == NEW_CLASS
    progress(stage, NUM_TEST_CLIPS, NUM_TEST_CLIPS)
    return recognised / NUM_TEST_CLIPS, clips


@contextmanager
def _timed(report: HeadlessReport, stage: str) -> Iterator[None]:
    started = time.monotonic()
    yield
    report.stages[stage] = time.monotonic() - started
