"""How often predictions are right."""

from __future__ import annotations

from typing import Any

from ranvier import ops
from ranvier.losses.functions import same_rank
from ranvier.metrics.metric import MeanMetricWrapper
from ranvier.tensor import Tensor, as_tensor


def _like(y_true: Any, dtype: str, device: str) -> Tensor:
    tensor = as_tensor(y_true, device=device)
    return tensor if tensor.dtype == dtype else ops.cast(tensor, dtype)


def _as_float(matches: Tensor) -> Tensor:
    return ops.cast(matches, "float32")


def accuracy(y_true: Any, y_pred: Any) -> Tensor:
    """1 where prediction and label are equal, else 0, elementwise. Source: Keras."""
    y_pred = as_tensor(y_pred)
    y_true, y_pred = same_rank(_like(y_true, y_pred.dtype, y_pred.device), y_pred)
    return _as_float(ops.equal(y_true, y_pred))


def binary_accuracy(y_true: Any, y_pred: Any, threshold: float = 0.5) -> Tensor:
    """1 where ``y_pred > threshold`` agrees with the label 0 or 1, elementwise. Source: Keras.

    >>> import ranvier as rv
    >>> rv.metrics.binary_accuracy([[1.0], [1.0], [0.0]], [[0.9], [0.4], [0.2]]).tolist()
    [[1.0], [0.0], [1.0]]
    """
    y_pred = as_tensor(y_pred)
    y_true, y_pred = same_rank(_like(y_true, y_pred.dtype, y_pred.device), y_pred)
    return _as_float(ops.equal(y_true, ops.cast(ops.greater(y_pred, threshold), y_pred.dtype)))


def categorical_accuracy(y_true: Any, y_pred: Any) -> Tensor:
    """1 where the largest score stands at the one-hot label: (..., C), (..., C) -> (...). Source: Keras."""
    y_pred = as_tensor(y_pred)
    y_true = as_tensor(y_true, device=y_pred.device)
    return _as_float(ops.equal(ops.argmax(y_true, axis=-1), ops.argmax(y_pred, axis=-1)))


def _class_indices(y_true: Any, y_pred: Tensor, dtype: str) -> Tensor:
    """Integer labels (..., 1) or (...) for scores (..., C), as (...)."""
    labels = _like(y_true, dtype, y_pred.device)
    return ops.squeeze(labels, -1) if labels.ndim == y_pred.ndim and labels.shape[-1] == 1 else labels


def sparse_categorical_accuracy(y_true: Any, y_pred: Any) -> Tensor:
    """1 where the largest score stands at the integer label: (...) or (..., 1), (..., C) -> (...). Source: Keras.

    >>> import ranvier as rv
    >>> rv.metrics.sparse_categorical_accuracy([2, 0], [[0.1, 0.2, 0.7], [0.3, 0.4, 0.3]]).tolist()
    [1.0, 0.0]
    """
    y_pred = as_tensor(y_pred)
    best = ops.argmax(y_pred, axis=-1)
    return _as_float(ops.equal(_class_indices(y_true, y_pred, best.dtype), best))


def sparse_top_k_categorical_accuracy(y_true: Any, y_pred: Any, k: int = 5, from_sorted_ids: bool = False) -> Tensor:
    """1 where fewer than ``k`` classes score higher than the integer label: (...), (..., C) -> (...). Source: Keras.

    ``from_sorted_ids``: ``y_pred`` holds class numbers, the best first, instead of scores.

    >>> import ranvier as rv
    >>> rv.metrics.sparse_top_k_categorical_accuracy([2, 0], [[5, 2, 7], [4, 3, 0]], 2, from_sorted_ids=True).tolist()
    [1.0, 0.0]
    """
    y_pred = as_tensor(y_pred)
    if from_sorted_ids:
        labels = ops.expand_dims(_class_indices(y_true, y_pred, y_pred.dtype), -1)
        return _as_float(ops.any(ops.equal(labels, y_pred[..., :k]), axis=-1))
    labels = ops.one_hot(_class_indices(y_true, y_pred, "int32"), y_pred.shape[-1], dtype="bool")
    score = ops.max(ops.where(labels, y_pred, float("-inf")), axis=-1, keepdims=True)
    higher = ops.sum(_as_float(ops.greater(y_pred, score)), axis=-1)
    return _as_float(ops.less(higher, float(k)))


def top_k_categorical_accuracy(y_true: Any, y_pred: Any, k: int = 5) -> Tensor:
    """1 where the one-hot label is among the ``k`` highest scores: (..., C), (..., C) -> (...). Source: Keras."""
    y_pred = as_tensor(y_pred)
    return sparse_top_k_categorical_accuracy(ops.argmax(as_tensor(y_true, device=y_pred.device), axis=-1), y_pred, k)


class _AccuracyMetric(MeanMetricWrapper):
    _direction = "up"


class Accuracy(_AccuracyMetric):
    """How often predictions equal labels. Source: Keras ``metrics.Accuracy``.

    >>> import ranvier as rv
    >>> metric = rv.metrics.Accuracy()
    >>> metric.update_state([[1], [2], [3], [4]], [[0], [2], [3], [4]])
    >>> metric.result().item()
    0.75
    """

    def __init__(self, name: str = "accuracy", dtype: str | None = None) -> None:
        super().__init__(accuracy, name, dtype)


class BinaryAccuracy(_AccuracyMetric):
    """How often ``y_pred > threshold`` agrees with labels 0 and 1. Source: Keras ``metrics.BinaryAccuracy``."""

    def __init__(self, name: str = "binary_accuracy", dtype: str | None = None, threshold: float = 0.5) -> None:
        super().__init__(binary_accuracy, name, dtype, threshold=threshold)


class CategoricalAccuracy(_AccuracyMetric):
    """How often the largest score stands at the one-hot label. Source: Keras ``metrics.CategoricalAccuracy``."""

    def __init__(self, name: str = "categorical_accuracy", dtype: str | None = None) -> None:
        super().__init__(categorical_accuracy, name, dtype)


class SparseCategoricalAccuracy(_AccuracyMetric):
    """How often the largest score stands at the integer label. Source: Keras ``metrics.SparseCategoricalAccuracy``.

    >>> import ranvier as rv
    >>> metric = rv.metrics.SparseCategoricalAccuracy()
    >>> metric.update_state([2, 1], [[0.1, 0.6, 0.3], [0.05, 0.95, 0.0]])
    >>> metric.result().item()
    0.5
    """

    def __init__(self, name: str = "sparse_categorical_accuracy", dtype: str | None = None) -> None:
        super().__init__(sparse_categorical_accuracy, name, dtype)


class TopKCategoricalAccuracy(_AccuracyMetric):
    """How often the one-hot label is among the ``k`` highest scores. Source: Keras."""

    def __init__(self, k: int = 5, name: str = "top_k_categorical_accuracy", dtype: str | None = None) -> None:
        super().__init__(top_k_categorical_accuracy, name, dtype, k=k)


class SparseTopKCategoricalAccuracy(_AccuracyMetric):
    """How often the integer label is among the ``k`` highest scores. Source: Keras."""

    def __init__(
        self,
        k: int = 5,
        name: str = "sparse_top_k_categorical_accuracy",
        dtype: str | None = None,
        from_sorted_ids: bool = False,
    ) -> None:
        super().__init__(sparse_top_k_categorical_accuracy, name, dtype, k=k, from_sorted_ids=from_sorted_ids)
