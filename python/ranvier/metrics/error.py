"""Losses read as metrics: squared and absolute errors, cross-entropies."""

from __future__ import annotations

from typing import Any

from ranvier import ops
from ranvier.autograd import no_grad
from ranvier.losses import functions
from ranvier.losses.functions import same_rank
from ranvier.metrics.metric import Mean, MeanMetricWrapper
from ranvier.tensor import Tensor, as_tensor


class _ErrorMetric(MeanMetricWrapper):
    _direction = "down"


class MeanSquaredError(_ErrorMetric):
    """The mean of squared differences. Source: Keras ``metrics.MeanSquaredError``.

    >>> import ranvier as rv
    >>> metric = rv.metrics.MeanSquaredError()
    >>> metric.update_state([[0.0, 1.0], [0.0, 0.0]], [[1.0, 1.0], [0.0, 0.0]])
    >>> metric.result().item()
    0.25
    """

    def __init__(self, name: str = "mean_squared_error", dtype: str | None = None) -> None:
        super().__init__(functions.mean_squared_error, name, dtype)


class MeanAbsoluteError(_ErrorMetric):
    """The mean of absolute differences. Source: Keras ``metrics.MeanAbsoluteError``."""

    def __init__(self, name: str = "mean_absolute_error", dtype: str | None = None) -> None:
        super().__init__(functions.mean_absolute_error, name, dtype)


class RootMeanSquaredError(Mean):
    """The root of the mean of squared differences. Source: Keras ``metrics.RootMeanSquaredError``."""

    _direction = "down"

    def __init__(self, name: str = "root_mean_squared_error", dtype: str | None = None) -> None:
        super().__init__(name, dtype)

    @no_grad()
    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:  # type: ignore[override]
        y_pred = as_tensor(y_pred)
        y_true, y_pred = same_rank(as_tensor(y_true, y_pred.dtype, y_pred.device), y_pred)
        super().update_state(ops.square(y_pred - y_true), sample_weight=sample_weight)

    def result(self) -> Tensor:
        return ops.sqrt(super().result())


class BinaryCrossentropy(_ErrorMetric):
    """Cross-entropy between labels 0 and 1 and probabilities (or logits). Source: Keras."""

    def __init__(
        self,
        name: str = "binary_crossentropy",
        dtype: str | None = None,
        from_logits: bool = False,
        label_smoothing: float = 0,
    ) -> None:
        super().__init__(
            functions.binary_crossentropy, name, dtype, from_logits=from_logits, label_smoothing=label_smoothing
        )


class CategoricalCrossentropy(_ErrorMetric):
    """Cross-entropy between one-hot labels and probabilities (or logits). Source: Keras."""

    def __init__(
        self,
        name: str = "categorical_crossentropy",
        dtype: str | None = None,
        from_logits: bool = False,
        label_smoothing: float = 0,
        axis: int = -1,
    ) -> None:
        super().__init__(
            functions.categorical_crossentropy,
            name,
            dtype,
            from_logits=from_logits,
            label_smoothing=label_smoothing,
            axis=axis,
        )


class SparseCategoricalCrossentropy(_ErrorMetric):
    """Cross-entropy between integer labels and probabilities (or logits). Source: Keras."""

    def __init__(
        self,
        name: str = "sparse_categorical_crossentropy",
        dtype: str | None = None,
        from_logits: bool = False,
        ignore_class: int | None = None,
        axis: int = -1,
    ) -> None:
        super().__init__(
            functions.sparse_categorical_crossentropy,
            name,
            dtype,
            from_logits=from_logits,
            ignore_class=ignore_class,
            axis=axis,
        )
