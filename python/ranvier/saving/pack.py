"""Structures of numbers, texts and arrays as JSON values, with the arrays put aside among a file's tensors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ranvier import _core
from ranvier.tensor import Tensor, wrap

_MARK = "__tensor__"


def pack(value: Any, place: str, tensors: dict[str, Tensor]) -> Any:
    """``value`` as JSON values; its arrays go into ``tensors`` under names that begin with ``place``.

    Tuples become lists, keys texts. Raises TypeError, which names the place, for anything else.
    """
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, (np.ndarray, Tensor, _core.Array)):
        tensors[place] = (
            value
            if isinstance(value, Tensor)
            else wrap(value)
            if isinstance(value, _core.Array)
            else _own(value, place)
        )
        return {_MARK: place}
    if isinstance(value, (list, tuple)):
        return [pack(item, f"{place}/{i}", tensors) for i, item in enumerate(value)]
    if isinstance(value, Mapping):
        return {str(key): pack(item, f"{place}/{key}", tensors) for key, item in value.items()}
    raise TypeError(f"{place}: {value!r} of type {type(value).__name__} cannot be saved; numbers, texts and arrays can")


def _own(value: np.ndarray, place: str) -> Tensor:
    if value.dtype.kind == "u" and value.dtype.itemsize in (2, 4):  # Ranvier has no such dtype
        value = value.astype(np.int64)
    try:
        return Tensor(value, device="cpu")
    except TypeError as error:
        raise TypeError(f"{place}: {error}") from error


def unpack(value: Any, tensors: Mapping[str, Any]) -> Any:
    """What ``pack`` was given, with arrays as NumPy arrays. Raises ValueError where a tensor is missing."""
    if isinstance(value, list):
        return [unpack(item, tensors) for item in value]
    if not isinstance(value, dict):
        return value
    if set(value) == {_MARK}:
        if value[_MARK] not in tensors:
            raise ValueError(f"there is no tensor {value[_MARK]!r}")
        return tensors[value[_MARK]].numpy()
    return {key: unpack(item, tensors) for key, item in value.items()}
