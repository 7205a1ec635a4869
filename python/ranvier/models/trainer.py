"""Trainer: compile, fit, evaluate and predict, for every model."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, MutableMapping
from typing import Any

import numpy as np

from ranvier import _tree, autograd, config, optimizers
from ranvier._device import get_device
from ranvier.autograd import no_grad
from ranvier.callbacks import CallbackList, History
from ranvier.changes import changes
from ranvier.metrics import Mean, Metric
from ranvier.models.compiled import CompiledLoss, CompiledMetrics, match_outputs
from ranvier.models.data import (
    ArrayBatches,
    Batches,
    batches_of,
    class_weights,
    convert,
    count_samples,
    train_validation_split,
)
from ranvier.models.data import unpack_x_y_sample_weight as unpack
from ranvier.models.interrupt import Interrupt
from ranvier.models.logs import LazyLogs, as_number
from ranvier.models.replay import Replay, reason_against
from ranvier.tensor import Tensor


class _Walked:
    """The layers inside a model with their variables, found once per epoch: looking takes longer than a small step."""

    __slots__ = ("found",)

    def __init__(self, model: Any) -> None:
        self.found = list(model._walk())


_GONE = {
    "fit_generator": "fit(generator, steps_per_epoch=...)",
    "evaluate_generator": "evaluate(generator, steps=...)",
    "predict_generator": "predict(generator, steps=...)",
    "predict_classes": "predict(x).argmax(-1) (or (predict(x) > 0.5) for one sigmoid output)",
    "predict_proba": "predict(x)",
}


class Trainer:
    """Training, evaluation and prediction: what makes a Layer a Model. Source: Keras ``Trainer``."""

    # A model has these before compile is called.
    optimizer: Any = None
    loss: Any = None
    compiled: bool = False
    stop_training: bool = False
    stop_evaluating: bool = False
    stop_predicting: bool = False
    history: History | None = None
    run_eagerly: bool = False
    _compile_loss: CompiledLoss | None = None
    _compile_metrics: CompiledMetrics | None = None
    _loss_tracker: Mean | None = None
    _compile_config: dict[str, Any] | None = None
    _walked: _Walked | None = None
    _replay: Replay | None = None
    _replay_reason: str | None = None  # why nothing is replayed
    _replay_checked = -1  # the count of changes when that was found out
    _unnoticed = frozenset(
        {"stop_training", "stop_evaluating", "stop_predicting", "history", "_walked", "_replay", "_replay_reason"}
        | {"_replay_checked"}
    )

    def _walk(self) -> Any:
        return super()._walk() if self._walked is None else iter(self._walked.found)  # type: ignore[misc]

    def __getattr__(self, name: str) -> Any:
        if name in _GONE:
            raise AttributeError(f"Keras has dropped {name}, and Ranvier does not have it: write model.{_GONE[name]}")
        return object.__getattribute__(self, name)  # raises again, with the message of a property that failed

    @property
    def output_names(self) -> list[str] | None:
        """The names of the layers that give the outputs; None for a subclass."""
        graph = getattr(self, "graph", None)
        return None if graph is None else [t.source.layer.name for t in graph.output_list]

    # --- compile ------------------------------------------------------------------------------------

    def compile(
        self,
        optimizer: Any = "rmsprop",
        loss: Any = None,
        loss_weights: Any = None,
        metrics: Any = None,
        weighted_metrics: Any = None,
        run_eagerly: bool = False,
        steps_per_execution: int = 1,
        jit_compile: Any = "auto",
        auto_scale_loss: bool = True,
    ) -> None:
        """Says how to train: the optimizer, the loss and the metrics of each output.

        ``optimizer``, ``loss`` and ``metrics`` are names ("adam", "mse", "accuracy"), functions or objects; for
        several outputs lists or dicts by output name. "accuracy" becomes binary, categorical or sparse categorical
        accuracy by the labels' shape. ``weighted_metrics`` see sample weights. ``jit_compile``: "auto" records
        the steps of a model made of Ranvier's own parts once per shape of batch and replays them without Python, bit
        for bit the same; True records code of your own too (its Python then runs once, not in each step); False
        never. ``replay_info()`` tells what happened. Raises ValueError for names that are not known. Source: Keras
        ``Model.compile``.
        """
        if jit_compile not in ("auto", True, False):
            raise ValueError(f'compile: jit_compile must be "auto", True or False, not {jit_compile!r}')
        if steps_per_execution != 1:
            raise ValueError(f"compile: steps_per_execution must be 1, not {steps_per_execution!r}")
        names = getattr(self, "output_names", None)
        self.optimizer = optimizers.get(optimizer)
        self.loss = loss
        self._compile_loss = CompiledLoss(loss, loss_weights, names) if loss is not None else None
        self._compile_metrics = (
            CompiledMetrics(metrics, weighted_metrics, names) if metrics or weighted_metrics else None
        )
        self._loss_tracker = Mean(name="loss")
        self.run_eagerly = run_eagerly
        self.jit_compile = jit_compile
        self._replay, self._replay_reason = None, None
        self.stop_training = False
        self.compiled = True
        self._compile_config = {
            "optimizer": optimizer,
            "loss": loss,
            "loss_weights": loss_weights,
            "metrics": metrics,
            "weighted_metrics": weighted_metrics,
            "run_eagerly": run_eagerly,
            "jit_compile": jit_compile,
        }

    def replay_info(self) -> dict[str, str]:
        """What became of each kind of step at each shape of batch: replayed, or eager and why.

        >>> import ranvier as rv
        >>> model = rv.Sequential([rv.Input((4,)), rv.layers.Dense(3)])
        >>> model.compile(loss="mse", run_eagerly=True)
        >>> model.replay_info()
        {'all steps': 'eager: compile(run_eagerly=True)'}
        """
        reason = self._reason_against_replay()
        return {"all steps": f"eager: {reason}"} if reason else self._replay.info() if self._replay else {}

    def _reason_against_replay(self) -> str | None:
        jit = getattr(self, "jit_compile", "auto")
        if self.run_eagerly:
            return "compile(run_eagerly=True)"
        if jit is False:
            return "compile(jit_compile=False)"
        if self._place()[0] != "cpu":
            return f"device {self._place()[0]!r} has no replay"
        for metric in self.metrics:
            if not metric.replayable:
                return f"metric {metric.name!r} counts on the host"
        return None if jit is True else reason_against(self)

    def _stepper(self, kind: str, batches: Any = None) -> Callable[[Any], Any]:
        """The step of a kind ("train", "test", "predict"), replayed where it can be, on ``batches``."""
        step: Callable[[Any], Any] = getattr(self, f"{kind}_step")
        if self._replay_checked != changes.count:
            self._replay_checked = changes.count
            self._replay_reason = self._reason_against_replay()
        if self._replay_reason is not None:
            return step
        if self._replay is None:
            self._replay = Replay(self)
        if isinstance(batches, ArrayBatches):
            batches.into = functools.partial(self._replay.gathered, kind)
        return functools.partial(self._replay.run, kind, step)

    def _assert_compiled(self, method: str) -> None:
        if not self.compiled:
            raise ValueError(f"{method}: call compile(optimizer=..., loss=...) on the model first")

    # --- metrics and losses ---------------------------------------------------------------------------

    @property
    def _named_metrics(self) -> dict[str, Metric]:
        """Names in the logs, in their order there, with metrics."""
        named: dict[str, Metric] = {}
        if self._loss_tracker is not None:
            named["loss"] = self._loss_tracker
        if self._compile_metrics is not None:
            named |= dict(self._compile_metrics.named())
        if self._compile_loss is not None:
            named |= {tracker.name: tracker for tracker in self._compile_loss.trackers}
        return named

    @property
    def metrics(self) -> list[Metric]:
        """The metrics that are reset at the start of each epoch; override to add your own."""
        return list(self._named_metrics.values())

    @property
    def metrics_names(self) -> list[str]:
        """The names of what ``evaluate`` returns, in its order."""
        return self._in_order(dict.fromkeys(self._named_metrics))

    def reset_metrics(self) -> None:
        """Forgets what the metrics have seen."""
        for metric in self.metrics:
            metric.reset_state()

    def get_metrics_result(self) -> dict[str, Any]:
        """The metrics' values now, by name."""
        named = self._named_metrics
        ours = {id(metric) for metric in named.values()}
        found = {name: as_number(metric.result()) for name, metric in named.items()}
        for metric in self.metrics:  # those of an overridden `metrics`
            if id(metric) not in ours:
                value = as_number(metric.result())
                found |= value if isinstance(value, dict) else {metric.name: value}
        return found

    def compute_loss(
        self, x: Any = None, y: Any = None, y_pred: Any = None, sample_weight: Any = None, training: bool = True
    ) -> Tensor:
        """The compiled loss plus the layers' own (regularizers, ``add_loss``), a scalar; override for another."""
        parts: list[Tensor] = []
        if self._compile_loss is not None:
            if y is None:
                raise ValueError("a loss was compiled but there are no labels: y is missing")
            parts.append(self._compile_loss(self._outputs(y, y_pred, sample_weight)))
        parts.extend(loss.sum() if loss.ndim else loss for loss in self.losses)
        if not parts:
            raise ValueError("there is no loss: pass loss=... to compile, or call add_loss in a layer")
        total = parts[0]
        for part in parts[1:]:
            total = total + part
        return total

    def compute_metrics(self, x: Any, y: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        """Adds a batch to the compiled metrics and gives all values by name, read when they are looked at."""
        if self._compile_metrics is not None and y is not None:
            self._compile_metrics.update_state(self._outputs(y, y_pred, sample_weight))
        return LazyLogs(self.get_metrics_result)

    def _outputs(self, y: Any, y_pred: Any, sample_weight: Any) -> Any:
        given = self._compile_loss.given if self._compile_loss is not None else None
        return match_outputs(y, y_pred, sample_weight, getattr(self, "output_names", None), given)

    # --- one step -------------------------------------------------------------------------------------

    def train_step(self, data: Any) -> Any:
        """One step of training on ``(x, y, sample_weight)``; override for another, returning names and values."""
        x, y, sample_weight = unpack(data)
        y_pred = self(x, training=True)  # type: ignore[operator]
        loss = self.compute_loss(x, y, y_pred, sample_weight, training=True)
        self._track(loss, x)
        variables = self.trainable_variables
        if variables:
            if not loss.requires_grad:
                raise ValueError("the loss does not depend on any trainable variable: was something detached?")
            self.optimizer.apply(autograd.grad(loss, variables, allow_unused=True), variables)
        with no_grad():
            return self.compute_metrics(x, y, y_pred, sample_weight)

    def test_step(self, data: Any) -> Any:
        """One step of evaluation on ``(x, y, sample_weight)``."""
        x, y, sample_weight = unpack(data)
        y_pred = self(x, training=False)  # type: ignore[operator]
        if self._compile_loss is not None or self.losses:
            self._track(self.compute_loss(x, y, y_pred, sample_weight, training=False), x)
        return self.compute_metrics(x, y, y_pred, sample_weight)

    def predict_step(self, data: Any) -> Any:
        """The model's outputs for ``(x,)``."""
        x, _, _ = unpack(data)
        return self(x, training=False)  # type: ignore[operator]

    def _track(self, loss: Tensor, x: Any) -> None:
        if self._loss_tracker is not None:
            count = next(t for t in _tree.flatten(x) if t is not None).shape[0]
            self._loss_tracker.update_state(loss, sample_weight=count)

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
    ) -> History:
        """Trains for ``epochs`` passes over the data and returns a History of loss and metrics by epoch.

        ``x`` and ``y`` are arrays (NumPy or Tensor, or lists or dicts of them), or ``x`` is an iterable or sequence
        (``PyDataset``) of batches ``(x, y[, sample_weight])``; endless ones need ``steps_per_epoch``. Batches have
        32 samples unless ``batch_size`` says otherwise, the last may be shorter; ``shuffle`` draws another order each
        epoch from ``rv.random``. ``validation_split`` keeps the last part of the arrays aside. ``verbose``: 1 a
        progress bar ("auto" is 1), 2 a line per epoch, 0 nothing. The loss reported is the mean over samples of the
        epoch's steps, with regularization. Ctrl-C ends at the next step, and the model stays usable.

        Raises ValueError if the model is not compiled, where labels are missing, or where shapes or numbers of
        samples do not agree. Source: Keras ``Model.fit``.
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
                self._fit(batches, validation, calls, range(initial_epoch, epochs), validation_freq, interrupt)
        finally:
            self._walked = None
            calls.close()
        assert self.history is not None
        return self.history

    def _fit(
        self,
        batches: Batches,
        validation: Batches | None,
        calls: CallbackList,
        epochs: range,
        validation_freq: Any,
        interrupt: Interrupt,
    ) -> None:
        self.stop_training = False
        logs: dict[str, Any] = {}
        calls.on_train_begin()
        for epoch in epochs:
            calls.on_epoch_begin(epoch)
            self._walked = None
            self._walked = _Walked(self)
            self.reset_metrics()
            found: Any = None
            train_step = self._stepper("train", batches)
            for step, batch in enumerate(batches):
                calls.on_train_batch_begin(step)
                found = interrupt.step(train_step, batch)
                calls.on_train_batch_end(step, found)
                if self.stop_training:
                    break
            if found is None:
                if not logs and epoch == epochs.start:
                    raise ValueError("fit: the data gave no batches")
                break  # an iterator that cannot start again has run out: the warning has been given
            logs = self._read_logs(found)
            if validation is not None and _is_due(epoch, validation_freq):
                logs |= {f"val_{name}": value for name, value in self._evaluate(validation, calls, interrupt).items()}
            calls.on_epoch_end(epoch, logs)
            if self.stop_training:
                break
        calls.on_train_end(logs)

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

    def load_weights(self, filepath: str | os.PathLike[str], skip_mismatch: bool = False) -> None:
        """Reads the weights of a ``.rv`` file into this model; see ``rv.saving.load_weights``."""
        from ranvier import saving

        saving.load_weights(self, filepath, skip_mismatch)

    # --- helpers --------------------------------------------------------------------------------------------

    def _place(self) -> tuple[str, str | None]:
        """The device and floating dtype of the model's variables, which its data should have."""
        for variable in self.variables:
            if variable.dtype in ("float32", "float64"):
                return variable.device, variable.dtype
        return get_device(), config.floatx()

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

    def _in_order(self, logs: dict[str, Any]) -> list[str]:
        """Keras's order of ``evaluate``: loss, metrics, losses of outputs; prefixed names sorted at the end."""
        plain = [metric.name for metric in self.metrics]
        first = [name for name in dict.fromkeys(plain) if name in logs]
        return first + sorted(name for name in logs if name not in first)

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
