"""Trainer: fit, evaluate and predict, for every model."""

from __future__ import annotations

import os
from collections.abc import Callable, MutableMapping
from typing import Any

import numpy as np

from ranvier import _tree
from ranvier.autograd import no_grad
from ranvier.callbacks import CallbackList, History
from ranvier.models.conversion import class_weights, convert, count_samples
from ranvier.models.conversion import unpack_x_y_sample_weight as unpack
from ranvier.models.data import Batches, batches_of, train_validation_split
from ranvier.models.interrupt import Interrupt
from ranvier.models.logs import as_number
from ranvier.models.progress import Progress
from ranvier.models.steps import Steps, Walked


class Trainer(Steps):
    """Training, evaluation and prediction: what makes a Layer a Model. Source: Keras ``Trainer``."""

    def _assert_compiled(self, method: str) -> None:
        if not self.compiled:
            raise ValueError(f"{method}: call compile(optimizer=..., loss=...) on the model first")

    # --- fit, evaluate, predict -------------------------------------------------------------------------

    def fit(
        self,
        x: Any = None,
        y: Any = None,
        batch_size: int | None = None,
        epochs: int = 1,
        verbose: Any = "auto",
        callbacks: Any = None,
        validation_split: float = 0.0,
        validation_data: Any = None,
        shuffle: bool | str = True,
        class_weight: dict[int, float] | None = None,
        sample_weight: Any = None,
        initial_epoch: int = 0,
        steps_per_epoch: int | None = None,
        validation_steps: int | None = None,
        validation_batch_size: int | None = None,
        validation_freq: Any = 1,
        resume: str | os.PathLike[str] | None = None,
    ) -> History:
        """Trains for ``epochs`` passes over the data and returns a History of loss and metrics by epoch.

        ``x`` and ``y`` are arrays (NumPy or Tensor, or lists or dicts of them), or ``x`` is an iterable or sequence
        (``PyDataset``) of batches ``(x, y[, sample_weight])``; endless ones need ``steps_per_epoch``. Batches have
        32 samples unless ``batch_size`` says otherwise, the last may be shorter; ``shuffle`` draws another order each
        epoch from ``rv.random``. ``validation_split`` keeps the last part of the arrays aside. ``verbose``: 1 a
        progress bar ("auto" is 1), 2 a line per epoch, 0 nothing. The loss reported is the mean over samples of the
        epoch's steps, with regularization. Ctrl-C ends at the next step, and the model stays usable.

        ``resume``: a file that ``ModelCheckpoint`` or ``BackupAndRestore`` wrote in an earlier ``fit`` with the same
        arguments. This one goes on from there, bit for bit as if the other had not been broken off: weights, optimizer,
        random numbers, callbacks, and the place in the data, in the middle of an epoch too.

        Raises ValueError if the model is not compiled, where labels are missing, where shapes or numbers of
        samples do not agree, or where the file of ``resume`` does not fit. Source: Keras ``Model.fit``.
        """
        self._assert_compiled("fit")
        _check_epochs(epochs, verbose)
        if validation_split and validation_data is None:
            (x, y, sample_weight), validation_data = train_validation_split((x, y, sample_weight), validation_split)
        options: dict[str, Any] = {"shuffle": shuffle, "class_weight": class_weight}
        batches = self._batches("fit", x, y, sample_weight, batch_size, steps_per_epoch, **options)
        validation = None
        if validation_data is not None:
            size = validation_batch_size or batch_size
            if isinstance(validation_data, (list, tuple)):  # data that is packed; else it gives batches itself
                held_out = unpack(validation_data)
            else:
                held_out = (validation_data, None, None)
            validation = self._batches("fit: validation_data", *held_out, size, validation_steps)
        calls = self._callbacks(callbacks, batches, verbose, epochs, add_history=True)
        try:
            with Interrupt() as interrupt:
                progress = self._progress = Progress(self, batches, validation, calls, initial_epoch)
                if resume is not None:
                    from ranvier.saving.model import restore_state

                    progress.pending = restore_state(self, os.fspath(resume))["training"]
                self._fit(progress, epochs, validation_freq, interrupt)
        finally:
            self._walked = self._progress = None
            batches.close()
            if validation is not None:
                validation.close()
            calls.close()
        assert self.history is not None
        return self.history

    def _fit(self, progress: Progress, epochs: int, validation_freq: Any, interrupt: Interrupt) -> None:
        calls, validation = progress.calls, progress.validation
        self.stop_training = False
        trains = progress.epoch < epochs
        calls.on_train_begin()
        progress.begin()
        while progress.epoch < epochs and not progress.ended:
            epoch = progress.epoch
            found = self._epoch(progress, interrupt)
            if found is None:
                if not progress.logs:
                    raise ValueError("fit: the data gave no batches")
                break  # an iterator that cannot start again has run out: the warning has been given
            logs = progress.logs = self._read_logs(found)
            if validation is not None and _is_due(epoch, validation_freq):
                logs |= {f"val_{name}": value for name, value in self._evaluate(validation, calls, interrupt).items()}
            calls.on_epoch_end(epoch, logs)
            progress.epoch, progress.batch, progress.ended = epoch + 1, 0, self.stop_training
        if trains and self.optimizer is not None:
            self.optimizer.finalize_variable_values(self.trainable_variables)
        calls.on_train_end(progress.logs)

    def _epoch(self, progress: Progress, interrupt: Interrupt) -> Any:
        """The steps of one epoch, or of the rest of one; what the last step returned."""
        calls, found = progress.calls, progress.found()
        if not progress.batch:
            calls.on_epoch_begin(progress.epoch)
        self._walked = None
        self._walked = Walked(self)
        if not progress.batch:
            self.reset_metrics()
        if found is not None and self.stop_training:  # the run that goes on was stopped by its last step
            return found
        train_step = self._stepper("train", progress.batches)
        for step, batch in enumerate(progress.batches, progress.batch):
            calls.on_train_batch_begin(step)
            found = interrupt.step(train_step, batch)
            progress.batch = step + 1
            calls.on_train_batch_end(step, found)
            if self.stop_training:
                break
        return found

    def evaluate(
        self,
        x: Any = None,
        y: Any = None,
        batch_size: int | None = None,
        verbose: Any = "auto",
        sample_weight: Any = None,
        steps: int | None = None,
        callbacks: Any = None,
        return_dict: bool = False,
    ) -> Any:
        """The loss and the metrics over the data: a float, a list of them, or a dict with ``return_dict``.

        Arguments as in ``fit``. Raises ValueError if the model is not compiled. Source: Keras ``Model.evaluate``.
        """
        self._assert_compiled("evaluate")
        batches = self._batches("evaluate", x, y, sample_weight, batch_size, steps)
        calls = self._callbacks(callbacks, batches, verbose, 1)
        try:
            with Interrupt() as interrupt:
                logs = self._evaluate(batches, calls, interrupt)
        finally:
            batches.close()
            calls.close()
        return logs if return_dict else self._as_list(logs)

    @no_grad()
    def _evaluate(self, batches: Batches, calls: CallbackList, interrupt: Interrupt) -> dict[str, Any]:
        self.stop_evaluating = False
        calls.on_test_begin()
        self.reset_metrics()
        found: Any = None
        test_step = self._stepper("test")
        for step, batch in enumerate(batches):
            calls.on_test_batch_begin(step)
            found = interrupt.step(test_step, batch)
            calls.on_test_batch_end(step, found)
            if self.stop_evaluating:
                break
        if found is None:
            raise ValueError("evaluate: the data gave no batches")
        logs = self._read_logs(found)
        calls.on_test_end(logs)
        return logs

    @no_grad()
    def predict(
        self,
        x: Any,
        batch_size: int | None = None,
        verbose: Any = "auto",
        steps: int | None = None,
        callbacks: Any = None,
    ) -> Any:
        """The model's outputs for all samples, as NumPy arrays: (N, ...), or a list or dict of such.

        Runs in batches of 32 unless ``batch_size`` says otherwise. Source: Keras ``Model.predict``.
        """
        batches = self._batches("predict", x, None, None, batch_size, steps)
        calls = self._callbacks(callbacks, batches, verbose, 1)
        parts: list[Any] = []
        self.stop_predicting = False
        try:
            with Interrupt() as interrupt:
                calls.on_predict_begin()
                predict_step = self._stepper("predict")
                for step, batch in enumerate(batches):
                    calls.on_predict_batch_begin(step)
                    outputs = interrupt.step(predict_step, batch)
                    parts.append(outputs)
                    calls.on_predict_batch_end(step, {"outputs": outputs})
                    if self.stop_predicting:
                        break
                calls.on_predict_end()
        finally:
            batches.close()
            calls.close()
        if not parts:
            raise ValueError("predict: the data gave no batches")
        leaves = zip(*(_tree.flatten(part) for part in parts), strict=True)
        return _tree.pack(parts[0], [np.concatenate([leaf.numpy() for leaf in each]) for each in leaves])

    # --- single batches -----------------------------------------------------------------------------------

    def train_on_batch(
        self,
        x: Any,
        y: Any = None,
        sample_weight: Any = None,
        class_weight: dict[int, float] | None = None,
        return_dict: bool = False,
    ) -> Any:
        """One step on one batch; its loss and metrics before the step, as ``evaluate`` returns them."""
        self._assert_compiled("train_on_batch")
        if class_weight is not None:
            if sample_weight is not None:
                raise ValueError("train_on_batch: class_weight and sample_weight cannot be given together")
            sample_weight = class_weights(y, class_weight)
        batch = self._one_batch("train_on_batch", x, y, sample_weight)
        self.reset_metrics()
        logs = self._read_logs(self._stepper("train")(batch))
        return logs if return_dict else self._as_list(logs)

    @no_grad()
    def test_on_batch(self, x: Any, y: Any = None, sample_weight: Any = None, return_dict: bool = False) -> Any:
        """The loss and metrics of one batch, as ``evaluate`` returns them."""
        self._assert_compiled("test_on_batch")
        batch = self._one_batch("test_on_batch", x, y, sample_weight)
        self.reset_metrics()
        logs = self._read_logs(self._stepper("test")(batch))
        return logs if return_dict else self._as_list(logs)

    @no_grad()
    def predict_on_batch(self, x: Any) -> Any:
        """The model's outputs for one batch, as NumPy arrays."""
        outputs = self._stepper("predict")(self._one_batch("predict_on_batch", x, None, None))
        return _tree.map_structure(lambda t: t.numpy(), outputs)

    # --- saving -------------------------------------------------------------------------------------------

    def save(self, filepath: str | os.PathLike[str], overwrite: bool = True) -> None:
        """Writes the whole model, optimizer state included, to one ``.rv`` file; see ``rv.saving.save_model``."""
        from ranvier import saving

        saving.save_model(self, filepath, overwrite)

    def save_weights(self, filepath: str | os.PathLike[str], overwrite: bool = True) -> None:
        """Writes the weights alone to one ``.rv`` file; see ``rv.saving.save_weights``."""
        from ranvier import saving

        saving.save_weights(self, filepath, overwrite)

    def load_weights(
        self, filepath: str | os.PathLike[str], skip_mismatch: bool = False, by_name: bool = False
    ) -> None:
        """Reads the weights of a ``.rv`` file, or Keras's ``.h5``, into this model; see ``rv.saving.load_weights``."""
        from ranvier import saving

        saving.load_weights(self, filepath, skip_mismatch, by_name)

    # --- helpers --------------------------------------------------------------------------------------------

    def _ensure_built(self, method: str, first: Callable[[], Any]) -> None:
        """A model that learns its shapes from data is called once on a sample of it."""
        if getattr(self, "built", True):
            return
        sample = first()
        if sample is None:
            return
        with no_grad():
            self(sample, training=False)  # type: ignore[operator]

    def _batches(
        self, method: str, x: Any, y: Any, sample_weight: Any, batch_size: int | None, steps: int | None, **options: Any
    ) -> Batches:
        try:
            device, floatx = self._place()
            given = {"batch_size": batch_size, "steps": steps, "device": device, **options}
            batches = batches_of(x, y, sample_weight, floatx=floatx, **given)
        except (ValueError, TypeError) as error:
            raise type(error)(f"{method}: {error}") from error
        self._ensure_built(method, batches.first)
        return batches

    def _one_batch(self, method: str, x: Any, y: Any, sample_weight: Any) -> Any:
        try:
            device, floatx = self._place()
            batch = tuple(
                convert(name, value, device, floatx)
                for name, value in (("x", x), ("y", y), ("sample_weight", sample_weight))
            )
            count_samples(*batch)
        except (ValueError, TypeError) as error:
            raise type(error)(f"{method}: {error}") from error
        self._ensure_built(method, lambda: batch[0])
        return batch

    def _callbacks(
        self, callbacks: Any, batches: Batches, verbose: Any, epochs: int, add_history: bool = False
    ) -> CallbackList:
        if isinstance(callbacks, CallbackList):
            calls = callbacks
        else:
            params = {"verbose": verbose, "epochs": epochs, "steps": batches.steps}
            calls = CallbackList(callbacks, add_history, add_progbar=verbose != 0, model=self, **params)
        if calls.progress is not None:
            calls.progress.batches = batches
        return calls

    def _read_logs(self, logs: Any) -> dict[str, Any]:
        """What a step returned, as plain floats."""
        if not isinstance(logs, (dict, MutableMapping)):
            return self.get_metrics_result()
        return {name: as_number(value) for name, value in logs.items()}

    def _as_list(self, logs: dict[str, Any]) -> Any:
        values = [logs[name] for name in self._in_order(logs)]
        return values[0] if len(values) == 1 else values


def _check_epochs(epochs: Any, verbose: Any) -> None:
    if not isinstance(epochs, (int, np.integer)) or epochs < 0:
        raise ValueError(f"fit: epochs must be a number of passes, not {epochs!r}")
    if verbose not in ("auto", 0, 1, 2):
        raise ValueError(f'fit: verbose must be "auto", 0, 1 or 2, not {verbose!r}')


def _is_due(epoch: int, validation_freq: Any) -> bool:
    if isinstance(validation_freq, int):
        return (epoch + 1) % validation_freq == 0
    if isinstance(validation_freq, (list, tuple, set, range)):
        return epoch + 1 in validation_freq
    raise ValueError(f"fit: validation_freq must be a number of epochs or a list of epochs, not {validation_freq!r}")
