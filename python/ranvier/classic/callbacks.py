"""The course's rules of training: performance scheduling (curriculum F27) and stop tests (F50)."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ranvier import _tree
from ranvier.autograd import no_grad
from ranvier.callbacks.callback import Callback, Logs
from ranvier.utils import unpack_x_y_sample_weight as unpack

__all__ = ["PerformanceScheduling", "StopOnSmallSteps", "StopWhenBelow"]


class PerformanceScheduling(Callback):
    """Every ``every`` steps looks at the validation loss and, where it has not fallen, divides the learning rate.

    ``validation_data``: (x, y[, sample_weight]). The rate becomes rate * ``factor``, at least ``min_lr``.
    Source: curriculum F27. By the epoch, with patience, it is ``rv.callbacks.ReduceLROnPlateau``.
    """

    state_names = ("best", "_steps")

    def __init__(self, validation_data: Any, every: int, factor: float = 0.1, min_lr: float = 0.0) -> None:
        super().__init__()
        if not 0 < factor < 1:
            raise ValueError(f"PerformanceScheduling: factor must be between 0 and 1, got {factor!r}")
        if every < 1:
            raise ValueError(f"PerformanceScheduling: every must be a number of steps, got {every!r}")
        self.validation_data = validation_data
        self.every = every
        self.factor = factor
        self.min_lr = min_lr
        self.best = math.inf

    def on_train_begin(self, logs: Logs = None) -> None:
        self.best, self._steps = math.inf, 0

    def on_train_batch_end(self, batch: int, logs: Logs = None) -> None:
        self._steps += 1
        if self._steps % self.every:
            return
        loss = self._loss()
        if loss < self.best:
            self.best = loss
            return
        optimizer = self.model.optimizer
        optimizer.learning_rate = max(float(optimizer.learning_rate) * self.factor, self.min_lr)

    @no_grad()
    def _loss(self) -> float:
        """The mean loss over the validation data; ``evaluate`` would start the epoch's metrics anew."""
        total, count = 0.0, 0
        for x, y, w in self.model._batches("PerformanceScheduling", *unpack(self.validation_data), None, None):
            samples = _tree.flatten(x)[0].shape[0]
            loss = self.model.compute_loss(x, y, self.model(x, training=False), w, training=False)
            total, count = total + float(loss) * samples, count + samples
        return total / count


class StopOnSmallSteps(Callback):
    """Ends ``fit`` where an epoch moves the weights by less: |w(t+1) - w(t)| < ``epsilon``, over all weights.

    Keeps one copy of the trainable weights beside the model's own. Source: curriculum F50.
    """

    state_names = ("_before",)

    def __init__(self, epsilon: float) -> None:
        super().__init__()
        self.epsilon = epsilon

    def on_train_begin(self, logs: Logs = None) -> None:
        self._before = [v.numpy().copy() for v in self.model.trainable_variables]

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        moved = 0.0
        for before, variable in zip(self._before, self.model.trainable_variables, strict=True):
            now = variable.numpy()
            moved += float(np.square(now - before, dtype=np.float64).sum())
            before[...] = now
        if math.sqrt(moved) < self.epsilon:
            self.model.stop_training = True


class StopWhenBelow(Callback):
    """Ends ``fit`` when ``monitor`` falls below ``threshold`` at the end of an epoch. Source: curriculum F50.

    The third of the course's stop tests, a limit of runs, is ``epochs`` itself.
    """

    def __init__(self, threshold: float, monitor: str = "loss") -> None:
        super().__init__()
        self.threshold = threshold
        self.monitor = monitor

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        if self.monitor not in (logs or {}):
            raise ValueError(f"StopWhenBelow: no {self.monitor!r} to watch; there are {', '.join(sorted(logs or {}))}")
        if logs[self.monitor] < self.threshold:
            self.model.stop_training = True
