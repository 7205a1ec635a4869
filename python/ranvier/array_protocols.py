"""NumPy's functions on tensors: what Ranvier has gives tensors, on the tape; what only NumPy has gives NumPy arrays.

``np.exp(t)`` is ``rv.ops.exp(t)``; ``np.sin(t)`` and ``np.median(t)`` are computed by NumPy from the values, cut from
the tape. Source: NumPy's NEP 13 (``__array_ufunc__``) and NEP 18 (``__array_function__``).
"""

from __future__ import annotations

from typing import Any

import numpy as np

import ranvier
from ranvier import _tree

_UFUNCS = frozenset(
    {"absolute", "add", "divide", "equal", "exp", "expm1", "greater", "greater_equal", "isfinite", "isnan", "less",
     "less_equal", "log", "log1p", "logical_and", "logical_not", "logical_or", "matmul", "maximum", "minimum",
     "multiply", "negative", "not_equal", "power", "sign", "sqrt", "square", "subtract", "tanh"}
)  # fmt: skip
# Functions that take the same arguments in both, but for `out`, `where` and others that only NumPy has.
_FUNCTIONS = frozenset(
    {"all", "any", "argmax", "argmin", "broadcast_to", "clip", "concatenate", "expand_dims", "flip", "max", "mean",
     "min", "ones_like", "prod", "reshape", "squeeze", "stack", "std", "sum", "take", "tile", "transpose", "var",
     "where", "zeros_like"}
)  # fmt: skip
_NUMPY_ONLY = frozenset({"out", "where", "dtype", "initial", "ddof", "order", "like", "mean", "casting", "subok"})


def _values(x: Any) -> Any:
    """Tensors as NumPy arrays, in structures too."""
    return x.numpy() if isinstance(x, ranvier.Tensor) else x


def _all_values(structure: Any) -> Any:
    if isinstance(structure, (list, tuple, dict)):
        return _tree.map_structure(_values, structure) if structure else structure
    return _values(structure)


def apply_ufunc(ufunc: np.ufunc, method: str, inputs: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """``Tensor.__array_ufunc__``. TypeError for a tensor as ``out``: tensors are not written in place."""
    if any(isinstance(x, ranvier.Tensor) for x in kwargs.get("out", ())):
        raise TypeError(
            f"np.{ufunc.__name__}: out must not be a tensor; write variable.assign(np.{ufunc.__name__}(...)), or take "
            "a NumPy array"
        )
    if any(getattr(type(x), "__array_ufunc__", 0) is None for x in inputs):
        return NotImplemented  # a symbolic tensor
    if method == "__call__" and not kwargs and ufunc.__name__ in _UFUNCS:
        return getattr(ranvier.ops, ufunc.__name__)(*inputs)
    return getattr(ufunc, method)(*_all_values(inputs), **_all_values(kwargs))


def apply_function(function: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """``Tensor.__array_function__``."""
    name = function.__name__
    plain = getattr(function, "__module__", "") == "numpy" and name in _FUNCTIONS
    if plain and not _NUMPY_ONLY & kwargs.keys() and not (name == "where" and len(args) != 3):
        return getattr(ranvier.ops, name)(*args, **kwargs)
    return function(*_all_values(args), **_all_values(kwargs))
