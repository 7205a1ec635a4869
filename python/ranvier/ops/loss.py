"""Losses per sample: cross-entropies from logits, and regression losses. Labels come first, as in Keras."""

from __future__ import annotations

from typing import Any

from ranvier import ops
from ranvier.autograd import Function, is_recording
from ranvier.tensor import Tensor, as_tensor, wrap

__all__ = [
    "huber",
    "mean_absolute_error",
    "mean_squared_error",
    "sigmoid_cross_entropy",
    "softmax_cross_entropy",
]


class SoftmaxCrossEntropy(Function):
    narrow = ()

    def forward(self, labels: Any, logits: Any, label_smoothing: float) -> Any:
        self.label_smoothing = label_smoothing
        losses, statistics = self.kernels.softmax_cross_entropy_forward(labels, logits, label_smoothing)
        self.save(labels, logits, statistics)
        return losses

    def backward(self, dy: Tensor) -> tuple[Any, Any]:
        labels, logits, statistics = self.saved
        return self._dlabels(logits, dy), self._dlogits(labels, logits, statistics, dy)

    def _dlabels(self, logits: Tensor, dy: Tensor) -> Tensor | None:
        if not self.needs[0]:
            return None
        return ops.log_softmax(logits) * ops.expand_dims(dy, -1) * (self.label_smoothing - 1)

    def _dlogits(self, labels: Tensor, logits: Tensor, statistics: Tensor, dy: Tensor) -> Any:
        if not self.needs[1]:
            return None
        if not is_recording():
            return self.kernels.softmax_cross_entropy_backward(
                labels.array, logits.array, statistics.array, dy.array, self.label_smoothing
            )
        classes = logits.shape[-1]
        weights = labels if labels.dtype == logits.dtype else ops.one_hot(labels, classes, dtype=logits.dtype)
        targets = weights * (1 - self.label_smoothing) + self.label_smoothing / classes
        return ops.expand_dims(dy, -1) * (ops.softmax(logits) * targets.sum(-1, keepdims=True) - targets)


class SigmoidCrossEntropy(Function):
    narrow = ()

    def forward(self, labels: Any, logits: Any) -> Any:
        self.save(labels, logits)
        return self.kernels.sigmoid_cross_entropy_forward(labels, logits)

    def backward(self, dy: Tensor) -> tuple[Tensor | None, Tensor | None]:
        labels, logits = self.saved
        dlabels = dlogits = None
        if self.needs[0]:
            dlabels = -(logits * dy)
        if self.needs[1] and is_recording():
            dlogits = dy * (ops.sigmoid(logits) - labels)
        elif self.needs[1]:
            dlogits = wrap(self.kernels.sigmoid_cross_entropy_backward(labels.array, logits.array, dy.array))
        return dlabels, dlogits


class _Regression(Function):
    """A mean over the last axis of a penalty of ``predictions - labels``; one gradient is minus the other."""

    kernel = ""
    narrow = ()

    params: dict[str, float]

    def forward(self, labels: Any, predictions: Any, **params: float) -> Any:
        self.params = params
        self.save(labels, predictions)
        return getattr(self.kernels, f"{self.kernel}_forward")(labels, predictions, **params)

    def backward(self, dy: Tensor) -> tuple[Tensor | None, Tensor | None]:
        labels, predictions = self.saved
        if is_recording():
            slopes = ops.expand_dims(dy, -1) * self.slope(predictions - labels) * (1 / max(predictions.shape[-1], 1))
        else:
            kernel = getattr(self.kernels, f"{self.kernel}_backward")
            slopes = wrap(kernel(labels.array, predictions.array, dy.array, **self.params))
        return -slopes if self.needs[0] else None, slopes if self.needs[1] else None

    def slope(self, error: Tensor) -> Tensor:
        """The penalty's derivative, from ops."""
        raise NotImplementedError


class MeanSquaredError(_Regression):
    kernel = "mean_squared_error"

    def slope(self, error: Tensor) -> Tensor:
        return error * 2


class MeanAbsoluteError(_Regression):
    kernel = "mean_absolute_error"

    def slope(self, error: Tensor) -> Tensor:
        return ops.sign(error)


class Huber(_Regression):
    kernel = "huber"

    def slope(self, error: Tensor) -> Tensor:
        return ops.clip(error, -self.params["delta"], self.params["delta"])


def _labels_like(labels: Any, predictions: Any) -> tuple[Any, Tensor]:
    """Labels that are no tensors yet take the dtype and device of the predictions."""
    predictions = as_tensor(predictions)
    if not isinstance(labels, Tensor):
        labels = as_tensor(labels, predictions.dtype, predictions.device)
    return labels, predictions


def softmax_cross_entropy(labels: Any, logits: Any, label_smoothing: float = 0.0) -> Tensor:
    """Cross-entropy of ``labels`` and ``softmax(logits)`` over the last axis, in nats: (..., C) -> (...).

    ``labels`` are classes, int32 or int64 of shape (...), or weights of the classes (one-hot or probabilities), of
    the shape and dtype of ``logits``: float32 or float64. ``label_smoothing`` in 0..1 moves that part of each
    label to all classes alike. Computed by log-sum-exp, so no logit overflows; a class of weight 0 costs nothing
    even where its logit is -Inf. Raises ValueError for shapes that do not fit and for a class that is not in
    0..C-1, TypeError for other dtypes. Source: Keras ``sparse_categorical_crossentropy`` and
    ``categorical_crossentropy`` with ``from_logits=True``; curriculum F10, F13.

    >>> import ranvier as rv
    >>> rv.ops.softmax_cross_entropy([1, 0], [[0.0, 0.0], [100.0, 0.0]]).numpy().round(4)
    array([0.6931, 0.    ], dtype=float32)
    """
    logits = as_tensor(logits)
    labels = as_tensor(labels, device=logits.device)
    if labels.dtype.startswith("float") and labels.dtype != logits.dtype and labels.node is None:
        labels = as_tensor(labels, logits.dtype)
    return SoftmaxCrossEntropy.apply(labels, logits, label_smoothing=label_smoothing)


def sigmoid_cross_entropy(labels: Any, logits: Any) -> Tensor:
    """Binary cross-entropy of ``labels`` and ``sigmoid(logits)``, element by element, in nats: (...) -> (...).

    Both of one shape and dtype, float32 or float64; labels are probabilities. Computed as
    max(z, 0) - z y + log(1 + exp(-abs(z))), which neither overflows nor loses small losses. Raises ValueError
    for shapes that differ, TypeError for dtypes. Source: Keras ``binary_crossentropy`` with ``from_logits=True``;
    curriculum F11.

    >>> import ranvier as rv
    >>> rv.ops.sigmoid_cross_entropy([1.0, 0.0], [0.0, -1000.0]).numpy().round(4)
    array([0.6931, 0.    ], dtype=float32)
    """
    return SigmoidCrossEntropy.apply(*_labels_like(labels, logits))


def mean_squared_error(labels: Any, predictions: Any) -> Tensor:
    """Mean over the last axis of the squared difference: (..., C) -> (...).

    Both of one shape and dtype, float32 or float64. Raises ValueError for shapes that differ (nothing is
    broadcast), TypeError for dtypes. Source: Keras ``mean_squared_error``; curriculum F09.

    >>> import ranvier as rv
    >>> rv.ops.mean_squared_error([[0.0, 1.0]], [[1.0, 3.0]]).numpy()
    array([2.5], dtype=float32)
    """
    return MeanSquaredError.apply(*_labels_like(labels, predictions))


def mean_absolute_error(labels: Any, predictions: Any) -> Tensor:
    """Mean over the last axis of the absolute difference: (..., C) -> (...); its gradient at 0 is 0.

    Both of one shape and dtype, float32 or float64. Raises ValueError for shapes that differ (nothing is
    broadcast), TypeError for dtypes. Source: Keras ``mean_absolute_error``; curriculum F11.

    >>> import ranvier as rv
    >>> rv.ops.mean_absolute_error([[0.0, 1.0]], [[1.0, 3.0]]).numpy()
    array([1.5], dtype=float32)
    """
    return MeanAbsoluteError.apply(*_labels_like(labels, predictions))


def huber(labels: Any, predictions: Any, delta: float = 1.0) -> Tensor:
    """Mean over the last axis of half the squared error up to ``delta``, linear beyond: (..., C) -> (...).

    Both of one shape and dtype, float32 or float64. Raises ValueError for shapes that differ and for a ``delta``
    that is not positive and finite, TypeError for dtypes. Source: Keras ``huber``.

    >>> import ranvier as rv
    >>> rv.ops.huber([[0.0, 0.0]], [[1.0, 3.0]]).numpy()
    array([1.5], dtype=float32)
    """
    return Huber.apply(*_labels_like(labels, predictions), delta=delta)
