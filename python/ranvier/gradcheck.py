"""Gradients checked against central differences, and Hessians."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

import ranvier
from ranvier.autograd import grad, no_grad
from ranvier.tensor import Tensor


def _outputs(function: Callable[..., Any], inputs: Sequence[Tensor]) -> list[Tensor]:
    result = function(*inputs)
    return list(result) if isinstance(result, (tuple, list)) else [result]


def _central_differences(
    function: Callable[..., Any], inputs: Sequence[Tensor], which: int, weights: list[np.ndarray], h: float
) -> np.ndarray:
    """d sum(weights * outputs) / d inputs[which], one element at a time: (f(x+h) - f(x-h)) / 2h."""
    start = inputs[which].numpy().copy()
    result = np.zeros(start.shape)

    def value(point: np.ndarray) -> float:
        moved = Tensor(point, device=inputs[which].device, requires_grad=True)
        arguments = [moved if i == which else x for i, x in enumerate(inputs)]
        return sum(float((w * o.numpy()).sum()) for w, o in zip(weights, _outputs(function, arguments), strict=True))

    for position in np.ndindex(*start.shape):
        step = h * max(1.0, abs(float(start[position])))
        above, below = start.copy(), start.copy()
        above[position] += step
        below[position] -= step
        result[position] = (value(above) - value(below)) / (above[position] - below[position])
    return result


def gradcheck(f: Callable[..., Any], inputs: Any, h: float = 1e-5, rtol: float = 1e-5, atol: float = 1e-7) -> bool:
    """Compares the gradient of ``f`` with central differences; True, or an AssertionError that names the element.

    ``inputs``: a float64 Tensor or a sequence of them; those that require gradients are checked. ``f`` returns a
    Tensor or a sequence of them, of any shapes. The error of a central difference is about h**2 of the third
    derivative plus 1e-16 / h of the value, which is why float32 is refused (TypeError). Source: curriculum F16.

    >>> import ranvier as rv
    >>> rv.gradcheck(lambda x: x * x, rv.Tensor([1.0, 2.0], dtype="float64", requires_grad=True))
    True
    """
    points = [inputs] if isinstance(inputs, Tensor) else list(inputs)
    for i, x in enumerate(points):
        if x.dtype != "float64":
            raise TypeError(f"gradcheck: input {i} must be float64 but is {x.dtype}; differences need its digits")
    outputs = _outputs(f, points)
    rng = np.random.default_rng(0)
    weights = [rng.normal(size=o.shape) for o in outputs]
    checked = [i for i, x in enumerate(points) if x.requires_grad]
    reached = [(o, w) for o, w in zip(outputs, weights, strict=True) if o.requires_grad]
    tensors = [Tensor(w, device=o.device) for o, w in reached]
    ours = grad([o for o, _ in reached], [points[i] for i in checked], tensors, allow_unused=True)
    for i, gradient in zip(checked, ours, strict=True):
        numeric = _central_differences(f, points, i, weights, h)
        analytic = np.zeros(points[i].shape) if gradient is None else gradient.numpy()
        _compare(i, analytic, numeric, rtol, atol)
    return True


def _compare(which: int, analytic: np.ndarray, numeric: np.ndarray, rtol: float, atol: float) -> None:
    scale = float(np.max(np.abs(numeric), initial=0.0))  # rounding errors are those of the largest terms
    wrong = ~(np.abs(analytic - numeric) <= atol + rtol * (np.abs(numeric) + scale))
    if wrong.any():
        position = tuple(int(p) for p in np.argwhere(wrong)[0])
        raise AssertionError(
            f"gradcheck: input {which}, element {position}: backward gives {analytic[position]:.12g}, central "
            f"differences give {numeric[position]:.12g} ({int(wrong.sum())} of {wrong.size} elements differ)"
        )


def hessian(f: Callable[[Tensor], Tensor], x: Any) -> Tensor:
    """Second derivatives of a scalar function: ``x`` of shape (...) -> (size of x, size of x).

    ``f`` must be built from ops that are differentiable twice. Source: curriculum F19, W11.

    >>> import ranvier as rv
    >>> rv.hessian(lambda w: (1 - w[0] * w[1]) ** 2, rv.Tensor([0.0, 0.0], dtype="float64")).numpy()
    array([[ 0., -2.],
           [-2.,  0.]])
    """
    point = Tensor(x, requires_grad=True)
    value = f(point)
    if value.size != 1:
        raise ValueError(f"hessian: the function must give one number, it gave shape {value.shape}")
    slope = grad(value, point, create_graph=True, allow_unused=True)
    rows = np.zeros((point.size, point.size), point.numpy().dtype)
    if slope is not None and slope.requires_grad:
        flat = ranvier.ops.reshape(slope, (point.size,))
        for i in range(point.size):
            row = grad(flat[i], point, retain_graph=True, allow_unused=True)
            if row is not None:
                with no_grad():
                    rows[i] = row.numpy().reshape(-1)
    return Tensor(rows + 0.0)
