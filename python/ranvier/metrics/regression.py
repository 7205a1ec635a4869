"""How well numbers are predicted: R2, correlations, the cosine."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from ranvier import ops
from ranvier.autograd import no_grad
from ranvier.losses import functions
from ranvier.losses.functions import labels_and_predictions, must_agree, predictions_of, same_rank
from ranvier.metrics.counting import EPSILON
from ranvier.metrics.metric import MeanMetricWrapper, Metric
from ranvier.tensor import Tensor, as_tensor
from ranvier.variable import Variable


def pearson_correlation(y_true: Any, y_pred: Any, axis: int = -1) -> Tensor:
    """Pearson's correlation along ``axis``: (..., C) -> (...), between -1 and 1; NaN where one is constant.

    >>> import ranvier as rv
    >>> rv.metrics.pearson_correlation([[0.0, 1.0, 2.0]], [[1.0, 3.0, 5.0]]).numpy().round(4)
    array([1.], dtype=float32)
    """
    y_true, y_pred = labels_and_predictions(y_true, y_pred)
    must_agree("pearson_correlation", y_true, y_pred)
    true = y_true - ops.mean(y_true, axis, keepdims=True)
    predicted = y_pred - ops.mean(y_pred, axis, keepdims=True)
    true = true / ops.std(true, axis, keepdims=True)
    return ops.mean(true * (predicted / ops.std(predicted, axis, keepdims=True)), axis)


def concordance_correlation(y_true: Any, y_pred: Any, axis: int = -1) -> Tensor:
    """Lin's concordance along ``axis``: (..., C) -> (...): a correlation that also wants equal means and spreads.

    >>> import ranvier as rv
    >>> rv.metrics.concordance_correlation([[0.0, 1.0, 2.0]], [[0.0, 1.0, 2.0]]).numpy().round(4)
    array([1.], dtype=float32)
    """
    y_true, y_pred = labels_and_predictions(y_true, y_pred)
    must_agree("concordance_correlation", y_true, y_pred)
    true, predicted = ops.mean(y_true, axis, keepdims=True), ops.mean(y_pred, axis, keepdims=True)
    spread = ops.var(y_true, axis, keepdims=True) + ops.var(y_pred, axis, keepdims=True)
    together = (y_true - predicted) * (y_pred - predicted)
    return ops.mean(together * 2 / (spread + ops.square(true - predicted) + EPSILON), axis)


def _cosine(y_true: Any, y_pred: Any, axis: int = -1) -> Tensor:
    return -functions.cosine_similarity(y_true, y_pred, axis)


class _AxisMetric(MeanMetricWrapper):
    _direction = "up"


class CosineSimilarity(_AxisMetric):
    """The mean cosine along ``axis``, 1 where directions agree (the loss of this name is its negative). Source: Keras.

    >>> import ranvier as rv
    >>> metric = rv.metrics.CosineSimilarity()
    >>> metric.update_state([[0.0, 1.0], [1.0, 1.0]], [[1.0, 0.0], [1.0, 1.0]])
    >>> round(metric.result().item(), 4)
    0.5
    """

    def __init__(self, name: str = "cosine_similarity", dtype: str | None = None, axis: int = -1) -> None:
        super().__init__(_cosine, name, dtype, axis=axis)


class PearsonCorrelation(_AxisMetric):
    """The mean of ``pearson_correlation`` along ``axis``. Source: Keras ``metrics.PearsonCorrelation``.

    >>> import ranvier as rv
    >>> metric = rv.metrics.PearsonCorrelation(axis=-1)
    >>> metric.update_state([[0, 1, 0.5], [1, 1, 0.2]], [[0.1, 0.9, 0.5], [1, 0.9, 0.2]])
    >>> round(metric.result().item(), 4)
    0.9967
    """

    def __init__(self, name: str = "pearson_correlation", dtype: str | None = None, axis: int = -1) -> None:
        super().__init__(pearson_correlation, name, dtype, axis=axis)


class ConcordanceCorrelation(_AxisMetric):
    """The mean of ``concordance_correlation`` along ``axis``. Source: Keras ``metrics.ConcordanceCorrelation``.

    >>> import ranvier as rv
    >>> metric = rv.metrics.ConcordanceCorrelation(axis=-1)
    >>> metric.update_state([[0, 1, 0.5], [1, 1, 0.2]], [[0.1, 0.9, 0.5], [1, 0.9, 0.2]])
    >>> round(metric.result().item(), 4)
    0.9816
    """

    def __init__(self, name: str = "concordance_correlation", dtype: str | None = None, axis: int = -1) -> None:
        super().__init__(concordance_correlation, name, dtype, axis=axis)


class R2Score(Metric):
    """1 - residual variance / variance of the labels, of each column of (N, C), aggregated. Source: Keras.

    ``class_aggregation``: ``"uniform_average"``, ``"variance_weighted_average"`` or None (one number per column).
    ``num_regressors`` p > 0: the adjusted score 1 - (1 - R2) (n - 1) / (n - p - 1), n the number of labels. The sums
    are taken in float64. Raises ValueError for inputs that are not (N, C). Curriculum F49.

    >>> import ranvier as rv
    >>> metric = rv.metrics.R2Score()
    >>> metric.update_state([[1.0], [4.0], [3.0]], [[2.0], [4.0], [4.0]])
    >>> round(metric.result().item(), 4)
    0.5714
    """

    _direction = "up"

    def __init__(
        self,
        class_aggregation: str | None = "uniform_average",
        num_regressors: int = 0,
        name: str = "r2_score",
        dtype: str | None = None,
    ) -> None:
        super().__init__(dtype=dtype, name=name)
        known = (None, "uniform_average", "variance_weighted_average")
        if class_aggregation not in known:
            raise ValueError(f"R2Score: class_aggregation must be one of {known}, not {class_aggregation!r}")
        if num_regressors < 0:
            raise ValueError(f"R2Score: num_regressors must not be negative, got {num_regressors}")
        self.class_aggregation = class_aggregation
        self.num_regressors = num_regressors
        self._sums: Variable | None = None  # (4, C): labels, their squares, squared errors, weights
        self._samples = self.add_variable((), dtype="float64", name="num_samples")

    @no_grad()
    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Adds one batch."""
        y_pred = predictions_of(y_pred)
        y_true, y_pred = same_rank(as_tensor(y_true, y_pred.dtype, y_pred.device), y_pred)
        if y_pred.ndim != 2 or y_true.shape != y_pred.shape:
            raise ValueError(
                f"{self.name}: expected labels and predictions (samples, outputs) of one shape; labels have shape "
                f"{y_true.shape}, predictions {y_pred.shape}"
            )
        true, predicted = ops.cast(y_true, "float64"), ops.cast(y_pred, "float64")
        parts = ops.stack([true, true * true, ops.square(true - predicted), ops.ones_like(true)])
        if sample_weight is not None:
            weights = as_tensor(sample_weight, "float64", true.device)
            weights = ops.reshape(weights, (-1, 1)) if weights.ndim == 1 else weights
            parts = parts * ops.broadcast_to(weights, true.shape)
        added = ops.sum(parts, 1)
        if self._sums is None:
            self._sums = self.add_variable(added.shape, dtype="float64", name="sums")
        self._sums.assign(self._sums + added)
        self._samples.assign(self._samples + float(y_true.size))

    def result(self) -> Tensor:
        """One number, or one per column."""
        sums = np.zeros((4, 1)) if self._sums is None else self._sums.numpy()
        labels, squares, errors, weights = sums
        with np.errstate(divide="ignore", invalid="ignore"):
            total = squares - labels * (labels / weights)
            scores = 1 - errors / total
            scores = np.where(np.isinf(scores), 0.0, scores)
            if self.class_aggregation == "uniform_average":
                scores = scores.mean()
            elif self.class_aggregation == "variance_weighted_average":
                scores = (total * scores).sum() / total.sum()
        return as_tensor(np.asarray(self._adjusted(scores)), self.dtype)

    def _adjusted(self, scores: Any) -> Any:
        n, p = float(self._samples.numpy()), self.num_regressors
        if p == 0:
            return scores
        if p >= n - 1:
            warnings.warn("R2Score: not more labels than regressors; the score is not adjusted", stacklevel=3)
            return scores
        return 1 - (1 - scores) * (n - 1) / (n - p - 1)

    def get_config(self) -> dict[str, Any]:
        mine = {"class_aggregation": self.class_aggregation, "num_regressors": self.num_regressors}
        return {**super().get_config(), **mine}
