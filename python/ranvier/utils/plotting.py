"""Drawings of models by Graphviz, or else matplotlib: ``model_to_dot`` and ``plot_model``."""

from __future__ import annotations

import html
import importlib.util
import os
import shutil
from typing import Any

from ranvier import _tree

_FONT = '<font point-size="{size}"{color}>{text}</font>'


def _pydot(function: str) -> Any:
    try:
        import pydot
    except ImportError as error:
        raise ImportError(
            f"{function} needs pydot: pip install pydot (or 'ranvier[graph]'); model.summary() needs nothing"
        ) from error
    return pydot


def _check_built(model: Any) -> None:
    if not model.built:
        raise ValueError(
            "This model has not yet been built. Build the model first by calling `build()` or by calling the model on "
            "a batch of data."
        )


class _Labels:
    """The label of each layer: a table of HTML, as Graphviz understands it."""

    def __init__(self, shapes: bool, dtype: bool, names: bool, activations: bool, trainable: bool) -> None:
        self.shapes, self.dtype, self.names = shapes, dtype, names
        self.activations, self.trainable = activations, trainable

    def head(self, layer: Any) -> tuple[str, str]:
        """The layer's name, if names are shown, and its class."""
        from ranvier.models.summary import type_name

        return layer.name if self.names else "", type_name(layer)

    def rows(self, layer: Any) -> list[tuple[str, str]]:
        """What else was asked for, as (what, value)."""
        kind = self.head(layer)[1]
        found = []
        activation = getattr(layer, "activation", None)
        if self.activations and activation is not None:
            name = str(getattr(activation, "name", None) or getattr(activation, "__name__", activation))
            found.append(("Activation", name))
        if self.shapes and kind != "InputLayer":
            found.append(("Input shape", _told(layer, "input", "shape")))
        if self.shapes:
            found.append(("Output shape", _told(layer, "output", "shape")))
        if self.dtype:
            found.append(("Output dtype", _told(layer, "output", "dtype")))
        if self.trainable and layer.weights:
            found.append(("Trainable" if layer.trainable else "Non-trainable", ""))
        return found

    def label(self, layer: Any) -> str:
        """All of it as a table of HTML: a head, the activation below, the rest side by side."""
        name, kind = self.head(layer)
        head = f"<b>{html.escape(name)}</b> ({kind})" if name else f"<b>{kind}</b>"
        every = [(what, html.escape(value, quote=False)) for what, value in self.rows(layer)]
        cells = [self._cell(what, value) for what, value in every if what != "Activation"]
        span = f' colspan="{max(1, len(cells))}"'
        rows = [f'<tr><td{span} bgcolor="black">{self._text(head, 16, "white")}</td></tr>']
        for what, value in every:
            if what == "Activation":
                rows.append(f'<tr><td bgcolor="white"{span}>{self._text(f"Activation: <b>{value}</b>")}</td></tr>')
        if cells:
            rows.append(f"<tr>{''.join(cells)}</tr>")
        return f'<<table border="0" cellborder="1" bgcolor="black" cellpadding="10">{"".join(rows)}</table>>'

    def _cell(self, what: str, value: str) -> str:
        if value:
            return f'<td bgcolor="white">{self._text(f"{what}: <b>{value}</b>")}</td>'
        background = "forestgreen" if what == "Trainable" else "firebrick"
        return f'<td bgcolor="{background}">{self._text(f"<b>{what}</b>", color="white")}</td>'

    @staticmethod
    def _text(text: str, size: int = 14, color: str = "") -> str:
        return _FONT.format(size=size, color=f' color="{color}"' if color else "", text=text)


def _told(layer: Any, end: str, what: str) -> str:
    """The shape or dtype of what goes in or comes out; ``?`` where it is not known."""
    try:
        found = _tree.map_structure(lambda t: getattr(t, what), getattr(layer, end))
    except AttributeError:
        return "?"
    return ", ".join(f"{k}: {v}" for k, v in found.items()) if isinstance(found, dict) else str(found)


def model_to_dot(
    model: Any,
    show_shapes: bool = False,
    show_dtype: bool = False,
    show_layer_names: bool = True,
    rankdir: str = "TB",
    expand_nested: bool = False,
    dpi: int = 200,
    subgraph: bool = False,
    show_layer_activations: bool = False,
    show_trainable: bool = False,
    splines: str = "ortho",
    **kwargs: Any,
) -> Any:
    """A ``pydot.Dot`` of a model's layers and of what flows between them (with ``subgraph`` a ``pydot.Cluster``).

    ``expand_nested`` draws the layers of models inside; ``rankdir`` is "TB" (downwards) or "LR". Needs pydot, and no
    Graphviz. Raises ImportError without pydot, ValueError for a model without weights yet. Source: Keras
    ``model_to_dot``.
    """
    _check_built(model)
    pydot = _pydot("model_to_dot")
    if kwargs:
        raise ValueError(f"Unrecognized keyword arguments: {kwargs}")
    if subgraph:
        dot = pydot.Cluster(style="dashed", graph_name=model.name, label=model.name, labeljust="l")
    else:
        dot = pydot.Dot(rankdir=rankdir, concentrate=True, dpi=dpi, splines=splines)
        dot.set_node_defaults(shape="record")
    labels = _Labels(show_shapes, show_dtype, show_layer_names, show_layer_activations, show_trainable)
    if model.graph is None:
        dot.add_node(_node(pydot, model, labels))
        return dot
    for layer in _shown(model):
        if expand_nested and getattr(layer, "graph", None) is not None:
            shown = (show_shapes, show_dtype, show_layer_names, rankdir, True, dpi, True)
            dot.add_subgraph(model_to_dot(layer, *shown, show_layer_activations, show_trainable))
        else:
            dot.add_node(_node(pydot, layer, labels))
    for source, target in _edges(model, expand_nested):
        dot.add_edge(pydot.Edge(str(id(source)), str(id(target)), penwidth="2"))
    return dot


def _node(pydot: Any, layer: Any, labels: _Labels) -> Any:
    return pydot.Node(str(id(layer)), label=labels.label(layer), fontname="Helvetica", border="0", margin="0")


def _shown(model: Any) -> list[Any]:
    """A Sequential's layers without its input, a graph's with it and with the ops."""
    return model.layers if hasattr(model, "add") else model.graph.layers


def _edges(model: Any, expand: bool) -> list[tuple[Any, Any]]:
    """Which layer reads which, each pair once; with ``expand`` those at the ends of the models inside."""
    shown = {id(layer) for layer in _shown(model)}
    found: dict[tuple[int, int], tuple[Any, Any]] = {}
    for node in model.graph.nodes:
        for position, tensor in enumerate(node.inputs):
            source, target = tensor.source.layer, node.layer
            if id(source) not in shown or id(target) not in shown:
                continue
            if expand:
                source, target = _last(source, tensor.tensor_index), _first(target, position)
            found[id(source), id(target)] = source, target
    return list(found.values())


def _last(layer: Any, index: int) -> Any:
    while getattr(layer, "graph", None) is not None:
        tensor = layer.outputs[index]
        layer, index = tensor.source.layer, tensor.tensor_index
    return layer


def _first(layer: Any, position: int) -> Any:
    while getattr(layer, "graph", None) is not None:
        layer = layer.layers[0] if hasattr(layer, "add") else layer.inputs[position].source.layer
    return layer


def _draw(model: Any, labels: _Labels, path: str, extension: str, rankdir: str, expand: bool, dpi: int) -> None:
    """The same nodes and edges by matplotlib."""
    try:
        from matplotlib import figure  # noqa: F401

        from ranvier.utils.drawing import Box, draw
    except ImportError as error:
        raise ImportError(
            "plot_model needs pydot and Graphviz's program `dot` (https://graphviz.org/download/), or matplotlib: "
            "pip install matplotlib (or 'ranvier[plot]'); model.summary() needs nothing"
        ) from error
    boxes: list[Any] = []
    places: dict[int, int] = {}

    def add(layer: Any, group: str) -> None:
        name, kind = labels.head(layer)
        lines = [f"{name} ({kind})" if name else kind]
        lines += [f"{what}: {value}" if value else what for what, value in labels.rows(layer)]
        places[id(layer)] = len(boxes)
        frozen = labels.trainable and bool(layer.weights) and not layer.trainable
        boxes.append(Box(lines, group=group, frozen=frozen))

    def walk(part: Any, group: str) -> None:
        if part.graph is None:
            return add(part, group)
        for layer in _shown(part):
            if expand and getattr(layer, "graph", None) is not None:
                walk(layer, layer.name)
            else:
                add(layer, group)
        for source, target in _edges(part, expand):
            if id(source) in places and id(target) in places:
                boxes[places[id(target)]].reads.append(places[id(source)])

    walk(model, "")
    draw(boxes, path, extension, rankdir, dpi)


def plot_model(
    model: Any,
    to_file: Any = "model.png",
    show_shapes: bool = False,
    show_dtype: bool = False,
    show_layer_names: bool = False,
    rankdir: str = "TB",
    expand_nested: bool = False,
    dpi: int = 200,
    show_layer_activations: bool = False,
    show_trainable: bool = False,
    splines: str = "ortho",
    **kwargs: Any,
) -> Any:
    """Draws a model into a file of the format that its name ends in (png, svg, pdf, ...; dot: the text itself).

    By pydot and Graphviz's program ``dot`` where both are installed, else by matplotlib, which needs no program; a
    ``.dot`` file needs pydot only. In a notebook the picture is returned and shown. Raises ImportError that names what
    is missing, ValueError for a model without weights yet. Source: Keras ``plot_model``.
    """
    _check_built(model)
    path = os.fspath(to_file)
    extension = os.path.splitext(path)[1][1:] or "png"
    if extension == "dot" or (shutil.which("dot") is not None and importlib.util.find_spec("pydot") is not None):
        dot = model_to_dot(
            model,
            show_shapes,
            show_dtype,
            show_layer_names,
            rankdir,
            expand_nested,
            dpi,
            show_layer_activations=show_layer_activations,
            show_trainable=show_trainable,
            splines=splines,
            **kwargs,
        )
        dot.write(path, format="raw" if extension == "dot" else extension)
    else:
        if kwargs:
            raise ValueError(f"Unrecognized keyword arguments: {kwargs}")
        labels = _Labels(show_shapes, show_dtype, show_layer_names, show_layer_activations, show_trainable)
        _draw(model, labels, path, extension, rankdir, expand_nested, dpi)
    if extension in ("pdf", "dot"):
        return None
    try:
        from IPython import display
    except ImportError:
        return None
    return display.Image(filename=path)
