"""The table that ``Model.summary`` prints."""

from __future__ import annotations

import math
import re
import shutil
from itertools import pairwise
from typing import Any

from ranvier import _tree
from ranvier.layers.layer import Layer


def readable_size(size: float) -> str:
    """Bytes as text, in units of 1024.

    >>> readable_size(1628200)
    '1.55 MB'
    """
    for unit in ("B", "KB", "MB", "GB", "TB"):
        if size < 1024:
            return f"{size:.2f} {unit}"
        size /= 1024
    return f"{size:.2f} PB"


def _unique(weights: list[Any]) -> list[Any]:
    return list({id(w): w for w in weights}.values())


def _count(weights: list[Any]) -> int:
    return sum(math.prod(w.shape) for w in _unique(weights))


def _bytes(weights: list[Any]) -> int:
    return sum(w.array.nbytes for w in _unique(weights))


def _output_shape(layer: Layer) -> str:
    if layer.inbound_nodes:
        outputs = layer.inbound_nodes[-1].outputs
    elif getattr(layer, "graph", None) is not None:
        outputs = layer.output
    else:
        return "?"
    shapes = [str(t.shape) for t in _tree.flatten(outputs)]
    return shapes[0] if len(shapes) == 1 else str(_tree.map_structure(lambda t: t.shape, outputs))


def type_name(layer: Layer) -> str:
    """A layer's class as Keras names it."""
    function = getattr(layer, "function", None)
    if isinstance(function, str):  # an op: named as Keras names its operation
        return "".join(part.capitalize() for part in function.split("_"))
    graph = getattr(layer, "graph", None)
    return "Functional" if graph is not None and type(layer).__name__ == "Model" else type(layer).__name__


def _parameters(layer: Layer) -> str:
    return f"{_count(layer.weights):,}" if layer.built else "0 (unbuilt)"


def _connections(layer: Layer, relevant: set[int]) -> str:
    found = [
        f"{t.source.layer.name}[{t.source.index}][{t.tensor_index}]"
        for node in layer.inbound_nodes
        if id(node) in relevant
        for t in node.inputs
        if t.source is not None
    ]
    return ", ".join(found) or "-"


def _is_sequential(model: Any) -> bool:
    """Whether a model is a row of layers, so that it needs no column of connections."""
    if model.graph is None or hasattr(model, "add"):
        return True
    nodes = model.graph.nodes
    read = [id(t) for n in nodes for t in n.inputs]
    once = len({id(n.layer) for n in nodes}) == len(nodes) and len(set(read)) == len(read) == len(nodes)
    return once and len(model.graph.output_list) == 1


def _rows(layer: Layer, level: int, expand: bool, relevant: set[int] | None, trainable: bool) -> list[list[str]]:
    prefix = "   " * level + "└ " if level else ""
    fields = [f"{prefix}{layer.name} ({type_name(layer)})", _output_shape(layer), _parameters(layer)]
    if relevant is not None:
        fields.append(_connections(layer, relevant))
    if trainable:
        fields.append("-" if not layer.weights else "Y" if layer.trainable else "N")
    rows = [fields]
    if expand and hasattr(layer, "layers"):
        for inner in layer.layers:
            rows.extend(_rows(inner, level + 1, expand, relevant, trainable))
    return rows


def _wrapped(text: str, width: int) -> list[str]:
    """Lines of at most ``width``, broken at spaces; a word that is too long has a line of its own, cut short."""
    lines = [""]
    for word in re.findall(r"\s*\S+", text):
        if len(lines[-1] + word) > width and lines[-1]:
            lines.append(word.lstrip())
        else:
            lines[-1] += word
    return [line if len(line) <= width else line[: width - 1] + "…" for line in lines]


def _shown(model: Any) -> list[Layer]:
    """A graph's layers with the ops among them; but a Sequential's without its InputLayer."""
    return model.layers if model.graph is None or hasattr(model, "add") else model.graph.layers


def _table(header: list[str], rows: list[list[str]], widths: list[int], alignment: str) -> list[str]:
    def cells(row: list[str], bar: str) -> list[str]:
        columns = [_wrapped(text, width) for text, width in zip(row, widths, strict=True)]
        lines = []
        height = max(len(column) for column in columns)
        for column in columns:  # titles stand at the bottom of their cells, all else at the top
            empty = [""] * (height - len(column))
            column[:] = empty + column if bar == "┃" else column + empty
        for texts in zip(*columns, strict=True):
            placed = [format(t, f"{a}{w}") for t, a, w in zip(texts, alignment, widths, strict=True)]
            lines.append(bar + bar.join(f" {t} " for t in placed) + bar)
        return lines

    def rule(left: str, line: str, cross: str, right: str) -> str:
        return left + cross.join(line * (w + 2) for w in widths) + right

    lines = [rule("┏", "━", "┳", "┓"), *cells(header, "┃"), rule("┡", "━", "╇", "┩")]
    for i, row in enumerate(rows):
        if i:
            lines.append(rule("├", "─", "┼", "┤"))
        lines.extend(cells(row, "│"))
    return [*lines, rule("└", "─", "┴", "┘")]


def _in_range(layers: list[Layer], layer_range: tuple[str, str] | None) -> list[Layer]:
    """The layers from the first whose name matches one pattern to the last that matches the other."""
    if layer_range is None:
        return layers
    if len(layer_range) != 2 or not all(isinstance(name, str) for name in layer_range):
        raise ValueError(f"summary: layer_range must be two strings, got {layer_range!r}")
    ends = [[i for i, layer in enumerate(layers) if re.match(pattern, layer.name)] for pattern in layer_range]
    if not ends[0] or not ends[1]:
        raise ValueError(f"summary: layer_range {layer_range!r} does not match the names of the layers")
    if min(ends[0]) > max(ends[1]):
        ends.reverse()
    return layers[min(ends[0]) : max(ends[1]) + 1]


def summary_lines(
    model: Any,
    line_length: int | None,
    positions: list[float] | None,
    expand_nested: bool,
    show_trainable: bool,
    layer_range: tuple[str, str] | None,
) -> list[str]:
    """The lines of a model's summary: the table, then the totals."""
    sequential = _is_sequential(model)
    header, alignment = ["Layer (type)", "Output Shape", "Param #"], "<<>"
    positions = positions or ([0.45, 0.80, 1.0] if sequential else [0.3, 0.56, 0.74, 1.0])
    length = 88 if sequential else 108
    relevant = None
    if not sequential:
        header, alignment = [*header, "Connected to"], alignment + "<"
        relevant = {id(node) for node in model.graph.nodes}
    if show_trainable:
        header, alignment = [*header, "Trainable"], alignment + "^"
        positions, length = [*(p * 0.9 for p in positions), 1.0], length + 12
    length = line_length or min(length, shutil.get_terminal_size().columns - 4)
    edges = [0, *(int(p * length) for p in positions)]
    widths = [b - a - 3 for a, b in pairwise(edges)]
    widths[-2] -= 1  # the last rule's place; Keras's table takes it from here
    if min(widths) < 4:
        raise ValueError(f"summary: {length} columns are too few for the table")
    layers = _in_range(_shown(model), layer_range)
    rows = [row for layer in layers for row in _rows(layer, 0, expand_nested, relevant, show_trainable)]
    return [f'Model: "{model.name}"', *_table(header, rows, widths, alignment), *_totals(model)]


def _totals(model: Any) -> list[str]:
    groups = [("Trainable", model.trainable_weights), ("Non-trainable", model.non_trainable_weights)]
    optimizer = getattr(model, "optimizer", None)
    if getattr(optimizer, "built", False):
        groups.append(("Optimizer", list(optimizer.variables)))  # type: ignore[union-attr]
    total, size = (sum(measure(weights) for _, weights in groups) for measure in (_count, _bytes))
    lines = [f" Total params: {total:,} ({readable_size(size)})"]
    return lines + [f" {name} params: {_count(w):,} ({readable_size(_bytes(w))})" for name, w in groups]
