"""Connectionist temporal classification: sequences of labels without a time for each."""

from __future__ import annotations

from typing import Any

from ranvier import ops
from ranvier.losses.classes import NamedLoss
from ranvier.losses.functions import class_numbers, predictions_of
from ranvier.tensor import Tensor

_NEVER = -1e30  # the logarithm of an impossible path; -inf would make its gradient NaN


def _with_blanks(labels: Tensor) -> Tensor:
    """(N, L) -> (N, 2 L + 1): a blank (0) before, between and after the labels."""
    rows = labels.shape[0]
    pairs = ops.reshape(ops.stack([ops.zeros_like(labels), labels], -1), (rows, -1))
    return ops.concatenate([pairs, ops.zeros((rows, 1), labels.dtype)], 1)


def _shifted(paths: Tensor, by: int) -> Tensor:
    """The paths ``by`` states before each."""
    rows, states = paths.shape
    return ops.concatenate([ops.full((rows, min(by, states)), _NEVER, paths.dtype), paths[:, : max(states - by, 0)]], 1)


def ctc(y_true: Any, y_pred: Any) -> Tensor:
    """-log P(labels) over all ways to spread them in time: labels (N, L), logits (N, T, C) -> (N,).

    Class 0 is the blank; zeros in ``y_true`` (at the end) are padding. A sequence that does not fit into T steps costs
    inf. Raises ValueError for other ranks. Source: Keras; Graves et al. 2006: the forward recursion over
    states blank, label 1, blank, label 2, ..., blank, in logarithms.

    >>> import ranvier as rv
    >>> rv.losses.ctc([[1]], [[[0.0, 0.0], [0.0, 0.0]]]).numpy().round(4)  # 1-, -1 or 11: 3 of 4 paths
    array([0.2877], dtype=float32)
    """
    y_pred = predictions_of(y_pred)
    labels = class_numbers(y_true, y_pred.device)
    if labels.ndim != 2 or y_pred.ndim != 3 or labels.shape[0] != y_pred.shape[0]:
        raise ValueError(
            f"ctc: expected class numbers (N, length) and logits (N, time, classes); y_true has shape {labels.shape}, "
            f"y_pred has shape {y_pred.shape}"
        )
    rows, times, classes = y_pred.shape
    states = _with_blanks(ops.cast(labels, "int64"))
    count = states.shape[1]
    logs = ops.reshape(ops.log_softmax(y_pred), (-1,))
    starts = ops.reshape(ops.arange(rows * times, dtype="int64") * classes, (rows, times, 1))
    scores = ops.take(logs, starts + ops.reshape(states, (rows, 1, count)))  # (N, T, S)

    place = ops.reshape(ops.arange(count, dtype="int64"), (1, count))
    before = ops.concatenate([ops.zeros((rows, min(2, count)), "int64"), states[:, : max(count - 2, 0)]], 1)
    may_skip = ops.logical_and(ops.not_equal(states, 0), ops.not_equal(states, before))
    paths = ops.where(ops.less(place, 2), scores[:, 0], _NEVER)
    for t in range(1, times):
        skipping = ops.where(may_skip, _shifted(paths, 2), _NEVER)
        paths = ops.logsumexp(ops.stack([paths, _shifted(paths, 1), skipping], -1), -1) + scores[:, t]

    lengths = ops.sum(ops.cast(ops.not_equal(labels, 0), "int64"), 1, keepdims=True) * 2
    last = ops.logical_or(ops.equal(place, lengths), ops.equal(place, lengths - 1))
    losses = -ops.logsumexp(ops.where(last, paths, _NEVER), 1)
    return ops.where(ops.less(losses, -_NEVER / 10), losses, float("inf"))


ctc.takes_class_numbers = True  # type: ignore[attr-defined]


class CTC(NamedLoss):
    """Sequences of labels without a time for each; see ``losses.ctc``. Source: Keras.

    >>> import ranvier as rv
    >>> round(rv.losses.CTC()([[1]], [[[0.0, 0.0], [0.0, 0.0]]]).item(), 4)
    0.2877
    """

    function = staticmethod(ctc)

    def __init__(
        self, reduction: str | None = "sum_over_batch_size", name: str | None = "ctc", dtype: str | None = None
    ) -> None:
        super().__init__(reduction, name, dtype)
