"""Losses per sample as functions ``(y_true, y_pred) -> Tensor``, with Keras' names, arguments and numerics."""

from __future__ import annotations

from typing import Any

import numpy as np

from ranvier import _core, ops
from ranvier.autograd import Function, is_recording
from ranvier.ops.activation import Sigmoid
from ranvier.ops.elementwise.operands import Cast
from ranvier.ops.softmax import Softmax
from ranvier.tensor import Tensor, as_tensor

EPSILON = 1e-7  # Keras' backend.epsilon()


# --- what they share ------------------------------------------------------------------------------------


def predictions_of(y_pred: Any) -> Tensor:
    """Predictions as a floating tensor: float64 stays, what is not floating becomes float32."""
    if not isinstance(y_pred, Tensor):
        y_pred = as_tensor(y_pred)
    return y_pred if y_pred.dtype in ("float32", "float64") else ops.cast(y_pred, "float32")


def labels_like(y_true: Any, y_pred: Tensor) -> Tensor:
    """Labels in the predictions' dtype and on their device."""
    y_true = as_tensor(y_true, device=y_pred.device)
    return y_true if y_true.dtype == y_pred.dtype else ops.cast(y_true, y_pred.dtype)


def same_rank(x1: Tensor, x2: Tensor) -> tuple[Tensor, Tensor]:
    """(N,) beside (N, 1) becomes (N, 1); (N, ..., 1) beside (N, ...) loses its 1. As Keras."""
    if x1.ndim == x2.ndim + 1 and x1.shape[-1] == 1:
        return (x1, ops.expand_dims(x2, -1)) if x2.ndim == 1 else (ops.squeeze(x1, -1), x2)
    if x2.ndim == x1.ndim + 1 and x2.shape[-1] == 1:
        return (ops.expand_dims(x1, -1), x2) if x1.ndim == 1 else (x1, ops.squeeze(x2, -1))
    return x1, x2


def labels_and_predictions(y_true: Any, y_pred: Any) -> tuple[Tensor, Tensor]:
    """Both in the predictions' floating dtype and of one rank."""
    y_pred = predictions_of(y_pred)
    return same_rank(labels_like(y_true, y_pred), y_pred)


def must_agree(name: str, y_true: Tensor, y_pred: Tensor) -> None:
    """Raises ValueError for shapes that differ."""
    if y_true.shape != y_pred.shape:
        raise ValueError(f"{name}: y_true has shape {y_true.shape} but y_pred has shape {y_pred.shape}")


def _classes_last(x: Tensor, axis: int) -> Tensor:
    """``x`` with ``axis`` moved to the end."""
    if axis == -1:
        return x
    if isinstance(axis, bool) or not isinstance(axis, int):
        raise ValueError(f"axis must be an integer, got {axis!r}")
    axis = axis if axis >= 0 else axis + x.ndim
    if axis == x.ndim - 1 or not 0 <= axis < x.ndim:
        return x
    return ops.transpose(x, [i for i in range(x.ndim) if i != axis] + [axis])


def _logits_behind(probabilities: Tensor, activation: type[Function]) -> Tensor | None:
    """The logits that ``activation`` made ``probabilities`` from, while the tape still has them.

    A loss of logits neither rounds small losses away nor clips large ones, and its gradient is one subtraction.
    """
    node = probabilities.node
    while isinstance(node, Cast):  # of what a layer computed in 16 bits
        node = node.source
    if not is_recording() or not isinstance(node, (Softmax, Sigmoid)) or not isinstance(node, activation):
        return None
    logits = node.logits
    return logits if logits is None else ops.cast(logits, probabilities.dtype)


def clipped(probabilities: Tensor) -> Tensor:
    """Probabilities 1e-7 away from 0 and 1, so that their logarithms are finite."""
    return ops.clip(probabilities, EPSILON, 1 - EPSILON)


# --- cross-entropies --------------------------------------------------------------------------------------


def categorical_crossentropy(
    y_true: Any, y_pred: Any, from_logits: bool = False, label_smoothing: float = 0.0, axis: int = -1
) -> Tensor:
    """Cross-entropy of one-hot labels (or probabilities) and predictions along ``axis``: (..., C) -> (...).

    Probabilities are normalised and clipped to 1e-7 from 0 and 1; where they come straight from a softmax that is on
    the tape, its logits are used instead. Raises ValueError for shapes that differ. Source: Keras; curriculum F10.

    >>> import ranvier as rv
    >>> rv.losses.categorical_crossentropy([[0.0, 1.0]], [[0.5, 0.5]]).numpy().round(4)
    array([0.6931], dtype=float32)
    """
    y_pred = predictions_of(y_pred)
    y_true = labels_like(y_true, y_pred)
    if y_true.shape != y_pred.shape:
        raise ValueError(
            f"categorical_crossentropy: y_true has shape {y_true.shape} but y_pred has shape {y_pred.shape}; y_true "
            "needs one weight per class (for class numbers use sparse_categorical_crossentropy)"
        )
    y_true, y_pred = _classes_last(y_true, axis), _classes_last(y_pred, axis)
    logits = y_pred if from_logits else _logits_behind(y_pred, Softmax)
    if logits is not None:
        return ops.softmax_cross_entropy(y_true, logits, label_smoothing)
    if label_smoothing:
        y_true = y_true * (1 - label_smoothing) + label_smoothing / y_pred.shape[-1]
    normal = y_pred / ops.sum(y_pred, -1, keepdims=True)
    return -ops.sum(y_true * ops.log(clipped(normal)), -1)


def class_numbers(y_true: Any, device: str) -> Tensor:
    """Labels as int32 or int64; floats must be whole, so that none is silently cut off."""
    labels = as_tensor(y_true, device=device)
    if labels.dtype in ("int32", "int64"):
        return labels
    if labels.dtype in ("uint8", "bool"):
        return ops.cast(labels, "int32")
    values = labels.numpy()
    if not (np.isfinite(values) & (values == np.floor(values))).all():
        raise ValueError("sparse_categorical_crossentropy: y_true must hold whole numbers, classes 0 to C-1")
    return ops.cast(labels, "int64")


def own_probability(labels: Tensor, probabilities: Tensor) -> Tensor:
    """Of each row (..., C) the element that its label names: (...)."""
    classes = probabilities.shape[-1]
    _core._check_class_labels("sparse_categorical_crossentropy", labels.array, classes)
    starts = as_tensor(np.arange(labels.size) * classes, device=probabilities.device)  # int64, one row each
    places = ops.add(starts, ops.reshape(ops.cast(labels, "int64"), (-1,)))
    return ops.reshape(ops.take(ops.reshape(probabilities, (-1,)), places), labels.shape)


def sparse_categorical_crossentropy(
    y_true: Any, y_pred: Any, from_logits: bool = False, ignore_class: int | None = None, axis: int = -1
) -> Tensor:
    """Cross-entropy of class numbers (...) or (..., 1) and predictions along ``axis``: (..., C) -> (...).

    Predictions as for ``categorical_crossentropy``. Samples of ``ignore_class`` cost nothing. Raises ValueError for
    shapes that do not fit and for labels that are not classes. Source: Keras.

    >>> import ranvier as rv
    >>> rv.losses.sparse_categorical_crossentropy([1], [[0.5, 0.5]]).numpy().round(4)
    array([0.6931], dtype=float32)
    """
    y_pred = _classes_last(predictions_of(y_pred), axis)
    labels = class_numbers(y_true, y_pred.device)
    if labels.ndim == y_pred.ndim and labels.shape[-1] == 1:
        labels = ops.squeeze(labels, -1)
    if labels.shape != y_pred.shape[:-1]:
        raise ValueError(
            f"sparse_categorical_crossentropy: y_true has shape {labels.shape} but y_pred has shape {y_pred.shape}; "
            f"expected {y_pred.shape[:-1]}, one class number per sample"
        )
    if ignore_class is not None:
        counts = ops.not_equal(labels, ignore_class)
        labels = ops.cast(ops.where(counts, labels, 0), labels.dtype)
    logits = y_pred if from_logits else _logits_behind(y_pred, Softmax)
    if logits is not None:
        losses = ops.softmax_cross_entropy(labels, logits)
    else:
        losses = -ops.log(clipped(own_probability(labels, y_pred) / ops.sum(y_pred, -1)))
    if ignore_class is None:
        return losses
    losses = ops.where(counts, losses, 0.0)
    losses.mask = counts  # a mean is over the samples that count
    return losses


sparse_categorical_crossentropy.takes_class_numbers = True  # type: ignore[attr-defined]


def binary_crossentropy(
    y_true: Any, y_pred: Any, from_logits: bool = False, label_smoothing: float = 0.0, axis: int = -1
) -> Tensor:
    """Mean along ``axis`` of the cross-entropy of probabilities, element by element: (..., C) -> (...).

    Predictions are clipped to 1e-7 from 0 and 1; where they come straight from a sigmoid that is on the tape, its
    logits are used instead. ``label_smoothing`` moves labels towards 1/2. Raises ValueError for shapes that differ.
    Source: Keras; curriculum F11.

    >>> import ranvier as rv
    >>> rv.losses.binary_crossentropy([[0.0, 1.0]], [[0.5, 0.5]]).numpy().round(4)
    array([0.6931], dtype=float32)
    """
    probabilities = predictions_of(y_pred)
    logits = probabilities if from_logits else _logits_behind(probabilities, Sigmoid)
    y_true, y_pred = same_rank(labels_like(y_true, probabilities), probabilities if logits is None else logits)
    must_agree("binary_crossentropy", y_true, y_pred)
    if not 0 <= label_smoothing <= 1:
        raise ValueError(f"binary_crossentropy: label_smoothing must be between 0 and 1 but is {label_smoothing}")
    if label_smoothing:
        y_true = y_true * (1 - label_smoothing) + 0.5 * label_smoothing
    if logits is not None:
        return ops.mean(ops.sigmoid_cross_entropy(y_true, y_pred), axis)
    p = clipped(y_pred)
    return -ops.mean(y_true * ops.log(p) + (1 - y_true) * ops.log(1 - p), axis)


# --- regression -------------------------------------------------------------------------------------------


def mean_squared_error(y_true: Any, y_pred: Any) -> Tensor:
    """Mean over the last axis of the squared error: (..., C) -> (...). Source: Keras; curriculum F09.

    >>> import ranvier as rv
    >>> rv.losses.mean_squared_error([[0, 1]], [[1.0, 3.0]]).numpy()
    array([2.5], dtype=float32)
    """
    return ops.mean_squared_error(*labels_and_predictions(y_true, y_pred))


def mean_absolute_error(y_true: Any, y_pred: Any) -> Tensor:
    """Mean over the last axis of the absolute error: (..., C) -> (...). Source: Keras; curriculum F11.

    >>> import ranvier as rv
    >>> rv.losses.mean_absolute_error([[0, 1]], [[1.0, 3.0]]).numpy()
    array([1.5], dtype=float32)
    """
    return ops.mean_absolute_error(*labels_and_predictions(y_true, y_pred))


def huber(y_true: Any, y_pred: Any, delta: float = 1.0) -> Tensor:
    """Half the squared error up to ``delta``, linear beyond, mean over the last axis: (..., C) -> (...). Source: Keras.

    >>> import ranvier as rv
    >>> rv.losses.huber([[0, 0]], [[1.0, 3.0]]).numpy()
    array([1.5], dtype=float32)
    """
    return ops.huber(*labels_and_predictions(y_true, y_pred), delta=delta)


def half_sse(y_true: Any, y_pred: Any) -> Tensor:
    """Half the sum of squared errors over the last axis: (..., C) -> (...). Source: curriculum F09, form C.

    >>> import ranvier as rv
    >>> rv.losses.half_sse([[0, 1]], [[1.0, 3.0]]).numpy()
    array([2.5], dtype=float32)
    """
    y_true, y_pred = labels_and_predictions(y_true, y_pred)
    return ops.mean_squared_error(y_true, y_pred) * (y_pred.shape[-1] / 2)


def mean_absolute_percentage_error(y_true: Any, y_pred: Any) -> Tensor:
    """100 times the mean over the last axis of abs(error) / max(abs(y_true), 1e-7): (..., C) -> (...). Source: Keras.

    >>> import ranvier as rv
    >>> rv.losses.mean_absolute_percentage_error([[2.0, 4.0]], [[1.0, 4.0]]).numpy()
    array([25.], dtype=float32)
    """
    y_true, y_pred = labels_and_predictions(y_true, y_pred)
    must_agree("mean_absolute_percentage_error", y_true, y_pred)
    return 100 * ops.mean(ops.abs((y_true - y_pred) / ops.maximum(ops.abs(y_true), EPSILON)), -1)


def mean_squared_logarithmic_error(y_true: Any, y_pred: Any) -> Tensor:
    """Mean over the last axis of the squared difference of log(1 + max(y, 1e-7)): (..., C) -> (...). Source: Keras.

    >>> import ranvier as rv
    >>> rv.losses.mean_squared_logarithmic_error([[0.0]], [[1.7182818]]).numpy().round(4)
    array([1.], dtype=float32)
    """
    y_true, y_pred = labels_and_predictions(y_true, y_pred)
    return ops.mean_squared_error(ops.log(ops.maximum(y_true, EPSILON) + 1), ops.log(ops.maximum(y_pred, EPSILON) + 1))


def log_cosh(y_true: Any, y_pred: Any) -> Tensor:
    """Mean over the last axis of log(cosh(error)): (..., C) -> (...). Source: Keras.

    >>> import ranvier as rv
    >>> rv.losses.log_cosh([[0.0]], [[1.0]]).numpy().round(4)
    array([0.4338], dtype=float32)
    """
    y_true, y_pred = labels_and_predictions(y_true, y_pred)
    must_agree("log_cosh", y_true, y_pred)
    error = y_pred - y_true
    return ops.mean(error + ops.softplus(error * -2) - float(np.log(2.0)), -1)


def poisson(y_true: Any, y_pred: Any) -> Tensor:
    """Mean over the last axis of y_pred - y_true log(y_pred + 1e-7): (..., C) -> (...). Source: Keras.

    >>> import ranvier as rv
    >>> rv.losses.poisson([[1.0]], [[1.0]]).numpy().round(4)
    array([1.], dtype=float32)
    """
    y_true, y_pred = labels_and_predictions(y_true, y_pred)
    must_agree("poisson", y_true, y_pred)
    return ops.mean(y_pred - y_true * ops.log(y_pred + EPSILON), -1)


def kl_divergence(y_true: Any, y_pred: Any) -> Tensor:
    """Sum over the last axis of y_true log(y_true / y_pred), both clipped to 1e-7..1: (..., C) -> (...). Source: Keras.

    >>> import ranvier as rv
    >>> rv.losses.kl_divergence([[1.0, 0.0]], [[0.5, 0.5]]).numpy().round(4)
    array([0.6931], dtype=float32)
    """
    y_true, y_pred = labels_and_predictions(y_true, y_pred)
    must_agree("kl_divergence", y_true, y_pred)
    y_true, y_pred = ops.clip(y_true, EPSILON, 1), ops.clip(y_pred, EPSILON, 1)
    return ops.sum(y_true * ops.log(y_true / y_pred), -1)


def cosine_similarity(y_true: Any, y_pred: Any, axis: int = -1) -> Tensor:
    """Minus the cosine of the angle between the two along ``axis``: (..., C) -> (...), -1 where they agree.

    A vector of zeros has cosine 0. Source: Keras.

    >>> import ranvier as rv
    >>> rv.losses.cosine_similarity([[1.0, 0.0]], [[3.0, 0.0]]).numpy()
    array([-1.], dtype=float32)
    """
    y_true, y_pred = labels_and_predictions(y_true, y_pred)
    must_agree("cosine_similarity", y_true, y_pred)

    def normal(x: Tensor) -> Tensor:
        return x / ops.sqrt(ops.maximum(ops.sum(ops.square(x), axis, keepdims=True), 1e-12))

    return -ops.sum(normal(y_true) * normal(y_pred), axis)


# --- margins ------------------------------------------------------------------------------------------------


def _signs(y_true: Tensor) -> Tensor:
    """Labels of -1 and 1; those of 0 and 1 are converted."""
    bits = ops.all(ops.logical_or(ops.equal(y_true, 0), ops.equal(y_true, 1)))
    return ops.where(bits, y_true * 2 - 1, y_true)


def hinge(y_true: Any, y_pred: Any) -> Tensor:
    """Mean over the last axis of max(1 - y_true y_pred, 0), labels -1 or 1 (0 or 1): (..., C) -> (...). Source: Keras.

    >>> import ranvier as rv
    >>> rv.losses.hinge([[0, 1]], [[-2.0, 0.5]]).numpy()
    array([0.25], dtype=float32)
    """
    y_true, y_pred = labels_and_predictions(y_true, y_pred)
    must_agree("hinge", y_true, y_pred)
    return ops.mean(ops.maximum(1 - _signs(y_true) * y_pred, 0), -1)


def squared_hinge(y_true: Any, y_pred: Any) -> Tensor:
    """Mean over the last axis of the squares of ``hinge``'s terms: (..., C) -> (...). Source: Keras.

    >>> import ranvier as rv
    >>> rv.losses.squared_hinge([[0, 1]], [[-2.0, 0.5]]).numpy()
    array([0.125], dtype=float32)
    """
    y_true, y_pred = labels_and_predictions(y_true, y_pred)
    must_agree("squared_hinge", y_true, y_pred)
    return ops.mean(ops.square(ops.maximum(1 - _signs(y_true) * y_pred, 0)), -1)


def categorical_hinge(y_true: Any, y_pred: Any) -> Tensor:
    """max(best wrong - right + 1, 0) for one-hot labels: (..., C) -> (...). Source: Keras.

    >>> import ranvier as rv
    >>> rv.losses.categorical_hinge([[1, 0, 0]], [[0.5, 0.25, 0.0]]).numpy()
    array([0.75], dtype=float32)
    """
    y_true, y_pred = labels_and_predictions(y_true, y_pred)
    must_agree("categorical_hinge", y_true, y_pred)
    right = ops.sum(y_true * y_pred, -1)
    wrong = ops.max((1 - y_true) * y_pred, -1)
    return ops.maximum(wrong - right + 1, 0)
