"""What users pass as data, as tensors of the dtypes that models take."""

from __future__ import annotations

from typing import Any

import numpy as np

from ranvier import _core, _tree
from ranvier.tensor import Tensor, wrap

Batch = tuple[Any, Any, Any]  # inputs, labels or None, sample weights or None
# What NumPy counts in and Ranvier does not, and where it fits without loss.
_WIDER = {"int8": "int32", "int16": "int32", "uint16": "int32", "uint32": "int64", "float128": "float64"}


def unpack_x_y_sample_weight(data: Any) -> Batch:
    """``x``, ``(x,)``, ``(x, y)`` or ``(x, y, sample_weight)`` as a triple with None for what is absent.

    >>> import ranvier as rv
    >>> rv.models.unpack_x_y_sample_weight(("x", "y"))
    ('x', 'y', None)
    """
    if isinstance(data, list):
        data = tuple(data)
    if not isinstance(data, tuple):
        return data, None, None
    if not 1 <= len(data) <= 3:
        raise ValueError(f"a batch must be x, (x, y) or (x, y, sample_weight), not a tuple of {len(data)}")
    return (*data, None, None)[:3]


def is_array(value: Any) -> bool:
    """Whether ``value`` is one array, as opposed to a structure of arrays, a generator or a sequence of batches."""
    return isinstance(value, (Tensor, np.ndarray)) or (hasattr(value, "__array__") and hasattr(value, "shape"))


def _is_numbers(value: Any) -> bool:
    """Whether a list holds numbers (or lists of them), not arrays."""
    while isinstance(value, (list, tuple)) and value:
        value = value[0]
    return isinstance(value, (bool, int, float))


def holds_arrays(value: Any) -> bool:
    """Whether a structure is of arrays and numbers only."""
    if isinstance(value, (list, tuple, dict)):
        return _is_numbers(value) or all(holds_arrays(v) for v in _tree.flatten(value))
    return value is None or is_array(value)


def to_tensor(name: str, value: Any, device: str, floatx: str | None) -> Tensor:
    """``value`` on the device, sharing its memory where it can; other floats become ``floatx`` if that is given."""
    if isinstance(value, Tensor):
        tensor = value.detach() if value.device == device else value.to(device)
    else:
        values = np.asarray(value)
        dtype = values.dtype.name
        if floatx is not None and values.dtype.kind == "f" and dtype != floatx:
            values = values.astype(floatx)
        elif dtype in _WIDER:
            values = values.astype(_WIDER[dtype])
        elif values.dtype.kind not in "fiub":
            raise TypeError(f"{name} must hold numbers; it is an array of {values.dtype} ({type(value).__name__})")
        tensor = wrap(_core.Array.from_numpy(values, copy=False, device=device))
    if floatx is not None and tensor.dtype.startswith(("float", "bfloat")) and tensor.dtype != floatx:
        tensor = tensor.astype(floatx)
    if tensor.ndim == 0:
        raise ValueError(f"{name} must have an axis of samples; it is a scalar")
    return tensor


def convert(name: str, structure: Any, device: str, floatx: str | None) -> Any:
    """``to_tensor`` of all arrays in a structure; None stays None."""
    if structure is None or is_array(structure) or _is_numbers(structure):
        return None if structure is None else to_tensor(name, structure, device, floatx)
    if isinstance(structure, dict):
        return {key: convert(f"{name}[{key!r}]", item, device, floatx) for key, item in structure.items()}
    if isinstance(structure, (list, tuple)):
        return type(structure)(convert(f"{name}[{i}]", item, device, floatx) for i, item in enumerate(structure))
    raise TypeError(f"{name} must be an array or a list or dict of arrays, not {type(structure).__name__}")


def count_samples(x: Any, y: Any = None, sample_weight: Any = None) -> int:
    """The number of samples, on which all arrays must agree."""
    named = {"x": x, "y": y, "sample_weight": sample_weight}
    sizes = {name: [t.shape[0] for t in _tree.flatten(s) if t is not None] for name, s in named.items()}
    distinct = {size for each in sizes.values() for size in each}
    if len(distinct) > 1:
        told = ", ".join(f"{name}: {', '.join(map(str, each))}" for name, each in sizes.items() if each)
        raise ValueError(f"all arrays must have the same number of samples, these have {told}")
    if not distinct:
        raise ValueError("there are no arrays in x")
    return distinct.pop()


def class_weights(y: Any, weights: dict[int, float]) -> np.ndarray:
    """The weight of each sample's class, 1 for classes not named: y (N,), (N, 1) or one-hot (N, C) -> (N,)."""
    labels = np.asarray(y)
    if labels.ndim > 1:
        labels = labels.argmax(-1) if labels.shape[-1] != 1 else labels[..., 0]
    labels = np.round(labels).astype(np.int64)
    result = np.ones(labels.shape[:1], np.float32)
    for label, weight in weights.items():
        result[labels == int(label)] = weight
    return result


def weights_of_classes(y: Any, sample_weight: Any, weights: dict[int, float] | None) -> Any:
    """Sample weights, times those of the samples' classes."""
    if not weights:
        return sample_weight
    if sample_weight is not None:
        raise ValueError("class_weight and sample_weight cannot be given together")
    if y is None or not (is_array(y) or _is_numbers(y)):
        raise ValueError("class_weight needs a model with one output and its labels")
    return class_weights(y, weights)
