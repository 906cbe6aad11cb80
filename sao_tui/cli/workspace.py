"""open, init, doctor, gpu."""

from __future__ import annotations

import argparse
from dataclasses import asdict

from sao_tui.cli.answer import Answer, ProgressBar, from_findings
from sao_tui.core.units import format_bytes


def open_dashboard(arguments: argparse.Namespace) -> int:
    """Open the dashboard; the only command that imports it."""
    from sao_tui.tui.app import run

    return run(arguments.folder or arguments.workspace)


def init(arguments: argparse.Namespace) -> Answer:
    """Make a folder a workspace."""
    from sao_tui.services.new_configs import write_missing_configs
    from sao_tui.services.workspace import init_workspace

    workspace = init_workspace(arguments.folder)
    write_missing_configs(workspace)
    lines = [
        f"{workspace.root} is a workspace.",
        f"Put clips into {workspace.dataset_folder}, base_model.ckpt and base_model_config.json into "
        f"{workspace.models_folder}, then: sao-tui {arguments.folder}",
    ]
    return Answer({"workspace": str(workspace.root)}, lines)


def doctor(arguments: argparse.Namespace) -> Answer:
    """Look over everything a run needs."""
    from sao_tui.services.doctor import check_all
    from sao_tui.services.workspace import open_workspace

    bar = ProgressBar(quiet=arguments.json)
    findings = check_all(open_workspace(arguments.workspace), progress=bar)
    bar.close()
    return from_findings(findings)


def gpu(arguments: argparse.Namespace) -> Answer:
    """Show GPU and host readings; no GPU is a state, not an error."""
    from sao_tui.services.gpu import read_gpus, read_host

    reading, host = read_gpus(), read_host(arguments.workspace)
    lines = [reading.message] if reading.message else []
    for sample in reading.gpus:
        memory = " / ".join(
            "n/a" if value is None else format_bytes(value) for value in (sample.used_bytes, sample.total_bytes)
        )
        busy = "n/a" if sample.utilisation_percent is None else f"{sample.utilisation_percent} %"
        warm = "n/a" if sample.temperature_c is None else f"{sample.temperature_c} °C"
        lines.append(f"GPU {sample.index} {sample.name or ''}: memory {memory}, busy {busy}, {warm}")
    if host.ram_total_bytes is not None and host.ram_used_bytes is not None:
        lines.append(f"Memory {format_bytes(host.ram_used_bytes)} / {format_bytes(host.ram_total_bytes)}")
    if host.disk_free_bytes is not None:
        lines.append(f"Disk {format_bytes(host.disk_free_bytes)} free")
    return Answer({**asdict(reading), "host": asdict(host)}, lines)
