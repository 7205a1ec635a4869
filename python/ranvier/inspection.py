"""layer_statistics: what flows through each layer of a model, forwards and backwards."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import Any

import numpy as np

import ranvier
from ranvier import _tree
from ranvier.autograd import grad, no_grad
from ranvier.layers.symbolic import KerasTensor
from ranvier.losses import get as get_loss
from ranvier.tensor import Tensor, as_tensor


@dataclass(frozen=True)
class LayerStatistics:
    """A layer's outputs and, where there was a loss, the gradients: of the loss by the outputs and by the weights."""

    name: str
    kind: str
    mean: float
    std: float
    zeros: float  # the fraction of outputs that are 0: what a ReLU lets nothing through
    gradient_mean: float | None = None
    gradient_std: float | None = None
    weight_gradient: float | None = None  # Euclidean norm; None for a layer without trained weights
    weight_norm: float | None = None


class Statistics(list[LayerStatistics]):
    """The layers in the order in which they run; as text, a table."""

    def __str__(self) -> str:
        width = max([5, *(len(s.name) + len(s.kind) + 3 for s in self)])
        lines = [f"{'layer':<{width}}       mean        std  zeros  grad mean   grad std  |dL/dw|      |w|"]
        for s in self:
            cells = [f"{s.name + ' (' + s.kind + ')':<{width}}", f"{s.mean:10.3e}", f"{s.std:10.3e}", f"{s.zeros:6.1%}"]
            for value in (s.gradient_mean, s.gradient_std):
                cells.append(f"{'-' if value is None else f'{value:10.3e}':>10}")
            for value in (s.weight_gradient, s.weight_norm):
                cells.append(f"{'-' if value is None else f'{value:8.2e}':>8}")
            lines.append(" ".join(cells))
        return "\n".join(lines)


def layer_statistics(model: Any, x: Any, y: Any = None, loss: Any = None, training: bool = False) -> Statistics:
    """Mean, deviation and zeros of each layer's outputs on a batch; with ``y``, its gradients too.

    Deviations that shrink or grow from layer to layer, or gradients that vanish towards the first one, tell of bad
    initial weights or activations (Glorot and Bengio 2010). ``loss`` is a name, a function or a Loss; by default the
    one that the model was compiled with. ``training`` runs dropout and batch statistics as training does; no weight
    changes, moving statistics apart. Raises ValueError for a model without a graph (a subclass), or ``y`` without any
    loss.

    >>> import ranvier as rv
    >>> model = rv.Sequential([rv.Input((8,)), rv.layers.Dense(4, activation="relu"), rv.layers.Dense(1)])
    >>> found = rv.inspection.layer_statistics(model, rv.ops.ones((2, 8)), rv.ops.zeros((2, 1)), "mse")
    >>> [s.kind for s in found], found[0].weight_gradient is not None
    (['Dense', 'Dense'], True)
    """
    graph = getattr(model, "graph", None)
    if graph is None:
        raise ValueError(
            "layer_statistics: the model has no graph of layers (a subclass, or no input shape yet); build it from "
            "Input() and layers"
        )
    nodes = graph.nodes
    symbolic: list[KerasTensor] = [t for node in nodes for t in node.output_list]
    # Outputs are kept as they are: no ReLU joins the layer before it.
    probe = ranvier.Model(graph.inputs, [*symbolic, *graph.output_list], dtype=model.dtype)
    weights = [v for node in nodes for v in node.layer.trainable_weights]
    with contextlib.nullcontext() if y is not None else no_grad():
        values = probe(x, training=training)
        outputs, last = values[: len(symbolic)], values[len(symbolic) :]
        gradients: list[Tensor | None] = [None] * (len(symbolic) + len(weights))
        if y is not None:
            gradients = grad(_loss_of(model, loss, y, last), [*outputs, *weights], allow_unused=True)
    by_weight = dict(zip(map(id, weights), gradients[len(symbolic) :], strict=True))
    pairs = iter(zip(outputs, gradients, strict=False))
    found = Statistics()
    for node in nodes:
        mine = [next(pairs) for _ in node.output_list]
        found.append(_statistics(node.layer, mine, by_weight if y is not None else None))
    return found


def _loss_of(model: Any, loss: Any, y: Any, outputs: list[Any]) -> Any:
    if loss is None and not getattr(model, "compiled", False):
        raise ValueError("layer_statistics: y is given but no loss; pass loss=... or compile the model with one")
    predictions = outputs[0] if len(outputs) == 1 else outputs
    y = _tree.map_structure(as_tensor, y)
    if loss is None:
        return model.compute_loss(x=None, y=y, y_pred=predictions)
    value = get_loss(loss)(y, predictions)
    return ranvier.ops.mean(value)


def _flat(tensors: list[Any]) -> np.ndarray:
    parts = [np.asarray(t.numpy(), np.float64).ravel() for t in tensors if t is not None]
    return np.concatenate(parts) if parts else np.zeros(0)


def _statistics(layer: Any, mine: list[tuple[Any, Any]], by_weight: dict[int, Any] | None) -> LayerStatistics:
    values, gradients = _flat([v for v, _ in mine]), _flat([g for _, g in mine])
    trained = layer.trainable_weights if by_weight is not None else []
    slopes = [by_weight[id(v)] for v in trained] if by_weight is not None else []
    return LayerStatistics(
        name=layer.name,
        kind=type(layer).__name__,
        mean=float(values.mean()) if values.size else float("nan"),
        std=float(values.std()) if values.size else float("nan"),
        zeros=float((values == 0).mean()) if values.size else float("nan"),
        gradient_mean=float(gradients.mean()) if gradients.size else None,
        gradient_std=float(gradients.std()) if gradients.size else None,
        weight_gradient=float(np.linalg.norm(_flat(slopes))) if trained else None,
        weight_norm=float(np.linalg.norm(_flat(trained))) if trained else None,
    )
