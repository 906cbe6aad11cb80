"""The few names that a torch file may mention, and the inert values that stand for what they build."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NoReturn

from sao_tui.core.weights.header import WeightsError

STORAGE_DTYPES = {
    "DoubleStorage": "F64",
    "FloatStorage": "F32",
    "HalfStorage": "F16",
    "BFloat16Storage": "BF16",
    "LongStorage": "I64",
    "IntStorage": "I32",
    "ShortStorage": "I16",
    "CharStorage": "I8",
    "ByteStorage": "U8",
    "BoolStorage": "BOOL",
}
TORCH_DTYPES = {
    "float64": "F64",
    "float32": "F32",
    "float16": "F16",
    "bfloat16": "BF16",
    "float8_e4m3fn": "F8_E4M3",
    "float8_e5m2": "F8_E5M2",
    "int64": "I64",
    "int32": "I32",
    "int16": "I16",
    "int8": "I8",
    "uint8": "U8",
    "bool": "BOOL",
}

_REBUILDERS = {
    "torch._utils._rebuild_tensor_v2",
    "torch._utils._rebuild_tensor_v3",
    "torch._utils._rebuild_parameter",
    "torch._utils._rebuild_parameter_with_state",
    "torch._tensor._rebuild_from_type_v2",
}
_HARMLESS = {
    "collections.OrderedDict",
    "collections.defaultdict",
    "collections.Counter",
    "builtins.set",
    "builtins.frozenset",
    "builtins.complex",
    "builtins.bytearray",
    "builtins.dict",
    "builtins.list",
    "builtins.tuple",
    "builtins.int",
    "builtins.float",
    "builtins.str",
    "__builtin__.set",
    "_codecs.encode",
    "torch.Size",
    "torch.device",
    "torch.Tensor",
    "torch.nn.parameter.Parameter",
    "torch.storage.UntypedStorage",
}
KNOWN_GLOBALS = _REBUILDERS | _HARMLESS | {f"torch.{name}" for name in (*STORAGE_DTYPES, *TORCH_DTYPES)}
"""Names that a file may mention; none of them is ever imported."""


@dataclass(frozen=True)
class Global:
    """A name that the file mentions."""

    name: str


@dataclass(frozen=True)
class StorageRef:
    """Where the numbers of tensors lie: an entry `data/KEY` of the archive."""

    dtype: str
    key: str
    num_elements: int


@dataclass(frozen=True)
class TensorRef:
    """A view of a storage; offset and strides count numbers, not bytes."""

    storage: StorageRef
    dtype: str
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


class Inert:
    """Something that is not needed, and was therefore not built."""


INERT = Inert()


def refuse(what: str) -> NoReturn:
    """End the reading of a pickle that no torch.save of weights writes.

    Raises:
        WeightsError: Always.
    """
    raise WeightsError("foreign", f"holds a pickle that is not one of weights ({what})")


def build(name: str, arguments: tuple[Any, ...]) -> Any:
    """Return what stands for a call of a known name.

    Raises:
        WeightsError: A tensor is described that cannot be.
    """
    if name in ("torch._utils._rebuild_tensor_v2", "torch._utils._rebuild_tensor_v3"):
        return _tensor(arguments, is_typed=name.endswith("v2"))
    if name in ("torch._utils._rebuild_parameter", "torch._utils._rebuild_parameter_with_state"):
        return arguments[0]
    if name == "torch._tensor._rebuild_from_type_v2":
        inner, rest = arguments[0], arguments[2]
        return build(inner.name, rest) if isinstance(inner, Global) and isinstance(rest, tuple) else INERT
    if name in ("collections.OrderedDict", "collections.defaultdict", "builtins.dict"):
        return {}
    return INERT


def _tensor(arguments: tuple[Any, ...], *, is_typed: bool) -> TensorRef:
    storage, offset, shape, strides = arguments[:4]
    if not isinstance(storage, StorageRef) or not isinstance(offset, int):
        refuse("a tensor without a storage")
    numbers = (*shape, *strides)
    if len(shape) != len(strides) or not all(type(number) is int and number >= 0 for number in (*numbers, offset)):
        refuse("a tensor of an impossible shape")
    dtype = storage.dtype
    if not is_typed:
        kind = arguments[6]
        dtype = TORCH_DTYPES[kind.name.removeprefix("torch.")] if isinstance(kind, Global) else ""
    return TensorRef(storage, dtype, offset, tuple(shape), tuple(strides))
