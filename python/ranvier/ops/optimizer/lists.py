"""How lists of tensors and options reach the kernel of an optimizer step."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ranvier import _core
from ranvier._kernels import kernels_for
from ranvier.tensor import Tensor

Tensors = Sequence[Tensor]
_SHARED = ("weight_decay", "clipnorm", "clipvalue", "global_clipnorm", "gradient_scale")
Decay = float | Sequence[float] | None


def _arrays(op: str, name: str, tensors: Tensors) -> list[_core.Array]:
    if type(tensors) is list:  # as optimizers give them
        try:
            return [t.array for t in tensors]
        except AttributeError:
            pass
    if isinstance(tensors, Tensor) or not isinstance(tensors, Sequence):
        raise TypeError(f"{op}: {name} must be a list of Tensors but is {type(tensors).__name__}")
    for i, tensor in enumerate(tensors):
        if not isinstance(tensor, Tensor):
            raise TypeError(f"{op}: {name}[{i}] must be a Tensor but is {type(tensor).__name__}")
    return [t.array for t in tensors]


def options_of(given: dict[str, Any], *own: str) -> dict[str, Any]:
    """The options of a step out of its arguments: the learning rate, its own, and those that all share."""
    return {name: given[name] for name in ("learning_rate", *own, *_SHARED)}


def loss_scale_step(
    gradients: Tensors, scale: Tensor, good_steps: Tensor, iterations: Tensor, gradient_scale: Tensor, growth_steps: int
) -> None:
    """Decides on a step by scaled gradients, in place and where they are; nothing is read on the host.

    Where all are finite, ``gradient_scale`` (float64), which a step takes, becomes 1 / ``scale`` (float32), and
    ``iterations`` and ``good_steps`` (int64) rise; after ``growth_steps`` of them the scale doubles. Else it becomes 0,
    which leaves the step out, and the scale is halved. All are scalars on the gradients' device. Raises ValueError,
    TypeError and DeviceError for what does not fit. Source: Keras ``LossScaleOptimizer``.

    >>> import numpy as np, ranvier as rv
    >>> scale, good, taken, factor = (rv.Tensor(v) for v in (np.float32(8), np.int64(0), np.int64(0), np.float64(0)))
    >>> rv.ops.loss_scale_step([rv.Tensor([np.inf])], scale, good, taken, factor, growth_steps=2)
    >>> scale.item(), taken.item(), factor.item()
    (4.0, 0, 0.0)
    """
    arrays = _arrays("loss_scale_step", "gradients", gradients)
    kernels = kernels_for(arrays[0]) if arrays else _core
    kernels.loss_scale_step(arrays, scale.array, good_steps.array, iterations.array, gradient_scale.array, growth_steps)


def step(op: str, options: dict[str, Any], parameters: Tensors, gradients: Tensors, **lists: Tensors | None) -> None:
    """Calls the kernel ``op`` of the parameters' device; lists and options that are None stay at its defaults."""
    targets, slopes = _arrays(op, "parameters", parameters), _arrays(op, "gradients", gradients)
    arrays = {name: _arrays(op, name, tensors) for name, tensors in lists.items() if tensors is not None}
    given = {name: v.array if isinstance(v, Tensor) else v for name, v in options.items() if v is not None}
    kernels = kernels_for(targets[0]) if targets else _core
    if kernels is not _core:  # NumPy would compute in float64 with an array of one element
        numbers = {name: v.item() for name, v in given.items() if isinstance(v, _core.Array)}
        given |= {name: number for name, number in numbers.items() if name != "gradient_scale"}
    try:
        getattr(kernels, op)(targets, slopes, **arrays, **given)
    except TypeError as error:
        if "incompatible function arguments" not in str(error):
            raise
        came = ", ".join(f"{k}={v!r} ({type(v).__name__})" for k, v in given.items())
        raise TypeError(f"{op}: an argument is missing, has the wrong type or is too large; got {came}") from None
