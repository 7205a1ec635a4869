"""Cross-entropies that weigh samples by how hard they are: focal losses, and the one for noisy labels."""

from __future__ import annotations

from typing import Any

from ranvier import ops
from ranvier.losses.classes import NamedLoss
from ranvier.losses.functions import (
    class_numbers,
    clipped,
    labels_and_predictions,
    must_agree,
    own_probability,
    predictions_of,
)
from ranvier.tensor import Tensor


def binary_focal_crossentropy(
    y_true: Any,
    y_pred: Any,
    apply_class_balancing: bool = False,
    alpha: float = 0.25,
    gamma: float = 2.0,
    from_logits: bool = False,
    label_smoothing: float = 0.0,
    axis: int = -1,
) -> Tensor:
    """Binary cross-entropy times (1 - p of the right class) ** gamma, mean along ``axis``: (..., C) -> (...).

    Easy examples count little. ``apply_class_balancing`` weighs ones by ``alpha``, zeros by 1 - ``alpha``. Raises
    ValueError for shapes that differ. Source: Keras; Lin et al. 2017.

    >>> import ranvier as rv
    >>> rv.losses.binary_focal_crossentropy([[0.0, 1.0]], [[0.5, 0.5]]).numpy().round(4)
    array([0.1733], dtype=float32)
    """
    y_true, y_pred = labels_and_predictions(y_true, y_pred)
    must_agree("binary_focal_crossentropy", y_true, y_pred)
    if label_smoothing:
        y_true = y_true * (1 - label_smoothing) + 0.5 * label_smoothing
    p = ops.sigmoid(y_pred) if from_logits else y_pred
    safe = clipped(p)
    losses = -(y_true * ops.log(safe) + (1 - y_true) * ops.log(1 - safe))
    losses = losses * ops.power(1 - (y_true * p + (1 - y_true) * (1 - p)), gamma)
    if apply_class_balancing:
        losses = losses * (y_true * alpha + (1 - y_true) * (1 - alpha))
    return ops.mean(losses, axis)


def categorical_focal_crossentropy(
    y_true: Any,
    y_pred: Any,
    alpha: Any = 0.25,
    gamma: float = 2.0,
    from_logits: bool = False,
    label_smoothing: float = 0.0,
    axis: int = -1,
) -> Tensor:
    """Categorical cross-entropy, each class's term times alpha (1 - p) ** gamma: (..., C) -> (...).

    ``alpha``: a number, or one per class. Raises ValueError for shapes that differ. Source: Keras; Lin et al. 2017.

    >>> import ranvier as rv
    >>> rv.losses.categorical_focal_crossentropy([[0.0, 1.0]], [[0.5, 0.5]]).numpy().round(4)
    array([0.0433], dtype=float32)
    """
    if isinstance(axis, bool):
        raise ValueError(f"categorical_focal_crossentropy: axis must be an integer, got {axis!r}")
    y_true, y_pred = labels_and_predictions(y_true, y_pred)
    must_agree("categorical_focal_crossentropy", y_true, y_pred)
    if label_smoothing:
        y_true = y_true * (1 - label_smoothing) + label_smoothing / y_true.shape[-1]
    p = ops.softmax(y_pred, axis) if from_logits else y_pred
    p = clipped(p / ops.sum(p, axis, keepdims=True))
    return ops.sum(-y_true * ops.log(p) * (ops.power(1 - p, gamma) * alpha), axis)


def categorical_generalized_cross_entropy(y_true: Any, y_pred: Any, q: float) -> Tensor:
    """(1 - p of the right class ** q) / q for class numbers (...) or (..., 1) and probabilities (..., C) -> (...).

    Between cross-entropy (q near 0) and absolute error (q near 1), which stands noisy labels. Raises ValueError for
    labels that do not fit. Source: Keras; Zhang and Sabuncu 2018.

    >>> import ranvier as rv
    >>> rv.losses.categorical_generalized_cross_entropy([1], [[0.75, 0.25]], 0.5).numpy()
    array([1.], dtype=float32)
    """
    y_pred = predictions_of(y_pred)
    labels = class_numbers(y_true, y_pred.device)
    if labels.ndim == y_pred.ndim and labels.shape[-1] == 1:
        labels = ops.squeeze(labels, -1)
    if labels.shape != y_pred.shape[:-1]:
        raise ValueError(
            f"categorical_generalized_cross_entropy: y_true has shape {labels.shape} but y_pred has shape "
            f"{y_pred.shape}; expected {y_pred.shape[:-1]}, one class number per sample"
        )
    return (1 - ops.power(own_probability(labels, y_pred), q)) / q


categorical_generalized_cross_entropy.takes_class_numbers = True  # type: ignore[attr-defined]


class BinaryFocalCrossentropy(NamedLoss):
    """Cross-entropy of ones and zeros in which easy examples count little; see ``losses.binary_focal_crossentropy``.

    >>> import ranvier as rv
    >>> round(rv.losses.BinaryFocalCrossentropy()([[0.0], [1.0]], [[0.5], [0.5]]).item(), 4)
    0.1733
    """

    function = staticmethod(binary_focal_crossentropy)

    def __init__(
        self,
        apply_class_balancing: bool = False,
        alpha: float = 0.25,
        gamma: float = 2.0,
        from_logits: bool = False,
        label_smoothing: float = 0.0,
        axis: int = -1,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "binary_focal_crossentropy",
        dtype: str | None = None,
    ) -> None:
        focus = {"apply_class_balancing": apply_class_balancing, "alpha": alpha, "gamma": gamma}
        options = {"from_logits": from_logits, "label_smoothing": label_smoothing, "axis": axis}
        super().__init__(reduction, name, dtype, **focus, **options)


class CategoricalFocalCrossentropy(NamedLoss):
    """Cross-entropy of classes in which easy examples count little; see ``losses.categorical_focal_crossentropy``.

    >>> import ranvier as rv
    >>> round(rv.losses.CategoricalFocalCrossentropy()([[0.0, 1.0]], [[0.5, 0.5]]).item(), 4)
    0.0433
    """

    function = staticmethod(categorical_focal_crossentropy)

    def __init__(
        self,
        alpha: Any = 0.25,
        gamma: float = 2.0,
        from_logits: bool = False,
        label_smoothing: float = 0.0,
        axis: int = -1,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "categorical_focal_crossentropy",
        dtype: str | None = None,
    ) -> None:
        options = {"from_logits": from_logits, "label_smoothing": label_smoothing, "axis": axis}
        super().__init__(reduction, name, dtype, alpha=alpha, gamma=gamma, **options)


class CategoricalGeneralizedCrossEntropy(NamedLoss):
    """Cross-entropy that stands noisy labels; see ``losses.categorical_generalized_cross_entropy``.

    Raises ValueError for a ``q`` outside (0, 1).

    >>> import ranvier as rv
    >>> rv.losses.CategoricalGeneralizedCrossEntropy()([1], [[0.75, 0.25]]).item()
    1.0
    """

    function = staticmethod(categorical_generalized_cross_entropy)

    def __init__(
        self,
        q: float = 0.5,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "categorical_generalized_cross_entropy",
        dtype: str | None = None,
    ) -> None:
        if not 0 < q < 1:
            raise ValueError(f"CategoricalGeneralizedCrossEntropy: q must be between 0 and 1, got {q!r}")
        super().__init__(reduction, name, dtype, q=q)
