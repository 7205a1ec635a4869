"""Penalties on weights that are added to the loss."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ranvier import ops
from ranvier.tensor import Tensor


class Regularizer:
    """A function of a weight that gives a scalar penalty (here none); subclasses define both methods."""

    def __call__(self, x: Tensor) -> Any:
        return 0.0

    def get_config(self) -> dict[str, Any]:
        raise NotImplementedError(f"{type(self).__name__} does not define get_config()")

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Any:
        return cls(**config)


class L1L2(Regularizer):
    """``l1 * sum(|x|) + l2 * sum(x^2)``. Source: Keras ``regularizers.L1L2``.

    Raises ValueError for a negative or infinite factor.

    >>> import ranvier as rv
    >>> rv.regularizers.L1L2(l1=0.5, l2=0.25)(rv.Tensor([1.0, -2.0])).item()
    2.75
    """

    def __init__(self, l1: float | None = 0.0, l2: float | None = 0.0) -> None:
        self.l1 = _checked("l1", l1)
        self.l2 = _checked("l2", l2)

    def __call__(self, x: Tensor) -> Tensor:
        penalty = None
        if self.l1:
            penalty = ops.sum(ops.abs(x)) * self.l1
        if self.l2:
            squares = ops.sum(ops.square(x)) * self.l2
            penalty = squares if penalty is None else penalty + squares
        return penalty if penalty is not None else ops.zeros((), x.dtype)

    def get_config(self) -> dict[str, Any]:
        return {"l1": self.l1, "l2": self.l2}


class L1(L1L2):
    """``l1 * sum(|x|)``, which drives weights to zero. Source: Keras ``regularizers.L1``.

    >>> import ranvier as rv
    >>> rv.regularizers.L1(0.5)(rv.Tensor([1.0, -2.0])).item()
    1.5
    """

    def __init__(self, l1: float | None = 0.01) -> None:
        super().__init__(0.01 if l1 is None else l1, 0.0)

    def get_config(self) -> dict[str, Any]:
        return {"l1": self.l1}


class L2(L1L2):
    """``l2 * sum(x^2)``, which keeps weights small. Source: Keras ``regularizers.L2``.

    >>> import ranvier as rv
    >>> rv.regularizers.L2(0.5)(rv.Tensor([1.0, -2.0])).item()
    2.5
    """

    def __init__(self, l2: float | None = 0.01) -> None:
        super().__init__(0.0, 0.01 if l2 is None else l2)

    def get_config(self) -> dict[str, Any]:
        return {"l2": self.l2}


class OrthogonalRegularizer(Regularizer):
    """``factor * sum |cosines of pairs of rows (or columns)| / pairs``. Source: Keras ``OrthogonalRegularizer``."""

    def __init__(self, factor: float = 0.01, mode: str = "rows") -> None:
        if mode not in ("rows", "columns"):
            raise ValueError(f"OrthogonalRegularizer: mode must be 'rows' or 'columns', got {mode!r}")
        self.factor = _checked("factor", factor)
        self.mode = mode

    def __call__(self, x: Tensor) -> Tensor:
        if len(x.shape) != 2:
            raise ValueError(f"OrthogonalRegularizer: expected a weight of rank 2, got shape {x.shape}")
        rows = x if self.mode == "rows" else x.T
        lengths = ops.sqrt(ops.maximum(ops.sum(ops.square(rows), 1, keepdims=True), 1e-12))
        units = rows / lengths
        count = rows.shape[0]
        apart = 1.0 - ops.cast(ops.equal(ops.reshape(ops.arange(count), (-1, 1)), ops.arange(count)), x.dtype)
        pairs = max(count * (count - 1) / 2, 1)
        return ops.sum(ops.abs(ops.matmul(units, units.T) * apart)) * (0.5 * self.factor / pairs)

    def get_config(self) -> dict[str, Any]:
        return {"factor": self.factor, "mode": self.mode}


# Keras's other names: its functions of old are the classes.
l1 = L1
l2 = L2
l1_l2 = L1L2
orthogonal_regularizer = OrthogonalRegularizer

CLASSES = {c.__name__: c for c in (L1, L2, L1L2, OrthogonalRegularizer)}
_by_name: dict[str, Any] = {
    **CLASSES,
    "l1": L1,
    "l2": L2,
    "l1_l2": L1L2,
    "orthogonal_regularizer": OrthogonalRegularizer,
}


def get(identifier: Any) -> Callable[[Tensor], Tensor] | None:
    """A regularizer from a name, a configuration, a function or a Regularizer; None for None.

    Raises ValueError for an unknown name.

    >>> import ranvier as rv
    >>> rv.regularizers.get("l2").l2
    0.01
    """
    from ranvier.saving.registry import get_from

    return get_from(identifier, _by_name, "regularizer")


def serialize(regularizer: Any) -> Any:
    """A regularizer as JSON values.

    >>> import ranvier as rv
    >>> rv.regularizers.serialize(rv.regularizers.L2(0.5))["config"]
    {'l2': 0.5}
    """
    from ranvier.saving.registry import serialize_object

    return serialize_object(regularizer)


def deserialize(config: Any, custom_objects: dict[str, Any] | None = None) -> Any:
    """The regularizer that ``serialize`` wrote, or that a name names; yours come in ``custom_objects``.

    >>> import ranvier as rv
    >>> rv.regularizers.deserialize({"class_name": "L2", "config": {"l2": 0.5}}).l2
    0.5
    """
    from ranvier.saving.registry import CustomObjectScope

    with CustomObjectScope(custom_objects or {}):
        return get(config)


def _checked(name: str, value: float | None) -> float:
    value = 0.0 if value is None else value
    if not isinstance(value, (int, float)) or not 0 <= value < float("inf"):
        raise ValueError(f"regularizer: {name} must be a finite number >= 0, got {value!r}")
    return float(value)
