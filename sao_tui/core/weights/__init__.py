"""What is inside a weights file, told without torch and without running anything that it holds."""

from __future__ import annotations

from pathlib import Path

from sao_tui.core.weights.header import TensorInfo, WeightsError, WeightsHeader, num_parameters

__all__ = ["TensorInfo", "WeightsError", "WeightsHeader", "num_parameters", "read_header"]


def read_header(path: Path) -> WeightsHeader:
    """Return everything about a weights file except its numbers; takes milliseconds at any size.

    Raises:
        WeightsError: It is cut short, would run code when loaded, or is no weights file.
        OSError: It cannot be opened.
    """
    from sao_tui.core.weights import safetensors, torchfile

    num_bytes = path.stat().st_size
    with path.open("rb") as file:
        start = file.read(1024)
        if start[:4] == b"PK\x03\x04":
            return torchfile.read_torch_zip(path, num_bytes)
        if safetensors.looks_like_safetensors(start):
            return safetensors.read_safetensors(path, num_bytes)
        if torchfile.is_pickle(start):
            file.seek(0)
            torchfile.refuse_pickle(file)
    raise _not_weights(path, start)


def _not_weights(path: Path, start: bytes) -> WeightsError:
    if len(start) < 16:
        return WeightsError("truncated", "is cut short: it is empty" if not start else "is cut short")
    if start.startswith(b"version https://git-lfs"):
        return WeightsError("foreign", "is a Git LFS pointer, not the weights; fetch them with `git lfs pull`")
    if start.lstrip()[:1] == b"<":
        return WeightsError("foreign", "is a web page, not weights: the download asked for a login")
    if start.lstrip()[:1] == b"{":
        return WeightsError("foreign", "is a JSON file, not weights")
    if not start.strip(b"\0"):
        return WeightsError("truncated", "begins with zeros: the download or copy never finished")
    suffix = path.suffix or "file"
    return WeightsError("foreign", f"is neither a torch checkpoint nor safetensors, in spite of its name ({suffix})")
