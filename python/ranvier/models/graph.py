"""Graph: the calls between symbolic inputs and outputs, in the order in which they run."""

from __future__ import annotations

from typing import Any

from ranvier import _tree, ops
from ranvier.layers.core import InputLayer
from ranvier.layers.layer import Layer
from ranvier.layers.normalization import takes_relu
from ranvier.layers.symbolic import KerasTensor, Node, symbolic_leaves
from ranvier.tensor import Tensor


class Graph:
    """The calls of layers from ``inputs`` to ``outputs``, structures of symbolic tensors.

    Raises ValueError where an output depends on a symbolic tensor that ``inputs`` does not hold.
    """

    def __init__(self, inputs: Any, outputs: Any, name: str) -> None:
        self.name = name
        self.inputs = inputs
        self.outputs = outputs
        self.input_list: list[KerasTensor] = _tree.flatten(inputs)
        self.output_list: list[KerasTensor] = _tree.flatten(outputs)
        for kind, tensors in (("inputs", self.input_list), ("outputs", self.output_list)):
            for tensor in tensors:
                if not isinstance(tensor, KerasTensor):
                    raise ValueError(f"Model: {kind} must be symbolic, made by Input() and layers, got {tensor!r}")
                if tensor.source is None:
                    raise ValueError(f"Model: {tensor!r} comes from no layer; begin with Input()")
        self._given = {id(t) for t in self.input_list}
        if len(self._given) != len(self.input_list):
            raise ValueError("Model: the same tensor is given twice among the inputs")
        self._discovered: dict[int, int] = {}  # id(layer) -> its order of discovery from the outputs
        found = self._find_nodes()
        self.nodes = [n for n in found if not self._is_given(n)]
        self.layers = self._sort_layers(found)
        self._releases = self._plan_releases()
        self._only_reader = self._find_only_readers()

    def _is_given(self, node: Node) -> bool:
        return all(id(t) in self._given for t in node.output_list)

    def _find_nodes(self) -> list[Node]:
        """The nodes that the outputs need, each after those that it needs (iterative: models may be deep)."""
        order: list[Node] = []
        seen: set[int] = set()
        for output in self.output_list:
            stack: list[tuple[Node, bool]] = [(_source(output), False)]
            while stack:
                node, finished = stack.pop()
                if finished:
                    order.append(node)
                elif id(node) not in seen:
                    seen.add(id(node))
                    self._discovered.setdefault(id(node.layer), len(self._discovered))
                    stack.append((node, True))
                    if not self._is_given(node):
                        self._check_connected(node)
                        stack.extend((_source(t), False) for t in reversed(node.inputs))
        return order

    def _check_connected(self, node: Node) -> None:
        if not node.inputs:
            raise ValueError(
                f"Model: graph disconnected: the outputs depend on {node.output_list[0]!r}, which is not among the "
                f"inputs {[t.name for t in self.input_list]}"
            )

    def _sort_layers(self, found: list[Node]) -> list[Layer]:
        """Layers by their distance from the outputs, the farthest first: Keras's order, which orders the weights."""
        node_depths: dict[int, int] = {}
        depths: dict[int, int] = {}
        layers: dict[int, Layer] = {}
        for node in reversed(found):
            depth = max(node_depths.get(id(node), 0), depths.get(id(node.layer), 0))
            node_depths[id(node)] = depths[id(node.layer)] = depth
            if isinstance(node.layer, InputLayer) or not self._is_given(node):
                layers[id(node.layer)] = node.layer
            if not self._is_given(node):
                for tensor in node.inputs:
                    source = id(_source(tensor))
                    node_depths[source] = max(depth + 1, node_depths.get(source, 0))
        for tensor in self.input_list:  # those that no output needs
            layer = _source(tensor).layer
            if isinstance(layer, InputLayer) and id(layer) not in layers:
                layers[id(layer)] = layer
                depths[id(layer)], self._discovered[id(layer)] = 0, -1
        return sorted(layers.values(), key=lambda la: (-depths[id(la)], self._discovered[id(la)]))

    def _plan_releases(self) -> list[list[int]]:
        """For each node, the values that nobody reads after it: they are let go at once."""
        last: dict[int, int] = {}
        for step, node in enumerate(self.nodes):
            for tensor in (*node.inputs, *node.output_list):
                last[id(tensor)] = step
        kept = {id(t) for t in self.output_list}
        releases: list[list[int]] = [[] for _ in self.nodes]
        for key, step in last.items():
            if key not in kept:
                releases[step].append(key)
        return releases

    def _find_only_readers(self) -> dict[int, Node]:
        """By the id of each node whose output one other node reads, and nobody else: that node."""
        readers: dict[int, list[Node]] = {}
        for node in self.nodes:
            for tensor in node.inputs:
                readers.setdefault(id(_source(tensor)), []).append(node)
        kept = {id(_source(t)) for t in self.output_list}
        return {key: nodes[0] for key, nodes in readers.items() if len(nodes) == 1 and key not in kept}

    def run(self, values: list[Any], symbolic: bool = False) -> Any:
        """The outputs for a list of inputs; with ``symbolic``, their specs for symbolic inputs, leaving no history."""
        known = {id(t): v for t, v in zip(self.input_list, values, strict=True)}

        def value_of(leaf: Any) -> Any:
            return known[id(leaf)] if isinstance(leaf, KerasTensor) else leaf

        applied: set[int] = set()  # ReLUs that the node before them took along
        for node, releases in zip(self.nodes, self._releases, strict=True):
            args = _tree.map_structure(value_of, node.args)
            kwargs = _tree.map_structure(value_of, node.kwargs) if node.kwargs else {}
            reader = None if symbolic else self._only_reader.get(id(node))
            if symbolic:
                outputs = node.layer.compute_output_spec(*args, **kwargs)
            elif id(node) in applied:
                outputs = known[id(node.inputs[0])]
            elif reader is not None and takes_relu(node.layer, reader.layer):
                outputs = node.layer(*args, **{**kwargs, "activation": "relu"})
                applied.add(id(reader))
            else:
                outputs = node.layer(*args, **kwargs)
            results = symbolic_leaves(outputs) if symbolic else _tree.flatten(outputs)
            for tensor, value in zip(node.output_list, results, strict=True):
                known[id(tensor)] = value
            for key in releases:
                known.pop(key, None)
        return _tree.map_structure(value_of, self.outputs)

    # --- inputs as users pass them ----------------------------------------------------------------------

    def arrange(self, inputs: Any) -> list[Any]:
        """``inputs`` (one tensor, a list, or a dict by names) as the list that ``run`` takes, of the right dtypes."""
        if isinstance(inputs, Tensor) and len(self.input_list) == 1:
            return [self._fitted(0, inputs, self.input_list[0])]
        values = self._by_name(inputs) if isinstance(inputs, dict) else _tree.flatten(inputs)
        if len(values) != len(self.input_list):
            raise ValueError(
                f"Model {self.name!r} expects {len(self.input_list)} input(s) but received {len(values)}, of shapes "
                f"{[getattr(v, 'shape', v) for v in values]}"
            )
        return [self._fitted(i, v, t) for i, (v, t) in enumerate(zip(values, self.input_list, strict=True))]

    def _by_name(self, inputs: dict[str, Any]) -> list[Any]:
        names = list(self.inputs) if isinstance(self.inputs, dict) else [t.name for t in self.input_list]
        missing = [n for n in names if n not in inputs]
        if missing:
            raise ValueError(
                f"Model {self.name!r}: missing data for input {missing[0]!r}; it expects {names}, the dict given has "
                f"{list(inputs)}"
            )
        return [inputs[n] for n in names]

    def _fitted(self, position: int, value: Any, wanted: KerasTensor) -> Any:
        """``value`` with a trailing axis of one added or dropped where that makes it fit. Raises ValueError else."""
        shape = tuple(value.shape)
        if isinstance(value, Tensor):
            if len(shape) == len(wanted.shape) + 1 and shape[-1] == 1:
                value = ops.squeeze(value, -1)
            elif len(shape) == len(wanted.shape) - 1 and wanted.shape[-1] == 1:
                value = ops.expand_dims(value, -1)
        if not _fits(value.shape, wanted.shape):
            raise ValueError(
                f"Input {position} (named {wanted.name!r}) of model {self.name!r} is incompatible with it: expected "
                f"shape={wanted.shape}, found shape={shape}"
            )
        if isinstance(value, Tensor) and value.dtype != wanted.dtype:
            value = value.astype(wanted.dtype)
        return value


def _fits(shape: tuple[int | None, ...], wanted: tuple[int | None, ...]) -> bool:
    if len(shape) != len(wanted):
        return False
    for size, expected in zip(shape, wanted, strict=True):
        if size != expected and size is not None and expected is not None:
            return False
    return True


def _source(tensor: KerasTensor) -> Node:
    if tensor.source is None:
        raise ValueError(f"Model: {tensor!r} comes from no layer")
    return tensor.source
