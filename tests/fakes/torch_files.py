"""Writes files as torch.save does, without torch: the opcodes by hand, the zip sparse where it is big."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_STORAGES = {"F32": ("FloatStorage", 4), "F16": ("HalfStorage", 2), "I64": ("LongStorage", 8)}


@dataclass(frozen=True)
class FakeTensor:
    """A tensor to be written; `data` None leaves a hole of the right size."""

    shape: tuple[int, ...]
    dtype: str = "F32"
    data: bytes | None = None
    strides: tuple[int, ...] | None = None

    @property
    def num_elements(self) -> int:
        count = 1
        for size in self.shape:
            count *= size
        return count

    @property
    def num_bytes(self) -> int:
        return self.num_elements * _STORAGES[self.dtype][1]


@dataclass(frozen=True)
class Call:
    """A global called with arguments when the file is unpickled."""

    name: str
    arguments: tuple[Any, ...] = ()


class _Pickle:
    def __init__(self) -> None:
        self.out = bytearray(b"\x80\x02")
        self.storages: list[FakeTensor] = []

    def finish(self, value: Any) -> bytes:
        self.add(value)
        return bytes(self.out) + b"."

    def add(self, value: Any) -> None:
        if value is None or isinstance(value, bool):
            self.out += {None: b"N", True: b"\x88", False: b"\x89"}[value]
        elif isinstance(value, int):
            self.out += b"J" + struct.pack("<i", value) if abs(value) < 2**31 else self._long(value)
        elif isinstance(value, float):
            self.out += b"G" + struct.pack(">d", value)
        elif isinstance(value, str):
            self.out += b"X" + struct.pack("<I", len(value.encode())) + value.encode()
        elif isinstance(value, (list, tuple)):
            self.out += b"("
            for item in value:
                self.add(item)
            self.out += b"l" if isinstance(value, list) else b"t"
        elif isinstance(value, dict):
            self._dict(value)
        elif isinstance(value, FakeTensor):
            self._tensor(value)
        elif isinstance(value, Call):
            self._global(value.name)
            self.add(value.arguments)
            self.out += b"R"
        else:
            raise TypeError(value)

    def _long(self, value: int) -> bytes:
        digits = value.to_bytes(value.bit_length() // 8 + 1, "little", signed=True)
        return b"\x8a" + bytes([len(digits)]) + digits

    def _dict(self, value: Mapping[Any, Any]) -> None:
        self.out += b"}("
        for key, item in value.items():
            self.add(key)
            self.add(item)
        self.out += b"u"

    def _global(self, name: str) -> None:
        module, _, last = name.rpartition(".")
        self.out += f"c{module}\n{last}\n".encode()

    def _tensor(self, tensor: FakeTensor) -> None:
        kind, _ = _STORAGES[tensor.dtype]
        self._global("torch._utils._rebuild_tensor_v2")
        self.out += b"(("
        self.add("storage")
        self._global(f"torch.{kind}")
        for item in (str(len(self.storages)), "cpu", tensor.num_elements):
            self.add(item)
        self.out += b"tQ"
        strides = tensor.strides or _strides(tensor.shape)
        for item in (0, tensor.shape, strides, False, Call("collections.OrderedDict")):
            self.add(item)
        self.out += b"tR"
        self.storages.append(tensor)


def _strides(shape: tuple[int, ...]) -> tuple[int, ...]:
    strides: list[int] = []
    step = 1
    for size in reversed(shape):
        strides.insert(0, step)
        step *= size
    return tuple(strides)


def pickled(value: Any) -> bytes:
    """Return one pickle of protocol 2."""
    return _Pickle().finish(value)


def write_torch_file(path: Path, value: Any) -> Path:
    """Write `value` as torch.save does; tensors without data become holes, so that 6 GB take no disk."""
    pickle = _Pickle()
    data = pickle.finish(value)
    entries: list[tuple[str, bytes | int]] = [("archive/data.pkl", data), ("archive/byteorder", b"little")]
    for index, tensor in enumerate(pickle.storages):
        entries.append((f"archive/data/{index}", tensor.num_bytes if tensor.data is None else tensor.data))
    write_zip(path, [*entries, ("archive/version", b"3\n")])
    return path


def write_zip(path: Path, entries: Iterable[tuple[str, bytes | int]]) -> None:
    """Write a stored zip64; an entry given as a number is that many zero bytes that take no disk."""
    directory = bytearray()
    count = 0
    with path.open("wb") as file:
        for name, content in entries:
            size = content if isinstance(content, int) else len(content)
            crc = 0 if isinstance(content, int) else zlib.crc32(content)
            offset = file.tell()
            extra = struct.pack("<HHQQ", 1, 16, size, size)
            file.write(
                struct.pack("<4s5H3I2H", b"PK\x03\x04", 45, 0, 0, 0, 0, crc, 2**32 - 1, 2**32 - 1, len(name), 20)
            )
            file.write(name.encode() + extra)
            if isinstance(content, int):
                file.seek(size, 1)
            else:
                file.write(content)
            extra = struct.pack("<HHQQQ", 1, 24, size, size, offset)
            directory += struct.pack(
                "<4s6H3I5H2I", b"PK\x01\x02", 45, 45, 0, 0, 0, 0, crc, 2**32 - 1, 2**32 - 1, len(name), 28, 0, 0, 0, 0,
                2**32 - 1,
            )  # fmt: skip
            directory += name.encode() + extra
            count += 1
        start = file.tell()
        file.write(directory)
        at64 = file.tell()
        file.write(struct.pack("<4sQ2H2I4Q", b"PK\x06\x06", 44, 45, 45, 0, 0, count, count, len(directory), start))
        file.write(struct.pack("<4sIQI", b"PK\x06\x07", 0, at64, 1))
        file.write(struct.pack("<4s4H2IH", b"PK\x05\x06", 0, 0, 65535, 65535, 2**32 - 1, 2**32 - 1, 0))


def core_state(shapes: Mapping[str, tuple[int, ...]], *, fill: bool = False) -> dict[str, FakeTensor]:
    """Return core weights of the given shapes; `fill` gives each tensor numbers of its own."""
    state = {}
    for number, (name, shape) in enumerate(shapes.items()):
        dtype = "F16" if name.startswith("pretransform.") else "F32"
        tensor = FakeTensor(shape, dtype)
        if fill:
            tensor = FakeTensor(shape, dtype, bytes([number % 251 + 1]) * tensor.num_bytes)
        state[name] = tensor
    return state


def wrapped(
    core: Mapping[str, FakeTensor],
    *,
    ema: Mapping[str, FakeTensor] | None = None,
    step: int = 500,
    moments: bool = True,
) -> dict[str, Any]:
    """Return what Lightning saves of a run over `core`."""
    state: dict[str, Any] = {f"diffusion.{name}": tensor for name, tensor in core.items()}
    if ema is not None:
        state["diffusion_ema.initted"] = FakeTensor((1,))
        state["diffusion_ema.step"] = FakeTensor((1,), "I64")
        state |= {f"diffusion_ema.ema_model.{name.removeprefix('model.')}": tensor for name, tensor in ema.items()}
    dit = [tensor for name, tensor in core.items() if name.startswith("model.")]
    moment_states = {
        index: {"step": FakeTensor(()), "exp_avg": FakeTensor(t.shape), "exp_avg_sq": FakeTensor(t.shape)}
        for index, t in enumerate(dit)
    }
    groups = [{"lr": 1e-4, "betas": (0.9, 0.95), "params": list(range(len(dit)))}]
    return {
        "epoch": 3,
        "global_step": step,
        "pytorch-lightning_version": "2.1.0",
        "state_dict": state,
        "loops": {"fit_loop": {"state_dict": {}}},
        "callbacks": {},
        "optimizer_states": [{"state": moment_states, "param_groups": groups}] if moments else [],
        "lr_schedulers": [{"last_epoch": step}],
    }
