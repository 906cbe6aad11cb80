"""train start, resume, list, show, follow, stop; encode start."""

from __future__ import annotations

import argparse
import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sao_tui.cli.answer import Answer, ProgressBar, from_findings, harmless, table
from sao_tui.core.errors import SaoError
from sao_tui.services.bundle import Services, build_services

if TYPE_CHECKING:
    from sao_tui.services.jobs import JobView
    from sao_tui.services.start_plan import TrainPlan

FOLLOW_SECONDS = 0.5


def start_train(arguments: argparse.Namespace) -> Answer:
    """Check everything and start a run; with errors nothing starts and the findings are the answer."""
    from sao_tui.services.start_plan import plan_train

    services = build_services(arguments.workspace)
    changes: dict[str, Any] = {"max_steps": arguments.steps, "batch_size": arguments.batch_size, "seed": arguments.seed}
    changes |= {
        "latents": None if arguments.latents is None else str(arguments.latents.absolute()),
        "base_weights": None if arguments.base is None else str(arguments.base.absolute()),
    }
    plan = plan_train(services, {name: value for name, value in changes.items() if value is not None})
    if not plan.is_ok:
        return from_findings(plan.findings)
    job = services.jobs.start_train(plan.settings, plan.model_config, plan.dataset_config, arguments.name)
    return _started(services, job, wait=arguments.wait, quiet=arguments.json)


def resume(arguments: argparse.Namespace) -> Answer:
    """Go on with a run from its newest checkpoint, or from a checkpoint file."""
    services = build_services(arguments.workspace)
    plan = _resume_plan(services, arguments.job, arguments.steps)
    if not plan.is_ok:
        return from_findings(plan.findings)
    started = services.jobs.start_train(plan.settings, plan.model_config, plan.dataset_config)
    return _started(services, started, wait=arguments.wait, quiet=arguments.json)


def _resume_plan(services: Services, asked: str, steps: int | None) -> TrainPlan:
    from sao_tui.services.start_plan import newest_checkpoint, plan_resume, plan_train

    file = Path(asked)
    job_folder = file.absolute().parent.parent
    if file.is_file() and job_folder.parent != services.workspace.runs_folder:
        changes = {"resume_from": str(file.absolute()), "base_weights": None}
        return plan_train(services, changes | ({} if steps is None else {"max_steps": steps}))
    if not file.is_file() and (os.sep in asked or file.suffix == ".ckpt"):
        raise SaoError(f"There is no checkpoint {asked}.", "See `sao-tui checkpoint list` for those there are.")
    job = services.jobs.get(job_folder.name if file.is_file() else asked)
    checkpoint = file.absolute() if file.is_file() else newest_checkpoint(services, job.name)[0]
    return plan_resume(services, job, checkpoint, steps or int(job.folder.read_spec().settings.get("max_steps", 0)))


def start_encode(arguments: argparse.Namespace) -> Answer:
    """Pre-encode the dataset; with errors nothing starts."""
    from sao_tui.services.start_plan import plan_encode

    services = build_services(arguments.workspace)
    plan = plan_encode(services)
    if not plan.is_ok:
        return from_findings(plan.findings)
    job = services.jobs.start_encode(plan.settings, plan.model_config, plan.dataset_config)
    return _started(services, job, wait=arguments.wait, quiet=arguments.json)


def list_jobs(arguments: argparse.Namespace) -> Answer:
    """List runs, the newest first."""
    jobs = build_services(arguments.workspace).jobs.list()
    cells = [(job.name, job.kind, job.state, f"{job.step}/{job.steps or '?'}", job.reason) for job in jobs]
    lines = table(cells, ("job", "kind", "state", "step", "reason")) if jobs else ["No runs yet: sao-tui train start"]
    return Answer({"jobs": [_document(job) for job in jobs]}, lines)


def show_job(arguments: argparse.Namespace) -> Answer:
    """Show a run's state; exit status 1 when it failed."""
    job = _find(build_services(arguments.workspace), arguments.job)
    return _ended(job)


def follow(arguments: argparse.Namespace) -> Answer:
    """Print what a run reports until it ends; leaving with ctrl+c does not stop it."""
    from sao_tui.services.run_history import log_line
    from sao_tui.services.telemetry import EventTail

    services = build_services(arguments.workspace)
    job = _find(services, arguments.job)
    tail = EventTail(job.folder.events_file)
    while True:
        ended = job.is_final
        while events := tail.read_new():
            for line in filter(None, map(log_line, events)):
                print(harmless(line), file=sys.stderr if arguments.json else sys.stdout, flush=True)
        if ended:
            return _ended(job)
        time.sleep(FOLLOW_SECONDS)
        job = services.jobs.get(job.name)


def stop(arguments: argparse.Namespace) -> Answer:
    """Stop a run: a checkpoint first, unless forced."""
    services = build_services(arguments.workspace)
    job = services.jobs.kill(arguments.job) if arguments.force else services.jobs.stop(arguments.job)
    if arguments.wait:
        job = services.jobs.wait(job.name)
    return Answer(_document(job), [_sentence(job)])


def _started(services: Services, job: JobView, *, wait: bool, quiet: bool) -> Answer:
    document = {"job": job.name, "path": str(job.path)}
    if not wait:
        return Answer(document, [f"{job.name} has started. Watch it: sao-tui train follow {job.name}"])
    bar = ProgressBar(quiet=quiet)
    ended = services.jobs.wait(job.name, on_poll=lambda view: bar(view.state, view.step, view.steps))
    bar.close()
    answer = _ended(ended)
    return Answer(document | answer.document, answer.lines, answer.ok)


def _find(services: Services, name: str | None) -> JobView:
    if name is not None:
        return services.jobs.get(name)
    jobs = services.jobs.list()
    if not jobs:
        raise SaoError(f"There are no runs in {services.workspace.runs_folder}.", "Start one: sao-tui train start")
    return jobs[0]


def _ended(job: JobView) -> Answer:
    lines = [_sentence(job)]
    if job.hint:
        lines.append(f"hint: {job.hint}")
    lines += [f"  {line}" for line in job.log_tail]
    return Answer(_document(job), lines, ok=job.state not in ("failed", "crashed", "hung"))


def _sentence(job: JobView) -> str:
    reason = f": {job.reason}" if job.reason else ""
    return f"{job.name} {job.state} at step {job.step} of {job.steps or '?'}{reason}"


def _document(job: JobView) -> dict[str, Any]:
    return {
        "job": job.name,
        "kind": job.kind,
        "state": job.state,
        "step": job.step,
        "steps": job.steps,
        "reason": job.reason,
        "hint": job.hint,
        "pid": job.pid,
        "path": str(job.path),
        "log_tail": list(job.log_tail),
    }
