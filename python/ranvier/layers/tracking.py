"""Tracked: the variables and layers among an object's attributes, and what follows from them: weights, freezing."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar

import numpy as np

from ranvier.changes import Noticed
from ranvier.tensor import Tensor
from ranvier.variable import Variable


class Tracked(Noticed):
    """What a Layer knows of its weights, and of the layers inside it. Nothing is registered: attributes are read."""

    _not_scanned: ClassVar[frozenset[str]]
    name: str
    dtype: str
    built: bool
    _trainable: bool
    _weights: list[Variable]

    def add_weight(
        self,
        shape: Any = None,
        initializer: Any = None,
        dtype: str | None = None,
        trainable: bool = True,
        regularizer: Any = None,
        constraint: Any = None,
        name: str | None = None,
        autocast: bool = True,
    ) -> Variable:
        """A new variable of this layer: ``initializer`` is a string, an Initializer or a function (glorot_uniform if
        None, zeros for integers). ``autocast``: whether ``call`` reads a trained one in the dtype that the layer
        computes in."""
        from ranvier import constraints, initializers, regularizers

        dtype = dtype or self.dtype
        if initializer is None:
            initializer = "glorot_uniform" if dtype.startswith(("float", "bfloat")) else "zeros"
        variable = Variable(
            initializers.get(initializer),
            shape=() if shape is None else shape,
            dtype=dtype,
            trainable=trainable,
            name=name,
            regularizer=regularizers.get(regularizer),
            constraint=constraints.get(constraint),
            autocast=autocast,
        )
        variable.path = f"{self.name}/{variable.name}"
        if not self._trainable:
            variable.trainable = False
        self._weights.append(variable)
        return variable

    def _scan(self) -> tuple[list[Variable], list[Any]]:
        """The variables and the layers among this layer's attributes, in lists, tuples and dicts too, each once."""
        variables: dict[int, Variable] = {}
        layers: dict[int, Tracked] = {}
        seen: set[int] = set()
        stack: list[Any] = [v for k, v in self.__dict__.items() if k not in self._not_scanned]
        stack.reverse()
        while stack:
            item = stack.pop()
            if isinstance(item, Variable):
                variables[id(item)] = item
            elif isinstance(item, Tracked):
                layers[id(item)] = item
            elif isinstance(item, (list, tuple, dict)) and item and id(item) not in seen:
                seen.add(id(item))
                items: Any = item
                stack.extend(reversed(list(items.values() if isinstance(items, dict) else items)))
        return list(variables.values()), list(layers.values())

    def _sublayers(self) -> list[Any]:
        return self._scan()[1]

    def _walk(self) -> Iterator[tuple[Any, list[Variable]]]:
        """This layer and all inside it, each once and before what it holds, with their own variables."""
        seen: set[int] = set()
        stack: list[Any] = [self]
        while stack:
            layer = stack.pop()
            if id(layer) not in seen:
                seen.add(id(layer))
                variables, layers = layer._scan()
                yield layer, variables
                stack.extend(reversed(layers))

    @property
    def weights(self) -> list[Variable]:
        """All variables, this layer's own first (trainable before not), then those of the layers inside."""
        unique: dict[int, Variable] = {}
        for _, own in self._walk():
            for trained in (True, False):
                unique.update((id(v), v) for v in own if v.trainable_by_nature is trained and id(v) not in unique)
        return list(unique.values())

    @property
    def variables(self) -> list[Variable]:
        return self.weights

    @property
    def trainable_weights(self) -> list[Variable]:
        """What optimizers change; nothing while ``trainable`` is False."""
        return [v for v in self.weights if v.trainable] if self._trainable else []

    @property
    def non_trainable_weights(self) -> list[Variable]:
        return [v for v in self.weights if not v.trainable] if self._trainable else self.weights

    @property
    def trainable_variables(self) -> list[Variable]:
        return self.trainable_weights

    @property
    def non_trainable_variables(self) -> list[Variable]:
        return self.non_trainable_weights

    @property
    def trainable(self) -> bool:
        """Whether the weights are trained; setting it sets it for all layers inside too (Keras's freezing)."""
        return self._trainable

    @trainable.setter
    def trainable(self, value: bool) -> None:
        self._trainable = bool(value)
        variables, layers = self._scan()
        for variable in variables:
            variable.trainable = self._trainable and variable.trainable_by_nature
        for layer in layers:
            layer.trainable = value

    def get_weights(self) -> list[np.ndarray]:
        """Copies of the values of ``weights`` as NumPy arrays."""
        return [np.array(v.numpy()) for v in self.weights]

    def set_weights(self, weights: Any) -> None:
        """Sets the values of ``weights``. Raises ValueError for another number of arrays or other shapes."""
        own, weights = self.weights, list(weights)
        if len(own) != len(weights):
            raise ValueError(
                f"set_weights: layer {self.name!r} has {len(own)} weights, {len(weights)} arrays were given"
            )
        values = [v if isinstance(v, Tensor) else np.asarray(v) for v in weights]
        for variable, value in zip(own, values, strict=True):
            if variable.shape != tuple(value.shape):
                raise ValueError(
                    f"set_weights: weight {variable.path!r} of layer {self.name!r} has shape {variable.shape}, "
                    f"the array given has shape {tuple(value.shape)}"
                )
        for variable, value in zip(own, values, strict=True):
            variable.assign(value)

    def count_params(self) -> int:
        """How many numbers the weights hold. Raises ValueError before they exist."""
        if not self.built:
            raise ValueError(f"count_params: layer {self.name!r} isn't built, so the weights are not defined yet")
        return sum(v.size for v in self.weights)
