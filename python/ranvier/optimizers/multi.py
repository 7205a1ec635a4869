"""MultiOptimizer: different optimizers for different variables of one model."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, MutableMapping, Sequence
from typing import Any

from ranvier import _core
from ranvier.optimizers.loss_scale import LossScaleOptimizer
from ranvier.optimizers.optimizer import Optimizer, Phase
from ranvier.tensor import Tensor
from ranvier.variable import Variable


class OptimizerMap(MutableMapping[str, Optimizer]):
    """Optimizers by path: the exact path of a variable, or a regular expression that matches all of it.

    Variables that nothing matches get ``default_optimizer``. Asking for a path that two expressions match raises
    ValueError; setting one twice, or what is no optimizer, does, too. Source: Keras.

    >>> import ranvier as rv
    >>> optimizers = rv.optimizers.OptimizerMap(rv.optimizers.SGD(0.5))
    >>> optimizers["encoder/.*"] = rv.optimizers.Adam(0.1)
    >>> optimizers["encoder/dense/kernel"].name[:4], optimizers["decoder/kernel"].name[:3]
    ('adam', 'sgd')
    """

    def __init__(self, default_optimizer: Optimizer, optimizer_map: dict[str, Optimizer] | None = None) -> None:
        if not isinstance(default_optimizer, Optimizer):
            raise TypeError(f"OptimizerMap: default_optimizer must be an optimizer, got {default_optimizer!r}")
        if optimizer_map is not None and not isinstance(optimizer_map, dict):
            raise TypeError(f"OptimizerMap: optimizer_map must be a dictionary, got {optimizer_map!r}")
        self._default_optimizer = default_optimizer
        self._optimizer_map: dict[str, Optimizer] = {}
        for key, optimizer in (optimizer_map or {}).items():
            self[key] = optimizer

    @property
    def default_optimizer(self) -> Optimizer:
        """The optimizer of variables that nothing matches."""
        return self._default_optimizer

    def __getitem__(self, key: str) -> Optimizer:
        if key in self._optimizer_map:
            return self._optimizer_map[key]
        found = [pattern for pattern in self._optimizer_map if re.fullmatch(pattern, key)]
        if len(found) > 1:
            raise ValueError(f"OptimizerMap: {key!r} has several optimizers: {' and '.join(map(repr, found))} match it")
        return self._optimizer_map[found[0]] if found else self.default_optimizer

    def __setitem__(self, key: str, optimizer: Optimizer) -> None:
        if not isinstance(key, str):
            raise ValueError(f"OptimizerMap: a key must be a string, got {key!r}")
        if key in self._optimizer_map:
            raise ValueError(f"OptimizerMap: {key!r} is there already, with {self._optimizer_map[key].name!r}")
        _check_single(optimizer)
        self._optimizer_map[key] = optimizer

    def __delitem__(self, key: str) -> None:
        del self._optimizer_map[key]

    def __len__(self) -> int:
        return len(self._optimizer_map)

    def __iter__(self) -> Iterator[str]:
        return iter(self._optimizer_map)

    def __call__(self, variable: Tensor) -> Optimizer:
        """The optimizer of a variable, by its path."""
        return self[str(getattr(variable, "path", ""))]

    def get_config(self) -> dict[str, Any]:
        """The optimizers' configurations."""
        from ranvier.optimizers import serialize

        return {
            "default_optimizer": serialize(self._default_optimizer),
            "optimizer_map": {key: serialize(optimizer) for key, optimizer in self._optimizer_map.items()},
        }

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: dict[str, Any] | None = None) -> OptimizerMap:
        """The map that ``get_config`` described."""
        from ranvier.optimizers import deserialize

        made = {key: deserialize(each, custom_objects) for key, each in config["optimizer_map"].items()}
        return cls(deserialize(config["default_optimizer"], custom_objects), made)


def _check_single(optimizer: Any) -> None:
    if not isinstance(optimizer, Optimizer):
        raise ValueError(f"MultiOptimizer: expected an optimizer, got {optimizer!r}")
    if isinstance(optimizer, (LossScaleOptimizer, MultiOptimizer)):
        raise ValueError(f"MultiOptimizer: a {type(optimizer).__name__} cannot be one of its optimizers")


class MultiOptimizer(Optimizer):
    """Steps each variable by an optimizer of its own: what ``optimizer_map`` (a map or a function) gives for it.

    It has no ``learning_rate``: set those of ``optimizers``. ``loss_scale_factor`` overrides theirs. Source: Keras.

    >>> import ranvier as rv
    >>> a, b = rv.Variable([1.0], name="a"), rv.Variable([1.0], name="b")
    >>> slow, fast = rv.optimizers.SGD(0.1), rv.optimizers.SGD(0.5)
    >>> optimizer = rv.optimizers.MultiOptimizer(lambda v: fast if v.name == "b" else slow)
    >>> optimizer.apply([rv.Tensor([1.0]), rv.Tensor([1.0])], [a, b])
    >>> a.numpy(), b.numpy()
    (array([0.9], dtype=float32), array([0.5], dtype=float32))
    """

    def __init__(
        self,
        optimizer_map: OptimizerMap | Callable[[Tensor], Optimizer],
        loss_scale_factor: float | None = None,
        name: str | None = None,
    ) -> None:
        super().__init__(0.0, name=name)
        self._optimizer_map = optimizer_map
        self._inner_optimizers: list[Optimizer] = []
        self._owner: dict[int, int] = {}
        self.loss_scale_factor = loss_scale_factor
        if isinstance(optimizer_map, OptimizerMap):
            for optimizer in (*optimizer_map.values(), optimizer_map.default_optimizer):
                self._place(optimizer)

    def _place(self, optimizer: Optimizer) -> int:
        for place, known in enumerate(self._inner_optimizers):
            if known is optimizer:
                return place
        _check_single(optimizer)
        optimizer.loss_scale_factor = self.loss_scale_factor
        self._inner_optimizers.append(optimizer)
        return len(self._inner_optimizers) - 1

    def build(self, variables: Iterable[Tensor]) -> None:
        if self.built:
            return
        variables = list(variables)
        self._owner = {id(v): self._place(self._optimizer_map(v)) for v in variables}
        for place, optimizer in enumerate(self._inner_optimizers):
            own = [v for v in variables if self._owner[id(v)] == place]
            if own:
                optimizer.build(own)
        super().build(variables)

    @property
    def optimizers(self) -> list[Optimizer]:
        """The optimizers of its variables."""
        return self._inner_optimizers

    @property
    def variables(self) -> list[Variable]:
        return super().variables + [v for optimizer in self._inner_optimizers for v in optimizer.variables]

    @property
    def learning_rate(self) -> Any:
        """None of its own: reading or setting it raises AttributeError."""
        raise AttributeError("MultiOptimizer has no learning_rate: each of its optimizers has one")

    @learning_rate.setter
    def learning_rate(self, value: Any) -> None:
        raise AttributeError("MultiOptimizer has no learning_rate: set that of one of its optimizers")

    def apply(self, grads: Sequence[Any], trainable_variables: Sequence[Tensor] | None = None) -> None:
        """One step of each optimizer by the gradients of its variables."""
        if not len(grads):
            return
        variables = self._known(grads, trainable_variables)
        if not _core._is_recording():
            self.prepare()
        for place, optimizer in enumerate(self._inner_optimizers):
            own = [i for i, v in enumerate(variables) if self._owner[id(v)] == place]
            if own:
                optimizer.apply([grads[i] for i in own], [variables[i] for i in own])
        _core._increment(self._iterations.array)

    def prepare(self) -> None:
        """Has all of them work out their next step."""
        for optimizer in self._inner_optimizers:
            optimizer.prepare()

    def phase(self) -> Phase:
        """The phases of all: steps that differ in one of them are recorded apart."""
        return tuple(flag for optimizer in self._inner_optimizers for flag in optimizer.phase())

    def finalize_variable_values(self, var_list: Sequence[Tensor]) -> None:
        """Theirs, for the variables of each."""
        for optimizer in self._inner_optimizers:
            optimizer.finalize_variable_values(var_list)

    def get_config(self) -> dict[str, Any]:
        """Its map's, which a function has not: that raises ValueError."""
        if not isinstance(self._optimizer_map, OptimizerMap):
            raise ValueError(
                "MultiOptimizer: a function that chooses optimizers has no configuration: use OptimizerMap"
            )
        return {
            "optimizer_map": {"class_name": "OptimizerMap", "config": self._optimizer_map.get_config()},
            "loss_scale_factor": self.loss_scale_factor,
            "name": self.name,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: dict[str, Any] | None = None) -> Any:
        given = config["optimizer_map"]
        if isinstance(given, dict):
            given = OptimizerMap.from_config(given["config"], custom_objects)
        return cls(**{**config, "optimizer_map": given})
