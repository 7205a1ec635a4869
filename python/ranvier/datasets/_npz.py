"""Arrays in ``.npz`` files, without ``pickle``: numbers as they are, lists of integers through a reader of our own.

Keras's IMDB and Reuters keep lists of different lengths as arrays of objects, which NumPy writes as pickles, and
CIFAR's batches are pickled dictionaries. A pickle is a program that may call anything. The reader here knows those of
its instructions that such files need, calls nothing, and refuses all others: what it builds are integers, texts, bytes,
lists, tuples, dictionaries and arrays of them, none larger than the file.
"""

from __future__ import annotations

import io
import math
import re
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np

from ranvier.datasets._files import CorruptFileError

LARGEST_MEMBER: Final = 1 << 28  # bytes; a small archive must not fill the memory

# What a pickled array names, under the names of NumPy 1 and 2. They are only compared, never imported.
_RECONSTRUCT = ("numpy.core.multiarray _reconstruct", "numpy._core.multiarray _reconstruct")
_NDARRAY = "numpy ndarray"
_DTYPE = "numpy dtype"
_ENCODE = "_codecs encode"  # how Python 3 writes bytes for Python 2: as Latin-1 text
_KNOWN = {*_RECONSTRUCT, _NDARRAY, _DTYPE, _ENCODE}

_INTEGERS = re.compile(rb"(?:K.|M..|J....)+", re.DOTALL)  # a run of them, as lists hold thousands
_INTEGER = re.compile(rb"K.|M..|J....", re.DOTALL)


def _integers(run: bytes) -> list[int]:
    """The integers of a run: one byte, two, or four with a sign after their instruction."""
    lengths = np.fromiter(map(len, _INTEGER.findall(run)), np.int64)
    places = np.cumsum(lengths) - lengths
    raw = np.frombuffer(run + bytes(4), np.uint8).astype(np.int64)
    values = raw[places + 1] + (lengths > 2) * (raw[places + 2] << 8)
    high = raw[places + 3] << 16 | raw[places + 4] << 24
    found: list[int] = np.where(lengths > 3, (values + high).astype(np.int32), values).tolist()
    return found


@dataclass(frozen=True)
class _Global:
    name: str


@dataclass
class _Dtype:
    """A dtype in the making: "O8", "u1", with the byte order that its state tells."""

    code: str
    order: str = "|"


@dataclass
class _Array:
    """An array in the making."""

    value: Any = None


class _Mark:
    pass


@dataclass
class _Reader:
    """A machine for pickles (protocols 2 to 5) that hold nothing but data."""

    data: bytes
    source: str
    at: int = 0
    stack: list[Any] = field(default_factory=list)
    memo: dict[int, Any] = field(default_factory=dict)

    def refuse(self, why: str) -> CorruptFileError:
        return CorruptFileError(f"{self.source}: refused, at byte {self.at} of its pickled part: {why}")

    def load(self) -> Any:
        """What the pickle describes. Raises CorruptFileError for whatever is not plain data."""
        try:
            while True:
                run = _INTEGERS.match(self.data, self.at)
                if run is not None:
                    self.stack += _integers(run.group())
                    self.at = run.end()
                code = self.take(1)
                if code == b".":
                    break
                action = _ACTIONS.get(code)
                if action is None:
                    raise self.refuse(f"it uses the instruction {code!r}, which no data need")
                action(self)
        except (IndexError, KeyError, UnicodeError, TypeError) as error:
            raise self.refuse(f"it is damaged ({type(error).__name__}: {error})") from None
        if len(self.stack) != 1 or self.at != len(self.data):
            raise self.refuse("it ends too early or too late")
        return self.stack[0]

    # --- the parts of instructions ------------------------------------------------------------------------

    def take(self, count: int) -> bytes:
        part = self.data[self.at : self.at + count]
        if count < 0 or len(part) < count:
            raise self.refuse(f"it is cut off: {len(self.data) - self.at} bytes are left where {count} are needed")
        self.at += count
        return part

    def number(self, count: int, signed: bool = False) -> int:
        return int.from_bytes(self.take(count), "little", signed=signed)

    def line(self) -> str:
        end = self.data.index(b"\n", self.at) if b"\n" in self.data[self.at : self.at + 100] else -1
        if end < 0:
            raise self.refuse("a name has no end")
        return self.take(end + 1 - self.at)[:-1].decode("ascii")

    def pop(self) -> Any:
        top = self.stack.pop()
        if isinstance(top, _Mark):
            raise self.refuse("a mark stands where a value is needed")
        return top

    def pop_to_mark(self) -> list[Any]:
        for place in range(len(self.stack) - 1, -1, -1):
            if isinstance(self.stack[place], _Mark):
                items = self.stack[place + 1 :]
                del self.stack[place:]
                return items
        raise self.refuse("a mark is missing")

    # --- instructions ---------------------------------------------------------------------------------------

    def push_global(self, name: str) -> None:
        if name not in _KNOWN:
            raise self.refuse(f"it asks for {name.replace(' ', '.')}, which is no data")
        self.stack.append(_Global(name))

    def stack_global(self) -> None:
        name, module = self.pop(), self.pop()
        self.push_global(f"{module} {name}")

    def recall(self, key: int) -> None:
        value = self.memo[key]
        if isinstance(value, (list, dict)):  # else a small file could stand for a huge structure, or hold itself
            raise self.refuse("one list stands in two places")
        self.stack.append(value)

    def append(self, items: list[Any]) -> None:
        target = self.stack[-1]
        if not isinstance(target, list):
            raise self.refuse(f"it appends to a {type(target).__name__}")
        target += items

    def set_items(self, items: list[Any]) -> None:
        target = self.stack[-1]
        if not isinstance(target, dict) or len(items) % 2:
            raise self.refuse("it fills what is no dictionary")
        for key, value in zip(items[::2], items[1::2], strict=True):
            if not isinstance(key, (str, bytes)):
                raise self.refuse(f"a key is a {type(key).__name__}")
            target[key.decode("latin-1") if isinstance(key, bytes) else key] = value

    def reduce(self) -> None:
        """The three calls that a pickled array asks for: none is made."""
        arguments, called = self.pop(), self.pop()
        name = called.name if isinstance(called, _Global) else ""
        if name in _RECONSTRUCT and len(arguments) == 3 and arguments[0] == _Global(_NDARRAY):
            self.stack.append(_Array())
        elif name == _DTYPE and arguments and isinstance(arguments[0], (str, bytes)):
            code = arguments[0]
            self.stack.append(_Dtype(code.decode("ascii") if isinstance(code, bytes) else code))
        elif name == _ENCODE and len(arguments) == 2 and isinstance(arguments[0], str) and arguments[1] == "latin1":
            self.stack.append(arguments[0].encode("latin-1"))
        else:
            raise self.refuse("it calls something")

    def build(self) -> None:
        state, target = self.pop(), self.stack[-1]
        if isinstance(target, _Dtype) and isinstance(state, tuple) and len(state) >= 2:
            target.order = state[1].decode("ascii") if isinstance(state[1], bytes) else str(state[1])
        elif isinstance(target, _Array) and isinstance(state, tuple) and len(state) == 5:
            target.value = self.array_of(*state[1:])
        else:
            raise self.refuse(f"it sets the state of a {type(target).__name__}")

    def array_of(self, shape: Any, dtype: Any, by_columns: Any, content: Any) -> Any:
        if not isinstance(shape, tuple) or not all(isinstance(side, int) and side >= 0 for side in shape):
            raise self.refuse("an array has no shape")
        if not isinstance(dtype, _Dtype):
            raise self.refuse("an array has no dtype")
        if dtype.code in ("O8", "O4", "O"):
            if not isinstance(content, list) or len(shape) != 1 or len(content) != shape[0]:
                raise self.refuse(f"an array {shape} of objects has other content")
            return content
        if not re.fullmatch(r"[uif][1248]|b1", dtype.code) or dtype.order not in "|<>=":
            raise self.refuse(f"an array has the dtype {dtype.code!r}")
        kind = np.dtype(dtype.order + dtype.code)
        if not isinstance(content, bytes) or len(content) != math.prod(shape) * kind.itemsize:
            raise self.refuse(f"an array {shape} of {dtype.code} has another size")
        order: Any = "F" if by_columns is True else "C"
        return np.frombuffer(content, kind).reshape(shape, order=order)


def _bytes(count: int, signed: bool = False) -> Callable[[_Reader], None]:
    """Bytes after their length. Python 2's strings are bytes, too."""
    return lambda r: r.stack.append(r.take(r.number(count, signed)))


def _text(count: int) -> Callable[[_Reader], None]:
    return lambda r: r.stack.append(r.take(r.number(count)).decode("utf-8"))


def _push(make: Callable[[], Any]) -> Callable[[_Reader], None]:
    return lambda r: r.stack.append(make())


def _tuple(count: int) -> Callable[[_Reader], None]:
    return lambda r: r.stack.append(tuple([r.pop() for _ in range(count)][::-1]))


def _long(reader: _Reader) -> None:
    length = reader.number(1)
    if length > 8:
        raise reader.refuse(f"an integer has {length} bytes")
    reader.stack.append(reader.number(length, signed=True))


_ACTIONS: Final[dict[bytes, Callable[[_Reader], Any]]] = {
    b"\x80": lambda r: r.take(1),  # the protocol
    b"\x95": lambda r: r.take(8),  # the length of a frame, which is not needed
    b"K": lambda r: r.stack.append(r.number(1)),
    b"M": lambda r: r.stack.append(r.number(2)),
    b"J": lambda r: r.stack.append(r.number(4, signed=True)),
    b"\x8a": _long,
    b"N": _push(lambda: None),
    b"\x88": _push(lambda: True),
    b"\x89": _push(lambda: False),
    b"U": _bytes(1),
    b"T": _bytes(4, signed=True),
    b"C": _bytes(1),
    b"B": _bytes(4),
    b"\x8e": _bytes(8),
    b"\x8c": _text(1),
    b"X": _text(4),
    b"]": _push(list),
    b"}": _push(dict),
    b")": _push(tuple),
    b"\x85": _tuple(1),
    b"\x86": _tuple(2),
    b"\x87": _tuple(3),
    b"t": lambda r: r.stack.append(tuple(r.pop_to_mark())),
    b"(": _push(_Mark),
    b"a": lambda r: r.append([r.pop()]),
    b"e": lambda r: r.append(r.pop_to_mark()),
    b"s": lambda r: r.set_items([r.pop(), r.pop()][::-1]),
    b"u": lambda r: r.set_items(r.pop_to_mark()),
    b"q": lambda r: r.memo.__setitem__(r.number(1), r.stack[-1]),
    b"r": lambda r: r.memo.__setitem__(r.number(4), r.stack[-1]),
    b"\x94": lambda r: r.memo.__setitem__(len(r.memo), r.stack[-1]),
    b"h": lambda r: r.recall(r.number(1)),
    b"j": lambda r: r.recall(r.number(4)),
    b"c": lambda r: r.push_global(f"{r.line()} {r.line()}"),
    b"\x93": _Reader.stack_global,
    b"R": _Reader.reduce,
    b"b": _Reader.build,
}


def plain_data(data: bytes, source: str) -> Any:
    """What a pickle of plain data holds: arrays of numbers as arrays, arrays of objects as lists.

    Raises CorruptFileError for everything else.
    """
    return _finished(_Reader(data, source).load(), source)


def _finished(value: Any, source: str) -> Any:
    if isinstance(value, _Array):
        return value.value
    if isinstance(value, dict):
        return {key: _finished(each, source) for key, each in value.items()}
    if isinstance(value, (list, int, str, bytes)):
        return value
    raise CorruptFileError(f"{source}: refused: it holds a {type(value).__name__}")


def read_npz(data: bytes, source: str, names: tuple[str, ...]) -> list[Any]:
    """The arrays called ``names`` in an ``.npz`` file's bytes: numbers as arrays, objects as lists of lists of ints.

    Raises CorruptFileError for anything else, and for members of more than ``LARGEST_MEMBER`` bytes.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            return [_member(archive, name, source) for name in names]
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError, OSError) as error:
        raise CorruptFileError(f"{source} is truncated or is no .npz file ({error})") from None


def _member(archive: zipfile.ZipFile, name: str, source: str) -> Any:
    if f"{name}.npy" not in archive.namelist():
        raise CorruptFileError(f"{source} has no array {name!r}; it has {', '.join(archive.namelist()[:8])}")
    with archive.open(f"{name}.npy") as stream:
        content = stream.read(LARGEST_MEMBER + 1)
    if len(content) > LARGEST_MEMBER:
        raise CorruptFileError(f"{source}: array {name!r} has more than {LARGEST_MEMBER} bytes")
    return read_npy(content, f"{source}, array {name!r}")


def read_npy(content: bytes, source: str) -> Any:
    """The array in an ``.npy`` file's bytes: numbers as an array, objects as a list of lists of integers."""
    stream = io.BytesIO(content)
    try:
        version = np.lib.format.read_magic(stream)
        read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, by_columns, dtype = read(stream)
    except (ValueError, SyntaxError, TypeError, RecursionError, MemoryError) as error:
        raise CorruptFileError(f"{source} is no .npy file ({error})") from None
    rest = content[stream.tell() :]
    if dtype.hasobject:
        lists = plain_data(rest, source)
        if not isinstance(lists, list) or (len(lists),) != shape or not all(map(_is_integers, lists)):
            raise CorruptFileError(f"{source}: expected {shape} lists of integers")
        return lists
    if dtype.kind not in "buif" or len(rest) != math.prod(shape) * dtype.itemsize:
        raise CorruptFileError(f"{source}: {len(rest)} bytes are no array {shape} of {dtype}")
    return np.frombuffer(rest, dtype).reshape(shape, order="F" if by_columns else "C").copy()


def _is_integers(item: Any) -> bool:
    return type(item) is list and set(map(type, item)) <= {int}
