"""What ``compile`` was given, matched to the model's outputs: a loss and metrics for each."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from ranvier import _tree, losses
from ranvier import metrics as metrics_module
from ranvier.metrics import Mean, Metric
from ranvier.tensor import Tensor


class Output(NamedTuple):
    """One output with its labels."""

    place: int
    name: str | None
    y_true: Tensor | None
    y_pred: Tensor
    sample_weight: Tensor | None


def _names_of(y_pred: Any, known: list[str] | None) -> list[str | None]:
    if isinstance(y_pred, dict):
        return list(y_pred)
    count = len(_tree.flatten(y_pred))
    return list(known) if known and len(known) == count else [None] * count


def _spread(what: str, given: Any, names: list[str | None], required: bool) -> list[Any]:
    """``given`` as a list with one entry per output, None where there is none."""
    count = len(names)
    if given is None:
        return [None] * count
    if isinstance(given, dict):
        unknown = [key for key in given if key not in names]
        if unknown and count == 1 and len(given) == 1:
            return list(given.values())
        if unknown:
            raise ValueError(f"{what} has {unknown[0]!r}, but the model's outputs are {names}")
        missing = [name for name in names if name not in given]
        if missing and required:
            raise ValueError(f"{what} has nothing for output {missing[0]!r}; it has {list(given)}")
        return [given.get(name) for name in names]
    if isinstance(given, (list, tuple)):
        if len(given) != count:
            raise ValueError(f"{what} has {len(given)} entries but the model has {count} outputs")
        return list(given)
    if count == 1 or not required:
        return [given] * count
    raise ValueError(f"{what} is one array but the model has {count} outputs; give a list or a dict by name")


def match_outputs(
    y_true: Any, y_pred: Any, sample_weight: Any, known: list[str] | None, losses_given: Any
) -> list[Output]:
    """The model's outputs, each with its labels and weights; labels may be left out where there is no loss."""
    if isinstance(y_pred, Tensor) and isinstance(y_true, Tensor) and not isinstance(sample_weight, (list, tuple, dict)):
        return [Output(0, known[0] if known else None, y_true, y_pred, sample_weight)]
    predictions = _tree.flatten(y_pred)
    names = _names_of(y_pred, known)
    if len(predictions) == 1:
        labels, weights = _tree.flatten(y_true), _tree.flatten(sample_weight)
        if len(labels) != 1 or len(weights) != 1:
            arrays = max(len(labels), len(weights))
            raise ValueError(f"the model has one output, but there are {arrays} arrays of labels")
        return [Output(0, names[0], labels[0], predictions[0], weights[0])]
    if isinstance(y_true, (list, tuple)) and len(y_true) != len(names):
        losing = [i for i, loss in enumerate(_spread("loss", losses_given, names, False)) if loss is not None]
        if len(losing) == len(y_true):  # labels only for outputs that have a loss
            y_true = [y_true[losing.index(i)] if i in losing else None for i in range(len(names))]
    labels = _spread("y", y_true, names, required=not isinstance(y_true, dict))
    weights = _spread("sample_weight", sample_weight, names, required=False)
    return [Output(*row) for row in zip(range(len(names)), names, labels, predictions, weights, strict=True)]


def _kind_of_labels(y_true: Tensor, y_pred: Tensor) -> str:
    """ "binary", "sparse_categorical" or "categorical", from the shapes alone (Keras's rule)."""
    if not y_pred.ndim or y_pred.shape[-1] == 1:
        return "binary"
    sparse = y_true.ndim < y_pred.ndim or (y_true.shape[-1] == 1 and y_pred.shape[-1] > 1)
    return "sparse_categorical" if sparse else "categorical"


def resolve_loss(identifier: Any, y_true: Tensor, y_pred: Tensor) -> Any:
    """A Loss from a name, function or Loss; "crossentropy" and "ce" are chosen by the labels' shape."""
    if isinstance(identifier, str) and identifier.lower() in ("crossentropy", "ce"):
        loss = losses.get(f"{_kind_of_labels(y_true, y_pred)}_crossentropy")
    else:
        loss = losses.get(identifier)
    if isinstance(loss, losses.Loss):
        return loss
    name = identifier if isinstance(identifier, str) else getattr(loss, "__name__", type(loss).__name__)
    return losses.LossFunctionWrapper(loss, name=name)


_Choice = dict[str, Callable[..., Metric]]
_ACCURACY: _Choice = {
    "binary": metrics_module.BinaryAccuracy,
    "sparse_categorical": metrics_module.SparseCategoricalAccuracy,
    "categorical": metrics_module.CategoricalAccuracy,
}
_CROSSENTROPY: _Choice = {
    "binary": metrics_module.BinaryCrossentropy,
    "sparse_categorical": metrics_module.SparseCategoricalCrossentropy,
    "categorical": metrics_module.CategoricalCrossentropy,
}


def resolve_metric(identifier: Any, y_true: Tensor, y_pred: Tensor) -> Metric:
    """A Metric from a name, function, class or Metric; "accuracy" is chosen by the labels' shape."""
    chosen: _Choice | None = None
    if isinstance(identifier, str):
        low = identifier.lower()
        chosen = _ACCURACY if low in ("accuracy", "acc") else _CROSSENTROPY if low in ("crossentropy", "ce") else None
    metric = chosen[_kind_of_labels(y_true, y_pred)]() if chosen else metrics_module.get(identifier)
    if not isinstance(metric, Metric):
        metric = metrics_module.MeanMetricWrapper(metric)
    if isinstance(identifier, str):
        metric.name = identifier
    return metric


class CompiledLoss:
    """The losses of all outputs, weighted and added; built when the first batch shows shapes."""

    def __init__(self, loss: Any, loss_weights: Any, output_names: list[str] | None) -> None:
        if loss_weights is not None and not isinstance(loss_weights, (list, tuple, dict, int, float)):
            raise ValueError(f"loss_weights must be a number, list or dict, not {loss_weights!r}")
        self.given = loss
        self.given_weights = loss_weights
        self.output_names = output_names
        self.parts: list[tuple[int, Any, float | None, Mean]] | None = None

    @property
    def trackers(self) -> list[Mean]:
        """Means of each output's loss, where there are several."""
        return [tracker for *_, tracker in self.parts] if self.parts and len(self.parts) > 1 else []

    def _build(self, outputs: list[Output]) -> None:
        names = [o.name for o in outputs]
        given = _spread("loss", self.given, names, required=False)
        weights = _spread("loss_weights", self.given_weights, names, required=False)
        self.parts = []
        for output, identifier, weight in zip(outputs, given, weights, strict=True):
            if identifier is None:
                continue
            if output.y_true is None:
                raise ValueError(f"{_told(output)} has a loss but no labels: y is missing")
            loss = resolve_loss(identifier, output.y_true, output.y_pred)
            tracker = Mean(name=f"{output.name or loss.name}_loss")
            self.parts.append((output.place, loss, None if weight is None else float(weight), tracker))
        if not self.parts:
            raise ValueError("no output has a loss")

    def __call__(self, outputs: list[Output]) -> Tensor:
        if self.parts is None:
            self._build(outputs)
        assert self.parts is not None
        total: Tensor | None = None
        for place, loss, weight, tracker in self.parts:
            output = outputs[place]
            if output.y_true is None:
                raise ValueError(f"{_told(output)} has a loss but no labels: y is missing")
            try:
                value = loss(output.y_true, output.y_pred, output.sample_weight)
            except (ValueError, TypeError) as error:
                raise type(error)(
                    f"{loss.name} of {_told(output)} with labels {output.y_true.dtype} of shape "
                    f"{output.y_true.shape}: {error}"
                ) from error
            if value.ndim:
                raise ValueError(f"{loss.name} of {_told(output)} has shape {value.shape}; a loss must be one number")
            if len(self.parts) > 1:
                tracker.update_state(value, sample_weight=output.y_pred.shape[0])
            if weight is not None:
                value = value * weight
            total = value if total is None else total + value
        assert total is not None
        return total


def _told(output: Output) -> str:
    name = f"output {output.name!r}" if output.name else "the output"
    return f"{name} ({output.y_pred.dtype} of shape {output.y_pred.shape})"


class CompiledMetrics:
    """The metrics of all outputs; built when the first batch shows shapes."""

    def __init__(self, metrics: Any, weighted_metrics: Any, output_names: list[str] | None) -> None:
        for what, given in (("metrics", metrics), ("weighted_metrics", weighted_metrics)):
            if given is not None and not isinstance(given, (list, tuple, dict)):
                raise ValueError(f"{what} must be a list, tuple or dict, not {given!r}")
        self.given = metrics
        self.given_weighted = weighted_metrics
        self.output_names = output_names
        self.parts: list[tuple[int, Metric, bool, str]] | None = None  # output, metric, weighted, name in logs

    @staticmethod
    def _per_output(what: str, given: Any, names: list[str | None]) -> list[list[Any]]:
        if not given:
            return [[] for _ in names]
        if len(names) == 1:
            return [_tree.flatten(given)]
        if isinstance(given, (list, tuple)) and len(given) != len(names):
            raise ValueError(f"{what} has {len(given)} entries but the model has {len(names)} outputs; nest lists")
        spread = _spread(what, given, names, required=False)
        return [[] if each is None else _tree.flatten(each) for each in spread]

    def _build(self, outputs: list[Output]) -> None:
        names = [o.name for o in outputs]
        self.parts = []
        taken: dict[str, int] = {}
        for weighted, given in ((False, self.given), (True, self.given_weighted)):
            what = "weighted_metrics" if weighted else "metrics"
            for output, each in zip(outputs, self._per_output(what, given, names), strict=True):
                prefix = f"{output.name}_" if len(outputs) > 1 and output.name else ""
                for identifier in each:
                    if output.y_true is None:
                        raise ValueError(f"{_told(output)} has metrics but no labels: y is missing")
                    metric = resolve_metric(identifier, output.y_true, output.y_pred)
                    name = prefix + metric.name
                    if weighted and name in taken:
                        name = f"{prefix}weighted_{metric.name}"
                    taken[name] = taken.get(name, 0) + 1
                    unique = name if taken[name] == 1 else f"{name}_{taken[name] - 1}"
                    self.parts.append((output.place, metric, weighted, unique))

    def update_state(self, outputs: list[Output]) -> None:
        """Adds a batch to every metric."""
        if self.parts is None:
            self._build(outputs)
        assert self.parts is not None
        for place, metric, weighted, name in self.parts:
            output = outputs[place]
            try:
                metric.update_state(output.y_true, output.y_pred, *((output.sample_weight,) if weighted else ()))
            except (ValueError, TypeError) as error:
                raise type(error)(f"metric {name!r} of {_told(output)}: {error}") from error

    def named(self) -> Iterator[tuple[str, Metric]]:
        """Names in the logs, and metrics."""
        for _, metric, _, name in self.parts or ():
            yield name, metric
