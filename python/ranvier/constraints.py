"""Projections of weights, applied after each optimizer step."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ranvier import ops
from ranvier.tensor import Tensor


class Constraint:
    """A function from a weight to the nearest allowed one (here itself); subclasses define ``__call__``."""

    def __call__(self, w: Tensor) -> Tensor:
        return w

    def get_config(self) -> dict[str, Any]:
        return dict(vars(self))

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Any:
        return cls(**config)


def _norms(w: Tensor, axis: Any) -> Tensor:
    return ops.sqrt(ops.sum(ops.square(w), axis, keepdims=True))


class MaxNorm(Constraint):
    """Weights whose norm along ``axis`` exceeds ``max_value`` are scaled down to it. Source: Keras ``MaxNorm``.

    >>> import ranvier as rv
    >>> rv.constraints.MaxNorm(1.0)(rv.Tensor([[3.0], [4.0]])).numpy().round(4)
    array([[0.6],
           [0.8]], dtype=float32)
    """

    def __init__(self, max_value: float = 2, axis: Any = 0) -> None:
        self.max_value = max_value
        self.axis = axis

    def __call__(self, w: Tensor) -> Tensor:
        norms = _norms(w, self.axis)
        return w * (ops.clip(norms, 0, self.max_value) / (norms + 1e-7))


class NonNeg(Constraint):
    """Negative weights become zero. Source: Keras ``NonNeg``.

    >>> import ranvier as rv
    >>> rv.constraints.NonNeg()(rv.Tensor([-1.0, 2.0])).numpy()
    array([0., 2.], dtype=float32)
    """

    def __call__(self, w: Tensor) -> Tensor:
        return ops.maximum(w, 0.0)


class UnitNorm(Constraint):
    """Norms along ``axis`` become one. Source: Keras ``UnitNorm``."""

    def __init__(self, axis: Any = 0) -> None:
        self.axis = axis

    def __call__(self, w: Tensor) -> Tensor:
        return w / (_norms(w, self.axis) + 1e-7)


class MinMaxNorm(Constraint):
    """Norms along ``axis`` move towards [min_value, max_value] by ``rate``. Source: Keras ``MinMaxNorm``."""

    def __init__(self, min_value: float = 0.0, max_value: float = 1.0, rate: float = 1.0, axis: Any = 0) -> None:
        self.min_value = min_value
        self.max_value = max_value
        self.rate = rate
        self.axis = axis

    def __call__(self, w: Tensor) -> Tensor:
        norms = _norms(w, self.axis)
        desired = ops.clip(norms, self.min_value, self.max_value) * self.rate + norms * (1 - self.rate)
        return w * (desired / (norms + 1e-7))


# Keras's other names: its functions of old are the classes.
max_norm = MaxNorm
min_max_norm = MinMaxNorm
non_neg = NonNeg
unit_norm = UnitNorm

CLASSES = {c.__name__: c for c in (MaxNorm, NonNeg, UnitNorm, MinMaxNorm)}
_by_name: dict[str, Any] = {
    **CLASSES,
    "max_norm": MaxNorm,
    "non_neg": NonNeg,
    "unit_norm": UnitNorm,
    "min_max_norm": MinMaxNorm,
}


def get(identifier: Any) -> Callable[[Tensor], Tensor] | None:
    """A constraint from a name, a configuration, a function or a Constraint; None for None.

    Raises ValueError for an unknown name, with the nearest known ones.

    >>> import ranvier as rv
    >>> rv.constraints.get("max_norm").max_value
    2
    """
    from ranvier.saving.registry import get_from

    return get_from(identifier, _by_name, "constraint")


def serialize(constraint: Any) -> Any:
    """A constraint as JSON values.

    >>> import ranvier as rv
    >>> rv.constraints.serialize(rv.constraints.UnitNorm(axis=1))["config"]
    {'axis': 1}
    """
    from ranvier.saving.registry import serialize_object

    return serialize_object(constraint)


def deserialize(config: Any, custom_objects: dict[str, Any] | None = None) -> Any:
    """The constraint that ``serialize`` wrote, or that a name names; yours come in ``custom_objects``.

    >>> import ranvier as rv
    >>> rv.constraints.deserialize({"class_name": "UnitNorm", "config": {"axis": 1}}).axis
    1
    """
    from ranvier.saving.registry import CustomObjectScope

    with CustomObjectScope(custom_objects or {}):
        return get(config)
