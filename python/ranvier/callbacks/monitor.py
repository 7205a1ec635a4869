"""Callbacks that watch one quantity: stop early, save the best, lower the learning rate on a plateau."""

from __future__ import annotations

import os
import warnings
from typing import Any

from ranvier.callbacks.callback import Callback, Logs


class MonitorCallback(Callback):
    """Tells whether the monitored quantity improved; ``mode`` "auto" asks the metric of that name."""

    def __init__(
        self, monitor: str = "val_loss", mode: str = "auto", baseline: float | None = None, min_delta: float = 0
    ) -> None:
        super().__init__()
        if mode not in ("auto", "min", "max"):
            raise ValueError(f'{type(self).__name__}: mode must be "auto", "min" or "max", not {mode!r}')
        self.monitor = monitor
        self.mode = mode
        self.best = baseline
        self.min_delta = abs(min_delta)

    def _rises(self) -> bool:
        """Whether larger is better."""
        if self.mode != "auto":
            return self.mode == "max"
        name = self.monitor.removeprefix("val_")
        if name == "loss" or name.endswith("_loss"):
            return False
        for known, metric in getattr(self.model, "_named_metrics", {}).items():
            if name in (known, metric.name) and metric._direction is not None:
                return bool(metric._direction == "up")
        raise ValueError(
            f"{type(self).__name__}: cannot tell whether {self.monitor!r} should rise or fall; pass mode='max' or "
            "mode='min'"
        )

    def _is_improvement(self, value: float, reference: float | None) -> bool:
        if reference is None:
            return True
        rises = self._rises()
        return value - self.min_delta > reference if rises else value + self.min_delta < reference

    def _value(self, logs: Logs) -> float | None:
        value = (logs or {}).get(self.monitor)
        if value is None:
            warnings.warn(
                f"{type(self).__name__} watches {self.monitor!r}, which is not there; there are "
                f"{', '.join(logs or {})}",
                stacklevel=3,
            )
            return None
        return float(value)


class EarlyStopping(MonitorCallback):
    """Ends ``fit`` when the monitored quantity has not improved for ``patience`` epochs.

    An improvement is a change of more than ``min_delta``; with a ``baseline``, only what beats it resets the
    patience. ``restore_best_weights`` puts the weights of the best epoch back at the end. The first
    ``start_from_epoch`` epochs are not looked at. Source: Keras ``callbacks.EarlyStopping``.

    >>> import ranvier as rv
    >>> rv.callbacks.EarlyStopping(monitor="loss", patience=3).patience
    3
    """

    state_names = ("wait", "stopped_epoch", "best", "best_weights", "best_epoch")

    def __init__(
        self,
        monitor: str = "val_loss",
        min_delta: float = 0,
        patience: int = 0,
        verbose: int = 0,
        mode: str = "auto",
        baseline: float | None = None,
        restore_best_weights: bool = False,
        start_from_epoch: int = 0,
    ) -> None:
        super().__init__(monitor, mode, min_delta=min_delta)
        self.patience = patience
        self.verbose = verbose
        self.baseline = baseline
        self.restore_best_weights = restore_best_weights
        self.start_from_epoch = start_from_epoch
        self.on_train_begin()

    def on_train_begin(self, logs: Logs = None) -> None:
        self.wait = 0
        self.stopped_epoch = 0
        self.best = None
        self.best_weights: Any = None
        self.best_epoch = 0

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        current = self._value(logs)
        if current is None or epoch < self.start_from_epoch:
            return
        if self.restore_best_weights and self.best_weights is None:
            self._remember(epoch)
        self.wait += 1
        if self._is_improvement(current, self.best):
            self.best = current
            self._remember(epoch)
            if self.baseline is None or self._is_improvement(current, self.baseline):
                self.wait = 0
        elif self.wait >= self.patience and epoch > 0:
            self.stopped_epoch = epoch
            self.model.stop_training = True

    def _remember(self, epoch: int) -> None:
        self.best_epoch = epoch
        if self.restore_best_weights:
            self.best_weights = self.model.get_weights()

    def on_train_end(self, logs: Logs = None) -> None:
        if self.stopped_epoch and self.verbose:
            print(f"Epoch {self.stopped_epoch + 1}: early stopping")
        if self.best_weights is not None:
            if self.verbose:
                print(f"Restoring model weights from the end of the best epoch: {self.best_epoch + 1}.")
            self.model.set_weights(self.best_weights)


class ModelCheckpoint(MonitorCallback):
    """Saves the model (or its weights) after each epoch, or every ``save_freq`` batches.

    A file of the whole model holds the position in training, too: ``fit(..., resume=path)`` goes on from it.
    ``filepath`` ends in ``.rv`` (or ``.keras``, with weights alone ``.weights.h5``) and may hold fields:
    ``"{epoch:02d}-{val_loss:.2f}.rv"``. ``save_best_only`` saves only when the monitored quantity improved, from
    ``initial_value_threshold`` on. Files appear whole or not at all. Source: Keras ``callbacks.ModelCheckpoint``.
    """

    state_names = ("best", "_batches", "_epoch")

    def __init__(
        self,
        filepath: str | os.PathLike[str],
        monitor: str = "val_loss",
        verbose: int = 0,
        save_best_only: bool = False,
        save_weights_only: bool = False,
        mode: str = "auto",
        save_freq: str | int = "epoch",
        initial_value_threshold: float | None = None,
    ) -> None:
        super().__init__(monitor, mode, initial_value_threshold)
        from ranvier.saving import check_path

        self.filepath = check_path("ModelCheckpoint", filepath, ".weights.h5" if save_weights_only else ".keras")
        if save_freq != "epoch" and not (isinstance(save_freq, int) and save_freq > 0):
            raise ValueError(f'ModelCheckpoint: save_freq must be "epoch" or a number of batches, not {save_freq!r}')
        self.verbose = verbose
        self.save_best_only = save_best_only
        self.save_weights_only = save_weights_only
        self.save_freq = save_freq
        self._batches = 0
        self._epoch = 0

    def on_epoch_begin(self, epoch: int, logs: Logs = None) -> None:
        self._epoch = epoch

    def on_train_batch_end(self, batch: int, logs: Logs = None) -> None:
        if self.save_freq == "epoch":
            return
        self._batches += 1
        if self._batches % int(self.save_freq) == 0:
            self._save({**(logs or {}), "batch": batch + 1})

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        if self.save_freq == "epoch":
            self._save(dict(logs or {}))

    def _save(self, logs: dict[str, Any]) -> None:
        try:
            path = self.filepath.format(**{**logs, "epoch": self._epoch + 1})
        except KeyError as error:
            known = ", ".join(logs)
            raise KeyError(f"ModelCheckpoint: {self.filepath!r} asks for {error}, there are {known}") from None
        if self.save_best_only and not self._improved(logs):
            return
        folder = os.path.dirname(path)
        if folder:
            os.makedirs(folder, exist_ok=True)
        if self.save_weights_only:
            self.model.save_weights(path, overwrite=True)
        else:
            self.model.save(path, overwrite=True)
        if self.verbose:
            print(f"\nEpoch {self._epoch + 1}: saved to {path}")

    def _improved(self, logs: dict[str, Any]) -> bool:
        """Whether to save; a quantity that is not there is warned of and saved with, as Keras does."""
        current = self._value(logs)
        if current is None:
            return True
        if not self._is_improvement(current, self.best):
            return False
        self.best = current
        return True


class ReduceLROnPlateau(MonitorCallback):
    """Multiplies the learning rate by ``factor`` when the monitored quantity has not improved for ``patience`` epochs.

    After a reduction nothing is counted for ``cooldown`` epochs; the rate does not fall below ``min_lr``. Raises
    ValueError for a factor of 1 or more. Source: Keras ``callbacks.ReduceLROnPlateau``.
    """

    state_names = ("best", "cooldown_counter", "wait")

    def __init__(
        self,
        monitor: str = "val_loss",
        factor: float = 0.1,
        patience: int = 10,
        verbose: int = 0,
        mode: str = "auto",
        min_delta: float = 1e-4,
        cooldown: int = 0,
        min_lr: float = 0.0,
    ) -> None:
        super().__init__(monitor, mode, min_delta=min_delta)
        if factor >= 1.0:
            raise ValueError(f"ReduceLROnPlateau: factor must be below 1, not {factor}")
        self.factor = factor
        self.min_lr = min_lr
        self.patience = patience
        self.verbose = verbose
        self.cooldown = cooldown
        self.on_train_begin()

    def on_train_begin(self, logs: Logs = None) -> None:
        self.best = None
        self.cooldown_counter = 0
        self.wait = 0

    def in_cooldown(self) -> bool:
        """Whether epochs are not counted just now."""
        return self.cooldown_counter > 0

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        rate = float(self.model.optimizer.learning_rate)
        if logs is not None:
            logs["learning_rate"] = rate
        current = self._value(logs)
        if current is None:
            return
        if self.in_cooldown():
            self.cooldown_counter -= 1
            self.wait = 0
        if self._is_improvement(current, self.best):
            self.best = current
            self.wait = 0
        elif not self.in_cooldown():
            self.wait += 1
            if self.wait >= self.patience and rate > self.min_lr:
                self._reduce(epoch, rate)

    def _reduce(self, epoch: int, rate: float) -> None:
        lower = max(rate * self.factor, self.min_lr)
        self.model.optimizer.learning_rate = lower
        self.cooldown_counter = self.cooldown
        self.wait = 0
        if self.verbose:
            print(f"\nEpoch {epoch + 1}: ReduceLROnPlateau reducing learning rate to {lower}.")
