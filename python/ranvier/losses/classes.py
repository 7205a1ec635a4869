"""Losses as objects: a function per sample, a reduction to one number, and sample weights, as in Keras 3."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ranvier import config, ops
from ranvier.losses import functions
from ranvier.losses.functions import labels_like, predictions_of, same_rank
from ranvier.ops.reduce import mean
from ranvier.tensor import Tensor, as_tensor

REDUCTIONS = ("sum_over_batch_size", "mean", "sum", "mean_with_sample_weight", "none", None)


def _weighted(values: Tensor, sample_weight: Tensor) -> Tensor:
    """Weights of the first axes count for all elements along the others."""
    values, sample_weight = same_rank(values, sample_weight)
    if sample_weight.ndim < values.ndim and sample_weight.shape == values.shape[: sample_weight.ndim]:
        sample_weight = ops.reshape(sample_weight, sample_weight.shape + (1,) * (values.ndim - sample_weight.ndim))
    return values * sample_weight


def _masked(mask: Tensor, weight: Tensor | None, values: Tensor, reduction: str | None) -> Tensor:
    """Weights that leave out what ``mask`` leaves out; a mean is then over what is left. As Keras's ``apply_mask``."""
    counts = ops.cast(ops.reshape(mask, values.shape) if mask.size == values.size else mask, values.dtype)
    if reduction in ("sum_over_batch_size", "mean"):
        valid = ops.sum(counts)
        counts = counts * (counts.size / ops.where(ops.equal(valid, 0), 1.0, valid))
    return counts if weight is None else _weighted(counts, weight)


def reduce_values(values: Tensor, sample_weight: Any = None, reduction: str | None = "sum_over_batch_size") -> Tensor:
    """Losses per sample, weighted and reduced to a scalar (or not at all for ``"none"``)."""
    weight = None if sample_weight is None else labels_like(sample_weight, values)
    if weight is not None:
        values = _weighted(values, weight)
    if reduction in (None, "none") or values.shape in ((), (0,)):
        return values
    if reduction == "sum":
        return ops.sum(values)
    if reduction != "mean_with_sample_weight" or weight is None:
        return mean(values)
    total = ops.sum(weight)
    return ops.sum(values) / ops.where(ops.equal(total, 0), 1.0, total)


class Loss:
    """Base of all losses: subclasses define ``call(y_true, y_pred)``, losses per sample.

    ``reduction``: ``"sum_over_batch_size"`` (or ``"mean"``: sum over number of losses), ``"sum"``,
    ``"mean_with_sample_weight"`` (sum over sum of weights), ``"none"`` or None. Raises ValueError for others.
    Source: Keras ``Loss``.

    >>> import ranvier as rv
    >>> class SquaredError(rv.losses.Loss):
    ...     def call(self, y_true, y_pred):
    ...         return (y_true - y_pred) ** 2
    >>> SquaredError()([1.0, 3.0], [0.0, 1.0]).item()
    2.5
    """

    keeps_labels = False  # whether ``call`` gets labels in a dtype of their own

    def __init__(
        self, name: str | None = None, reduction: str | None = "sum_over_batch_size", dtype: str | None = None
    ) -> None:
        if reduction not in REDUCTIONS:
            raise ValueError(f"{type(self).__name__}: reduction must be one of {REDUCTIONS}, got {reduction!r}")
        self.name = name or config.auto_name(config.to_snake_case(type(self).__name__))
        self.reduction = reduction
        self.dtype = dtype

    def __call__(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Tensor:
        mask = getattr(y_pred, "mask", None)  # a cast carries none
        y_pred = predictions_of(y_pred)
        if self.dtype is not None and y_pred.dtype != self.dtype:
            y_pred = ops.cast(y_pred, self.dtype)
        if not self.keeps_labels:
            y_true = labels_like(y_true, y_pred)
        losses = as_tensor(self.call(y_true, y_pred))
        for found in (mask, getattr(losses, "mask", None)):
            if found is not None:
                weight = None if sample_weight is None else labels_like(sample_weight, losses)
                sample_weight = _masked(found, weight, losses, self.reduction)
        return reduce_values(losses, sample_weight, self.reduction)

    def call(self, y_true: Any, y_pred: Any) -> Any:
        raise NotImplementedError(f"{type(self).__name__}: define call(y_true, y_pred)")

    def get_config(self) -> dict[str, Any]:
        return {"name": self.name, "reduction": self.reduction}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Any:
        return cls(**config)


class LossFunctionWrapper(Loss):
    """A function ``(y_true, y_pred, **kwargs) -> losses per sample`` as a loss. Source: Keras.

    >>> import ranvier as rv
    >>> rv.losses.LossFunctionWrapper(lambda y_true, y_pred: abs(y_true - y_pred))([0.0], [2.0]).item()
    2.0
    """

    def __init__(
        self,
        fn: Callable[..., Any],
        reduction: str | None = "sum_over_batch_size",
        name: str | None = None,
        dtype: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(name or getattr(fn, "__name__", None), reduction, dtype)
        self.fn = fn
        self.kwargs = kwargs
        self.keeps_labels = getattr(fn, "takes_class_numbers", False)

    def call(self, y_true: Any, y_pred: Any) -> Any:
        if not self.keeps_labels:
            y_true, y_pred = same_rank(y_true, y_pred)
        return self.fn(y_true, y_pred, **self.kwargs)

    def get_config(self) -> dict[str, Any]:
        from ranvier.losses import serialize

        return {**super().get_config(), "fn": serialize(self.fn), **self.kwargs}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Any:
        from ranvier.losses import get

        return cls(**{**config, "fn": get(config["fn"])}) if "fn" in config else cls(**config)


class NamedLoss(LossFunctionWrapper):
    """Base of the losses below: their function and name are the class's, their options its arguments."""

    function: Callable[..., Any]

    def __init__(self, reduction: str | None, name: str | None, dtype: str | None, **kwargs: Any) -> None:
        super().__init__(type(self).function, reduction, name, dtype, **kwargs)

    def get_config(self) -> dict[str, Any]:
        return {**Loss.get_config(self), **self.kwargs}


class CategoricalCrossentropy(NamedLoss):
    """Cross-entropy of one-hot labels; see ``losses.categorical_crossentropy``. Source: Keras.

    >>> import ranvier as rv
    >>> round(rv.losses.CategoricalCrossentropy()([[0, 1], [1, 0]], [[0.5, 0.5], [1.0, 0.0]]).item(), 4)
    0.3466
    """

    function = staticmethod(functions.categorical_crossentropy)

    def __init__(
        self,
        from_logits: bool = False,
        label_smoothing: float = 0.0,
        axis: int = -1,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "categorical_crossentropy",
        dtype: str | None = None,
    ) -> None:
        options = {"from_logits": from_logits, "label_smoothing": label_smoothing, "axis": axis}
        super().__init__(reduction, name, dtype, **options)


class SparseCategoricalCrossentropy(NamedLoss):
    """Cross-entropy of class numbers; see ``losses.sparse_categorical_crossentropy``. Source: Keras.

    >>> import ranvier as rv
    >>> round(rv.losses.SparseCategoricalCrossentropy()([1, 0], [[0.5, 0.5], [1.0, 0.0]]).item(), 4)
    0.3466
    """

    function = staticmethod(functions.sparse_categorical_crossentropy)

    def __init__(
        self,
        from_logits: bool = False,
        ignore_class: int | None = None,
        reduction: str | None = "sum_over_batch_size",
        axis: int = -1,
        name: str | None = "sparse_categorical_crossentropy",
        dtype: str | None = None,
    ) -> None:
        super().__init__(reduction, name, dtype, from_logits=from_logits, ignore_class=ignore_class, axis=axis)


class BinaryCrossentropy(NamedLoss):
    """Cross-entropy of probabilities, element by element; see ``losses.binary_crossentropy``. Source: Keras.

    >>> import ranvier as rv
    >>> round(rv.losses.BinaryCrossentropy()([[0.0], [1.0]], [[0.5], [0.5]]).item(), 4)
    0.6931
    """

    function = staticmethod(functions.binary_crossentropy)

    def __init__(
        self,
        from_logits: bool = False,
        label_smoothing: float = 0.0,
        axis: int = -1,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "binary_crossentropy",
        dtype: str | None = None,
    ) -> None:
        options = {"from_logits": from_logits, "label_smoothing": label_smoothing, "axis": axis}
        super().__init__(reduction, name, dtype, **options)


class Huber(NamedLoss):
    """Half the squared error up to ``delta``, linear beyond; see ``losses.huber``. Source: Keras.

    >>> import ranvier as rv
    >>> rv.losses.Huber()([[0.0, 0.0]], [[1.0, 3.0]]).item()
    1.5
    """

    function = staticmethod(functions.huber)

    def __init__(
        self,
        delta: float = 1.0,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "huber_loss",
        dtype: str | None = None,
    ) -> None:
        super().__init__(reduction, name, dtype, delta=delta)


class CosineSimilarity(NamedLoss):
    """Minus the cosine along ``axis``; see ``losses.cosine_similarity``. Source: Keras.

    >>> import ranvier as rv
    >>> rv.losses.CosineSimilarity()([[0.0, 1.0]], [[0.0, 5.0]]).item()
    -1.0
    """

    function = staticmethod(functions.cosine_similarity)

    def __init__(
        self,
        axis: int = -1,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "cosine_similarity",
        dtype: str | None = None,
    ) -> None:
        super().__init__(reduction, name, dtype, axis=axis)
