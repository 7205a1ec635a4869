"""Metrics counted in a confusion matrix: precision, recall, the four counts, and the matrix itself."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ranvier import ops
from ranvier.autograd import no_grad
from ranvier.metrics.counting import ThresholdMetric, divide, levels_of
from ranvier.metrics.metric import Metric, host
from ranvier.tensor import Tensor, as_tensor


def confusion_matrix(y_true: Any, y_pred: Any, num_classes: int | None = None) -> np.ndarray:
    """How often class ``i`` was taken for class ``j``: int64 (C, C), rows true, columns predicted.

    ``y_true`` and ``y_pred`` hold class indices (N,), or scores or one-hot rows (N, C), of which the largest counts.
    Raises ValueError where their lengths differ or a class is negative or not below ``num_classes``.

    >>> import ranvier as rv
    >>> rv.metrics.confusion_matrix([0, 1, 1], [0, 1, 0])
    array([[1, 0],
           [1, 1]])
    """
    true, predicted = (np.asarray(host(y)) for y in (y_true, y_pred))
    wide = max((y.shape[-1] for y in (true, predicted) if y.ndim > 1 and y.shape[-1] > 1), default=0)
    true, predicted = (
        (y.argmax(-1) if y.ndim > 1 and y.shape[-1] > 1 else y).reshape(-1).astype(np.int64) for y in (true, predicted)
    )
    if true.shape != predicted.shape:
        raise ValueError(f"confusion_matrix: {true.size} labels but {predicted.size} predictions")
    largest = int(max(true.max(initial=-1), predicted.max(initial=-1)))
    classes = max(largest + 1, wide) if num_classes is None else num_classes
    if min(true.min(initial=0), predicted.min(initial=0)) < 0 or largest >= classes:
        raise ValueError(
            f"confusion_matrix: classes must be in 0..{classes - 1}; found negative ones or up to {largest}"
        )
    return np.bincount(true * classes + predicted, minlength=classes * classes).reshape(classes, classes)


class ConfusionMatrix(Metric):
    """How often class ``i`` was taken for class ``j``: float64 (C, C), rows true, columns predicted.

    Labels are class numbers or one-hot rows, predictions scores (N, C), probabilities of one class (N, 1) (above
    ``threshold`` is class 1) or class numbers. ``num_classes`` may be left out where predictions are scores.
    ``normalize``: None (sums of sample weights), ``"true"`` (rows sum to 1), ``"pred"`` (columns) or ``"all"``.
    What lies outside 0..C-1 is not counted. Ranvier's own (Keras has none); as scikit-learn's ``confusion_matrix``;
    curriculum F49.

    >>> import ranvier as rv
    >>> metric = rv.metrics.ConfusionMatrix()
    >>> metric.update_state([0, 1, 1], [[0.9, 0.1], [0.2, 0.8], [0.7, 0.3]])
    >>> metric.result().tolist()
    [[1.0, 0.0], [1.0, 1.0]]
    """

    def __init__(
        self,
        num_classes: int | None = None,
        normalize: str | None = None,
        threshold: float = 0.5,
        name: str | None = None,
        dtype: str | None = None,
    ) -> None:
        super().__init__(dtype=dtype, name=name)
        if normalize not in (None, "true", "pred", "all"):
            raise ValueError(f"ConfusionMatrix: normalize must be None, 'true', 'pred' or 'all', not {normalize!r}")
        self.num_classes = num_classes
        self.normalize = normalize
        self.threshold = threshold
        self._classes = num_classes

    @no_grad()
    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Adds one batch."""
        y_pred = as_tensor(y_pred)
        y_true = as_tensor(y_true, device=y_pred.device)
        if self._classes is None:
            self._classes = self._guess(y_true, y_pred)
        true, predicted = self._numbers(y_true, y_true.dtype), self._numbers(y_pred, y_pred.dtype)
        if true.size != predicted.size:
            raise ValueError(
                f"{self.name}: {true.size} labels (shape {y_true.shape}) but {predicted.size} predictions (shape "
                f"{y_pred.shape}); expected class numbers or one-hot rows, one for each row of predictions"
            )
        add_pairs(self, true, predicted, sample_weight, self._classes, None)

    def _guess(self, y_true: Tensor, y_pred: Tensor) -> int:
        for y in (y_pred, y_true):
            if y.ndim > 1 and y.shape[-1] > 1:
                return y.shape[-1]
        if y_pred.dtype.startswith("float"):
            return 2
        raise ValueError(f"{self.name}: class numbers do not tell how many classes there are; give num_classes")

    def _numbers(self, y: Tensor, dtype: str) -> Tensor:
        if y.ndim > 1 and y.shape[-1] > 1:
            return ops.reshape(ops.argmax(y, axis=-1), (-1,))
        if self._classes == 2 and dtype.startswith("float"):
            y = ops.greater(y, self.threshold)
        return ops.reshape(ops.cast(y, "int32"), (-1,))

    def result(self) -> Tensor:
        """The matrix (C, C), normalised as asked."""
        classes = self._classes or 0
        if not self._variables:
            return ops.zeros((classes, classes), "float64")
        counts = self._variables[0].numpy().reshape(classes, classes)
        axis = {"true": 1, "pred": 0, "all": None}
        if self.normalize is not None:
            counts = divide(counts, counts.sum(axis[self.normalize], keepdims=True))
        return as_tensor(counts.copy(), "float64")

    def get_config(self) -> dict[str, Any]:
        mine = {"num_classes": self.num_classes, "normalize": self.normalize, "threshold": self.threshold}
        return {**super().get_config(), **mine}


def add_pairs(
    metric: Metric, true: Tensor, predicted: Tensor, weight: Any, classes: int, ignore_class: int | None
) -> None:
    """Adds pairs of class numbers (N,), weighted, to the metric's float64 matrix of ``classes`` squared (flat).

    Pairs outside 0..classes-1 and those whose label is ``ignore_class`` add nothing.
    """
    if not metric.variables:
        metric.add_variable((classes * classes,), dtype="float64", name="total_confusion_matrix")
    true, predicted = ops.cast(true, "int64"), ops.cast(predicted, "int64")
    counts = ops.logical_and(ops.greater_equal(true, 0), ops.less(true, classes))
    counts = ops.logical_and(counts, ops.greater_equal(predicted, 0))
    counts = ops.logical_and(counts, ops.less(predicted, classes))
    if ignore_class is not None:
        counts = ops.logical_and(counts, ops.not_equal(true, ignore_class))
    place = ops.where(counts, true * classes + predicted, ops.zeros_like(true))
    added = ops.cast(counts, "float64")
    if weight is not None:
        weights = ops.reshape(as_tensor(weight, "float64", true.device), (-1,))
        if weights.size not in (1, true.size):  # of samples, each with several pairs
            if not weights.size or true.size % weights.size:
                raise ValueError(f"{metric.name}: {weights.size} sample weights for {true.size} labels")
            weights = ops.repeat(weights, true.size // weights.size)
        added = ops.where(counts, ops.broadcast_to(weights, added.shape), 0.0)  # NaN there does not count either
    matrix = metric.variables[0]
    matrix.assign(ops.scatter_add(matrix, place, added))


class _Counted(ThresholdMetric):
    """One of the four counts at thresholds."""

    _place: int  # among tp, fp, tn, fn

    def __init__(
        self, thresholds: float | Sequence[float] | None = None, name: str | None = None, dtype: str | None = None
    ) -> None:
        super().__init__(levels_of(type(self).__name__, thresholds, 0.5), name, dtype)
        self.thresholds = thresholds

    def result(self) -> Tensor:
        return self._told(self._counts()[self._place])

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "thresholds": self.thresholds}


class TruePositives(_Counted):
    """How much of what was called positive is positive. Source: Keras ``metrics.TruePositives``.

    >>> import ranvier as rv
    >>> metric = rv.metrics.TruePositives()
    >>> metric.update_state([0, 1, 1, 1], [1, 0, 1, 1])
    >>> metric.result().item()
    2.0
    """

    _place = 0


class FalsePositives(_Counted):
    """How much of what was called positive is negative. Source: Keras ``metrics.FalsePositives``.

    >>> import ranvier as rv
    >>> metric = rv.metrics.FalsePositives()
    >>> metric.update_state([0, 1, 0, 0], [0, 0, 1, 1])
    >>> metric.result().item()
    2.0
    """

    _direction = "down"
    _place = 1


class TrueNegatives(_Counted):
    """How much of what was called negative is negative. Source: Keras ``metrics.TrueNegatives``.

    >>> import ranvier as rv
    >>> metric = rv.metrics.TrueNegatives()
    >>> metric.update_state([0, 1, 0, 0], [1, 1, 0, 0])
    >>> metric.result().item()
    2.0
    """

    _place = 2


class FalseNegatives(_Counted):
    """How much of what was called negative is positive. Source: Keras ``metrics.FalseNegatives``.

    >>> import ranvier as rv
    >>> metric = rv.metrics.FalseNegatives()
    >>> metric.update_state([0, 1, 1, 1], [0, 1, 0, 0])
    >>> metric.result().item()
    2.0
    """

    _direction = "down"
    _place = 3


class _PrecisionRecall(ThresholdMetric):
    def __init__(
        self,
        thresholds: float | Sequence[float] | None = None,
        top_k: int | None = None,
        class_id: int | None = None,
        name: str | None = None,
        dtype: str | None = None,
    ) -> None:
        # With top_k and no threshold, whatever is among the k highest is positive (Keras's NEG_INF).
        super().__init__(levels_of(type(self).__name__, thresholds, 0.5 if top_k is None else -1e10), name, dtype)
        self.thresholds = thresholds
        self.top_k = top_k
        self.class_id = class_id

    def get_config(self) -> dict[str, Any]:
        mine = {"thresholds": self.thresholds, "top_k": self.top_k, "class_id": self.class_id}
        return {**super().get_config(), **mine}


class Precision(_PrecisionRecall):
    """Which part of what was called positive is positive: tp / (tp + fp). Source: Keras ``metrics.Precision``.

    ``top_k``: only the k highest scores of a row are called positive. ``class_id``: only that class counts.

    >>> import ranvier as rv
    >>> metric = rv.metrics.Precision()
    >>> metric.update_state([0, 1, 1, 1], [1, 0, 1, 1])
    >>> round(metric.result().item(), 4)
    0.6667
    """

    def result(self) -> Tensor:
        tp, fp, _, _ = self._counts()
        return self._told(divide(tp, tp + fp))


class Recall(_PrecisionRecall):
    """Which part of the positives was called positive: tp / (tp + fn). Source: Keras ``metrics.Recall``.

    >>> import ranvier as rv
    >>> metric = rv.metrics.Recall()
    >>> metric.update_state([0, 1, 1, 1], [1, 0, 1, 1])
    >>> round(metric.result().item(), 4)
    0.6667
    """

    def result(self) -> Tensor:
        tp, _, _, fn = self._counts()
        return self._told(divide(tp, tp + fn))
