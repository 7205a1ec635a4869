"""Steps: what compile sets up, and what a model does with one batch to train, to evaluate and to predict."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from ranvier import _tree, autograd, config, optimizers
from ranvier._device import get_device
from ranvier.autograd import no_grad
from ranvier.callbacks import History
from ranvier.changes import changes
from ranvier.metrics import Mean, Metric
from ranvier.models.compiled import CompiledLoss, CompiledMetrics, match_outputs
from ranvier.models.conversion import unpack_x_y_sample_weight as unpack
from ranvier.models.data import ArrayBatches
from ranvier.models.logs import LazyLogs, as_number
from ranvier.models.progress import Progress
from ranvier.models.replay import Replay, reason_against
from ranvier.tensor import Tensor
from ranvier.variable import Variable

_GONE = {
    "fit_generator": "fit(generator, steps_per_epoch=...)",
    "evaluate_generator": "evaluate(generator, steps=...)",
    "predict_generator": "predict(generator, steps=...)",
    "predict_classes": "predict(x).argmax(-1) (or (predict(x) > 0.5) for one sigmoid output)",
    "predict_proba": "predict(x)",
}


class Walked:
    """The layers inside a model with their variables, found once per epoch: looking takes longer than a small step."""

    __slots__ = ("changes", "found", "trainable")

    def __init__(self, model: Any) -> None:
        self.found = list(model._walk())
        self.trainable: list[Variable] = []
        self.changes = -1  # the count of changes when `trainable` was found


class Steps:
    """The part of a model that knows single batches: loss, metrics, optimizer, and whether a step is replayed."""

    # A model has these before compile is called.
    optimizer: Any = None
    loss: Any = None
    compiled: bool = False
    stop_training: bool = False
    stop_evaluating: bool = False
    stop_predicting: bool = False
    history: History | None = None
    run_eagerly: bool = False
    _progress: Progress | None = None  # while fit is at work
    _compile_loss: CompiledLoss | None = None
    _compile_metrics: CompiledMetrics | None = None
    _loss_tracker: Mean | None = None
    _compile_config: dict[str, Any] | None = None
    _walked: Walked | None = None
    _replay: Replay | None = None
    _replay_reason: str | None = None  # why nothing is replayed
    _replay_checked = -1  # the count of changes when that was found out
    _unnoticed = frozenset({"stop_training", "stop_evaluating", "stop_predicting", "history", "_walked"}) | {
        "_replay", "_replay_reason", "_replay_checked", "_progress"
    }  # fmt: skip

    def _walk(self) -> Any:
        return super()._walk() if self._walked is None else iter(self._walked.found)  # type: ignore[misc]

    def _trained(self) -> list[Variable]:
        """``trainable_variables``; within an epoch found again only when something has changed."""
        walked = self._walked
        if walked is None:
            return self.trainable_variables
        if walked.changes != changes.count:
            walked.changes, walked.trainable = changes.count, self.trainable_variables
        return walked.trainable

    def __getattr__(self, name: str) -> Any:
        if name in _GONE:
            raise AttributeError(f"Keras has dropped {name}, and Ranvier does not have it: write model.{_GONE[name]}")
        return super().__getattr__(name)  # type: ignore[misc]

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
        never. ``replay_info()`` tells what happened. ``auto_scale_loss`` puts the optimizer of a model whose policy is
        "mixed_float16" into a ``LossScaleOptimizer``. Raises ValueError for names that are not known. Source: Keras
        ``Model.compile``.
        """
        if jit_compile not in ("auto", True, False):
            raise ValueError(f'compile: jit_compile must be "auto", True or False, not {jit_compile!r}')
        if steps_per_execution != 1:
            raise ValueError(f"compile: steps_per_execution must be 1, not {steps_per_execution!r}")
        names = getattr(self, "output_names", None)
        self.optimizer = optimizers.get(optimizer)
        scaled = self.optimizer is None or isinstance(self.optimizer, optimizers.LossScaleOptimizer)
        if auto_scale_loss and self.dtype_policy.name == "mixed_float16" and not scaled:
            self.optimizer = optimizers.LossScaleOptimizer(self.optimizer, name="loss_scale_optimizer")
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
            "auto_scale_loss": auto_scale_loss,
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
        if self._place()[0] == "reference":
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

    def _place(self) -> tuple[str, str | None]:
        """The device and floating dtype of the model's variables, which its data should have."""
        for variable in self.variables:
            if variable.dtype in ("float32", "float64"):
                return variable.device, variable.dtype
        return get_device(), config.floatx()

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

    def _in_order(self, logs: dict[str, Any]) -> list[str]:
        """Keras's order of ``evaluate``: loss, metrics, losses of outputs; prefixed names sorted at the end."""
        plain = [metric.name for metric in self.metrics]
        first = [name for name in dict.fromkeys(plain) if name in logs]
        return first + sorted(name for name in logs if name not in first)

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
        return match_outputs(y, y_pred, sample_weight, self.output_names, given)

    # --- one step -------------------------------------------------------------------------------------

    def train_step(self, data: Any) -> Any:
        """One step of training on ``(x, y, sample_weight)``; override for another, returning names and values."""
        x, y, sample_weight = unpack(data)
        y_pred = self(x, training=True)  # type: ignore[operator]
        loss = self.compute_loss(x, y, y_pred, sample_weight, training=True)
        self._track(loss, x)
        variables = self._trained()
        if variables:
            if not loss.requires_grad:
                raise ValueError("the loss does not depend on any trainable variable: was something detached?")
            loss = self.optimizer.scale_loss(loss)
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
            first = x if isinstance(x, Tensor) else next(t for t in _tree.flatten(x) if t is not None)
            count = first.shape[0]
            self._loss_tracker.update_state(loss, sample_weight=count)
