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


class MeanAbsolutePercentageError(_ErrorMetric):
    """100 times the mean of abs(error) / abs(label). Source: Keras.

    >>> import ranvier as rv
    >>> metric = rv.metrics.MeanAbsolutePercentageError()
    >>> metric.update_state([[2.0, 4.0]], [[1.0, 4.0]])
    >>> round(metric.result().item(), 4)
    25.0
    """

    def __init__(self, name: str = "mean_absolute_percentage_error", dtype: str | None = None) -> None:
        super().__init__(functions.mean_absolute_percentage_error, name, dtype)


class MeanSquaredLogarithmicError(_ErrorMetric):
    """The mean of squared differences of log(1 + y). Source: Keras.

    >>> import ranvier as rv
    >>> metric = rv.metrics.MeanSquaredLogarithmicError()
    >>> metric.update_state([[0.0, 1.0]], [[1.0, 1.0]])
    >>> round(metric.result().item(), 4)
    0.2402
    """

    def __init__(self, name: str = "mean_squared_logarithmic_error", dtype: str | None = None) -> None:
        super().__init__(functions.mean_squared_logarithmic_error, name, dtype)


class LogCoshError(_ErrorMetric):
    """The mean of log(cosh(error)). Source: Keras.

    >>> import ranvier as rv
    >>> metric = rv.metrics.LogCoshError()
    >>> metric.update_state([[0.0, 1.0]], [[1.0, 1.0]])
    >>> round(metric.result().item(), 4)
    0.2169
    """

    def __init__(self, name: str = "logcosh", dtype: str | None = None) -> None:
        super().__init__(functions.log_cosh, name, dtype)


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


class KLDivergence(_ErrorMetric):
    """The mean Kullback-Leibler divergence of distributions. Source: Keras.

    >>> import ranvier as rv
    >>> metric = rv.metrics.KLDivergence()
    >>> metric.update_state([[0, 1], [0, 0]], [[0.6, 0.4], [0.4, 0.6]])
    >>> round(metric.result().item(), 4)
    0.4581
    """

    def __init__(self, name: str = "kl_divergence", dtype: str | None = None) -> None:
        super().__init__(functions.kl_divergence, name, dtype)


class Poisson(_ErrorMetric):
    """The mean of y_pred - y_true log(y_pred). Source: Keras.

    >>> import ranvier as rv
    >>> metric = rv.metrics.Poisson()
    >>> metric.update_state([[0, 1], [0, 0]], [[1, 1], [0, 0]])
    >>> round(metric.result().item(), 4)
    0.5
    """

    def __init__(self, name: str = "poisson", dtype: str | None = None) -> None:
        super().__init__(functions.poisson, name, dtype)


class Hinge(_ErrorMetric):
    """The mean of max(1 - y_true y_pred, 0), labels -1 or 1 (0 or 1). Source: Keras.

    >>> import ranvier as rv
    >>> metric = rv.metrics.Hinge()
    >>> metric.update_state([[0, 1], [0, 0]], [[0.6, 0.4], [0.4, 0.6]])
    >>> round(metric.result().item(), 4)
    1.3
    """

    def __init__(self, name: str = "hinge", dtype: str | None = None) -> None:
        super().__init__(functions.hinge, name, dtype)


class SquaredHinge(_ErrorMetric):
    """The mean of max(1 - y_true y_pred, 0) squared. Source: Keras.

    >>> import ranvier as rv
    >>> metric = rv.metrics.SquaredHinge()
    >>> metric.update_state([[0, 1], [0, 0]], [[0.6, 0.4], [0.4, 0.6]])
    >>> round(metric.result().item(), 4)
    1.86
    """

    def __init__(self, name: str = "squared_hinge", dtype: str | None = None) -> None:
        super().__init__(functions.squared_hinge, name, dtype)


class CategoricalHinge(_ErrorMetric):
    """The mean of max(best wrong - right + 1, 0), one-hot labels. Source: Keras.

    >>> import ranvier as rv
    >>> metric = rv.metrics.CategoricalHinge()
    >>> metric.update_state([[0, 1], [0, 0]], [[0.6, 0.4], [0.4, 0.6]])
    >>> round(metric.result().item(), 4)
    1.4
    """

    def __init__(self, name: str = "categorical_hinge", dtype: str | None = None) -> None:
        super().__init__(functions.categorical_hinge, name, dtype)
