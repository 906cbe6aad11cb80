"""Reads the pickle inside a torch file as data: it imports nothing and calls nothing that the file names.

A small machine for pickle's opcodes. All it can build are numbers, text, lists, tuples, dicts, and inert
records: references to tensors, and `Inert` for the few harmless classes that Lightning writes. A name
outside KNOWN_GLOBALS ends the reading as `dangerous`. Python's own unpicklers are not used: they can be
made to allocate without bound, and to run code.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any, NoReturn

from sao_tui.core.weights.header import WeightsError
from sao_tui.core.weights.pickle_values import (
    INERT,
    KNOWN_GLOBALS,
    STORAGE_DTYPES,
    TORCH_DTYPES,
    Global,
    StorageRef,
    build,
    refuse,
)

MAX_PICKLE_BYTES = 32_000_000
"""A wrapped SAO-small has under one million."""
MAX_OPCODES = 5_000_000


class _Mark:
    pass


_MARK = _Mark()


def read_pickle(data: bytes) -> Any:
    """Return what one pickle describes.

    Raises:
        WeightsError: `dangerous` when it names code, `truncated` when it ends early, else `foreign`.
    """
    return PickleReader(data).read()


class PickleReader:
    """Runs the opcodes of one pickle after another in `data`."""

    def __init__(self, data: bytes) -> None:
        """Start at the first byte."""
        if len(data) > MAX_PICKLE_BYTES:
            refuse(f"it has {len(data):,} bytes")
        self.data = data
        self.position = 0
        self.stack: list[Any] = []
        self.memo: dict[int, Any] = {}

    def read(self) -> Any:
        """Return the next pickle's value.

        Raises:
            WeightsError: See read_pickle.
        """
        self.stack, self.memo = [], {}
        try:
            return self._run()
        except (IndexError, struct.error) as error:
            raise WeightsError("truncated", "ends in the middle of its table of tensors") from error
        except (TypeError, ValueError, AttributeError, KeyError, OverflowError, RecursionError) as error:
            raise WeightsError("foreign", "holds a pickle that makes no sense") from error

    def _run(self) -> Any:
        data, handlers = self.data, _HANDLERS
        for _ in range(MAX_OPCODES):
            opcode = data[self.position]
            self.position += 1
            if opcode == 0x2E:  # STOP
                return self.stack.pop()
            handler = handlers.get(opcode)
            if handler is None:
                _refuse_opcode(opcode)
            handler(self)
        refuse("it has too many steps")

    def take(self, num_bytes: int) -> bytes:
        """Return the next bytes."""
        end = self.position + num_bytes
        if end > len(self.data) or num_bytes < 0:
            raise IndexError
        taken = self.data[self.position : end]
        self.position = end
        return taken

    def unpack(self, form: str, num_bytes: int) -> Any:
        """Return the next number."""
        return struct.unpack(form, self.take(num_bytes))[0]

    def line(self) -> str:
        """Return the text up to the next line end."""
        end = self.data.index(b"\n", self.position)
        text = self.data[self.position : end].decode("utf-8", "replace")
        self.position = end + 1
        return text

    def pop_to_mark(self) -> list[Any]:
        """Return what was pushed since the last mark."""
        stack = self.stack
        for index in range(len(stack) - 1, -1, -1):
            if stack[index] is _MARK:
                items = stack[index + 1 :]
                del stack[index:]
                return items
        raise IndexError


def _refuse_opcode(opcode: int) -> NoReturn:
    running = {0x69: "INST", 0x6F: "OBJ", 0x82: "EXT1", 0x83: "EXT2", 0x84: "EXT4", 0x92: "NEWOBJ_EX"}
    if opcode in running:
        raise WeightsError("dangerous", f"holds a pickle that would run code when loaded ({running[opcode]})")
    refuse(f"opcode 0x{opcode:02x}")


def _push_constant(value: Any) -> Callable[[PickleReader], None]:
    return lambda reader: reader.stack.append(value)


def _push_new(build: Callable[[], Any]) -> Callable[[PickleReader], None]:
    return lambda reader: reader.stack.append(build())


def _push_number(form: str, num_bytes: int) -> Callable[[PickleReader], None]:
    return lambda reader: reader.stack.append(reader.unpack(form, num_bytes))


def _push_text(form: str, num_bytes: int) -> Callable[[PickleReader], None]:
    def push(reader: PickleReader) -> None:
        reader.stack.append(reader.take(reader.unpack(form, num_bytes)).decode("utf-8", "surrogatepass"))

    return push


def _push_bytes(form: str, num_bytes: int) -> Callable[[PickleReader], None]:
    return lambda reader: reader.stack.append(reader.take(reader.unpack(form, num_bytes)))


def _push_long(form: str, num_bytes: int) -> Callable[[PickleReader], None]:
    def push(reader: PickleReader) -> None:
        digits = reader.take(reader.unpack(form, num_bytes))
        reader.stack.append(int.from_bytes(digits[:64], "little", signed=True))

    return push


def _put(form: str, num_bytes: int) -> Callable[[PickleReader], None]:
    def put(reader: PickleReader) -> None:
        reader.memo[reader.unpack(form, num_bytes)] = reader.stack[-1]

    return put


def _get(form: str, num_bytes: int) -> Callable[[PickleReader], None]:
    return lambda reader: reader.stack.append(reader.memo[reader.unpack(form, num_bytes)])


def _push_tuple(num_items: int) -> Callable[[PickleReader], None]:
    def push(reader: PickleReader) -> None:
        if len(reader.stack) < num_items:
            raise IndexError
        items = tuple(reader.stack[-num_items:])
        del reader.stack[-num_items:]
        reader.stack.append(items)

    return push


def _skip(num_bytes: int) -> Callable[[PickleReader], None]:
    def skip(reader: PickleReader) -> None:
        reader.take(num_bytes)

    return skip


def _memoize(reader: PickleReader) -> None:
    reader.memo[len(reader.memo)] = reader.stack[-1]


def _mark(reader: PickleReader) -> None:
    reader.stack.append(_MARK)


def _pop(reader: PickleReader) -> None:
    reader.stack.pop()


def _pop_mark(reader: PickleReader) -> None:
    reader.pop_to_mark()


def _tuple(reader: PickleReader) -> None:
    reader.stack.append(tuple(reader.pop_to_mark()))


def _inert_from_mark(reader: PickleReader) -> None:
    reader.pop_to_mark()
    reader.stack.append(INERT)


def _list(reader: PickleReader) -> None:
    reader.stack.append(reader.pop_to_mark())


def _dict(reader: PickleReader) -> None:
    items = reader.pop_to_mark()
    reader.stack.append({})
    _set_all(reader.stack[-1], items)


def _append(reader: PickleReader) -> None:
    value = reader.stack.pop()
    if isinstance(reader.stack[-1], list):
        reader.stack[-1].append(value)


def _appends(reader: PickleReader) -> None:
    items = reader.pop_to_mark()
    if isinstance(reader.stack[-1], list):
        reader.stack[-1].extend(items)


def _drop_items(reader: PickleReader) -> None:
    reader.pop_to_mark()


def _set_item(reader: PickleReader) -> None:
    value, key = reader.stack.pop(), reader.stack.pop()
    _set_all(reader.stack[-1], [key, value])


def _set_items(reader: PickleReader) -> None:
    items = reader.pop_to_mark()
    _set_all(reader.stack[-1], items)


def _set_all(target: Any, items: list[Any]) -> None:
    """Fill a dict; keys that are neither text nor numbers are dropped, since hashing them could go deep."""
    if not isinstance(target, dict):
        return
    for key, value in zip(items[::2], items[1::2], strict=True):
        if isinstance(key, (str, int, float)):
            target[key] = value


def _global(reader: PickleReader) -> None:
    module, name = reader.line(), reader.line()
    _push_global(reader, module, name)


def _stack_global(reader: PickleReader) -> None:
    name, module = reader.stack.pop(), reader.stack.pop()
    if not isinstance(name, str) or not isinstance(module, str):
        refuse("a name that is not text")
    _push_global(reader, module, name)


def _push_global(reader: PickleReader, module: str, name: str) -> None:
    full = f"{module}.{name}"
    if full not in KNOWN_GLOBALS:
        shown = full if len(full) <= 80 else full[:77] + "..."
        raise WeightsError("dangerous", f"would run {shown!r} when loaded")
    reader.stack.append(Global(full))


def _reduce(reader: PickleReader) -> None:
    arguments, function = reader.stack.pop(), reader.stack.pop()
    if not isinstance(function, Global) or not isinstance(arguments, tuple):
        refuse("a call of something that is not a name")
    reader.stack.append(build(function.name, arguments))


def _persistent(reader: PickleReader) -> None:
    match reader.stack.pop():
        case ("storage", Global(name=kind), str(key), _, int(num_elements), *_):
            short = kind.removeprefix("torch.")
            dtype = STORAGE_DTYPES.get(short) or TORCH_DTYPES.get(short, "U8")
            reader.stack.append(StorageRef(dtype, key, num_elements))
        case _:
            refuse("an unknown reference")


def _build_state(reader: PickleReader) -> None:
    # An object's attributes: a state dict's `_metadata`, nothing that is needed here.
    reader.stack.pop()


_HANDLERS: dict[int, Callable[[PickleReader], None]] = {
    0x80: _skip(1),  # PROTO
    0x95: _skip(8),  # FRAME
    0x28: _mark,
    0x30: _pop,
    0x31: _pop_mark,
    0x4E: _push_constant(None),
    0x88: _push_constant(True),
    0x89: _push_constant(False),
    0x29: _push_constant(()),
    0x5D: _push_new(list),
    0x7D: _push_new(dict),
    0x8F: _push_constant(INERT),  # EMPTY_SET
    0x90: _drop_items,  # ADDITEMS
    0x91: _inert_from_mark,  # FROZENSET
    0x4A: _push_number("<i", 4),
    0x4B: _push_number("<B", 1),
    0x4D: _push_number("<H", 2),
    0x47: _push_number(">d", 8),
    0x8A: _push_long("<B", 1),
    0x8B: _push_long("<i", 4),
    0x58: _push_text("<I", 4),
    0x8C: _push_text("<B", 1),
    0x8D: _push_text("<Q", 8),
    0x55: _push_text("<B", 1),
    0x54: _push_text("<i", 4),
    0x42: _push_bytes("<I", 4),
    0x43: _push_bytes("<B", 1),
    0x8E: _push_bytes("<Q", 8),
    0x96: _push_bytes("<Q", 8),
    0x71: _put("<B", 1),
    0x72: _put("<I", 4),
    0x94: _memoize,
    0x68: _get("<B", 1),
    0x6A: _get("<I", 4),
    0x85: _push_tuple(1),
    0x86: _push_tuple(2),
    0x87: _push_tuple(3),
    0x74: _tuple,
    0x6C: _list,
    0x64: _dict,
    0x61: _append,
    0x65: _appends,
    0x73: _set_item,
    0x75: _set_items,
    0x63: _global,
    0x93: _stack_global,
    0x52: _reduce,
    0x81: _reduce,  # NEWOBJ
    0x51: _persistent,
    0x62: _build_state,
}
