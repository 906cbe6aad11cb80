"""Reads and lays out the header of a safetensors file: 8 bytes of length, JSON, then the numbers."""

from __future__ import annotations

import json
from collections.abc import Mapping
from math import prod
from pathlib import Path
from typing import Any

from sao_tui.core.weights.header import DTYPE_BYTES, MAX_NUMBER, TensorInfo, WeightsError, WeightsHeader

MAX_HEADER_BYTES = 100_000_000
"""The limit of the format itself."""


def looks_like_safetensors(start: bytes) -> bool:
    """Return whether a file that starts so has a safetensors header."""
    return len(start) > 8 and start[8:9] == b"{" and int.from_bytes(start[:8], "little") <= MAX_HEADER_BYTES


def read_safetensors(path: Path, num_bytes: int) -> WeightsHeader:
    """Return the header of a safetensors file.

    Raises:
        WeightsError: It is cut short, or its header makes no sense.
    """
    with path.open("rb") as file:
        header_bytes = int.from_bytes(file.read(8), "little")
        if header_bytes > MAX_HEADER_BYTES:
            raise WeightsError("foreign", "has an impossible safetensors header")
        text = file.read(header_bytes)
    if len(text) < header_bytes:
        raise WeightsError("truncated", "is cut short: it ends inside its header")
    entries, metadata = _parse(text)
    start = 8 + header_bytes
    tensors = {name: _tensor_info(name, entry, start) for name, entry in entries.items()}
    end = max((info.offset_bytes + info.num_bytes for info in tensors.values()), default=start)
    if end > num_bytes:
        raise WeightsError("truncated", f"is cut short: it has {num_bytes:,} of {end:,} bytes")
    return WeightsHeader(path, "safetensors", num_bytes, tensors, metadata)


def _parse(text: bytes) -> tuple[dict[str, Any], dict[str, str]]:
    try:
        entries = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise WeightsError("foreign", "has a safetensors header that is not JSON") from error
    if not isinstance(entries, dict):
        raise WeightsError("foreign", "has a safetensors header that is not an object")
    metadata = entries.pop("__metadata__", None) or {}
    if not isinstance(metadata, dict):
        raise WeightsError("foreign", "has a safetensors header that makes no sense (__metadata__)")
    return entries, {str(key): str(value) for key, value in metadata.items()}


def _tensor_info(name: str, entry: Any, start: int) -> TensorInfo:
    try:
        dtype, shape, (begin, end) = entry["dtype"], tuple(entry["shape"]), entry["data_offsets"]
        sizes_are_whole = all(type(size) is int and 0 <= size < MAX_NUMBER for size in (*shape, begin, end))
        fits = sizes_are_whole and end - begin == prod(shape) * DTYPE_BYTES[dtype]
    except (KeyError, TypeError, ValueError) as error:
        raise WeightsError("foreign", f"has a safetensors header that makes no sense ({name})") from error
    if not fits:
        raise WeightsError("foreign", f"has a safetensors header that makes no sense ({name})")
    return TensorInfo(dtype, shape, start + begin)


def layout(tensors: Mapping[str, TensorInfo], metadata: Mapping[str, str]) -> tuple[bytes, dict[str, TensorInfo]]:
    """Return the first bytes of a file that will hold `tensors`, and where each of them goes in it.

    Widest numbers first, so that every tensor is aligned to its own.
    """
    order = sorted(tensors, key=lambda name: (-DTYPE_BYTES[tensors[name].dtype], name))
    entries: dict[str, Any] = {"__metadata__": dict(metadata)} if metadata else {}
    begin = 0
    for name in order:
        info = tensors[name]
        end = begin + info.num_bytes
        entries[name] = {"dtype": info.dtype, "shape": list(info.shape), "data_offsets": [begin, end]}
        begin = end
    text = json.dumps(entries, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    head = len(text).to_bytes(8, "little") + text
    places = {
        name: TensorInfo(tensors[name].dtype, tensors[name].shape, len(head) + int(entries[name]["data_offsets"][0]))
        for name in order
    }
    return head, places
