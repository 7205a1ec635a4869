"""SwapEMAWeights: evaluation with the running means of the weights."""

from __future__ import annotations

from typing import Any

from ranvier.callbacks.callback import Callback, Logs
from ranvier.tensor import as_tensor, wrap


class SwapEMAWeights(Callback):
    """Puts the running means of the weights into the model to evaluate and predict, and the weights back afterwards.

    The optimizer must have ``use_ema=True``, else ValueError. ``swap_on_epoch``: the means are in the model from the
    end of each epoch to the next one's begin, so that a ``ModelCheckpoint`` that comes after this callback saves them.
    The weights are kept in a copy meanwhile; the optimizer's means are not touched. Source: Keras ``SwapEMAWeights``.
    """

    def __init__(self, swap_on_epoch: bool = False) -> None:
        super().__init__()
        self.swap_on_epoch = swap_on_epoch
        self._kept: list[Any] | None = None  # the weights while the means are in the model

    def get_state(self) -> Any:
        return None if self._kept is None else {"kept": [kept for _, kept in self._kept]}

    def set_state(self, state: Any) -> None:
        variables = self._optimizer()._trainable_variables
        self._kept = [(v, as_tensor(kept, v.dtype, v.device)) for v, kept in zip(variables, state["kept"], strict=True)]

    def _optimizer(self) -> Any:
        optimizer = getattr(self.model.optimizer, "inner_optimizer", self.model.optimizer)
        if not getattr(optimizer, "use_ema", False):
            raise ValueError("SwapEMAWeights: the optimizer keeps no running means; create it with use_ema=True")
        return optimizer

    def _put_means(self) -> None:
        optimizer = self._optimizer()
        if self._kept is None and optimizer.built and int(optimizer._iterations):
            self._kept = [(v, wrap(v.array.copy())) for v in optimizer._trainable_variables]
            optimizer.finalize_variable_values(optimizer._trainable_variables)

    def _put_weights(self) -> None:
        for variable, kept in self._kept or ():
            variable.assign(kept)
        self._kept = None

    def on_train_begin(self, logs: Logs = None) -> None:
        self._kept = None
        self._optimizer()

    def on_epoch_begin(self, epoch: int, logs: Logs = None) -> None:
        self._put_weights()

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        if self.swap_on_epoch:
            self._put_means()

    def on_test_begin(self, logs: Logs = None) -> None:
        self._put_means()

    def on_test_end(self, logs: Logs = None) -> None:
        self._put_weights()

    def on_predict_begin(self, logs: Logs = None) -> None:
        self._put_means()

    def on_predict_end(self, logs: Logs = None) -> None:
        self._put_weights()

    def on_train_end(self, logs: Logs = None) -> None:
        self._kept = None  # fit has put the means into the model for good

    def close(self) -> None:
        self._put_weights()
