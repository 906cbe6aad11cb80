from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from sao_tui.services.gpu import GpuReader, GpuReading, GpuSample, HostReader, HostSample, read_gpus, read_host
from sao_tui.supervisor.readings import event_fields


class FakeNvml:
    """NVML as Python sees it; `failures` maps a function's name to the error it raises."""

    NVML_ERROR_LIBRARY_NOT_FOUND = 12
    NVML_ERROR_DRIVER_NOT_LOADED = 9
    NVML_ERROR_LIB_RM_VERSION_MISMATCH = 18
    NVML_ERROR_GPU_IS_LOST = 15
    NVML_ERROR_UNINITIALIZED = 1
    NVML_TEMPERATURE_GPU = 0

    class NVMLError(Exception):
        def __init__(self, value: int) -> None:
            super().__init__(f"code {value}")
            self.value = value

    class NVMLLibraryMismatchError(Exception):
        pass

    def __init__(self) -> None:
        self.failures: dict[str, Exception] = {}
        self.num_starts = 0

    def __getattr__(self, name: str) -> Callable[..., Any]:
        answers = {
            "nvmlDeviceGetCount": 1,
            "nvmlDeviceGetHandleByIndex": 1,
            "nvmlDeviceGetName": b"Old Binding",
            "nvmlDeviceGetMemoryInfo": SimpleNamespace(total=10, used=4),
            "nvmlDeviceGetUtilizationRates": SimpleNamespace(gpu=50),
            "nvmlDeviceGetTemperature": 60,
            "nvmlDeviceGetPowerUsage": 100_500,
            "nvmlDeviceGetEnforcedPowerLimit": 300_000,
        }

        def call(*_args: object) -> Any:
            if name == "nvmlInit":
                self.num_starts += 1
            if name in self.failures:
                raise self.failures[name]
            return answers.get(name)

        return call


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_gpu_is_read_with_every_value() -> None:
    reading = GpuReader(FakeNvml()).read()
    assert reading == GpuReading("ok", "", (GpuSample(0, "Old Binding", 10, 4, 50, 60, 100.5, 300.0),))


def test_a_missing_driver_is_a_state_and_asked_for_ever_more_seldom() -> None:
    nvml, clock = FakeNvml(), Clock()
    nvml.failures["nvmlInit"] = nvml.NVMLError(nvml.NVML_ERROR_LIBRARY_NOT_FOUND)
    reader = GpuReader(nvml, clock)
    for second in range(600):
        clock.now = float(second)
        assert reader.read().state == "no-driver"
    assert 10 <= nvml.num_starts <= 20


def test_a_driver_that_appears_later_is_found() -> None:
    nvml, clock = FakeNvml(), Clock()
    nvml.failures["nvmlInit"] = nvml.NVMLError(nvml.NVML_ERROR_LIBRARY_NOT_FOUND)
    reader = GpuReader(nvml, clock)
    reader.read()
    nvml.failures.clear()
    clock.now = 100.0
    assert reader.read().state == "ok"


def test_a_symbol_missing_in_the_driver_is_a_value_that_is_not_there() -> None:
    nvml = FakeNvml()
    nvml.failures["nvmlDeviceGetEnforcedPowerLimit"] = nvml.NVMLLibraryMismatchError("old")
    (gpu,) = GpuReader(nvml).read().gpus
    assert (gpu.power_limit_w, gpu.power_w) == (None, 100.5)


def test_a_driver_that_was_shut_down_under_us_is_started_again() -> None:
    nvml, clock = FakeNvml(), Clock()
    reader = GpuReader(nvml, clock)
    reader.read()
    nvml.failures["nvmlDeviceGetCount"] = nvml.NVMLError(nvml.NVML_ERROR_UNINITIALIZED)
    assert reader.read().state == "error"
    nvml.failures.clear()
    clock.now = 10.0
    assert reader.read().state == "ok"
    assert nvml.num_starts == 2


def test_this_machine_is_read_without_an_exception() -> None:
    assert read_gpus().state in ("ok", "no-driver", "error")
    host = read_host()
    assert host.ram_total_bytes is not None
    assert host.disk_free_bytes is not None


def proc(folder: Path, busy: int, idle: int) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "stat").write_text(f"cpu  {busy} 0 0 {idle} 0 0 0 0 0 0\ncpu0 1 1\n")
    (folder / "meminfo").write_text("MemTotal:       1000 kB\nMemFree:  1 kB\nMemAvailable:    400 kB\n")
    return folder


def test_the_load_is_that_since_the_last_reading(tmp_path: Path) -> None:
    reader = HostReader(tmp_path, proc(tmp_path / "proc", 0, 0), tmp_path)
    assert reader.read().cpu_percent is None
    proc(tmp_path / "proc", 250_000, 750_000)
    assert reader.read().cpu_percent == 25.0
    proc(tmp_path / "proc", 250_001, 750_000)
    assert reader.read().cpu_percent == 25.0, "one tick says nothing"


def test_memory_is_what_processes_here_may_use(tmp_path: Path) -> None:
    reader = HostReader(tmp_path, proc(tmp_path / "proc", 0, 0), tmp_path)
    sample = reader.read()
    assert (sample.ram_total_bytes, sample.ram_used_bytes) == (1_024_000, 614_400)
    (tmp_path / "memory.max").write_text("500000\n")
    (tmp_path / "memory.current").write_text("300000\n")
    (tmp_path / "memory.stat").write_text("anon 1\ninactive_file 100000\n")
    sample = reader.read()
    assert (sample.ram_total_bytes, sample.ram_used_bytes) == (500_000, 200_000)
    (tmp_path / "memory.max").write_text("max\n")
    assert reader.read().ram_total_bytes == 1_024_000


def test_a_machine_without_proc_has_no_values_and_no_exception(tmp_path: Path) -> None:
    sample = HostReader(tmp_path / "gone", tmp_path, tmp_path).read()
    assert sample == HostSample(None, None, None, None, None)


def test_a_gpu_event_has_the_host_also_without_a_gpu() -> None:
    host = HostSample(12.5, 100, 50, 1_000, 500)
    fields = event_fields(GpuReading("no-driver", "No NVIDIA driver on this machine."), host)
    assert fields == {"gpus": [], **asdict(host)}
    lost = event_fields(GpuReading("error", "GPU 0 is lost.", (GpuSample(0),)), host)
    assert lost["message"] == "GPU 0 is lost."
    assert json.loads(json.dumps(lost)) == lost
