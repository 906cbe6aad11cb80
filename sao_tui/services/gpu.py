"""What the GPUs and the host are doing; a machine without a GPU is a state, not an error."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

GpuState = Literal["ok", "no-driver", "error"]

FIRST_RETRY_SECONDS = 2.0
LONGEST_RETRY_SECONDS = 60.0
LEAST_TICKS = 20
"""Clock ticks, of 10 ms, that the processor's load is measured over at least."""


@dataclass(frozen=True)
class GpuSample:
    """One GPU now; None is what the driver does not tell (WSL2, MIG, missing rights)."""

    index: int
    name: str | None = None
    total_bytes: int | None = None
    used_bytes: int | None = None
    utilisation_percent: int | None = None
    temperature_c: int | None = None
    power_w: float | None = None
    power_limit_w: float | None = None


@dataclass(frozen=True)
class GpuReading:
    """All GPUs now, or why there is nothing to read."""

    state: GpuState
    message: str
    """One sentence; empty when all is well."""
    gpus: tuple[GpuSample, ...] = ()


@dataclass(frozen=True)
class HostSample:
    """The machine now; None is what cannot be known."""

    cpu_percent: float | None
    """Of all cores together since the last reading."""
    ram_total_bytes: int | None
    """What processes here may use: the machine's memory or the container's limit."""
    ram_used_bytes: int | None
    disk_total_bytes: int | None
    disk_free_bytes: int | None


NO_DRIVER = "No NVIDIA driver on this machine."


class GpuReader:
    """Reads the GPUs through NVML, starting it again when the driver went away."""

    def __init__(self, nvml: Any = None, clock: Callable[[], float] = time.monotonic) -> None:
        """Use `nvml` in place of pynvml, which is imported at the first reading."""
        self._nvml = nvml
        self._clock = clock
        self._lock = threading.Lock()
        self._is_started = False
        self._retry_seconds = FIRST_RETRY_SECONDS
        self._retry_at = 0.0
        self._last_failure = GpuReading("no-driver", "")

    def read(self) -> GpuReading:
        """Return the GPUs now; a slow driver makes this slow, so call it from a thread."""
        with self._lock:
            if not self._is_started:
                if self._clock() < self._retry_at:
                    return self._last_failure
                failure = self._start()
                if failure is not None:
                    return self._fail(failure)
            reading = self._read_all()
            if any(_is_known(gpu) for gpu in reading.gpus):
                # One GPU lost among several must not stop the readings of the others.
                self._retry_seconds = FIRST_RETRY_SECONDS
                return reading
            self._stop()
            return self._fail(reading)

    def _fail(self, reading: GpuReading) -> GpuReading:
        """Remember `reading` and ask again later, each time twice as late."""
        self._last_failure = reading
        self._retry_at = self._clock() + self._retry_seconds
        self._retry_seconds = min(2 * self._retry_seconds, LONGEST_RETRY_SECONDS)
        return reading

    def _start(self) -> GpuReading | None:
        """Start NVML; return why it does not start."""
        if self._nvml is None:
            if not _has_library():
                return GpuReading("no-driver", NO_DRIVER)
            try:
                import pynvml
            except ImportError:
                return GpuReading("no-driver", "The Python package nvidia-ml-py is not installed.")
            self._nvml = pynvml
        nvml = self._nvml
        try:
            nvml.nvmlInit()
        except nvml.NVMLError as error:
            absent = (nvml.NVML_ERROR_LIBRARY_NOT_FOUND, nvml.NVML_ERROR_DRIVER_NOT_LOADED)
            if error.value in absent:
                return GpuReading("no-driver", NO_DRIVER)
            if error.value == nvml.NVML_ERROR_LIB_RM_VERSION_MISMATCH:
                return GpuReading("error", "The NVIDIA driver was updated while it was in use: restart the machine.")
            return GpuReading("error", f"NVML does not start: {_describe(error)}.")
        except nvml.NVMLLibraryMismatchError as error:
            return GpuReading("error", f"The NVIDIA driver is too old for nvidia-ml-py: {_describe(error)}.")
        self._is_started = True
        return None

    def _stop(self) -> None:
        """Shut NVML down so that the next reading starts it afresh."""
        self._is_started = False
        try:
            self._nvml.nvmlShutdown()
        except (self._nvml.NVMLError, self._nvml.NVMLLibraryMismatchError):
            # A lost driver cannot be shut down either; starting again is all that matters.
            pass

    def _read_all(self) -> GpuReading:
        """Return all GPUs, or the failure that concerns every one of them."""
        nvml = self._nvml
        try:
            count = nvml.nvmlDeviceGetCount()
        except (nvml.NVMLError, nvml.NVMLLibraryMismatchError) as error:
            return GpuReading("error", f"The NVIDIA driver does not answer: {_describe(error)}.")
        if count == 0:
            return GpuReading("no-driver", "The NVIDIA driver shows no GPU.")
        gpus: list[GpuSample] = []
        problem = ""
        for index in range(count):
            try:
                gpus.append(self._read_one(index, nvml.nvmlDeviceGetHandleByIndex(index)))
            except (nvml.NVMLError, nvml.NVMLLibraryMismatchError) as error:
                gpus.append(GpuSample(index))
                problem = f"GPU {index} cannot be read: {_describe(error)}."
            else:
                if not _is_known(gpus[-1]):
                    # Containers lose NVML like this when the daemon reloads its cgroup.
                    problem = f"GPU {index} answers none of the driver's queries."
        return GpuReading("error" if problem else "ok", problem, tuple(gpus))

    def _read_one(self, index: int, handle: Any) -> GpuSample:
        """Return one GPU, each value for itself.

        A GPU that fell off the bus raises from any query; everything else is a value that is not there.
        """
        nvml = self._nvml

        def ask(query: Callable[..., Any], *args: Any) -> Any:
            try:
                return query(handle, *args)
            except nvml.NVMLLibraryMismatchError:
                return None
            except nvml.NVMLError as error:
                if error.value in (nvml.NVML_ERROR_GPU_IS_LOST, nvml.NVML_ERROR_UNINITIALIZED):
                    raise
                return None

        name = ask(nvml.nvmlDeviceGetName)
        memory = ask(nvml.nvmlDeviceGetMemoryInfo)
        rates = ask(nvml.nvmlDeviceGetUtilizationRates)
        power_mw = ask(nvml.nvmlDeviceGetPowerUsage)
        limit_mw = ask(nvml.nvmlDeviceGetEnforcedPowerLimit)
        return GpuSample(
            index=index,
            name=name.decode(errors="replace") if isinstance(name, bytes) else name,
            total_bytes=None if memory is None else int(memory.total),
            used_bytes=None if memory is None else int(memory.used),
            utilisation_percent=None if rates is None else int(rates.gpu),
            temperature_c=ask(nvml.nvmlDeviceGetTemperature, nvml.NVML_TEMPERATURE_GPU),
            power_w=None if power_mw is None else power_mw / 1000,
            power_limit_w=None if limit_mw is None else limit_mw / 1000,
        )


class HostReader:
    """Reads processor, memory and disk from the kernel's own files."""

    def __init__(
        self, folder: Path | None = None, proc: Path = Path("/proc"), cgroup: Path = Path("/sys/fs/cgroup")
    ) -> None:
        """Report the disk that `folder` is on, by default the current one."""
        self._folder = folder
        self._proc = proc
        self._cgroup = cgroup
        self._ticks: tuple[int, int] | None = None
        self._last_cpu_percent: float | None = None

    def read(self) -> HostSample:
        """Return the machine now; the first reading cannot know the processor's load."""
        total, used = self._memory()
        disk_total, disk_free = self._disk()
        return HostSample(self._cpu_percent(), total, used, disk_total, disk_free)

    def _cpu_percent(self) -> float | None:
        """Return the share of time that the cores were busy since the last call."""
        try:
            first_line = (self._proc / "stat").read_text().split("\n", 1)[0]
            ticks = [int(field) for field in first_line.split()[1:9]]
        except (OSError, ValueError):
            return None
        idle = sum(ticks[3:5])  # idle and iowait
        busy, whole = sum(ticks) - idle, sum(ticks)
        if self._ticks is None:
            self._ticks = busy, whole
            return None
        if whole - self._ticks[1] >= LEAST_TICKS * (os.cpu_count() or 1):
            # Two askers shortly after each other get the same answer: a share of a few ticks would be noise.
            self._last_cpu_percent = round(100 * max(0, busy - self._ticks[0]) / (whole - self._ticks[1]), 1)
            self._ticks = busy, whole
        return self._last_cpu_percent

    def _memory(self) -> tuple[int | None, int | None]:
        """Return usable and used bytes; a container's limit counts where it is tighter."""
        try:
            lines = (self._proc / "meminfo").read_text().splitlines()
            kilobytes = {key: int(rest.split()[0]) for key, _, rest in (line.partition(":") for line in lines)}
            total = kilobytes["MemTotal"] * 1024
            used = total - kilobytes["MemAvailable"] * 1024
        except (OSError, ValueError, KeyError, IndexError):
            return None, None
        try:
            limit = int((self._cgroup / "memory.max").read_text())
            current = int((self._cgroup / "memory.current").read_text())
            stat = dict(line.split() for line in (self._cgroup / "memory.stat").read_text().splitlines())
            cached = int(stat.get("inactive_file", 0))
        except (OSError, ValueError):
            return total, used
        return (limit, max(0, current - cached)) if limit < total else (total, used)

    def _disk(self) -> tuple[int | None, int | None]:
        """Return the size of the disk and what a user may still write to it."""
        try:
            stat = os.statvfs(self._folder or ".")
        except OSError:
            return None, None
        return stat.f_blocks * stat.f_frsize, stat.f_bavail * stat.f_frsize


_gpu_reader = GpuReader()
_host_readers: dict[Path | None, HostReader] = {}


def read_gpus() -> GpuReading:
    """Return the GPUs now, through one reader for the whole process."""
    return _gpu_reader.read()


def read_host(folder: Path | None = None) -> HostSample:
    """Return the machine now, with the disk that `folder` is on."""
    return _host_readers.setdefault(folder, HostReader(folder)).read()


def _has_library() -> bool:
    """Return whether NVML can be loaded: asking costs 0.1 ms, importing pynvml to be told 65 ms and 14 MB."""
    import ctypes

    try:
        ctypes.CDLL("libnvidia-ml.so.1")
    except OSError:
        return False
    return True


def _is_known(gpu: GpuSample) -> bool:
    """Return whether the driver told anything but the GPU's name."""
    return any(value is not None for value in (gpu.used_bytes, gpu.utilisation_percent, gpu.temperature_c, gpu.power_w))


def _describe(error: Exception) -> str:
    """Return an NVML error's text without trusting the library to have one."""
    try:
        return str(error).rstrip(".") or type(error).__name__
    except Exception:
        return type(error).__name__
