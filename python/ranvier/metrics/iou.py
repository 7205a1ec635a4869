"""Intersection over union: how well areas of classes are found."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ranvier import ops
from ranvier.autograd import no_grad
from ranvier.metrics.confusion import add_pairs
from ranvier.metrics.counting import EPSILON
from ranvier.metrics.metric import Metric
from ranvier.tensor import Tensor, as_tensor


class IoU(Metric):
    """|A and B| / |A or B| of each class in ``target_class_ids``, and their mean over those that occur.

    Labels and predictions are class numbers of any shape, or one-hot (scores) along ``axis`` where ``sparse_y_true``
    (``sparse_y_pred``) is False; pixels labelled ``ignore_class`` do not count. Source: Keras ``metrics.IoU``, whose
    integer default truncates fractional sample weights; here they count as they are.

    >>> import ranvier as rv
    >>> metric = rv.metrics.IoU(num_classes=2, target_class_ids=[0])
    >>> metric.update_state([0, 0, 1, 1], [0, 1, 0, 1])
    >>> round(metric.result().item(), 4)
    0.3333
    """

    _direction = "up"

    def __init__(
        self,
        num_classes: int,
        target_class_ids: Sequence[int],
        name: str | None = None,
        dtype: str | None = None,
        ignore_class: int | None = None,
        sparse_y_true: bool = True,
        sparse_y_pred: bool = True,
        axis: int = -1,
    ) -> None:
        super().__init__(dtype=dtype, name=name)
        wrong = [c for c in target_class_ids if not 0 <= c < num_classes]
        if wrong:
            raise ValueError(f"{type(self).__name__}: target class {wrong[0]} is not in 0..{num_classes - 1}")
        self.num_classes = num_classes
        self.target_class_ids = list(target_class_ids)
        self.ignore_class = ignore_class
        self.sparse_y_true = sparse_y_true
        self.sparse_y_pred = sparse_y_pred
        self.axis = axis

    @no_grad()
    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Adds one batch."""
        y_pred = as_tensor(y_pred)
        y_true = as_tensor(y_true, device=y_pred.device)
        true = y_true if self.sparse_y_true else ops.argmax(y_true, axis=self.axis)
        predicted = y_pred if self.sparse_y_pred else ops.argmax(y_pred, axis=self.axis)
        if true.size != predicted.size:
            raise ValueError(
                f"{self.name}: {true.size} labels (shape {y_true.shape}) but {predicted.size} predictions (shape "
                f"{y_pred.shape}); for one-hot labels or scores give sparse_y_true=False, sparse_y_pred=False"
            )
        flat = ops.reshape(true, (-1,)), ops.reshape(predicted, (-1,))
        add_pairs(self, *flat, sample_weight, self.num_classes, self.ignore_class)

    def result(self) -> Tensor:
        """The mean over the target classes that occur in labels or predictions."""
        if not self._variables:
            return as_tensor(0.0, "float32")
        matrix = self._variables[0].numpy().reshape(self.num_classes, self.num_classes)
        both = np.diag(matrix)[self.target_class_ids]
        either = (matrix.sum(0) + matrix.sum(1))[self.target_class_ids] - both
        occurs = either > 1e-9
        found = np.where(occurs, both / (either + EPSILON), 0.0)
        return as_tensor(float(found.sum() / (occurs.sum() + EPSILON)), "float32")

    def get_config(self) -> dict[str, Any]:
        mine = {name: getattr(self, name) for name in self._options}
        return {**super().get_config(), **mine}

    _options: tuple[str, ...] = (
        "num_classes", "target_class_ids", "ignore_class", "sparse_y_true", "sparse_y_pred", "axis",
    )  # fmt: skip


class BinaryIoU(IoU):
    """``IoU`` of classes 0 and 1 where predictions are probabilities: class 1 from ``threshold`` on. Source: Keras.

    >>> import ranvier as rv
    >>> metric = rv.metrics.BinaryIoU(target_class_ids=[0, 1], threshold=0.3)
    >>> metric.update_state([0, 1, 0, 1], [0.1, 0.2, 0.4, 0.7])
    >>> round(metric.result().item(), 4)
    0.3333
    """

    _options: tuple[str, ...] = ("target_class_ids", "threshold")

    def __init__(
        self,
        target_class_ids: Sequence[int] = (0, 1),
        threshold: float = 0.5,
        name: str | None = None,
        dtype: str | None = None,
    ) -> None:
        super().__init__(2, target_class_ids, name, dtype)
        self.threshold = threshold

    @no_grad()
    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Adds one batch."""
        called = ops.greater_equal(ops.cast(as_tensor(y_pred), "float32"), self.threshold)
        super().update_state(y_true, ops.cast(called, "int32"), sample_weight)


class MeanIoU(IoU):
    """The mean ``IoU`` of all classes. Source: Keras.

    >>> import ranvier as rv
    >>> metric = rv.metrics.MeanIoU(num_classes=2)
    >>> metric.update_state([0, 0, 1, 1], [0, 1, 0, 1])
    >>> round(metric.result().item(), 4)
    0.3333
    """

    _options: tuple[str, ...] = ("num_classes", "ignore_class", "sparse_y_true", "sparse_y_pred", "axis")

    def __init__(
        self,
        num_classes: int,
        name: str | None = None,
        dtype: str | None = None,
        ignore_class: int | None = None,
        sparse_y_true: bool = True,
        sparse_y_pred: bool = True,
        axis: int = -1,
    ) -> None:
        every = range(num_classes)
        super().__init__(num_classes, every, name, dtype, ignore_class, sparse_y_true, sparse_y_pred, axis)


class OneHotIoU(IoU):
    """``IoU`` of one-hot labels and scores. Source: Keras.

    >>> import ranvier as rv
    >>> metric = rv.metrics.OneHotIoU(num_classes=2, target_class_ids=[0])
    >>> metric.update_state([[1, 0], [0, 1]], [[0.9, 0.1], [0.6, 0.4]])
    >>> round(metric.result().item(), 4)
    0.5
    """

    _options: tuple[str, ...] = ("num_classes", "target_class_ids", "ignore_class", "sparse_y_pred", "axis")

    def __init__(
        self,
        num_classes: int,
        target_class_ids: Sequence[int],
        name: str | None = None,
        dtype: str | None = None,
        ignore_class: int | None = None,
        sparse_y_pred: bool = False,
        axis: int = -1,
    ) -> None:
        super().__init__(num_classes, target_class_ids, name, dtype, ignore_class, False, sparse_y_pred, axis)


class OneHotMeanIoU(MeanIoU):
    """The mean ``IoU`` of all classes for one-hot labels and scores. Source: Keras.

    >>> import ranvier as rv
    >>> metric = rv.metrics.OneHotMeanIoU(num_classes=2)
    >>> metric.update_state([[1, 0], [0, 1]], [[0.9, 0.1], [0.6, 0.4]])
    >>> round(metric.result().item(), 4)
    0.25
    """

    _options: tuple[str, ...] = ("num_classes", "ignore_class", "sparse_y_pred", "axis")

    def __init__(
        self,
        num_classes: int,
        name: str | None = None,
        dtype: str | None = None,
        ignore_class: int | None = None,
        sparse_y_pred: bool = False,
        axis: int = -1,
    ) -> None:
        super().__init__(num_classes, name, dtype, ignore_class, False, sparse_y_pred, axis)
