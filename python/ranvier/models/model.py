"""Model: a layer that can be trained, summarised and saved, from symbolic inputs and outputs or as a subclass."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from ranvier import _tree
from ranvier.config import auto_name
from ranvier.layers.layer import Layer
from ranvier.layers.operation import Operation
from ranvier.layers.signature import Signature
from ranvier.layers.symbolic import KerasTensor
from ranvier.models.graph import Graph
from ranvier.models.summary import summary_lines
from ranvier.models.trainer import Trainer
from ranvier.saving.registry import CustomObjectScope, deserialize_object, deserialize_values, serialize_object


class Model(Trainer, Layer):
    """``Model(inputs, outputs)`` from symbolic tensors (each one, a list or a dict), or a subclass with ``call``.

    A model is a layer: call it on tensors for values, on symbolic tensors inside a larger model. Raises ValueError
    where the outputs do not follow from the inputs. Source: Keras ``Model``.

    >>> import ranvier as rv
    >>> x = rv.Input((4,))
    >>> model = rv.Model(x, rv.layers.Dense(2)(x))
    >>> model(rv.ops.ones((3, 4))).shape, model.count_params()
    ((3, 2), 10)
    """

    def __init__(
        self,
        inputs: Any = None,
        outputs: Any = None,
        *,
        name: str | None = None,
        trainable: bool = True,
        dtype: Any = None,
        **kwargs: Any,
    ) -> None:
        if (inputs is None) != (outputs is None):
            raise ValueError(f"{type(self).__name__}: pass both inputs and outputs, or neither and define call()")
        if inputs is not None and name is None and type(self) is Model:
            name = auto_name("functional")
        self.computes_inputs = self.computes_inputs and inputs is None  # each Input has a dtype of its own
        Layer.__init__(self, name=name, trainable=trainable, dtype=dtype, **kwargs)
        self.graph: Graph | None = None
        if inputs is not None:
            self.graph = Graph(inputs, outputs, self.name)
            self._graph_layers = self.graph.layers
            self.built = True
        Trainer.__init__(self)

    # --- calling ----------------------------------------------------------------------------------------

    def call(self, inputs: Any, training: bool | None = None, mask: Any = None) -> Any:
        if self.graph is None:
            raise NotImplementedError(
                f"Model {type(self).__name__} does not define call(), and has no inputs and outputs"
            )
        return self.graph.run(self.graph.arrange(inputs))

    def build(self, input_shape: Any) -> None:
        """Creates the weights of a subclassed model, by calling it on zeros of ``input_shape`` (None: any size)."""
        if self.graph is None:
            self.built = True
            self._build_shape = input_shape
            self._trace((_tree.map_shapes(lambda s: KerasTensor(s, self.input_dtype), input_shape),), {})

    def _build_for(self, signature: Signature, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        if type(self).build is Model.build:  # the call that follows builds the layers inside
            self.built = True
            self._build_shape = _open_shapes(args[0] if args else next(iter(kwargs.values()), None))
        else:
            super()._build_for(signature, args, kwargs)

    def compute_output_spec(self, *args: Any, **kwargs: Any) -> Any:
        if self.graph is None:
            return super().compute_output_spec(*args, **kwargs)
        return self.graph.run(self.graph.arrange(args[0] if args else kwargs["inputs"]), symbolic=True)

    # --- what it is made of -----------------------------------------------------------------------------

    @property
    def layers(self) -> list[Layer]:
        """The layers directly inside; ops on symbolic tensors are not among them (``summary`` shows those too)."""
        inside = self.graph.layers if self.graph is not None else self._sublayers()
        return [layer for layer in inside if not isinstance(layer, Operation)]

    def get_layer(self, name: str | None = None, index: int | None = None) -> Layer:
        """A layer by its name or its place in ``layers``. Raises ValueError where there is none."""
        layers = self.layers
        if (name is None) == (index is None):
            raise ValueError("get_layer: pass either name or index")
        if index is not None:
            if not -len(layers) <= index < len(layers):
                raise ValueError(f"get_layer: index {index}, but the model has {len(layers)} layers")
            return layers[index]
        for layer in layers:
            if layer.name == name:
                return layer
        raise ValueError(f"get_layer: no layer named {name!r}. Layers: {[layer.name for layer in layers]}")

    def _defined_graph(self, what: str) -> Graph:
        if self.graph is None:
            raise AttributeError(
                f"Model {self.name!r} has no defined {what}: it is a subclass, or has not been given an input shape yet"
            )
        return self.graph

    @property
    def input(self) -> Any:
        """The symbolic inputs, structured as given."""
        return self._defined_graph("input").inputs

    @property
    def output(self) -> Any:
        """The symbolic outputs, structured as given."""
        return self._defined_graph("output").outputs

    @property
    def inputs(self) -> list[KerasTensor]:
        return self._defined_graph("inputs").input_list

    @property
    def outputs(self) -> list[KerasTensor]:
        return self._defined_graph("outputs").output_list

    @property
    def input_shape(self) -> Any:
        return _tree.map_structure(lambda t: t.shape, self.input)

    @property
    def output_shape(self) -> Any:
        return _tree.map_structure(lambda t: t.shape, self.output)

    @property
    def input_names(self) -> list[str]:
        return [t.name for t in self.inputs]

    def summary(
        self,
        line_length: int | None = None,
        positions: list[float] | None = None,
        print_fn: Callable[[str], Any] | None = None,
        expand_nested: bool = False,
        show_trainable: bool = False,
        layer_range: tuple[str, str] | None = None,
    ) -> None:
        """Prints the layers, their output shapes and numbers of parameters, as Keras does.

        ``print_fn`` gets the whole text in one call. Raises ValueError for a model that has no layers yet.
        """
        if not self.layers and not self.built:
            raise ValueError("summary: this model has no layers yet. Build it first by calling it on a batch of data")
        lines = summary_lines(self, line_length, positions, expand_nested, show_trainable, layer_range)
        (print_fn or print)("\n".join(lines))

    # --- configuration ----------------------------------------------------------------------------------

    def get_config(self) -> dict[str, Any]:
        if self.graph is None or type(self) is not Model:
            return super().get_config()
        from ranvier.models.configuration import graph_config

        return graph_config(self)

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: dict[str, Any] | None = None) -> Any:
        """A new model, without the weights, from what ``get_config`` gave."""
        from ranvier.models.configuration import model_from_graph_config

        with CustomObjectScope(custom_objects or {}):
            if {"layers", "input_layers", "output_layers"} <= config.keys():
                return model_from_graph_config(cls, config)
            return cls(**deserialize_values(config))

    def to_json(self, **kwargs: Any) -> str:
        """The configuration as JSON text, for ``model_from_json``."""
        return json.dumps(serialize_object(self), **kwargs)


def _open_shapes(inputs: Any) -> Any:
    """The inputs' shapes with the batch axis open: what a subclass is built with again when it is loaded."""
    return _tree.map_structure(lambda t: (None, *t.shape[1:]) if hasattr(t, "shape") else None, inputs)


def model_from_config(config: dict[str, Any], custom_objects: dict[str, Any] | None = None) -> Any:
    """A new model from a serialized configuration with ``class_name`` and ``config``."""
    if not isinstance(config, dict) or "class_name" not in config:
        raise ValueError(f"model_from_config: expected a dict with 'class_name' and 'config', got {config!r}")
    return deserialize_object(config, custom_objects)


def model_from_json(json_string: str, custom_objects: dict[str, Any] | None = None) -> Any:
    """A new model, without the weights, from ``Model.to_json``.

    >>> import ranvier as rv
    >>> model = rv.Sequential([rv.Input((4,)), rv.layers.Dense(2)])
    >>> rv.models.model_from_json(model.to_json()).count_params()
    10
    """
    return model_from_config(json.loads(json_string), custom_objects)


def clone_model(model: Model) -> Any:
    """A model of the same layers with weights of its own, freshly initialised. Source: Keras ``clone_model``."""
    return type(model).from_config(model.get_config())
