from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from sao_tui.core.weights import TensorInfo, WeightsError, num_parameters, read_header
from sao_tui.core.weights.header import is_contiguous
from sao_tui.core.weights.safetensors import layout


def write(path: Path, header: Any, num_data_bytes: int) -> Path:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + b"\1" * num_data_bytes)
    return path


GOOD = {"a": {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]}, "__metadata__": {"format": "pt"}}


def test_names_shapes_and_metadata_are_read(tmp_path: Path) -> None:
    header = read_header(write(tmp_path / "a.safetensors", GOOD, 24))
    assert header.tensors["a"].shape == (2, 3)
    assert header.metadata == {"format": "pt"}


@pytest.mark.parametrize("cut", [1, 24, 30, 100])
def test_a_file_cut_anywhere_is_truncated(tmp_path: Path, cut: int) -> None:
    path = write(tmp_path / "a.safetensors", GOOD, 24)
    path.write_bytes(path.read_bytes()[:-cut])
    with pytest.raises(WeightsError) as caught:
        read_header(path)
    assert caught.value.kind == "truncated"


@pytest.mark.parametrize(
    "header",
    [
        b"{not json at all here",
        {"a": {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 20]}},
        {"a": {"dtype": "F33", "shape": [2], "data_offsets": [0, 8]}},
        {"a": {"dtype": "F32", "shape": [-2], "data_offsets": [0, 8]}},
        {"a": {"dtype": "F32", "shape": "x", "data_offsets": [0, 8]}},
        {"a": {"dtype": "F32", "shape": [2], "data_offsets": [8]}},
        {"a": 3},
        {"__metadata__": 3},
    ],
)
def test_a_header_that_makes_no_sense_is_foreign(tmp_path: Path, header: Any) -> None:
    with pytest.raises(WeightsError) as caught:
        read_header(write(tmp_path / "a.safetensors", header, 24))
    assert caught.value.kind == "foreign"


def test_a_layout_is_read_back_as_it_was_meant_and_aligned(tmp_path: Path) -> None:
    tensors = {
        "half": TensorInfo("F16", (3,), 0),
        "long": TensorInfo("I64", (1,), 0),
        "float": TensorInfo("F32", (3,), 0),
        "scalar": TensorInfo("F32", (), 0),
    }
    head, places = layout(tensors, {"x": "ü"})
    path = tmp_path / "a.safetensors"
    path.write_bytes(head + b"\0" * sum(info.num_bytes for info in tensors.values()))
    header = read_header(path)
    assert header.tensors == places
    assert header.metadata == {"x": "ü"}
    assert all(info.offset_bytes % (info.num_bytes // max(info.num_elements, 1)) == 0 for info in places.values())


def test_buffers_are_not_counted_as_parameters() -> None:
    norm = {"norm.gamma": (8,), "norm.beta": (8,), "rope.inv_freq": (4,)}
    snake = {"act.alpha": (8,), "act.beta": (8,)}
    tensors = {name: TensorInfo("F32", shape, 0) for name, shape in (norm | snake).items()}
    assert num_parameters(tensors) == 8 + 16


def test_numbers_in_order_are_told_from_transposed_ones() -> None:
    assert is_contiguous((2, 3), (3, 1))
    assert is_contiguous((2, 1, 3), (3, 7, 1))
    assert is_contiguous((0, 3), (9, 9))
    assert not is_contiguous((2, 3), (1, 2))
