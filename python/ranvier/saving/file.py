"""One file of tensors and a JSON description: the safetensors format, written whole or not at all, read with distrust.

A file is eight bytes of header length, the header in JSON (name -> dtype, shape and place of each tensor), and the
tensors' bytes. Under ``__metadata__`` stand ``ranvier``, our own description, and its checksum; the description
lists each tensor with a checksum, so that no damage goes unnoticed. https://github.com/huggingface/safetensors
"""

from __future__ import annotations

import contextlib
import itertools
import json
import math
import os
import secrets
import struct
import zlib
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from ranvier import _core, ops
from ranvier._version import __version__
from ranvier.tensor import Tensor, wrap

FORMAT_VERSION = 1
_CODES = {
    "float32": "F32",
    "float64": "F64",
    "float16": "F16",
    "bfloat16": "BF16",
    "int32": "I32",
    "int64": "I64",
    "uint8": "U8",
    "bool": "BOOL",
}
_NAMES = {code: name for name, code in _CODES.items()}
_LARGEST_HEADER = 100_000_000  # bytes; the limit of safetensors itself
_PIECE = 1 << 22  # bytes that are looked at together


def check_path(what: str, path: str | os.PathLike[str], keras: str = "") -> str:
    """``path`` as a string; ValueError unless it ends in ``.rv``, or as Keras's file of this kind does."""
    text = os.fspath(path)
    if not isinstance(text, str) or not text.endswith((".rv", keras) if keras else ".rv"):
        known = f".rv, or {keras} for Keras" if keras else ".rv"
        raise ValueError(f"{what}: the file's name must end in {known}; got {text!r}")
    return text


# --- tensors as bytes -----------------------------------------------------------------------------------


def _host_bytes(tensor: Tensor) -> memoryview:
    """The tensor's bytes (little-endian), shared where they lie on the host; bfloat16 as 16-bit words."""
    if tensor.dtype == "bfloat16":  # NumPy has none: the upper half of the float32 of the same value
        values = (tensor.numpy().view(np.uint32) >> 16).astype("<u2")
    else:
        values = tensor.numpy()
        values = np.ascontiguousarray(values.astype(values.dtype.newbyteorder("<"), copy=False))
    return values.reshape(-1).view(np.uint8).data if values.size else memoryview(b"")


class Stored:
    """A tensor in a file: its dtype, shape and place. Its values are read when they are asked for."""

    def __init__(self, handle: int, dtype: str, shape: tuple[int, ...], first: int, last: int) -> None:
        self._handle = handle
        self.dtype = dtype
        self.shape = shape
        self._first = first
        self._last = last

    def _read_into(self, target: memoryview, offset: int = 0) -> None:
        done = 0
        while done < len(target):
            found = os.preadv(self._handle, [target[done:]], self._first + offset + done)
            if found == 0:
                raise OSError("the file became shorter while it was read")
            done += found

    def checksum(self) -> int:
        """CRC-32 of the bytes, a piece at a time."""
        buffer, crc = bytearray(min(_PIECE, self._last - self._first)), 0
        for offset in range(0, self._last - self._first, _PIECE):
            piece = memoryview(buffer)[: min(_PIECE, self._last - self._first - offset)]
            self._read_into(piece, offset)
            crc = zlib.crc32(piece, crc)
        return crc

    def numpy(self) -> np.ndarray:
        """The values; bfloat16 as float32."""
        raw = {"bfloat16": "<u2", "bool": "u1"}.get(self.dtype) or np.dtype(self.dtype).newbyteorder("<").str
        values = np.empty(self.shape, raw)
        if values.size:
            self._read_into(values.reshape(-1).view(np.uint8).data)
        if self.dtype == "bfloat16":
            values = np.asarray(values.astype(np.uint32) << 16).view(np.float32)
        return values.astype(bool) if self.dtype == "bool" else values

    def tensor(self) -> Tensor:
        """The values as a tensor of their own."""
        made = wrap(_core.Array.from_numpy(self.numpy(), copy=True, device="cpu"))
        return ops.cast(made, "bfloat16") if self.dtype == "bfloat16" else made

    def read_into(self, variable: Tensor) -> None:
        """Overwrites a variable of this shape; without a copy of the whole, where it lies on the host."""
        if variable.device != "cpu" or variable.dtype != self.dtype or self.dtype in ("bfloat16", "bool"):
            variable.assign(self.tensor())
        elif variable.size:
            self._read_into(variable.array.numpy().reshape(-1).view(np.uint8).data)
            variable.array.bump_version()


# --- writing --------------------------------------------------------------------------------------------


def write(path: str, tensors: dict[str, Tensor], description: dict[str, Any]) -> None:
    """Writes tensors and a description (JSON values) to ``path``, which changes at once or not at all."""
    header: dict[str, Any] = {}
    listed: dict[str, Any] = {}
    place = 0
    for name, tensor in tensors.items():
        data = _host_bytes(tensor)
        code, shape = _CODES[tensor.dtype], list(tensor.shape)
        header[name] = {"dtype": code, "shape": shape, "data_offsets": [place, place + len(data)]}
        listed[name] = [code, shape, zlib.crc32(data)]
        place += len(data)
    described = {"format_version": FORMAT_VERSION, "ranvier_version": __version__, **description, "tensors": listed}
    text = json.dumps(described)
    metadata = {"format": "ranvier", "ranvier": text, "ranvier_crc32": f"{zlib.crc32(text.encode()):08x}"}
    head = json.dumps({"__metadata__": metadata, **header}).encode()
    head += b" " * (-len(head) % 8)  # the tensors begin on a multiple of eight bytes
    start = [struct.pack("<Q", len(head)), head]
    # Tensors of a GPU are copied to the host one at a time, here for the second time.
    write_atomically(path, itertools.chain(start, map(_host_bytes, tensors.values())))


def write_atomically(path: str, parts: Iterable[bytes | memoryview]) -> None:
    """Writes a file beside its place, onto the disk, and only then moves it there."""
    with temporary_beside(path) as temporary:
        with open(temporary, "xb") as file:
            for part in parts:
                file.write(part)
        move_into_place(temporary, path)


@contextlib.contextmanager
def temporary_beside(path: str) -> Iterator[str]:
    """A name in the folder of ``path`` for a file that is gone at the end, if it was not moved."""
    folder, base = os.path.split(os.path.realpath(path))
    temporary = os.path.join(folder, f".{base}.{os.getpid()}.{secrets.token_hex(4)}.tmp")
    try:
        yield temporary
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)


def move_into_place(temporary: str, path: str) -> None:
    """Sees that a file is on the disk, moves it to ``path`` at one blow, and that this is on the disk, too."""
    target = os.path.realpath(path)
    _sync(temporary)
    os.replace(temporary, target)
    _sync(os.path.dirname(target))  # the name too must survive a loss of power


def _sync(path: str) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


# --- reading --------------------------------------------------------------------------------------------


class _Damaged(Exception):  # noqa: N818
    """What is wrong with a file; ``opened`` adds its name."""


@contextlib.contextmanager
def opened(path: str) -> Iterator[tuple[dict[str, Any], dict[str, Stored]]]:
    """The description and the tensors of a file, whose values are read while the context lasts.

    Sizes are checked against the file's before anything is allocated, and every tensor's checksum before anything is
    given. The file is read by position, not mapped into memory: one that somebody cuts short gives an error, no
    signal. Raises ValueError that names the file and what is wrong with it.
    """
    handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        try:
            size = os.fstat(handle).st_size
            header, start = _header(handle, size)
            description = _description(header.pop("__metadata__", None))
            tensors = _tensors(handle, header, start, size - start, description["tensors"])
        except _Damaged as damage:
            raise ValueError(f"{path!r} cannot be read: {damage}") from None
        yield description, tensors
    finally:
        os.close(handle)


def read(path: str) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """The description and all tensors of a file."""
    with opened(path) as (description, tensors):
        return description, {name: stored.tensor() for name, stored in tensors.items()}


def _header(handle: int, size: int) -> tuple[dict[str, Any], int]:
    """The header, and where the tensors begin."""
    if size < 8:
        raise _Damaged(f"it has {size} bytes, too few for any safetensors file")
    (length,) = struct.unpack("<Q", os.pread(handle, 8, 0))
    if length > min(size - 8, _LARGEST_HEADER):
        raise _Damaged(f"its header should have {length} bytes, the whole file has {size}: truncated, or no .rv file")
    try:
        header = json.loads(os.pread(handle, length, 8))
    except (ValueError, RecursionError) as error:
        raise _Damaged(f"its header is not JSON ({error})") from None
    if not isinstance(header, dict):
        raise _Damaged("its header is not a JSON object")
    return header, 8 + length


def _description(metadata: Any) -> dict[str, Any]:
    text = metadata.get("ranvier") if isinstance(metadata, dict) else None
    if not isinstance(text, str) or metadata.get("format") != "ranvier":
        raise _Damaged("it is a safetensors file but holds no Ranvier model (no 'ranvier' in its metadata)")
    if metadata.get("ranvier_crc32") != f"{zlib.crc32(text.encode('utf-8', 'replace')):08x}":
        raise _Damaged("its description is damaged (wrong checksum)")
    try:
        description = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise _Damaged(f"its description is not JSON ({error})") from None
    version = description.get("format_version") if isinstance(description, dict) else None
    if not isinstance(version, int) or not isinstance(description.get("tensors"), dict):
        raise _Damaged("its description lacks 'format_version' or 'tensors'")
    if version > FORMAT_VERSION:
        raise _Damaged(
            f"it has format {version}, written by Ranvier {description.get('ranvier_version')}; this is Ranvier "
            f"{__version__}, which reads formats up to {FORMAT_VERSION}: upgrade it"
        )
    return description


def _tensors(handle: int, header: dict[str, Any], start: int, length: int, listed: dict[str, Any]) -> dict[str, Stored]:
    missing, extra = sorted(listed.keys() - header.keys()), sorted(header.keys() - listed.keys())
    if missing or extra:
        told = [f"{what} tensor {names[0]!r}" for what, names in (("missing", missing), ("extra", extra)) if names]
        raise _Damaged(" and ".join(told))
    found: dict[str, Stored] = {}
    end = 0
    for name, entry in header.items():
        dtype, shape, first, last = _place(name, entry)
        if first != end or last > length:
            raise _Damaged(f"tensor {name!r} lies at bytes {first} to {last} of {length}: truncated or overlapping")
        end = last
        found[name] = Stored(handle, dtype, tuple(shape), start + first, start + last)
    if end != length:
        raise _Damaged(f"{length - end} bytes follow the last tensor")
    for name, stored in found.items():
        if listed[name] != [_CODES[stored.dtype], list(stored.shape), stored.checksum()]:
            raise _Damaged(f"tensor {name!r} is damaged (its dtype, shape or checksum is not what was written)")
    return found


def _place(name: str, entry: Any) -> tuple[str, list[int], int, int]:
    """Dtype, shape and place of a tensor, all of them possible."""

    def is_size(value: Any) -> bool:
        return type(value) is int and value >= 0

    try:
        code, shape, (first, last) = entry["dtype"], entry["shape"], entry["data_offsets"]
        fine = isinstance(shape, list) and all(map(is_size, shape)) and is_size(first) and is_size(last)
        dtype = _NAMES.get(code)
    except (TypeError, KeyError, ValueError):
        fine, dtype = False, None
    if not fine or dtype is None:
        raise _Damaged(f"tensor {name!r} has no proper dtype, shape or place")
    size = 2 if dtype == "bfloat16" else np.dtype(dtype).itemsize
    if math.prod(shape) * size != last - first:
        raise _Damaged(f"tensor {name!r} of shape {shape} and {dtype} does not fit {last - first} bytes")
    return dtype, shape, first, last
