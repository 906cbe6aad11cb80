"""What processor, memory and GPUs are doing; without a GPU it says so in words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sao_tui.core.units import format_bytes
from sao_tui.tui.text import fit
from sao_tui.tui.widgets.text_lines import Line, TextLines, bar

if TYPE_CHECKING:
    from sao_tui.services.gpu import GpuReading, GpuSample, HostSample

_BAR_WIDTH = 8


class GpuGauge(TextLines):
    """One line for the host, one for each GPU."""

    DEFAULT_CSS = """
    GpuGauge { height: 2; }
    """

    _reading: tuple[GpuReading, HostSample] | None = None

    def on_resize(self) -> None:
        """Fit the lines to the width."""
        if self._reading is not None:
            self.show(*self._reading)

    def show(self, gpus: GpuReading, host: HostSample) -> None:
        """Show another reading."""
        self._reading = (gpus, host)
        width = self.size.width
        lines = [*_host_lines(host, width)]
        for gpu in gpus.gpus:
            lines += _gpu_lines(gpu, width)
        if gpus.message or not gpus.gpus:
            lines.append([("GPU  ", "label"), (fit(gpus.message or "none", max(0, width - 5)).rstrip(), "")])
        self.set_lines(lines)


def _host_lines(host: HostSample, width: int) -> list[Line]:
    cpu: Line = [("CPU  ", "label"), *_percent(host.cpu_percent)]
    memory: Line = [("RAM  ", "label"), *_used(host.ram_used_bytes, host.ram_total_bytes)]
    return [[*cpu, ("   ", ""), *memory]] if width >= 60 else [cpu, memory]


def _gpu_lines(gpu: GpuSample, width: int) -> list[Line]:
    label = (f"GPU{gpu.index} ", "label")
    load: list[tuple[str, str]] = _percent(gpu.utilisation_percent)
    memory: list[tuple[str, str]] = _used(gpu.used_bytes, gpu.total_bytes)
    rest = "  ".join(
        part
        for part in (
            "" if gpu.temperature_c is None else f"{gpu.temperature_c} °C",
            "" if gpu.power_w is None else f"{gpu.power_w:.0f} W",
            gpu.name or "",
        )
        if part
    )
    if width >= 60:
        used = sum(len(text) for text, _ in [label, *load, *memory]) + 8
        return [[label, *load, ("   mem ", "label"), *memory, (" ", ""), (fit(rest, max(0, width - used)), "label")]]
    return [[label, *load, ("  ", ""), (fit(rest, max(0, width - 21)), "label")], [("  mem ", "label"), *memory]]


def _percent(percent: float | None) -> list[tuple[str, str]]:
    if percent is None:
        return [("n/a", "label")]
    return [(bar(percent / 100, _BAR_WIDTH), "bar"), (f" {percent:3.0f} %", "")]


def _used(used_bytes: int | None, total_bytes: int | None) -> list[tuple[str, str]]:
    if used_bytes is None or not total_bytes:
        return [("n/a", "label")]
    text = f" {format_bytes(used_bytes)} of {format_bytes(total_bytes)}"
    return [(bar(used_bytes / total_bytes, _BAR_WIDTH), "bar"), (text, "")]
