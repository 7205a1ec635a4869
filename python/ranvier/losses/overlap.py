"""Losses of sets: how little two areas overlap (segmentation), how badly embeddings of one class stand together."""

from __future__ import annotations

from typing import Any

from ranvier import ops
from ranvier.losses.classes import NamedLoss
from ranvier.losses.functions import EPSILON, labels_and_predictions, must_agree, predictions_of
from ranvier.tensor import Tensor, as_tensor


def dice(y_true: Any, y_pred: Any, axis: Any = None) -> Tensor:
    """1 - 2 |A and B| / (|A| + |B|), summed over ``axis`` (None: everything, one number). Source: Keras.

    Raises ValueError for shapes that differ.

    >>> import ranvier as rv
    >>> round(rv.losses.dice([1.0, 1.0, 0.0], [1.0, 0.0, 0.0]).item(), 4)
    0.3333
    """
    y_true, y_pred = labels_and_predictions(y_true, y_pred)
    must_agree("dice", y_true, y_pred)
    both = ops.sum(y_true * y_pred, axis)
    return 1 - both * 2 / (ops.sum(y_true, axis) + ops.sum(y_pred, axis) + EPSILON)


def tversky(y_true: Any, y_pred: Any, alpha: float = 0.5, beta: float = 0.5, axis: Any = None) -> Tensor:
    """1 - |A and B| / (|A and B| + alpha |A without B| + beta |B without A|) for labels A, predictions B.

    With both at 0.5 this is ``dice``. Summed over ``axis`` (None: everything, one number). Raises ValueError for
    shapes that differ. Source: Keras; Salehi et al. 2017.

    >>> import ranvier as rv
    >>> rv.losses.tversky([1.0, 1.0, 0.0], [1.0, 0.0, 0.0], alpha=1.0, beta=0.0).item()
    0.5
    """
    y_true, y_pred = labels_and_predictions(y_true, y_pred)
    must_agree("tversky", y_true, y_pred)
    both = ops.sum(y_true * y_pred, axis)
    missed = ops.sum((1 - y_pred) * y_true, axis)
    wrong = ops.sum(y_pred * (1 - y_true), axis)
    return 1 - both / (both + missed * alpha + wrong * beta + EPSILON)


def circle(
    y_true: Any,
    y_pred: Any,
    ref_labels: Any = None,
    ref_embeddings: Any = None,
    remove_diagonal: bool = True,
    gamma: float = 80,
    margin: float = 0.4,
) -> Tensor:
    """Pulls embeddings of a class together and others apart: labels (N,), unit vectors (N, D) -> (N,).

    Each row is compared with ``ref_embeddings`` (M, D) of ``ref_labels`` (M,), by default the batch itself, a row
    never with itself unless ``remove_diagonal`` is False. A row without a partner costs nothing. Raises ValueError for
    shapes that do not fit. Source: Keras; Sun et al. 2020.

    >>> import ranvier as rv
    >>> close = rv.losses.circle([0, 0, 1], [[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    >>> bool((close.numpy() < 1e-3).all())
    True
    """
    y_pred = predictions_of(y_pred)
    labels = ops.reshape(ops.cast(as_tensor(y_true, device=y_pred.device), "int32"), (-1, 1))
    others = y_pred if ref_embeddings is None else predictions_of(ref_embeddings)
    other_labels = labels if ref_labels is None else ops.cast(as_tensor(ref_labels, device=y_pred.device), "int32")
    for name, given, rows in (("y_true", labels, y_pred), ("ref_labels", other_labels, others)):
        if rows.ndim != 2 or given.size != rows.shape[0]:
            raise ValueError(
                f"circle: {name} has {given.size} labels for embeddings of shape {rows.shape}; expected (N, D)"
            )
    distances = ops.maximum(1 - ops.matmul(y_pred, ops.transpose(others)), 0.0)
    same = ops.equal(labels, ops.reshape(other_labels, (1, -1)))
    different = ops.logical_not(same)
    if remove_diagonal:
        n, m = labels.size, other_labels.size
        itself = ops.equal(ops.reshape(ops.arange(n), (-1, 1)), ops.reshape(ops.arange(m), (1, -1)))
        same = ops.logical_and(same, ops.logical_not(itself))
    pull = (distances + margin) * (margin - distances) * -gamma
    push = ops.maximum(1 + margin - distances, 0.0) * (1 - margin - distances) * gamma
    never = float("-inf")
    positive = ops.logsumexp(ops.where(same, pull, never), 1)
    negative = ops.logsumexp(ops.where(different, push, never), 1)
    # A row without a partner has -inf: its loss is 0, and no gradient may pass through the infinities.
    paired = ops.logical_and(ops.isfinite(positive), ops.isfinite(negative))
    losses = ops.where(paired, ops.softplus(ops.where(paired, positive + negative, 0.0)), 0.0)
    losses.mask = ops.greater(losses, 0)
    return losses


circle.takes_class_numbers = True  # type: ignore[attr-defined]


class Dice(NamedLoss):
    """How little areas overlap; see ``losses.dice``. Source: Keras.

    >>> import ranvier as rv
    >>> round(rv.losses.Dice()([1.0, 1.0, 0.0], [1.0, 0.0, 0.0]).item(), 4)
    0.3333
    """

    function = staticmethod(dice)

    def __init__(
        self,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "dice",
        axis: Any = None,
        dtype: str | None = None,
    ) -> None:
        super().__init__(reduction, name, dtype, axis=axis)


class Tversky(NamedLoss):
    """How little areas overlap, misses and false alarms weighed apart; see ``losses.tversky``. Source: Keras.

    >>> import ranvier as rv
    >>> rv.losses.Tversky(alpha=1.0, beta=0.0)([1.0, 1.0, 0.0], [1.0, 0.0, 0.0]).item()
    0.5
    """

    function = staticmethod(tversky)

    def __init__(
        self,
        alpha: float = 0.5,
        beta: float = 0.5,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "tversky",
        axis: Any = None,
        dtype: str | None = None,
    ) -> None:
        super().__init__(reduction, name, dtype, alpha=alpha, beta=beta, axis=axis)


class Circle(NamedLoss):
    """Embeddings of a class together, others apart; see ``losses.circle``. Source: Keras.

    >>> import ranvier as rv
    >>> rv.losses.Circle()([0, 0, 1], [[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]]).item() < 1e-3
    True
    """

    function = staticmethod(circle)

    def __init__(
        self,
        gamma: float = 80.0,
        margin: float = 0.4,
        remove_diagonal: bool = True,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "circle",
        dtype: str | None = None,
    ) -> None:
        super().__init__(reduction, name, dtype, gamma=gamma, margin=margin, remove_diagonal=remove_diagonal)
