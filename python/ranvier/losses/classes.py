"""Losses as objects: a function per sample, a reduction to one number, and sample weights, as in Keras 3."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ranvier import config, ops
from ranvier.losses import functions
from ranvier.losses.functions import labels_like, predictions_of, same_rank
from ranvier.tensor import Tensor, as_tensor

REDUCTIONS = ("sum_over_batch_size", "mean", "sum", "mean_with_sample_weight", "none", None)


def _weighted(values: Tensor, sample_weight: Tensor) -> Tensor:
    """Weights of the first axes count for all elements along the others."""
    values, sample_weight = same_rank(values, sample_weight)
    if sample_weight.ndim < values.ndim and sample_weight.shape == values.shape[: sample_weight.ndim]:
        sample_weight = ops.reshape(sample_weight, sample_weight.shape + (1,) * (values.ndim - sample_weight.ndim))
    return values * sample_weight


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
        return ops.mean(values)
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
        y_pred = predictions_of(y_pred)
        if self.dtype is not None and y_pred.dtype != self.dtype:
            y_pred = ops.cast(y_pred, self.dtype)
        if not self.keeps_labels:
            y_true = labels_like(y_true, y_pred)
        return reduce_values(as_tensor(self.call(y_true, y_pred)), sample_weight, self.reduction)

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
        self.keeps_labels = fn is functions.sparse_categorical_crossentropy

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


class _Named(LossFunctionWrapper):
    """Base of the losses below: their function and name are the class's, their options its arguments."""

    function: Callable[..., Any]
    default_name: str

    def __init__(
        self,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = None,
        dtype: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(type(self).function, reduction, name or self.default_name, dtype, **kwargs)

    def get_config(self) -> dict[str, Any]:
        return {**Loss.get_config(self), **self.kwargs}


class CategoricalCrossentropy(_Named):
    """Cross-entropy of one-hot labels; see ``losses.categorical_crossentropy``. Source: Keras.

    >>> import ranvier as rv
    >>> round(rv.losses.CategoricalCrossentropy()([[0, 1], [1, 0]], [[0.5, 0.5], [1.0, 0.0]]).item(), 4)
    0.3466
    """

    function = staticmethod(functions.categorical_crossentropy)
    default_name = "categorical_crossentropy"

    def __init__(
        self,
        from_logits: bool = False,
        label_smoothing: float = 0.0,
        axis: int = -1,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = None,
        dtype: str | None = None,
    ) -> None:
        options = {"from_logits": from_logits, "label_smoothing": label_smoothing, "axis": axis}
        super().__init__(reduction, name, dtype, **options)


class SparseCategoricalCrossentropy(_Named):
    """Cross-entropy of class numbers; see ``losses.sparse_categorical_crossentropy``. Source: Keras.

    >>> import ranvier as rv
    >>> round(rv.losses.SparseCategoricalCrossentropy()([1, 0], [[0.5, 0.5], [1.0, 0.0]]).item(), 4)
    0.3466
    """

    function = staticmethod(functions.sparse_categorical_crossentropy)
    default_name = "sparse_categorical_crossentropy"

    def __init__(
        self,
        from_logits: bool = False,
        ignore_class: int | None = None,
        reduction: str | None = "sum_over_batch_size",
        axis: int = -1,
        name: str | None = None,
        dtype: str | None = None,
    ) -> None:
        super().__init__(reduction, name, dtype, from_logits=from_logits, ignore_class=ignore_class, axis=axis)

    def __call__(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Tensor:
        ignored = self.kwargs["ignore_class"]
        if ignored is None:
            return super().__call__(y_true, y_pred, sample_weight)
        losses = self.call(y_true, predictions_of(y_pred))
        counts = ops.cast(ops.not_equal(ops.reshape(as_tensor(y_true), losses.shape), ignored), losses.dtype)
        weight = counts if sample_weight is None else _weighted(counts, labels_like(sample_weight, counts))
        if self.reduction not in ("sum_over_batch_size", "mean"):
            return reduce_values(losses, weight, self.reduction)
        number = ops.sum(counts)  # the mean is over the samples that count
        return reduce_values(losses, weight, "sum") / ops.where(ops.equal(number, 0), 1.0, number)


class BinaryCrossentropy(_Named):
    """Cross-entropy of probabilities, element by element; see ``losses.binary_crossentropy``. Source: Keras.

    >>> import ranvier as rv
    >>> round(rv.losses.BinaryCrossentropy()([[0.0], [1.0]], [[0.5], [0.5]]).item(), 4)
    0.6931
    """

    function = staticmethod(functions.binary_crossentropy)
    default_name = "binary_crossentropy"

    def __init__(
        self,
        from_logits: bool = False,
        label_smoothing: float = 0.0,
        axis: int = -1,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = None,
        dtype: str | None = None,
    ) -> None:
        options = {"from_logits": from_logits, "label_smoothing": label_smoothing, "axis": axis}
        super().__init__(reduction, name, dtype, **options)


class Huber(_Named):
    """Half the squared error up to ``delta``, linear beyond; see ``losses.huber``. Source: Keras.

    >>> import ranvier as rv
    >>> rv.losses.Huber()([[0.0, 0.0]], [[1.0, 3.0]]).item()
    1.5
    """

    function = staticmethod(functions.huber)
    default_name = "huber_loss"

    def __init__(
        self,
        delta: float = 1.0,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = None,
        dtype: str | None = None,
    ) -> None:
        super().__init__(reduction, name, dtype, delta=delta)


class CosineSimilarity(_Named):
    """Minus the cosine along ``axis``; see ``losses.cosine_similarity``. Source: Keras.

    >>> import ranvier as rv
    >>> rv.losses.CosineSimilarity()([[0.0, 1.0]], [[0.0, 5.0]]).item()
    -1.0
    """

    function = staticmethod(functions.cosine_similarity)
    default_name = "cosine_similarity"

    def __init__(
        self,
        axis: int = -1,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = None,
        dtype: str | None = None,
    ) -> None:
        super().__init__(reduction, name, dtype, axis=axis)


class MeanSquaredError(_Named):
    """Mean of squared errors; see ``losses.mean_squared_error``. Source: Keras.

    >>> import ranvier as rv
    >>> rv.losses.MeanSquaredError()([[0.0, 1.0]], [[1.0, 3.0]]).item()
    2.5
    """

    function = staticmethod(functions.mean_squared_error)
    default_name = "mean_squared_error"


class MeanAbsoluteError(_Named):
    """Mean of absolute errors; see ``losses.mean_absolute_error``. Source: Keras.

    >>> import ranvier as rv
    >>> rv.losses.MeanAbsoluteError()([[0.0, 1.0]], [[1.0, 3.0]]).item()
    1.5
    """

    function = staticmethod(functions.mean_absolute_error)
    default_name = "mean_absolute_error"


class MeanAbsolutePercentageError(_Named):
    """100 times the mean of relative errors; see ``losses.mean_absolute_percentage_error``. Source: Keras.

    >>> import ranvier as rv
    >>> rv.losses.MeanAbsolutePercentageError()([[2.0, 4.0]], [[1.0, 4.0]]).item()
    25.0
    """

    function = staticmethod(functions.mean_absolute_percentage_error)
    default_name = "mean_absolute_percentage_error"


class MeanSquaredLogarithmicError(_Named):
    """Mean of squared errors of logarithms; see ``losses.mean_squared_logarithmic_error``. Source: Keras.

    >>> import ranvier as rv
    >>> rv.losses.MeanSquaredLogarithmicError()([[1.0]], [[1.0]]).item()
    0.0
    """

    function = staticmethod(functions.mean_squared_logarithmic_error)
    default_name = "mean_squared_logarithmic_error"


class LogCosh(_Named):
    """Mean of log(cosh(error)); see ``losses.log_cosh``. Source: Keras.

    >>> import ranvier as rv
    >>> round(rv.losses.LogCosh()([[0.0]], [[1.0]]).item(), 4)
    0.4338
    """

    function = staticmethod(functions.log_cosh)
    default_name = "log_cosh"


class Poisson(_Named):
    """Mean of y_pred - y_true log(y_pred); see ``losses.poisson``. Source: Keras.

    >>> import ranvier as rv
    >>> round(rv.losses.Poisson()([[1.0]], [[1.0]]).item(), 4)
    1.0
    """

    function = staticmethod(functions.poisson)
    default_name = "poisson"


class KLDivergence(_Named):
    """Kullback-Leibler divergence; see ``losses.kl_divergence``. Source: Keras.

    >>> import ranvier as rv
    >>> round(rv.losses.KLDivergence()([[1.0, 0.0]], [[0.5, 0.5]]).item(), 4)
    0.6931
    """

    function = staticmethod(functions.kl_divergence)
    default_name = "kl_divergence"


class Hinge(_Named):
    """Mean of max(1 - y_true y_pred, 0); see ``losses.hinge``. Source: Keras.

    >>> import ranvier as rv
    >>> rv.losses.Hinge()([[0, 1]], [[-2.0, 0.5]]).item()
    0.25
    """

    function = staticmethod(functions.hinge)
    default_name = "hinge"


class SquaredHinge(_Named):
    """Mean of max(1 - y_true y_pred, 0) squared; see ``losses.squared_hinge``. Source: Keras.

    >>> import ranvier as rv
    >>> rv.losses.SquaredHinge()([[0, 1]], [[-2.0, 0.5]]).item()
    0.125
    """

    function = staticmethod(functions.squared_hinge)
    default_name = "squared_hinge"


class CategoricalHinge(_Named):
    """max(best wrong - right + 1, 0) for one-hot labels; see ``losses.categorical_hinge``. Source: Keras.

    >>> import ranvier as rv
    >>> rv.losses.CategoricalHinge()([[1, 0, 0]], [[0.5, 0.25, 0.0]]).item()
    0.75
    """

    function = staticmethod(functions.categorical_hinge)
    default_name = "categorical_hinge"
