"""The real pynvml on a stand-in for NVIDIA's library, which is compiled here."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

SOURCE = Path(__file__).parents[1] / "fakes" / "nvml_stub.c"
NOT_SUPPORTED, NO_PERMISSION, DRIVER_NOT_LOADED, GPU_IS_LOST, VERSION_MISMATCH, UNKNOWN = 3, 4, 9, 15, 18, 999

pytestmark = [
    pytest.mark.system,
    pytest.mark.skipif(shutil.which("cc") is None, reason="needs a C compiler (cc) for the NVML stand-in"),
]

READER = """
import dataclasses, json, sys
from sao_tui.services.gpu import GpuReader
now = 0.0
reader = GpuReader(clock=lambda: now)
for line in sys.stdin:
    now = float(line)
    print(json.dumps(dataclasses.asdict(reader.read())), flush=True)
"""

Reader = Callable[..., dict[str, Any]]


def compile_stub(folder: Path, *options: str) -> Path:
    folder.mkdir()
    target = folder / "libnvidia-ml.so.1"
    subprocess.run(["cc", "-shared", "-fPIC", "-w", *options, "-o", str(target), str(SOURCE)], check=True)
    return folder


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return compile_stub(tmp_path_factory.mktemp("nvml") / "lib")


def reader_in(library: Path, state: Path) -> Iterator[Reader]:
    environment = {**os.environ, "LD_LIBRARY_PATH": str(library), "NVML_STUB_STATE": str(state)}
    process = subprocess.Popen(
        [sys.executable, "-c", READER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment, text=True
    )
    now = 0.0

    def read(seconds_later: float = 0.0, **values: int) -> dict[str, Any]:
        nonlocal now
        now += seconds_later
        state.write_text("".join(f"{key}={value}\n" for key, value in values.items()))
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(f"{now}\n")
        process.stdin.flush()
        reading: dict[str, Any] = json.loads(process.stdout.readline())
        return reading

    with process:
        yield read
        process.kill()


@pytest.fixture
def read(library: Path, tmp_path: Path) -> Iterator[Reader]:
    yield from reader_in(library, tmp_path / "state")


def test_a_gpu_is_read_through_the_real_binding(read: Reader) -> None:
    reading = read()
    assert (reading["state"], reading["message"]) == ("ok", "")
    assert reading["gpus"] == [
        {
            "index": 0,
            "name": "Stub GPU 0",
            "total_bytes": 24 << 30,
            "used_bytes": 3 << 30,
            "utilisation_percent": 42,
            "temperature_c": 61,
            "power_w": 215.5,
            "power_limit_w": None,
        }
    ]


def test_values_change_between_readings(read: Reader) -> None:
    assert read(used=1 << 30)["gpus"][0]["used_bytes"] == 1 << 30
    assert read(used=2 << 30)["gpus"][0]["used_bytes"] == 2 << 30


@pytest.mark.parametrize("code", [NOT_SUPPORTED, NO_PERMISSION, UNKNOWN])
def test_a_value_that_the_driver_does_not_tell_is_none_and_the_others_stay(read: Reader, code: int) -> None:
    reading = read(utilisation_rc=code, power_rc=code)
    assert reading["state"] == "ok"
    (gpu,) = reading["gpus"]
    assert (gpu["utilisation_percent"], gpu["power_w"]) == (None, None)
    assert (gpu["used_bytes"], gpu["temperature_c"]) == (3 << 30, 61)


def test_a_gpu_that_fell_off_the_bus_is_an_error_and_comes_back(read: Reader) -> None:
    assert read()["state"] == "ok"
    lost = read(memory_rc=GPU_IS_LOST)
    assert lost["state"] == "error"
    assert "GPU 0" in lost["message"]
    assert lost["gpus"][0]["used_bytes"] is None
    assert read()["state"] == "error", "asked again only after a while"
    assert read(seconds_later=5)["state"] == "ok"


def test_one_lost_gpu_does_not_stop_the_readings_of_the_other(read: Reader) -> None:
    reading = read(count=2, handle0_rc=GPU_IS_LOST)
    assert reading["state"] == "error"
    assert [gpu["used_bytes"] for gpu in reading["gpus"]] == [None, 3 << 30]
    again = read(count=2, handle0_rc=GPU_IS_LOST, used=4 << 30)
    assert again["gpus"][1]["used_bytes"] == 4 << 30


def test_a_container_that_lost_its_driver_says_so(read: Reader) -> None:
    everything = dict.fromkeys(("name_rc", "memory_rc", "utilisation_rc", "temperature_rc", "power_rc"), UNKNOWN)
    reading = read(**everything)
    assert reading["state"] == "error"
    assert "GPU 0" in reading["message"]


@pytest.mark.parametrize(
    ("code", "state", "words"),
    [
        (DRIVER_NOT_LOADED, "no-driver", "No NVIDIA driver"),
        (VERSION_MISMATCH, "error", "restart the machine"),
        (NO_PERMISSION, "error", "does not start"),
    ],
)
def test_a_driver_that_does_not_start_is_told_in_words(read: Reader, code: int, state: str, words: str) -> None:
    reading = read(init_rc=code)
    assert (reading["state"], reading["gpus"]) == (state, [])
    assert words in reading["message"]
    assert read(seconds_later=200)["state"] == "ok"


def test_a_driver_without_a_gpu_is_no_gpu(read: Reader) -> None:
    assert read(count=0)["state"] == "no-driver"


def test_a_driver_older_than_the_binding_is_an_error_and_no_crash(tmp_path: Path) -> None:
    library = compile_stub(tmp_path / "lib", "-DOLD_DRIVER")
    for read in reader_in(library, tmp_path / "state"):
        assert read()["state"] == "error"
