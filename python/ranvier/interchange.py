"""Tensors from other libraries' memory, and the short names that make tensors."""

from __future__ import annotations

from typing import Any

import numpy as np

from ranvier import _core, cuda
from ranvier._device import get_device
from ranvier.tensor import Tensor, array_of, wrap

__all__ = ["array", "from_dlpack", "from_numpy"]


def array(data: Any, dtype: str | None = None, copy: bool | None = True) -> Tensor:
    """A tensor of ``data``, which is anything that NumPy understands; a copy unless ``copy`` is None or False.

    ``copy=None`` copies where it must; ``copy=False`` raises ValueError where it would have to.
    Source: NumPy ``array``.

    >>> import ranvier as rv
    >>> rv.array([1, 2, 3]).dtype
    'int32'
    """
    if copy:
        return Tensor(data, dtype)
    source = from_numpy(data) if isinstance(data, np.ndarray) else data
    result = wrap(array_of(source, dtype))
    if copy is False and not _same_memory(result, data):
        raise ValueError("array: this data cannot become a tensor without a copy, and copy=False forbids one")
    return result


def _same_memory(result: Tensor, data: Any) -> bool:
    if isinstance(data, Tensor):
        return result.array.shares_memory_with(data.array)
    if isinstance(data, _core.Array):
        return result.array.shares_memory_with(data)
    return isinstance(data, np.ndarray) and (data.size == 0 or np.may_share_memory(result.numpy(), data))


def from_numpy(values: np.ndarray) -> Tensor:
    """A tensor that shares the memory of a NumPy array, where it is C-contiguous, aligned and in native byte order.

    Other arrays are copied. A read-only array gives a read-only tensor: it can be read, but ``assign`` and optimizer
    steps refuse it. Writes to the array are seen by the tensor, and not by the version counter that guards backward.
    Raises TypeError for anything but an array, and for a dtype that Ranvier does not have.

    >>> import numpy as np, ranvier as rv
    >>> values = np.zeros(2, np.float32)
    >>> shared = rv.from_numpy(values)
    >>> values[0] = 7
    >>> shared.tolist()
    [7.0, 0.0]
    """
    if not isinstance(values, np.ndarray):
        raise TypeError(f"from_numpy: expected a NumPy array but got {type(values).__name__}; rv.Tensor copies lists")
    return wrap(_core.Array.from_numpy(values, copy=False, device=get_device()))


def _capsule_of(x: Any) -> Any:
    """A producer's capsule: versioned where it can, which alone tells that memory is read-only."""
    device_type, index = x.__dlpack_device__()
    stream = {}
    if device_type == 2:  # CUDA: the producer lets our stream wait for its own
        stream["stream"] = cuda.current_stream(int(index)).handle
    elif device_type != 1:
        raise _core.DeviceError(f"from_dlpack: x is on DLPack device type {int(device_type)}; move it to the CPU first")
    try:
        return x.__dlpack__(max_version=(1, 0), **stream)
    except TypeError:  # a producer older than DLPack 1.0
        return x.__dlpack__(**stream)


def from_dlpack(x: Any, copy: bool | None = None) -> Tensor:
    """A tensor that shares the memory of ``x``: an array of any library that speaks DLPack, or its capsule.

    ``copy=None`` copies only what is not C-contiguous and aligned, True always, False never: BufferError then.
    Read-only memory gives a read-only tensor. Raises TypeError for what is no DLPack producer or has elements that
    Ranvier has not, DeviceError for memory that is neither the CPU's nor a GPU's, ValueError for a consumed or foreign
    capsule.
    Source: the Python array API standard, ``from_dlpack``.

    >>> import numpy as np, ranvier as rv
    >>> rv.from_dlpack(np.arange(3.0)).tolist()
    [0.0, 1.0, 2.0]
    """
    capsule = _capsule_of(x) if hasattr(x, "__dlpack__") and hasattr(x, "__dlpack_device__") else x
    return wrap(_core.Array.from_dlpack_capsule(capsule, copy, get_device()))
