"""BackupAndRestore: training that is broken off goes on where it was."""

from __future__ import annotations

import os
import shutil
from typing import Any

from ranvier.callbacks.callback import Callback, Logs


class BackupAndRestore(Callback):
    """Keeps a backup of the state of ``fit``, and goes on from it when ``fit`` is called again with the same arguments.

    ``backup_dir`` is a folder for this training alone. A backup is made after each epoch, or every ``save_freq``
    steps if that is a number. ``double_checkpoint`` keeps the one before, too, for the case that the last cannot be
    read. When ``fit`` comes to its end the folder goes, unless ``delete_checkpoint`` is False. A backup is one file
    that appears whole or not at all; what it holds is what ``fit(..., resume=path)`` needs, so that training ends bit
    for bit as if it had not been broken off. Raises ValueError for a backup of another model or optimizer.
    Source: Keras ``BackupAndRestore``.
    """

    state_names = ("_steps",)

    def __init__(
        self,
        backup_dir: str | os.PathLike[str],
        save_freq: Any = "epoch",
        double_checkpoint: bool = False,
        delete_checkpoint: bool = True,
    ) -> None:
        super().__init__()
        if not backup_dir:
            raise ValueError("BackupAndRestore: backup_dir is empty")
        if save_freq != "epoch" and (not isinstance(save_freq, int) or save_freq < 0):
            raise ValueError(
                f'BackupAndRestore: save_freq must be "epoch", a number of steps or False, not {save_freq!r}'
            )
        self.backup_dir = os.fspath(backup_dir)
        self.save_freq = save_freq
        self.double_checkpoint = double_checkpoint
        self.delete_checkpoint = delete_checkpoint
        self._path = os.path.join(self.backup_dir, "latest.rv")
        self._previous = self._path + ".bkp"
        self._steps = 0

    def on_train_begin(self, logs: Logs = None) -> None:
        from ranvier.saving.model import restore_state

        self._steps = 0
        if not self.model.built:
            raise ValueError("BackupAndRestore: the model has no weights yet; build it or call it on data before fit")
        self._clear()
        if not (os.path.exists(self._path) or os.path.exists(self._previous)):
            return
        try:
            description = restore_state(self.model, self._path)
        except (OSError, ValueError):
            if not os.path.exists(self._previous):
                raise
            description = restore_state(self.model, self._previous)
        if self.model._progress is not None:
            self.model._progress.pending = description["training"]

    def _clear(self) -> None:
        """What was being written when a process was killed."""
        for name in os.listdir(self.backup_dir) if os.path.isdir(self.backup_dir) else ():
            if name.startswith(".latest.rv.") and name.endswith(".tmp"):
                os.unlink(os.path.join(self.backup_dir, name))

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        if self.save_freq == "epoch":
            self._save()

    def on_train_batch_end(self, batch: int, logs: Logs = None) -> None:
        if self.save_freq == "epoch" or not self.save_freq:
            return
        self._steps += 1
        if self._steps % self.save_freq == 0:
            self._save()

    def _save(self) -> None:
        from ranvier.saving.model import save_state

        os.makedirs(self.backup_dir, exist_ok=True)
        if self.double_checkpoint and os.path.exists(self._path):
            os.replace(self._path, self._previous)
        save_state(self.model, self._path)

    def on_train_end(self, logs: Logs = None) -> None:
        if self.delete_checkpoint:
            shutil.rmtree(self.backup_dir, ignore_errors=True)
