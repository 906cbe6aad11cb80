from __future__ import annotations

import struct
import sys
import time
import tracemalloc
import zipfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sao_tui.core.weights import WeightsError, read_header
from sao_tui.core.weights.pickle_reader import read_pickle
from tests.fakes.torch_files import Call, FakeTensor, core_state, pickled, wrapped, write_torch_file, write_zip

CORE = core_state({"model.model.project_in.weight": (4, 3), "conditioner.x.bias": (3,)}, fill=True)


def problem(path: Path) -> WeightsError:
    with pytest.raises(WeightsError) as caught:
        read_header(path)
    return caught.value


def test_a_state_dict_is_read_with_names_shapes_and_number_formats(tmp_path: Path) -> None:
    half = FakeTensor((2, 2), "F16")
    header = read_header(write_torch_file(tmp_path / "a.ckpt", {"state_dict": {**CORE, "pretransform.y": half}}))
    assert header.format == "torch"
    assert {name: (info.dtype, info.shape) for name, info in header.tensors.items()} == {
        "model.model.project_in.weight": ("F32", (4, 3)),
        "conditioner.x.bias": ("F32", (3,)),
        "pretransform.y": ("F16", (2, 2)),
    }
    assert (header.step, header.has_optimizer, header.has_loops) == (None, False, False)


def test_a_bare_state_dict_is_read_as_one_under_state_dict(tmp_path: Path) -> None:
    assert list(read_header(write_torch_file(tmp_path / "a.pt", CORE)).tensors) == list(CORE)


def test_a_wrapped_checkpoint_tells_step_and_optimizer(tmp_path: Path) -> None:
    header = read_header(write_torch_file(tmp_path / "a.ckpt", wrapped(CORE, step=123)))
    assert (header.step, header.has_optimizer, header.has_loops) == (123, True, True)


def test_a_checkpoint_saved_without_optimizer_tells_so(tmp_path: Path) -> None:
    assert not read_header(write_torch_file(tmp_path / "a.ckpt", wrapped(CORE, moments=False))).has_optimizer


def test_six_gigabytes_are_read_at_once_and_in_little_memory(tmp_path: Path) -> None:
    big = {f"model.model.layers.{index}.weight": FakeTensor((25_000, 1_000)) for index in range(20)}
    path = write_torch_file(tmp_path / "big.ckpt", wrapped(big))
    assert path.stat().st_size > 6_000_000_000
    assert path.stat().st_blocks * 512 < 1_000_000, "the file is not sparse here"
    tracemalloc.start()
    started = time.perf_counter()
    header = read_header(path)
    seconds = time.perf_counter() - started
    peak_bytes = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(header.tensors) == 20
    assert seconds < 2, "milliseconds on an idle machine"
    assert peak_bytes < 10_000_000


@pytest.mark.parametrize("name", ["posix.system", "builtins.eval", "torch.load", "numpy.core.multiarray._reconstruct"])
def test_a_file_that_names_code_is_dangerous_and_the_name_is_told(tmp_path: Path, name: str) -> None:
    path = write_torch_file(tmp_path / "evil.ckpt", {"state_dict": CORE, "callbacks": Call(name, ("echo",))})
    found = problem(path)
    assert found.kind == "dangerous"
    assert name in found.message


def test_nothing_that_a_file_names_is_imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "evil_module.py").write_text("raise SystemExit")
    monkeypatch.syspath_prepend(str(tmp_path))
    path = write_torch_file(tmp_path / "evil.ckpt", {"state_dict": CORE, "x": Call("evil_module.run")})
    assert problem(path).kind == "dangerous"
    assert "evil_module" not in sys.modules


def test_known_names_are_not_imported_either(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)  # Importing it would now be an error.
    read_header(write_torch_file(tmp_path / "a.ckpt", {"state_dict": CORE, "x": Call("torch.Size", ((1,),))}))


@pytest.mark.parametrize("opcode", [b"ios\nsystem\n", b"(o", b"\x82\x01", b"\x92"])
def test_opcodes_that_build_objects_of_any_class_are_dangerous(opcode: bytes) -> None:
    with pytest.raises(WeightsError) as caught:
        read_pickle(b"\x80\x02(" + opcode + b".")
    assert caught.value.kind == "dangerous"


@pytest.mark.parametrize("percent", [0.1, 1, 10, 50, 90, 99, 99.9])
def test_a_checkpoint_cut_anywhere_is_truncated(tmp_path: Path, percent: float) -> None:
    path = write_torch_file(tmp_path / "a.ckpt", wrapped(core_state({"model.model.w": (500, 10)}, fill=True)))
    data = path.read_bytes()
    path.write_bytes(data[: max(5, int(len(data) * percent / 100))])
    assert problem(path).kind == "truncated"


def test_a_tensor_larger_than_its_storage_is_truncated(tmp_path: Path) -> None:
    path = write_torch_file(tmp_path / "a.ckpt", {"model.model.w": FakeTensor((10, 10), data=b"\1" * 100)})
    found = problem(path)
    assert (found.kind, "model.model.w" in found.message) == ("truncated", True)


def test_a_tensor_without_its_storage_is_truncated(tmp_path: Path) -> None:
    path = tmp_path / "a.ckpt"
    write_zip(path, [("archive/data.pkl", pickled({"model.model.w": FakeTensor((2,))}))])
    assert problem(path).kind == "truncated"


@pytest.mark.parametrize(
    "bomb",
    [
        b"\x80\x02}r\xff\xff\xff\x7f.",  # memo index of two thousand million
        b"\x80\x04\x96" + struct.pack("<Q", 2**40) + b"x.",  # a bytearray of a terabyte
        b"\x80\x02\x8b\xff\xff\xff\x7fx.",  # a number of two thousand million digits
        b"\x80\x02" + b"(" * 1_000_000 + b".",
        b"\x80\x02)" + b"\x85" * 200_000 + b"K\x01s.",  # a deep tuple as the key of a dict
    ],
    ids=["memo", "bytearray", "number", "marks", "deep-key"],
)
def test_a_pickle_made_to_fill_the_memory_does_not(bomb: bytes) -> None:
    tracemalloc.start()
    try:
        read_pickle(bomb)
    except WeightsError:
        pass
    peak_bytes = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak_bytes < 50_000_000


def test_a_deep_tuple_as_a_key_of_a_dict_is_dropped() -> None:
    assert read_pickle(b"\x80\x02})" + b"\x85" * 100_000 + b"K\x01s.") == {}


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_damaged_pickles_raise_nothing_but_what_they_should(data: st.DataObject) -> None:
    pickle = bytearray(pickled(wrapped(CORE, step=7)))
    for _ in range(data.draw(st.integers(1, 5))):
        pickle[data.draw(st.integers(0, len(pickle) - 1))] = data.draw(st.integers(0, 255))
    try:
        read_pickle(bytes(pickle))
    except WeightsError:
        pass


def test_a_bare_pickle_that_names_code_is_dangerous(tmp_path: Path) -> None:
    path = tmp_path / "a.ckpt"
    path.write_bytes(pickled(Call("posix.system", ("echo",))))
    assert problem(path).kind == "dangerous"
    path.write_bytes(b"cos\nsystem\n(S'echo'\ntR.")
    found = problem(path)
    assert (found.kind, "os.system" in found.message) == ("dangerous", True)


def test_a_bare_pickle_of_plain_values_is_foreign(tmp_path: Path) -> None:
    path = tmp_path / "a.ckpt"
    path.write_bytes(pickled({"a": 1}))
    assert problem(path).kind == "foreign"


def test_the_format_of_torch_before_1_6_is_foreign_and_says_how_to_convert(tmp_path: Path) -> None:
    path = tmp_path / "a.ckpt"
    magic = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."
    path.write_bytes(magic + pickled(1001) + pickled({"little_endian": True}) + pickled({"w": 1.0}) + b"rest")
    found = problem(path)
    assert (found.kind, "newer torch" in found.message) == ("foreign", True)
    path.write_bytes(magic + pickled(1001) + pickled({}) + pickled(Call("os.system")))
    assert problem(path).kind == "dangerous"


@pytest.mark.parametrize(
    ("content", "kind", "word"),
    [
        (b"", "truncated", "empty"),
        (b"PK", "truncated", "cut short"),
        (b"\0" * 5000, "truncated", "zeros"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:12\n", "foreign", "git lfs pull"),
        (b"<!DOCTYPE html><html><title>Sign in</title>", "foreign", "web page"),
        (b'{"error": "Access to model is restricted"}', "foreign", "JSON"),
        (b"some text that is no weights file at all", "foreign", "neither"),
    ],
)
def test_files_that_are_no_weights_are_told_apart(tmp_path: Path, content: bytes, kind: str, word: str) -> None:
    path = tmp_path / "base_model.ckpt"
    path.write_bytes(content)
    found = problem(path)
    assert found.kind == kind
    assert word in found.message


def test_zips_of_other_programs_are_foreign(tmp_path: Path) -> None:
    path = tmp_path / "a.ckpt"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("readme.txt", "hello")
    assert problem(path).kind == "foreign"
    write_zip(path, [("m/data.pkl", pickled({})), ("m/constants.pkl", pickled(()))])
    assert "TorchScript" in problem(path).message
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("m/data.pkl", pickled({"w": "x" * 10_000}))
    assert problem(path).kind == "foreign"
    write_zip(path, [("m/data.pkl", pickled({"w": FakeTensor((1,))})), ("m/byteorder", b"big"), ("m/data/0", 4)])
    assert "big-endian" in problem(path).message
