"""Counts of true and false positives and negatives at thresholds, added where the predictions are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ranvier import ops
from ranvier.autograd import no_grad
from ranvier.losses.functions import predictions_of, same_rank
from ranvier.metrics.metric import Metric
from ranvier.tensor import Tensor, as_tensor
from ranvier.variable import Variable

EPSILON = 1e-7  # Keras's backend.epsilon(): the outermost thresholds of AUC stand this far outside [0, 1]
_NEVER = -1e10  # what top_k makes of the scores that are not among the highest (Keras's NEG_INF)


def divide(a: Any, b: Any) -> np.ndarray:
    """a / b in float64, and 0 where b is 0."""
    a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
    return np.divide(a, b, out=np.zeros(np.broadcast(a, b).shape), where=b != 0)


def weights_like(sample_weight: Any, values: Tensor) -> Tensor:
    """Sample weights of the first axes as float64 weights of every element of ``values``."""
    weights = as_tensor(sample_weight, "float64", values.device)
    if weights.size == values.size:
        return ops.reshape(weights, values.shape)
    if weights.ndim < values.ndim:
        weights = ops.reshape(weights, weights.shape + (1,) * (values.ndim - weights.ndim))
    return ops.broadcast_to(weights, values.shape)


def highest(scores: Tensor, k: int) -> Tensor:
    """Scores (..., C) with all but the ``k`` highest of each row (the first of equals) at -1e10."""
    chosen = ops.zeros(scores.shape, "bool")
    left = scores
    for _ in range(min(k, scores.shape[-1])):
        best = ops.one_hot(ops.argmax(left, axis=-1), scores.shape[-1], dtype="bool")
        chosen = ops.logical_or(chosen, best)
        left = ops.where(best, float("-inf"), left)
    return ops.where(chosen, scores, _NEVER)


def evenly_spread(thresholds: Sequence[float] | np.ndarray) -> bool:
    """Whether there are three or more thresholds, from 0 to 1 in equal steps."""
    count = len(thresholds)
    return count >= 3 and bool(np.allclose(thresholds, np.arange(count) / (count - 1), atol=EPSILON))


class ThresholdMetric(Metric):
    """Base of what is read off counts at thresholds.

    A prediction falls into the bucket of how many thresholds it exceeds, and its weight is added there, to the
    positives or the negatives: one pass whatever the number of thresholds, all of it kernel calls. The counts at each
    threshold are the sums over the buckets above, taken when the result is asked for.
    """

    _direction = "up"

    def __init__(self, levels: Sequence[float], name: str | None, dtype: str | None, even: bool | None = None) -> None:
        super().__init__(dtype=dtype, name=name)
        self._levels = np.asarray(levels, np.float64)
        self._order = np.argsort(self._levels, kind="stable")
        self._even = evenly_spread(self._levels) if even is None else even
        self._buckets: Variable | None = None
        self._labels: int | None = None  # counted apart, where there are several
        self.top_k: int | None = None
        self.class_id: int | None = None

    @no_grad()
    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Adds one batch: labels 0 and 1, scores of the same shape, and weights of the samples."""
        scores, labels = self._paired(y_true, y_pred)
        weights = None if sample_weight is None else weights_like(sample_weight, scores)
        if self.top_k is not None:
            scores = highest(scores, self.top_k)
        if self.class_id is not None:
            if scores.ndim < 2:
                raise ValueError(f"{self.name}: class_id needs predictions (samples, classes), not {scores.shape}")
            scores, labels = scores[..., self.class_id], labels[..., self.class_id]
            weights = None if weights is None else weights[..., self.class_id]
        self._add(scores, labels, weights)

    def _paired(self, y_true: Any, y_pred: Any) -> tuple[Tensor, Tensor]:
        scores = predictions_of(y_pred)
        labels, scores = same_rank(as_tensor(y_true, device=scores.device), scores)
        if labels.shape != scores.shape and labels.size == scores.size:
            labels = ops.reshape(labels, scores.shape)
        if labels.shape != scores.shape:
            raise ValueError(
                f"{self.name}: labels have shape {labels.shape} but predictions {scores.shape}; expected the same, "
                "0 or 1 for each prediction (one-hot rows for several classes)"
            )
        return scores, labels

    def _add(self, scores: Tensor, labels: Tensor, weights: Tensor | None) -> None:
        columns = self._labels or 1
        if self._buckets is None:
            shape = ((len(self._levels) + 1) * columns, 2)
            self._buckets = self.add_variable(shape, dtype="float64", name="buckets")
        bucket = self._bucket_of(ops.reshape(scores, (-1,)))
        if columns > 1:  # scores (N, labels): the bucket's row has a place for each label
            place = ops.broadcast_to(ops.arange(columns, dtype="int32"), scores.shape)
            bucket = bucket * columns + ops.reshape(place, (-1,))
        positive = ops.cast(ops.not_equal(ops.reshape(labels, (-1,)), 0), "float64")
        parts = ops.stack([positive, 1 - positive], -1)
        if weights is not None:
            parts = parts * ops.reshape(weights, (-1, 1))
        self._buckets.assign(ops.scatter_add(self._buckets, bucket, parts))

    def _bucket_of(self, scores: Tensor) -> Tensor:
        """How many thresholds each score exceeds; none for NaN."""
        count = len(self._levels)
        if not self._even:  # thresholds in the scores' dtype: a float32 score of 0.3 does not exceed 0.3
            levels = as_tensor(self._levels, scores.dtype, scores.device)
            if count == 1:
                return ops.cast(ops.greater(scores, levels), "int32")
            exceeded = ops.greater(ops.reshape(scores, (1, -1)), ops.reshape(levels, (-1, 1)))
            return ops.cast(ops.sum(ops.cast(exceeded, "float32"), 0), "int32")
        steps = ops.minimum(ops.where(ops.greater(scores, 0), scores, 0.0), 1.0) * float(count - 1)
        whole = ops.cast(steps, "int32")
        bucket = whole + ops.cast(ops.greater(steps, ops.cast(whole, steps.dtype)), "int32")  # rounded up
        return ops.maximum(bucket, 1) if self._levels[0] < 0 else bucket

    def _counts(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """True and false positives, true and false negatives at each threshold: (T,), or (T, labels)."""
        shape = (len(self._levels) + 1, self._labels or 1, 2)
        buckets = np.zeros(shape) if self._buckets is None else self._buckets.numpy().reshape(shape)
        above = np.cumsum(buckets[::-1], 0)[::-1]
        total = above[0]
        found = np.empty((len(self._levels), *shape[1:]))
        found[self._order] = above[1:]
        if self._labels is None:
            found, total = found[:, 0], total[0]
        tp, fp = found[..., 0], found[..., 1]
        return tp, fp, total[..., 1] - fp, total[..., 0] - tp

    def _told(self, values: np.ndarray) -> Tensor:
        """One number where there is one threshold, else one for each."""
        return as_tensor(np.asarray(values[0] if len(values) == 1 else values), self.dtype)


def levels_of(name: str, thresholds: Any, default: float) -> list[float]:
    """Thresholds as a list. Raises ValueError for one outside [0, 1]."""
    levels = [default] if thresholds is None else list(np.atleast_1d(thresholds).astype(float))
    if thresholds is not None and not all(0 <= t <= 1 for t in levels):
        raise ValueError(f"{name}: thresholds must be in [0, 1], not {thresholds}")
    return levels
