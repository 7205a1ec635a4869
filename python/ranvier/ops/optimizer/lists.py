"""How lists of tensors and options reach the kernel of an optimizer step."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ranvier import _core
from ranvier._kernels import kernels_for
from ranvier.tensor import Tensor

Tensors = Sequence[Tensor]
_SHARED = ("weight_decay", "clipnorm", "clipvalue", "global_clipnorm")
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


def step(op: str, options: dict[str, Any], parameters: Tensors, gradients: Tensors, **lists: Tensors | None) -> None:
    """Calls the kernel ``op`` of the parameters' device; lists and options that are None stay at its defaults."""
    targets, slopes = _arrays(op, "parameters", parameters), _arrays(op, "gradients", gradients)
    arrays = {name: _arrays(op, name, tensors) for name, tensors in lists.items() if tensors is not None}
    given = {name: value for name, value in options.items() if value is not None}
    kernels = kernels_for(targets[0]) if targets else _core
    if kernels is not _core:  # NumPy would compute in float64 with an array of one element
        given = {name: v.item() if isinstance(v, _core.Array) else v for name, v in given.items()}
    try:
        getattr(kernels, op)(targets, slopes, **arrays, **given)
    except TypeError as error:
        if "incompatible function arguments" not in str(error):
            raise
        came = ", ".join(f"{k}={v!r} ({type(v).__name__})" for k, v in given.items())
        raise TypeError(f"{op}: an argument is missing, has the wrong type or is too large; got {came}") from None
