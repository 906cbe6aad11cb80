"""Reads the header of a file that torch.save wrote: the zip's directory and its small pickle, no numbers."""

from __future__ import annotations

import json
import re
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, NoReturn

from sao_tui.core.weights.header import (
    DTYPE_BYTES,
    MAX_NUMBER,
    TensorInfo,
    WeightsError,
    WeightsHeader,
    is_contiguous,
)
from sao_tui.core.weights.pickle_reader import MAX_PICKLE_BYTES, PickleReader, read_pickle
from sao_tui.core.weights.pickle_values import TensorRef

if TYPE_CHECKING:
    from zipfile import ZipFile, ZipInfo

MAX_ENTRIES = 200_000
MAX_DIRECTORY_BYTES = 64_000_000
_LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
_OLD_PICKLE = re.compile(rb"[(}\])l]*c[A-Za-z_][\w.]*\n[A-Za-z_][\w.]*\n")


def is_pickle(start: bytes) -> bool:
    """Return whether a file that starts so is a bare pickle."""
    return (start[:1] == b"\x80" and start[1:2] in (b"\x02", b"\x03", b"\x04", b"\x05")) or bool(
        _OLD_PICKLE.match(start)
    )


def refuse_pickle(file: BinaryIO) -> NoReturn:
    """Say what a bare pickle is, without running it.

    Raises:
        WeightsError: Always: `dangerous` when it names code, else `foreign`.
    """
    reader = PickleReader(file.read(MAX_PICKLE_BYTES))
    try:
        if reader.read() == _LEGACY_MAGIC:
            for _ in range(3):  # protocol version, system, the object
                reader.read()
            raise WeightsError(
                "foreign", "is in the format of torch before 1.6; load and save it again with a newer torch"
            )
    except WeightsError as problem:
        if problem.kind == "truncated":
            raise WeightsError("foreign", "is a bare pickle that cannot be read to its end") from problem
        raise
    raise WeightsError("foreign", "is a bare pickle and no weights file")


def read_torch_zip(path: Path, num_bytes: int) -> WeightsHeader:
    """Return the header of a zip that torch.save wrote.

    Raises:
        WeightsError: It is cut short, names code, or is another kind of zip.
    """
    from zipfile import BadZipFile, ZipFile

    _check_directory_size(path, num_bytes)
    try:
        with ZipFile(path) as archive:
            entries = {info.filename: info for info in archive.infolist()}
            pickle_name = _pickle_name(entries)
            root = read_pickle(_read_entry(archive, entries[pickle_name]))
            _check_byte_order(archive, entries, pickle_name)
    except (BadZipFile, EOFError, struct.error) as error:
        raise WeightsError("truncated", "is cut short: the directory at its end is missing or damaged") from error
    except (NotImplementedError, RuntimeError, ValueError) as error:
        raise WeightsError("foreign", "is a zip archive that torch did not write") from error
    prefix = pickle_name.removesuffix("data.pkl")
    tensors = {
        name: _tensor_info(name, ref, entries, f"{prefix}data/", num_bytes) for name, ref in _state_dict(root).items()
    }
    return WeightsHeader(path, "torch", num_bytes, tensors, **_training_state(root))


def data_offset(file: BinaryIO, header_offset: int) -> int:
    """Return where the bytes of a zip entry begin.

    Raises:
        WeightsError: There is no entry.
    """
    file.seek(header_offset)
    head = file.read(30)
    if len(head) < 30 or head[:4] != b"PK\x03\x04":
        raise WeightsError("truncated", "is damaged: an entry of the archive is not where its directory says")
    name_bytes, extra_bytes = struct.unpack("<HH", head[26:30])
    return header_offset + 30 + int(name_bytes) + int(extra_bytes)


def _check_directory_size(path: Path, num_bytes: int) -> None:
    """Refuse a directory that would take more memory than any weights need, before zipfile reads it."""
    with path.open("rb") as file:
        file.seek(max(0, num_bytes - 65_557))
        tail = file.read()
        at = tail.rfind(b"PK\x05\x06")
        if at < 0 or len(tail) < at + 22:
            raise WeightsError("truncated", "is cut short: the directory at its end is missing")
        count, directory_bytes = struct.unpack("<HI", tail[at + 10 : at + 16])
        at64 = tail.rfind(b"PK\x06\x06")
        if 0 <= at64 < at and len(tail) >= at64 + 48:
            count, directory_bytes = struct.unpack("<QQ", tail[at64 + 32 : at64 + 48])
    if count > MAX_ENTRIES or directory_bytes > MAX_DIRECTORY_BYTES:
        raise WeightsError("foreign", f"is a zip archive of {count:,} entries and no weights file")


def _pickle_name(entries: Mapping[str, ZipInfo]) -> str:
    names = [name for name in entries if name == "data.pkl" or name.endswith("/data.pkl")]
    if len(names) != 1:
        raise WeightsError("foreign", "is a zip archive that torch did not write")
    folder = names[0].removesuffix("data.pkl")
    if f"{folder}constants.pkl" in entries:
        raise WeightsError("foreign", "is a TorchScript program and no weights file")
    return names[0]


def _read_entry(archive: ZipFile, info: ZipInfo) -> bytes:
    if info.compress_type != 0 or info.file_size > MAX_PICKLE_BYTES:
        raise WeightsError("foreign", "is a zip archive that torch did not write")
    with archive.open(info) as entry:
        return entry.read(MAX_PICKLE_BYTES)


def _check_byte_order(archive: ZipFile, entries: Mapping[str, ZipInfo], pickle_name: str) -> None:
    info = entries.get(pickle_name.removesuffix("data.pkl") + "byteorder")
    if info is not None and info.file_size <= 16 and archive.read(info) != b"little":
        raise WeightsError("foreign", "was saved on a big-endian machine")


def _state_dict(root: Any) -> dict[str, TensorRef]:
    if not isinstance(root, dict):
        raise WeightsError("foreign", "holds no state dict")
    inner = root.get("state_dict")
    state = inner if isinstance(inner, dict) else root
    return {name: value for name, value in state.items() if isinstance(name, str) and isinstance(value, TensorRef)}


def _training_state(root: Any) -> dict[str, Any]:
    optimizers = root.get("optimizer_states")
    step = root.get("global_step")
    return {
        "step": step if type(step) is int and 0 <= step < MAX_NUMBER else None,
        "has_optimizer": isinstance(optimizers, list) and any(_holds_moments(state) for state in optimizers),
        "has_loops": isinstance(root.get("loops"), dict),
        "model_config": _plain_config(root.get("model_config")),
    }


def _plain_config(value: Any) -> dict[str, Any] | None:
    """Return a config if it is one that JSON could hold."""
    if not isinstance(value, dict) or not isinstance(value.get("model"), dict):
        return None
    try:
        return dict(json.loads(json.dumps(value)))
    except (TypeError, ValueError, RecursionError):
        return None


def _holds_moments(state: Any) -> bool:
    return isinstance(state, dict) and bool(state.get("param_groups"))


def _tensor_info(name: str, ref: TensorRef, entries: Mapping[str, ZipInfo], folder: str, file_bytes: int) -> TensorInfo:
    width = DTYPE_BYTES.get(ref.dtype)
    if width is None or any(size > MAX_NUMBER for size in (*ref.shape, *ref.strides, ref.offset)):
        raise WeightsError("foreign", f"holds a tensor that makes no sense ({name})")
    storage = f"{folder}{ref.storage.key}"
    entry = entries.get(storage)
    if entry is None or entry.compress_type != 0:
        raise WeightsError("truncated", f"is damaged: the numbers of {name} are missing")
    reach = sum((size - 1) * stride for size, stride in zip(ref.shape, ref.strides, strict=True))
    end = 0 if 0 in ref.shape else (ref.offset + reach + 1) * width
    if end > entry.file_size or entry.header_offset + entry.file_size > file_bytes:
        raise WeightsError("truncated", f"is damaged: it holds only a part of {name}")
    return TensorInfo(
        dtype=ref.dtype,
        shape=ref.shape,
        offset_bytes=ref.offset * width,
        storage=storage,
        storage_bytes=entry.file_size,
        strides=None if is_contiguous(ref.shape, ref.strides) else ref.strides,
    )
