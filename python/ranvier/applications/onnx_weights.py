"""The weights in an ONNX file, read without the onnx package: protocol buffers are fields of number, kind and value.

Only what weights need: ModelProto.graph (field 7), GraphProto.initializer (5), and of TensorProto the sizes (1), the
type (2), the name (8) and the values (9 raw, 4 floats). https://protobuf.dev/programming-guides/encoding/
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from typing import Any

import numpy as np

_TYPES = {1: "<f4", 6: "<i4", 7: "<i8", 10: "<f2", 11: "<f8"}  # TensorProto.DataType


def initializers(path: str | os.PathLike[str]) -> dict[str, np.ndarray]:
    """The tensors of a model by their names, in the file's order. Raises ValueError for a file that is damaged."""
    with open(path, "rb") as file:
        data = memoryview(file.read())
    found: dict[str, np.ndarray] = {}
    try:
        for number, graph in _fields(data):
            if number == 7:
                for inner, tensor in _fields(graph):
                    if inner == 5:
                        name, values = _tensor(tensor)
                        found[name] = values
    except (IndexError, ValueError, KeyError, TypeError, struct.error) as error:
        raise ValueError(f"{os.fspath(path)!r} is no ONNX file, or damaged: {error}") from error
    return found


def _number(data: memoryview, place: int) -> tuple[int, int]:
    """An integer of seven bits a byte, the lowest first, and the place after it."""
    value = shift = 0
    while True:
        byte = data[place]
        value |= (byte & 127) << shift
        place, shift = place + 1, shift + 7
        if byte < 128:
            return value, place


def _fields(data: memoryview) -> Iterator[tuple[int, Any]]:
    """Numbers and values of the fields of a message: integers, or bytes."""
    place = 0
    while place < len(data):
        key, place = _number(data, place)
        kind = key & 7
        if kind == 0:
            value, place = _number(data, place)
            yield key >> 3, value
            continue
        if kind == 2:
            size, place = _number(data, place)
        else:
            size = {1: 8, 5: 4}[kind]
        if place + size > len(data):
            raise ValueError("it ends too early")
        yield key >> 3, data[place : place + size]
        place += size


def _tensor(data: memoryview) -> tuple[str, np.ndarray]:
    shape: list[int] = []
    name, kind, values = "", 1, b""
    for number, value in _fields(data):
        if number == 1 and isinstance(value, int):
            shape.append(value)
        elif number == 1:  # packed
            place = 0
            while place < len(value):
                size, place = _number(value, place)
                shape.append(size)
        elif number == 2:
            kind = value
        elif number == 8:
            name = bytes(value).decode()
        elif number in (4, 9):
            values += bytes(value)
    if kind not in _TYPES:
        raise ValueError(f"tensor {name!r} has type {kind}, which is not read here")
    return name, np.frombuffer(values, _TYPES[kind]).reshape(shape)
