"""Operation: a call of an ``rv.ops`` function on symbolic tensors, as a layer of the model that it builds."""

from __future__ import annotations

from typing import Any

from ranvier import config, ops
from ranvier.layers.layer import Layer
from ranvier.layers.symbolic import KerasTensor, is_symbolic


class Operation(Layer):
    """The layer that ``x + y`` or ``rv.ops.relu(x)`` adds to a model where x is symbolic.

    >>> import ranvier as rv
    >>> x = rv.Input((3,))
    >>> [layer.function for layer in rv.Model(x, rv.ops.sum(x * 2, axis=-1)).graph.layers[1:]]
    ['multiply', 'sum']
    """

    keeps_dtype = True

    def __init__(self, function: str, **kwargs: Any) -> None:
        kwargs["name"] = kwargs.get("name") or config.auto_name(function)
        super().__init__(**kwargs)
        if function not in ops.SYMBOLIC:
            raise ValueError(f"Operation: rv.ops has no function {function!r} for models")
        self.function = function
        self._run = ops.SYMBOLIC[function]
        self.built = True

    def call(self, *args: Any, **kwargs: Any) -> Any:
        return self._run(*args, **kwargs)

    def compute_output_spec(self, *args: Any, **kwargs: Any) -> Any:
        return self._trace(args, kwargs)

    def _convert(self, x: Any) -> Any:
        """Arguments stay as they are: the op itself knows dtypes."""
        return x

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if is_symbolic((args, kwargs)):
            return super().__call__(*args, **kwargs)
        return self._run(*args, **kwargs)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "function": self.function}


def call_symbolically(function: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> KerasTensor:
    """The symbolic result of an op: what ``rv.ops`` does with symbolic tensors."""
    return Operation(function)(*args, **kwargs)
