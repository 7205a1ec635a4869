"""What a call of a kernel must do at least: its flops and its bytes, from its arguments and results."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

from ranvier import _core

_ENDINGS = ("_forward", "_backward", "_gradient", "_step", "_gather", "column_sums")


def is_kernel(name: str) -> bool:
    """Whether a function of ``_core`` computes on arrays."""
    return not name.startswith("_") and (name.endswith(_ENDINGS) or name.startswith("random_"))


def _arrays(value: Any) -> Iterator[_core.Array]:
    if isinstance(value, _core.Array):
        yield value
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from _arrays(item)


def bytes_moved(args: Any, kwargs: dict[str, Any], result: Any) -> tuple[float, str]:
    """The bytes of all arrays, read once or written once, and the dtype of the first floating one.

    What a call changes in place (an optimizer's state, moving statistics) is read and written, and counts once.
    """
    found = [*_arrays(args), *_arrays(list(kwargs.values())), *_arrays(result)]
    dtype = next((a.dtype for a in found if a.dtype.startswith("float")), "float32")
    return float(sum(a.nbytes for a in found)), dtype


def _product(args: Any, result: Any) -> float:
    x1, transposed = args[0], len(args) > 2 and args[2]
    inner = x1.shape[-2 if transposed and x1.ndim > 1 else -1] if x1.ndim else 1
    return 2.0 * result.size * inner


def _window(kernel: Any) -> int:
    """Height, width and channels that one output of a convolution reads."""
    return math.prod(kernel.shape[:3])


def _steps(args: Any, passes: int) -> float:
    """A recurrent layer: two products for each of the N * T steps, in the backward pass four."""
    x, kernel, recurrent = args[:3]
    return 2.0 * passes * math.prod(x.shape[:2]) * (kernel.size + recurrent.size)


def _dense_backward(args: Any, result: Any) -> float:
    dx, dkernel = result[0], result[1]
    return 2.0 * args[0].size * args[1].shape[1] * ((dx is not None) + (dkernel is not None))


_FLOPS: dict[str, Callable[[Any, Any], float]] = {
    "matmul_forward": _product,
    "dense_forward": lambda args, result: 2.0 * args[0].size * args[1].shape[1],
    "dense_backward": _dense_backward,
    "conv2d_forward": lambda args, result: 2.0 * _first(result).size * _window(args[1]),
    "conv2d_transpose_forward": lambda args, result: 2.0 * args[0].size * _window(args[1]),
    "conv2d_input_gradient": lambda args, result: 2.0 * args[0].size * _window(args[1]),
    "conv2d_kernel_gradient": lambda args, result: 2.0 * args[1].size * _window(_first(result)),
    **{f"{kind}_forward": lambda args, result: _steps(args, 1) for kind in ("lstm", "gru", "simple_rnn")},
    **{f"{kind}_backward": lambda args, result: _steps(args, 2) for kind in ("lstm", "gru", "simple_rnn")},
}


def _first(result: Any) -> Any:
    return next(_arrays(result))


def flops_of(name: str, args: Any, kwargs: dict[str, Any], result: Any) -> float:
    """The flops of products, two for a multiplication and an addition; of all else 0, as memory limits it."""
    count = _FLOPS.get(name)
    return count(args, result) if count is not None else 0.0
