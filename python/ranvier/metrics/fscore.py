"""F scores: precision and recall in one number for each class."""

from __future__ import annotations

from typing import Any

import numpy as np

from ranvier import ops
from ranvier.autograd import no_grad
from ranvier.losses.functions import predictions_of
from ranvier.metrics.counting import EPSILON
from ranvier.metrics.metric import Metric
from ranvier.tensor import Tensor, as_tensor
from ranvier.variable import Variable


class FBetaScore(Metric):
    """(1 + beta^2) precision recall / (beta^2 precision + recall) of each class: (N, C), (N, C) -> (C,).

    The highest score of a row is called positive, or with ``threshold`` every score above it. ``average``: None (one
    number per class), ``"micro"`` (all classes counted together), ``"macro"`` (their mean) or ``"weighted"`` (by how
    often each is true). Raises ValueError for inputs that are not (N, C). Source: Keras; curriculum F49.

    >>> import ranvier as rv
    >>> metric = rv.metrics.FBetaScore(beta=2.0, threshold=0.5)
    >>> metric.update_state([[1, 1, 1], [1, 0, 0], [1, 1, 0]], [[0.2, 0.6, 0.7], [0.2, 0.6, 0.6], [0.6, 0.8, 0.0]])
    >>> metric.result().numpy().round(4)
    array([0.3846, 0.9091, 0.8333], dtype=float32)
    """

    _direction = "up"

    def __init__(
        self,
        average: str | None = None,
        beta: float = 1.0,
        threshold: float | None = None,
        name: str | None = "fbeta_score",
        dtype: str | None = None,
    ) -> None:
        super().__init__(dtype=dtype, name=name)
        kind = type(self).__name__
        if average not in (None, "micro", "macro", "weighted"):
            raise ValueError(f"{kind}: average must be None, 'micro', 'macro' or 'weighted', not {average!r}")
        if not isinstance(beta, float) or not beta > 0:
            raise ValueError(f"{kind}: beta must be a positive float, not {beta!r}")
        if threshold is not None and (not isinstance(threshold, float) or not 0 < threshold <= 1):
            raise ValueError(f"{kind}: threshold must be a float in (0, 1], not {threshold!r}")
        self.average = average
        self.beta = beta
        self.threshold = threshold
        self._sums: Variable | None = None  # (4, C): true and false positives, false negatives, labels

    @no_grad()
    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Adds one batch."""
        scores = predictions_of(y_pred)
        labels = as_tensor(y_true, "float64", scores.device)
        if scores.ndim != 2 or labels.shape != scores.shape:
            raise ValueError(
                f"{self.name}: expected labels and predictions (samples, classes) of one shape; labels have shape "
                f"{labels.shape}, predictions {scores.shape} (for class numbers use rv.utils.to_categorical)"
            )
        if self.threshold is None:
            highest = ops.greater_equal(scores, ops.max(scores, axis=-1, keepdims=True))
            chosen = ops.logical_and(highest, ops.greater(ops.abs(scores), 1e-9))
        else:
            chosen = ops.greater(scores, self.threshold)
        called = ops.cast(chosen, "float64")
        parts = ops.stack([called * labels, called * (1 - labels), (1 - called) * labels, labels])
        if sample_weight is not None:
            parts = parts * ops.reshape(as_tensor(sample_weight, "float64", scores.device), (1, -1, 1))
        added = ops.sum(parts, 1)
        if self._sums is None:
            self._sums = self.add_variable(added.shape, dtype="float64", name="sums")
        self._sums.assign(self._sums + added)

    def result(self) -> Tensor:
        """One number, or one per class."""
        sums = np.zeros((4, 1)) if self._sums is None else self._sums.numpy()
        if self.average == "micro":
            sums = sums.sum(1)
        tp, fp, fn, labels = sums
        precision, recall = tp / (tp + fp + EPSILON), tp / (tp + fn + EPSILON)
        scores = precision * recall / (self.beta**2 * precision + recall + EPSILON) * (1 + self.beta**2)
        if self.average == "weighted":
            scores = (scores * (labels / (labels.sum() + EPSILON))).sum()
        elif self.average is not None:
            scores = scores.mean()
        return as_tensor(np.asarray(scores), self.dtype)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "average": self.average, "beta": self.beta, "threshold": self.threshold}


class F1Score(FBetaScore):
    """2 precision recall / (precision + recall) of each class; see ``FBetaScore``. Source: Keras; curriculum F49.

    >>> import ranvier as rv
    >>> metric = rv.metrics.F1Score(average="macro")
    >>> metric.update_state([[1, 0], [0, 1], [0, 1]], [[0.9, 0.1], [0.4, 0.6], [0.7, 0.3]])
    >>> round(metric.result().item(), 4)
    0.6667
    """

    def __init__(
        self,
        average: str | None = None,
        threshold: float | None = None,
        name: str | None = "f1_score",
        dtype: str | None = None,
    ) -> None:
        super().__init__(average, 1.0, threshold, name, dtype)

    def get_config(self) -> dict[str, Any]:
        return {name: value for name, value in super().get_config().items() if name != "beta"}
