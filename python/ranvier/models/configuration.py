"""Functional models as configurations: layers, and each call's arguments with references to others' outputs."""

from __future__ import annotations

from typing import Any

from ranvier import _tree
from ranvier.layers.core import InputLayer
from ranvier.layers.symbolic import KerasTensor, Node
from ranvier.saving.registry import deserialize_object, serialize_object


def graph_config(model: Any) -> dict[str, Any]:
    """The configuration of a functional model, in Keras's form."""
    graph = model.graph
    for tensor in graph.input_list:
        if not isinstance(tensor.source.layer, InputLayer):
            raise NotImplementedError(
                f"Model {model.name!r} begins at an inner tensor, {tensor!r}; such a part of a model has no "
                "configuration of its own"
            )
    relevant = {id(n) for n in graph.nodes} | {id(t.source) for t in graph.input_list}
    places: dict[int, int] = {}  # id(node) -> its place among the layer's calls in this model
    for layer in graph.layers:
        for place, node in enumerate(n for n in layer.inbound_nodes if id(n) in relevant):
            places[id(node)] = place

    def reference(tensor: Any) -> list[Any]:
        return [tensor.source.layer.name, places[id(tensor.source)], tensor.tensor_index]

    def argument(value: Any) -> Any:
        if isinstance(value, KerasTensor):
            settings = {"shape": list(value.shape), "dtype": value.dtype, "keras_history": reference(value)}
            return {"class_name": "__keras_tensor__", "config": settings}
        if isinstance(value, tuple):
            return {"class_name": "__tuple__", "items": [argument(v) for v in value]}
        if isinstance(value, list):
            return [argument(v) for v in value]
        if isinstance(value, dict):
            return {k: argument(v) for k, v in value.items()}
        return serialize_object(value)

    def call(node: Node) -> dict[str, Any]:
        return {"args": [argument(a) for a in node.args], "kwargs": {k: argument(v) for k, v in node.kwargs.items()}}

    layers = []
    for layer in graph.layers:
        nodes = [n for n in layer.inbound_nodes if id(n) in relevant and n.inputs]
        layers.append({**serialize_object(layer), "name": layer.name, "inbound_nodes": [call(node) for node in nodes]})
    return {
        "name": model.name,
        "trainable": model.trainable,
        "layers": layers,
        "input_layers": _tree.map_structure(reference, graph.inputs),
        "output_layers": _tree.map_structure(reference, graph.outputs),
    }


def model_from_graph_config(model_class: Any, config: dict[str, Any]) -> Any:
    """A functional model from its configuration. Raises ValueError where a reference leads nowhere."""
    entries = config["layers"]
    layers = {e["name"]: deserialize_object({k: v for k, v in e.items() if k != "inbound_nodes"}) for e in entries}
    made: dict[tuple[str, int], list[KerasTensor]] = {}  # (layer, which call) -> its outputs
    for name, layer in layers.items():
        if isinstance(layer, InputLayer):
            made[name, 0] = layer.inbound_nodes[0].output_list
    waiting = [(e["name"], place, call) for e in entries for place, call in enumerate(e.get("inbound_nodes", ()))]
    while waiting:
        later = [job for job in waiting if not _call_again(layers, made, *job)]
        if len(later) == len(waiting):
            raise ValueError(f"Model configuration: the inputs of layer {later[0][0]!r} are never made")
        waiting = later
    inputs = _map_references(made, config["input_layers"])
    outputs = _map_references(made, config["output_layers"])
    model = model_class(inputs, outputs, name=config.get("name"))
    if not config.get("trainable", True):
        model._trainable = False
    return model


def _tensor(made: dict[tuple[str, int], list[KerasTensor]], reference: Any) -> KerasTensor:
    name, place, index = reference
    if (name, place) not in made or not 0 <= index < len(made[name, place]):
        raise ValueError(f"Model configuration: there is no tensor {reference!r}")
    return made[name, place][index]


def _map_references(made: dict[tuple[str, int], list[KerasTensor]], structure: Any) -> Any:
    if isinstance(structure, (list, tuple)) and len(structure) == 3 and isinstance(structure[0], str):
        return _tensor(made, structure)
    if isinstance(structure, dict):
        return {k: _map_references(made, v) for k, v in structure.items()}
    return [_map_references(made, v) for v in structure]


class _NotYet(Exception):  # noqa: N818
    """An argument that a call not yet repeated makes."""


def _argument(made: dict[tuple[str, int], list[KerasTensor]], value: Any) -> Any:
    if isinstance(value, list):
        return [_argument(made, v) for v in value]
    if not isinstance(value, dict):
        return value
    if value.get("class_name") == "__keras_tensor__":
        reference = value["config"]["keras_history"]
        if (reference[0], reference[1]) not in made:
            raise _NotYet
        return _tensor(made, reference)
    if value.get("class_name") == "__tuple__":
        return tuple(_argument(made, v) for v in value["items"])
    if "class_name" in value:
        return deserialize_object(value)
    return {k: _argument(made, v) for k, v in value.items()}


def _call_again(
    layers: dict[str, Any],
    made: dict[tuple[str, int], list[KerasTensor]],
    name: str,
    place: int,
    call: dict[str, Any],
) -> bool:
    """Repeats a call if its inputs exist already; returns whether they did. A layer's calls keep their order."""
    if place and (name, place - 1) not in made:
        return False
    try:
        args, kwargs = _argument(made, call["args"]), _argument(made, call["kwargs"])
    except _NotYet:
        return False
    layer = layers[name]
    layer(*args, **kwargs)
    made[name, place] = layer.inbound_nodes[-1].output_list
    return True
