"""Metrics of many thresholds: areas under curves, and one rate where another is as high as wanted."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ranvier import ops
from ranvier.losses.functions import predictions_of
from ranvier.metrics.counting import EPSILON, ThresholdMetric, divide, evenly_spread
from ranvier.tensor import Tensor, as_tensor


class AUC(ThresholdMetric):
    """Area under the ROC curve (or precision over recall, ``curve="PR"``), by trapezoids between thresholds.

    ``y_pred`` holds probabilities in [0, 1] (scores before the sigmoid with ``from_logits``). ``curve="PRGAIN"``:
    precision gain over recall gain (Flach and Kull 2015). ``multi_label``: an area for each column of (N, labels),
    and their mean, weighted by ``label_weights``; without it these weigh the elements. Source: Keras ``metrics.AUC``;
    the PR curve is interpolated as Davis and Goadrich (2006) show.

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
        multi_label: bool = False,
        num_labels: int | None = None,
        label_weights: Sequence[float] | None = None,
        from_logits: bool = False,
    ) -> None:
        if str(curve).upper() not in ("ROC", "PR", "PRGAIN"):
            raise ValueError(f'AUC: curve must be "ROC", "PR" or "PRGAIN", not {curve!r}')
        if str(summation_method).lower() not in ("interpolation", "minoring", "majoring"):
            raise ValueError(
                f'AUC: summation_method must be "interpolation", "minoring" or "majoring", not {summation_method!r}'
            )
        if thresholds is None and num_thresholds < 2:
            raise ValueError(f"AUC: num_thresholds must be at least 2, not {num_thresholds}")
        if num_labels and not multi_label:
            raise ValueError("AUC: num_labels is needed only with multi_label=True")
        inner = np.linspace(0, 1, num_thresholds)[1:-1] if thresholds is None else np.sort(thresholds)
        even = thresholds is None or evenly_spread([0.0, *inner, 1.0])
        super().__init__([-EPSILON, *inner, 1 + EPSILON], name, dtype, even)
        self.thresholds = thresholds
        self.num_thresholds = num_thresholds if thresholds is None else len(thresholds) + 2
        self.curve = str(curve).upper()
        self.summation_method = str(summation_method).lower()
        self.multi_label = multi_label
        self.num_labels = num_labels
        self.label_weights = label_weights
        self.from_logits = from_logits
        self._labels = num_labels if multi_label else None

    def _paired(self, y_true: Any, y_pred: Any) -> tuple[Tensor, Tensor]:
        scores = predictions_of(y_pred)
        scores, labels = super()._paired(y_true, ops.sigmoid(scores) if self.from_logits else scores)
        if self.multi_label:
            wanted = "labels" if self._labels is None else self._labels
            if scores.ndim != 2 or scores.shape[-1] != (self._labels or scores.shape[-1]):
                raise ValueError(
                    f"{self.name}: multi_label expects predictions (samples, {wanted}), not {scores.shape}"
                )
            self._labels = scores.shape[-1]
        return scores, labels

    def _add(self, scores: Tensor, labels: Tensor, weights: Tensor | None) -> None:
        if self.label_weights is not None and not self.multi_label:
            each = ops.broadcast_to(as_tensor(self.label_weights, "float64", scores.device), scores.shape)
            weights = each if weights is None else weights * each
        super()._add(scores, labels, weights)

    def result(self) -> Tensor:
        """The area; the mean of the labels' areas with ``multi_label``."""
        tp, fp, tn, fn = self._counts()
        if self.curve == "PR" and self.summation_method == "interpolation":
            terms = self._interpolated_precision(tp, fp, fn)
        else:
            x, y = self._points(tp, fp, tn, fn)
            left, right = y[:-1], y[1:]
            rules = {"interpolation": (left + right) / 2, "minoring": np.minimum(left, right)}
            terms = (x[:-1] - x[1:]) * rules.get(self.summation_method, np.maximum(left, right))
        areas = terms.sum(0)
        if not self.multi_label:
            return as_tensor(float(areas), self.dtype)
        weights = np.ones(areas.shape) if self.label_weights is None else np.asarray(self.label_weights, np.float64)
        return as_tensor(float(divide((areas * weights).sum(), weights.sum())), self.dtype)

    def _points(self, tp: np.ndarray, fp: np.ndarray, tn: np.ndarray, fn: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        recall = divide(tp, tp + fn)
        if self.curve == "ROC":
            return divide(fp, fp + tn), recall
        if self.curve == "PR":
            return recall, divide(tp, tp + fp)
        odds = divide(tp + fn, tn + fp)
        recall_gain = np.where(tp == 0, 0.0, 1 - odds * divide(fn, tp))
        return np.maximum(recall_gain, 0.0), np.where(tp == 0, 1.0, 1 - odds * divide(fp, tp))

    @staticmethod
    def _interpolated_precision(tp: np.ndarray, fp: np.ndarray, fn: np.ndarray) -> np.ndarray:
        positives = tp + fp
        slope = divide(tp[:-1] - tp[1:], np.maximum(positives[:-1] - positives[1:], 0))
        intercept = tp[1:] - slope * positives[1:]
        both = (positives[:-1] > 0) & (positives[1:] > 0)
        ratio = np.where(both, divide(positives[:-1], positives[1:]), 1.0)
        area = slope * (tp[:-1] - tp[1:] + intercept * np.log(ratio))
        return divide(area, np.maximum(tp[1:] + fn[1:], 0))

    def get_config(self) -> dict[str, Any]:
        weights = self.label_weights
        return {
            **super().get_config(),
            "num_thresholds": self.num_thresholds,
            "curve": self.curve,
            "summation_method": self.summation_method,
            "thresholds": None if self.thresholds is None else [float(t) for t in self.thresholds],
            "multi_label": self.multi_label,
            "num_labels": self.num_labels,
            "label_weights": None if weights is None else [float(w) for w in weights],
            "from_logits": self.from_logits,
        }


class _RateAtRate(ThresholdMetric):
    """The best of one rate among the thresholds at which another is at least what is wanted (0 if none)."""

    _wanted: str  # the name of the constraint

    def __init__(
        self, value: float, num_thresholds: int, class_id: int | None, name: str | None, dtype: str | None
    ) -> None:
        kind = type(self).__name__
        if not 0 <= value <= 1:
            raise ValueError(f"{kind}: {self._wanted} must be in [0, 1], not {value}")
        if num_thresholds < 1:
            raise ValueError(f"{kind}: num_thresholds must be positive, not {num_thresholds}")
        levels = [0.5] if num_thresholds == 1 else [0.0, *np.linspace(0, 1, num_thresholds)[1:-1], 1.0]
        super().__init__(levels, name, dtype, even=num_thresholds > 1)
        self.value = value
        self.num_thresholds = num_thresholds
        self.class_id = class_id

    def _rates(self) -> tuple[np.ndarray, np.ndarray]:
        """The rate that is constrained, and the rate that is told, at each threshold."""
        raise NotImplementedError

    def result(self) -> Tensor:
        constrained, told = self._rates()
        # Compared in float32, as Keras does: a rate of 0.8 meets a wish of 0.8.
        meets = constrained.astype(np.float32) >= np.float32(self.value)
        return as_tensor(float(np.where(meets, told, 0.0).max(initial=0.0)), self.dtype)

    def get_config(self) -> dict[str, Any]:
        mine = {"class_id": self.class_id, "num_thresholds": self.num_thresholds, self._wanted: self.value}
        return {**super().get_config(), **mine}


class SensitivityAtSpecificity(_RateAtRate):
    """The best sensitivity (recall of positives) where the specificity (recall of negatives) is at least given.

    Source: Keras; curriculum F49.

    >>> import ranvier as rv
    >>> metric = rv.metrics.SensitivityAtSpecificity(0.5)
    >>> metric.update_state([0, 0, 0, 1, 1], [0.0, 0.3, 0.8, 0.3, 0.8])
    >>> metric.result().item()
    0.5
    """

    _wanted = "specificity"

    def __init__(
        self,
        specificity: float,
        num_thresholds: int = 200,
        class_id: int | None = None,
        name: str | None = None,
        dtype: str | None = None,
    ) -> None:
        super().__init__(specificity, num_thresholds, class_id, name, dtype)
        self.specificity = specificity

    def _rates(self) -> tuple[np.ndarray, np.ndarray]:
        tp, fp, tn, fn = self._counts()
        return divide(tn, tn + fp), divide(tp, tp + fn)


class SpecificityAtSensitivity(_RateAtRate):
    """The best specificity where the sensitivity is at least given. Source: Keras.

    >>> import ranvier as rv
    >>> metric = rv.metrics.SpecificityAtSensitivity(0.5)
    >>> metric.update_state([0, 0, 0, 1, 1], [0.0, 0.3, 0.8, 0.3, 0.8])
    >>> round(metric.result().item(), 4)
    0.6667
    """

    _wanted = "sensitivity"

    def __init__(
        self,
        sensitivity: float,
        num_thresholds: int = 200,
        class_id: int | None = None,
        name: str | None = None,
        dtype: str | None = None,
    ) -> None:
        super().__init__(sensitivity, num_thresholds, class_id, name, dtype)
        self.sensitivity = sensitivity

    def _rates(self) -> tuple[np.ndarray, np.ndarray]:
        tp, fp, tn, fn = self._counts()
        return divide(tp, tp + fn), divide(tn, tn + fp)


class PrecisionAtRecall(_RateAtRate):
    """The best precision where the recall is at least given. Source: Keras.

    >>> import ranvier as rv
    >>> metric = rv.metrics.PrecisionAtRecall(0.5)
    >>> metric.update_state([0, 0, 0, 1, 1], [0.0, 0.3, 0.8, 0.3, 0.8])
    >>> metric.result().item()
    0.5
    """

    _wanted = "recall"

    def __init__(
        self,
        recall: float,
        num_thresholds: int = 200,
        class_id: int | None = None,
        name: str | None = None,
        dtype: str | None = None,
    ) -> None:
        super().__init__(recall, num_thresholds, class_id, name, dtype)
        self.recall = recall

    def _rates(self) -> tuple[np.ndarray, np.ndarray]:
        tp, fp, _, fn = self._counts()
        return divide(tp, tp + fn), divide(tp, tp + fp)


class RecallAtPrecision(_RateAtRate):
    """The best recall where the precision is at least given. Source: Keras.

    >>> import ranvier as rv
    >>> metric = rv.metrics.RecallAtPrecision(0.8)
    >>> metric.update_state([0, 0, 1, 1], [0.0, 0.5, 0.3, 0.9])
    >>> metric.result().item()
    0.5
    """

    _wanted = "precision"

    def __init__(
        self,
        precision: float,
        num_thresholds: int = 200,
        class_id: int | None = None,
        name: str | None = None,
        dtype: str | None = None,
    ) -> None:
        super().__init__(precision, num_thresholds, class_id, name, dtype)
        self.precision = precision

    def _rates(self) -> tuple[np.ndarray, np.ndarray]:
        tp, fp, _, fn = self._counts()
        return divide(tp, tp + fp), divide(tp, tp + fn)
