"""One file of tensors and a JSON description: the safetensors format, written whole or not at all, read with distrust.

A file is eight bytes of header length, the header in JSON (name -> dtype, shape and place of each tensor), and the
tensors' bytes. Under ``__metadata__`` stand ``ranvier``, our own description, and its checksum; the description
lists each tensor with a checksum, so that no damage goes unnoticed. https://github.com/huggingface/safetensors
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import secrets
import struct
import zlib
from collections.abc import Iterable
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


def check_path(what: str, path: str | os.PathLike[str]) -> str:
    """``path`` as a string; ValueError unless it ends in ``.rv``."""
    text = os.fspath(path)
    if not isinstance(text, str) or not text.endswith(".rv"):
        keras = ", not Keras's .keras or .h5" if str(text).endswith((".keras", ".h5", ".hdf5")) else ""
        raise ValueError(f"{what}: Ranvier's files end in .rv{keras}; got {text!r}")
    return text


# --- tensors as bytes -----------------------------------------------------------------------------------


def _host_bytes(tensor: Tensor) -> np.ndarray:
    """The tensor's bytes (little-endian) as a contiguous NumPy array; bfloat16 as uint16."""
    if tensor.dtype == "bfloat16":  # NumPy has none: the upper half of the float32 of the same value
        return (tensor.numpy().view(np.uint32) >> 16).astype(np.uint16)
    values = tensor.numpy()
    return np.ascontiguousarray(values.astype(values.dtype.newbyteorder("<"), copy=False))


def _from_bytes(data: memoryview, dtype: str, shape: list[int]) -> Tensor:
    if dtype == "bfloat16":
        bits = np.frombuffer(data, "<u2").astype(np.uint32) << 16
        wide = wrap(_core.Array.from_numpy(bits.view(np.float32).reshape(shape), copy=True))
        return ops.cast(wide, "bfloat16")
    if dtype == "bool":
        values = np.frombuffer(data, np.uint8).astype(bool)
    else:
        values = np.frombuffer(data, np.dtype(dtype).newbyteorder("<"))
    return wrap(_core.Array.from_numpy(values.reshape(shape), copy=True, device="cpu"))


def _bytes_in(array: np.ndarray) -> memoryview:
    return array.reshape(-1).view(np.uint8).data if array.size else memoryview(b"")


# --- writing --------------------------------------------------------------------------------------------


def write(path: str, tensors: dict[str, Tensor], description: dict[str, Any]) -> None:
    """Writes tensors and a description (JSON values) to ``path``, which changes at once or not at all."""
    header: dict[str, Any] = {}
    listed: dict[str, Any] = {}
    parts: list[memoryview] = []
    place = 0
    for name, tensor in tensors.items():
        data = _bytes_in(_host_bytes(tensor))
        code, shape = _CODES[tensor.dtype], list(tensor.shape)
        header[name] = {"dtype": code, "shape": shape, "data_offsets": [place, place + len(data)]}
        listed[name] = [code, shape, zlib.crc32(data)]
        parts.append(data)
        place += len(data)
    described = {"format_version": FORMAT_VERSION, "ranvier_version": __version__, **description, "tensors": listed}
    text = json.dumps(described)
    metadata = {"format": "ranvier", "ranvier": text, "ranvier_crc32": f"{zlib.crc32(text.encode()):08x}"}
    head = json.dumps({"__metadata__": metadata, **header}).encode()
    head += b" " * (-len(head) % 8)  # the tensors begin on a multiple of eight bytes
    write_atomically(path, [struct.pack("<Q", len(head)), head, *parts])


def write_atomically(path: str, parts: Iterable[bytes | memoryview]) -> None:
    """Writes a file beside its place, onto the disk, and only then moves it there."""
    target = os.path.realpath(path)
    folder, base = os.path.split(target)
    temporary = os.path.join(folder, f".{base}.{os.getpid()}.{secrets.token_hex(4)}.tmp")
    try:
        with open(temporary, "xb") as file:
            for part in parts:
                file.write(part)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, target)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)
        raise
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)  # the name too must survive a loss of power
    finally:
        os.close(handle)


# --- reading --------------------------------------------------------------------------------------------


class _Damaged(Exception):  # noqa: N818
    """What is wrong with a file; ``read`` adds its name."""


def read(path: str) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """The description and the tensors of a file. Raises ValueError that names it and what is wrong with it."""
    with open(path, "rb") as file:
        data = memoryview(file.read())
    try:
        header, body = _header(data)
        description = _description(header.pop("__metadata__", None))
        return description, _tensors(header, body, description["tensors"])
    except _Damaged as damage:
        raise ValueError(f"{path!r} cannot be read: {damage}") from None


def _header(data: memoryview) -> tuple[dict[str, Any], memoryview]:
    if len(data) < 8:
        raise _Damaged(f"it has {len(data)} bytes, too few for any safetensors file")
    (length,) = struct.unpack("<Q", data[:8])
    if length > min(len(data) - 8, _LARGEST_HEADER):
        raise _Damaged(
            f"its header should have {length} bytes, the whole file has {len(data)}: truncated, or no .rv file"
        )
    try:
        header = json.loads(bytes(data[8 : 8 + length]))
    except (ValueError, RecursionError) as error:
        raise _Damaged(f"its header is not JSON ({error})") from None
    if not isinstance(header, dict):
        raise _Damaged("its header is not a JSON object")
    return header, data[8 + length :]


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


def _tensors(header: dict[str, Any], body: memoryview, listed: dict[str, Any]) -> dict[str, Tensor]:
    missing, extra = sorted(listed.keys() - header.keys()), sorted(header.keys() - listed.keys())
    if missing or extra:
        told = [f"{what} tensor {names[0]!r}" for what, names in (("missing", missing), ("extra", extra)) if names]
        raise _Damaged(" and ".join(told))
    found: dict[str, Tensor] = {}
    end = 0
    for name, entry in header.items():
        dtype, shape, first, last = _place(name, entry)
        if first != end or last > len(body):
            raise _Damaged(f"tensor {name!r} lies at bytes {first} to {last} of {len(body)}: truncated or overlapping")
        end = last
        if listed[name] != [_CODES[dtype], shape, zlib.crc32(body[first:last])]:
            raise _Damaged(f"tensor {name!r} is damaged (its dtype, shape or checksum is not what was written)")
        found[name] = _from_bytes(body[first:last], dtype, shape)
    if end != len(body):
        raise _Damaged(f"{len(body) - end} bytes follow the last tensor")
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
