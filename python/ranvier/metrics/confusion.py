"""Metrics counted in a confusion matrix: precision, recall, area under a curve."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ranvier.metrics.metric import Metric, host
from ranvier.tensor import Tensor, as_tensor

_MOST_PENDING = 64
_EPSILON = 1e-7  # Keras's backend.epsilon(): the outermost thresholds of AUC stand this far outside [0, 1]


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


def _divide(a: Any, b: Any) -> np.ndarray:
    """a / b, and 0 where b is 0."""
    a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
    return np.divide(a, b, out=np.zeros(np.broadcast(a, b).shape), where=b != 0)


class _ConfusionMetric(Metric):
    """Counts of true and false positives and negatives at each threshold, taken on the host some batches at a time."""

    _direction = "up"
    replayable = False

    def __init__(self, thresholds: Sequence[float], name: str | None, dtype: str | None) -> None:
        self._levels = np.asarray(thresholds, np.float64)
        self.top_k: int | None = None
        self.class_id: int | None = None
        super().__init__(dtype=dtype, name=name)
        self.reset_state()

    def reset_state(self) -> None:
        self._counts = np.zeros((4, len(self._levels)))  # tp, fp, tn, fn
        self._pending: list[tuple[Any, Any, Any]] = []

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        keep = [v.detach() if isinstance(v, Tensor) else v for v in (y_true, y_pred, sample_weight)]
        self._pending.append((keep[0], keep[1], keep[2]))
        if len(self._pending) >= _MOST_PENDING:
            self._read()

    def _read(self) -> None:
        for y_true, y_pred, sample_weight in self._pending:
            self._count(host(y_true), host(y_pred), None if sample_weight is None else host(sample_weight))
        self._pending = []

    def _count(self, y_true: np.ndarray, y_pred: np.ndarray, weight: np.ndarray | None) -> None:
        if y_true.ndim != y_pred.ndim and y_true.size == y_pred.size:
            y_true = y_true.reshape(y_pred.shape)
        if y_true.shape != y_pred.shape:
            raise ValueError(f"{self.name}: labels have shape {y_true.shape} but predictions {y_pred.shape}")
        y_pred = y_pred.astype(np.float64)
        if self.top_k is not None:  # all but the k highest scores of a row count as negative
            kth = np.sort(y_pred, axis=-1)[..., -min(self.top_k, y_pred.shape[-1]), None]
            y_pred = np.where(y_pred >= kth, y_pred, -np.inf)
        weights: np.ndarray = np.ones(y_pred.shape)
        if weight is not None:
            weights *= weight.reshape(weight.shape + (1,) * (y_pred.ndim - weight.ndim))
        if self.class_id is not None:
            y_true, y_pred, weights = (v[..., self.class_id] for v in (y_true, y_pred, weights))
        label, each = y_true.reshape(-1).astype(bool), weights.reshape(-1)
        positive = y_pred.reshape(-1)[None, :] > self._levels[:, None]
        hit, false_alarm = positive @ (each * label), positive @ (each * ~label)
        total, negatives = float(each @ label), float(each @ ~label)
        self._counts += np.stack([hit, false_alarm, negatives - false_alarm, total - hit])

    def _tpfptnfn(self) -> np.ndarray:
        self._read()
        return self._counts

    def _told(self, values: np.ndarray) -> Tensor:
        return as_tensor(np.asarray(values[0] if len(values) == 1 else values), self.dtype)


def _levels(name: str, thresholds: Any, default: float) -> list[float]:
    levels = [default] if thresholds is None else list(np.atleast_1d(thresholds).astype(float))
    if thresholds is not None and not all(0 <= t <= 1 for t in levels):
        raise ValueError(f"{name}: thresholds must be in [0, 1], not {thresholds}")
    return levels


class _PrecisionRecall(_ConfusionMetric):
    def __init__(
        self,
        thresholds: float | Sequence[float] | None = None,
        top_k: int | None = None,
        class_id: int | None = None,
        name: str | None = None,
        dtype: str | None = None,
    ) -> None:
        # With top_k and no threshold, whatever is among the k highest is positive (Keras's NEG_INF).
        super().__init__(_levels(type(self).__name__, thresholds, 0.5 if top_k is None else -1e10), name, dtype)
        self.thresholds = thresholds
        self.top_k = top_k
        self.class_id = class_id

    def get_config(self) -> dict[str, Any]:
        mine = {"thresholds": self.thresholds, "top_k": self.top_k, "class_id": self.class_id}
        return {**super().get_config(), **mine}


class Precision(_PrecisionRecall):
    """Which part of what was called positive is positive: tp / (tp + fp). Source: Keras ``metrics.Precision``.

    >>> import ranvier as rv
    >>> metric = rv.metrics.Precision()
    >>> metric.update_state([0, 1, 1, 1], [1, 0, 1, 1])
    >>> round(metric.result().item(), 4)
    0.6667
    """

    def result(self) -> Tensor:
        tp, fp, _, _ = self._tpfptnfn()
        return self._told(_divide(tp, tp + fp))


class Recall(_PrecisionRecall):
    """Which part of the positives was called positive: tp / (tp + fn). Source: Keras ``metrics.Recall``.

    >>> import ranvier as rv
    >>> metric = rv.metrics.Recall()
    >>> metric.update_state([0, 1, 1, 1], [1, 0, 1, 1])
    >>> round(metric.result().item(), 4)
    0.6667
    """

    def result(self) -> Tensor:
        tp, _, _, fn = self._tpfptnfn()
        return self._told(_divide(tp, tp + fn))


class AUC(_ConfusionMetric):
    """Area under the ROC curve (or precision over recall, ``curve="PR"``), by trapezoids between thresholds.

    ``y_pred`` holds probabilities in [0, 1] (scores before the sigmoid with ``from_logits``). Source: Keras
    ``metrics.AUC``; the PR curve is interpolated as Davis and Goadrich (2006) show.

    >>> import ranvier as rv
    >>> metric = rv.metrics.AUC(num_thresholds=3)
    >>> metric.update_state([0, 0, 1, 1], [0.0, 0.5, 0.3, 0.9])
    >>> metric.result().item()
    0.75
    """

    def __init__(
        self,
        num_thresholds: int = 200,
        curve: str = "ROC",
        summation_method: str = "interpolation",
        name: str | None = None,
        dtype: str | None = None,
        thresholds: Sequence[float] | None = None,
        from_logits: bool = False,
    ) -> None:
        if curve not in ("ROC", "PR"):
            raise ValueError(f'AUC: curve must be "ROC" or "PR", not {curve!r}')
        if summation_method not in ("interpolation", "minoring", "majoring"):
            raise ValueError(f"AUC: summation_method {summation_method!r} is not known")
        if thresholds is None and num_thresholds < 2:
            raise ValueError(f"AUC: num_thresholds must be at least 2, not {num_thresholds}")
        self.thresholds = thresholds
        self.num_thresholds = num_thresholds if thresholds is None else len(thresholds) + 2
        self.curve = curve
        self.summation_method = summation_method
        self.from_logits = from_logits
        inner = np.linspace(0, 1, num_thresholds)[1:-1] if thresholds is None else np.sort(thresholds)
        super().__init__([-_EPSILON, *inner, 1 + _EPSILON], name, dtype)

    def _count(self, y_true: np.ndarray, y_pred: np.ndarray, weight: np.ndarray | None) -> None:
        y_pred = 1 / (1 + np.exp(-y_pred.astype(np.float64))) if self.from_logits else y_pred
        super()._count(y_true, y_pred, weight)

    def result(self) -> Tensor:
        tp, fp, tn, fn = self._tpfptnfn()
        if self.curve == "PR" and self.summation_method == "interpolation":
            return as_tensor(self._interpolated_precision(tp, fp, fn), self.dtype)
        recall = _divide(tp, tp + fn)
        x, y = (_divide(fp, fp + tn), recall) if self.curve == "ROC" else (recall, _divide(tp, tp + fp))
        left, right = y[:-1], y[1:]
        rules = {"interpolation": (left + right) / 2, "minoring": np.minimum(left, right)}
        heights = rules.get(self.summation_method, np.maximum(left, right))
        return as_tensor(float(((x[:-1] - x[1:]) * heights).sum()), self.dtype)

    @staticmethod
    def _interpolated_precision(tp: np.ndarray, fp: np.ndarray, fn: np.ndarray) -> float:
        positives = tp + fp
        slope = _divide(tp[:-1] - tp[1:], np.maximum(positives[:-1] - positives[1:], 0))
        intercept = tp[1:] - slope * positives[1:]
        both = (positives[:-1] > 0) & (positives[1:] > 0)
        ratio = np.where(both, _divide(positives[:-1], positives[1:]), 1.0)
        area = slope * (tp[:-1] - tp[1:] + intercept * np.log(ratio))
        return float(_divide(area, np.maximum(tp[1:] + fn[1:], 0)).sum())

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "num_thresholds": self.num_thresholds,
            "curve": self.curve,
            "summation_method": self.summation_method,
            "thresholds": None if self.thresholds is None else [float(t) for t in self.thresholds],
            "from_logits": self.from_logits,
        }
