"""Sequential: layers in a row."""

from __future__ import annotations

import inspect
from typing import Any

from ranvier import _tree
from ranvier.layers.arguments import plain_dtype
from ranvier.layers.core import InputLayer
from ranvier.layers.layer import Layer, shapes_of
from ranvier.layers.normalization import takes_relu
from ranvier.layers.signature import Signature
from ranvier.layers.symbolic import KerasTensor
from ranvier.models.graph import Graph
from ranvier.models.model import Model
from ranvier.saving.registry import deserialize_object, serialize_object


class Sequential(Model):
    """A model whose layers follow one another, each with one input and one output.

    With an ``Input`` first, or ``input_shape=`` on the first layer, it is built as layers are added; else on the
    first call. Raises ValueError for two layers of one name. Source: Keras ``Sequential``.

    >>> import ranvier as rv
    >>> model = rv.Sequential()
    >>> model.add(rv.layers.Dense(512, activation="relu", input_shape=(784,)))
    >>> model.add(rv.layers.Dense(10, activation="softmax"))
    >>> model.count_params()
    407050
    """

    computes_inputs = False

    def __init__(self, layers: Any = None, trainable: bool = True, name: str | None = None, **kwargs: Any) -> None:
        super().__init__(trainable=trainable, name=name, **kwargs)
        self._layers: list[Layer] = []
        for layer in layers or ():
            self.add(layer)

    def add(self, layer: Any) -> None:
        """Adds a layer at the end; ``Input(...)`` or an InputLayer may come first."""
        if isinstance(layer, KerasTensor) and layer.source is not None and isinstance(layer.source.layer, InputLayer):
            layer = layer.source.layer
        if not isinstance(layer, Layer):
            raise ValueError(
                f"Only instances of `rv.layers.Layer` can be added to a Sequential model. Received: {layer} (of type "
                f"{type(layer)})"
            )
        if any(other.name == layer.name and other is not layer for other in self._layers):
            raise ValueError(
                "All layers added to a Sequential model should have unique names. Name "
                f"{layer.name!r} is already the name of a layer in this model"
            )
        if isinstance(layer, InputLayer) and self._layers:
            raise ValueError(f"Sequential {self.name!r} has its first layer already: an Input cannot follow it")
        if not self._layers and not isinstance(layer, InputLayer):
            shape = layer.input_shape_argument
            if shape is not None:
                self._layers.append(InputLayer(shape, dtype=layer.dtype))
            elif isinstance(layer, Model) and layer.graph is not None and isinstance(layer.input, KerasTensor):
                self._layers.append(InputLayer(batch_shape=layer.input.shape, dtype=layer.input.dtype))
        self._extend(layer)

    def _extend(self, layer: Layer) -> None:
        """Appends a layer and, where the shape so far is known, calls it symbolically."""
        if not isinstance(layer, InputLayer) and self._layers and isinstance(self._layers[0], InputLayer):
            outputs = self._call_on(layer, self.graph.outputs if self.graph else self._layers[0].output)
            self.graph = Graph(self._layers[0].output, outputs, self.name)
            self.built = True
        self._layers.append(layer)

    @staticmethod
    def _call_on(layer: Layer, inputs: Any) -> Any:
        try:
            return layer(inputs)
        except TypeError as error:
            needed = [
                p.name
                for p in inspect.signature(layer.call).parameters.values()
                if p.kind is p.POSITIONAL_OR_KEYWORD and p.default is p.empty
            ]
            if len(needed) == 1:
                raise
            raise ValueError(
                "Layers added to a Sequential model can only have a single required positional argument, the input "
                f"tensor. Layer {type(layer).__name__} requires {needed}"
            ) from error

    def pop(self) -> Layer:
        """Removes the last layer and returns it. Raises ValueError where there is none."""
        if not self.layers:
            raise ValueError(f"pop: Sequential model {self.name!r} has no layers")
        layers, last = self._layers[:-1], self._layers[-1]
        self._layers, self.graph, self.built = [], None, False
        for layer in layers:
            self._extend(layer)
        return last

    def build(self, input_shape: Any = None) -> None:
        """Creates the weights for inputs of ``input_shape``, the batch axis first."""
        if not self._layers:
            raise ValueError(f"Sequential model {self.name!r} cannot be built because it has no layers. Call add()")
        if isinstance(self._layers[0], InputLayer):
            if input_shape is not None and self._layers[0].batch_shape != tuple(input_shape):
                raise ValueError(
                    f"Sequential model {self.name!r} has already been configured to use input shape "
                    f"{self._layers[0].batch_shape}. You cannot build it with input_shape {tuple(input_shape)}"
                )
        elif _tree.is_shape(input_shape):
            layers = self._layers
            self._layers = [InputLayer(batch_shape=input_shape, dtype=layers[0].input_dtype)]
            try:
                for layer in layers:
                    self._extend(layer)
            except Exception:
                self._layers, self.graph = layers, None  # as it was: the caller may try another shape
                raise
        self.built = True

    def _build_for(self, signature: Signature, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        shape = shapes_of(args[0] if args else next(iter(kwargs.values())))
        if _tree.is_shape(shape) and shape:
            self.build((None, *shape[1:]))
        self.built = True

    def call(self, inputs: Any, training: bool | None = None, mask: Any = None) -> Any:
        if self.graph is not None:
            (inputs,) = self.graph.arrange(inputs)
        layers = iter(self.layers)
        layer = next(layers, None)
        while layer is not None:
            following = next(layers, None)
            if following is not None and takes_relu(layer, following):
                inputs = layer(inputs, activation="relu")
                following = next(layers, None)
            else:
                inputs = layer(inputs)
            layer = following
        return inputs

    def compute_output_spec(self, *args: Any, **kwargs: Any) -> Any:
        if self.graph is not None:
            return super().compute_output_spec(*args, **kwargs)
        outputs = args[0]
        for layer in self.layers:
            outputs = layer.compute_output_spec(outputs)
        return outputs

    @property
    def layers(self) -> list[Layer]:
        """The layers, without the InputLayer."""
        return [layer for layer in self._layers if not isinstance(layer, InputLayer)]

    def get_config(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "trainable": self.trainable,
            "dtype": self.dtype_policy.name,
            "layers": [serialize_object(layer) for layer in self._layers],
        }

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: dict[str, Any] | None = None) -> Any:
        if "layers" not in config or "name" not in config:
            raise ValueError(f"Sequential.from_config: expected a dict with 'name' and 'layers', got {config!r}")
        layers = [deserialize_object(c, custom_objects) for c in config["layers"]]
        model = cls(layers, name=config["name"], dtype=plain_dtype(config.get("dtype")))
        if not config.get("trainable", True):
            model._trainable = False
        if config.get("build_input_shape") and not model.built:
            model.build(config["build_input_shape"])
        return model
