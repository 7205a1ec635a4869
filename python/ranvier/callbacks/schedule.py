"""Callbacks that set the learning rate, keep a log file, or stop at a loss that is no number."""

from __future__ import annotations

import csv
import math
import os
from collections.abc import Callable
from typing import Any

from ranvier.callbacks.callback import Callback, Logs


class LearningRateScheduler(Callback):
    """Sets the learning rate before each epoch to ``schedule(epoch, current_rate)``.

    Raises ValueError where ``schedule`` gives no number. Source: Keras ``callbacks.LearningRateScheduler``.

    >>> import ranvier as rv
    >>> halve = rv.callbacks.LearningRateScheduler(lambda epoch, rate: rate / 2 if epoch else rate)
    """

    def __init__(self, schedule: Callable[..., float], verbose: int = 0) -> None:
        super().__init__()
        self.schedule = schedule
        self.verbose = verbose

    def on_epoch_begin(self, epoch: int, logs: Logs = None) -> None:
        rate = self.schedule(epoch, float(self.model.optimizer.learning_rate))
        try:
            rate = float(rate)
        except (TypeError, ValueError):
            raise ValueError(f"LearningRateScheduler: the schedule gave {rate!r}, not a number") from None
        self.model.optimizer.learning_rate = rate
        if self.verbose:
            print(f"\nEpoch {epoch + 1}: LearningRateScheduler setting learning rate to {rate}.")

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        if logs is not None:
            logs["learning_rate"] = float(self.model.optimizer.learning_rate)


class CSVLogger(Callback):
    """Writes a line of comma-separated values per epoch. Source: Keras ``callbacks.CSVLogger``."""

    def __init__(self, filename: str | os.PathLike[str], separator: str = ",", append: bool = False) -> None:
        super().__init__()
        self.filename = os.fspath(filename)
        self.separator = separator
        self.append = append
        self._file: Any = None
        self._writer: Any = None

    def on_train_begin(self, logs: Logs = None) -> None:
        self.close()

    def _open(self) -> None:
        """Not before the first line: a training that goes on finds the file as it was left."""
        continued = self.append and os.path.exists(self.filename) and os.path.getsize(self.filename) > 0
        self._header = not continued
        self._file = open(self.filename, "a" if self.append else "w", newline="")  # noqa: SIM115

    def get_state(self) -> Any:
        if self._file is None:
            return None
        return {"size": os.path.getsize(self.filename), "fields": list(self._writer.fieldnames)}

    def set_state(self, state: Any) -> None:
        """Goes on in the same file; the lines of epochs that are trained again are cut off."""
        found = os.path.getsize(self.filename) if os.path.exists(self.filename) else 0
        if found < state["size"]:
            raise ValueError(
                f"CSVLogger: {self.filename!r} has {found} bytes; the training that goes on had written {state['size']}"
            )
        os.truncate(self.filename, state["size"])
        self._file = open(self.filename, "a", newline="")  # noqa: SIM115
        self._writer = self._dict_writer(state["fields"])

    def _dict_writer(self, fields: list[str]) -> Any:
        options: dict[str, Any] = {"restval": "NA", "extrasaction": "ignore", "delimiter": self.separator}
        return csv.DictWriter(self._file, fields, **options)

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        logs = logs or {}
        if self._file is None:
            self._open()
        if self._writer is None:
            names = sorted(logs)
            if names and not any(name.startswith("val_") for name in names):
                names += [f"val_{name}" for name in names]  # validation may come later (validation_freq)
            self._writer = self._dict_writer(["epoch", *names])
            if self._header:
                self._writer.writeheader()
        self._writer.writerow({"epoch": epoch, **logs})
        self._file.flush()

    def on_train_end(self, logs: Logs = None) -> None:
        if self._file is None:
            self._open()
        self.close()

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
        self._file = self._writer = None


class TerminateOnNaN(Callback):
    """Ends ``fit`` when the loss is NaN or infinite; to see that, it waits for the device after each step.

    With ``raise_error`` by a RuntimeError: then ``on_train_end`` of the callbacks is not called, and a backup stays.
    Source: Keras ``callbacks.TerminateOnNaN``.
    """

    def __init__(self, raise_error: bool = False) -> None:
        super().__init__()
        self.raise_error = raise_error

    def on_train_batch_end(self, batch: int, logs: Logs = None) -> None:
        loss = (logs or {}).get("loss")
        if loss is not None and not math.isfinite(loss):
            if self.raise_error:
                raise RuntimeError(f"TerminateOnNaN: the loss of batch {batch} is {loss}")
            print(f"Batch {batch}: invalid loss, terminating training")
            self.model.stop_training = True
