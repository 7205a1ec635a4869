"""InPrecision: the dtype policy of a layer, and weights that are read in the dtype that it computes in."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from typing import Any

from ranvier import ops
from ranvier.autograd import NARROW
from ranvier.changes import changes
from ranvier.dtype_policies import DTypePolicy
from ranvier.layers.arguments import checked_policy
from ranvier.layers.building import Built
from ranvier.variable import Variable


class _Reading(threading.local):
    """Whether this thread is inside the ``call`` of a layer, where weights are read to compute with them."""

    casts: bool = False


_reading = _Reading()


class InPrecision(Built):
    """Keras's names around dtypes, and its autocast.

    Where a layer computes in another dtype than that of its weights, the trained ones among its attributes are kept
    apart from the others, in ``_cast_weights``: what is not found among an object's attributes is looked for by
    ``__getattr__``, which gives the variable, or inside ``call`` a cast of it. So other layers pay nothing for it.
    """

    compute_dtype: str  # of ``call``
    variable_dtype: str  # of the weights
    input_dtype: str  # what floating inputs are converted to
    autocast: bool
    _reads_cast: bool = False
    _cast_weights: dict[str, Variable]
    computes_inputs: bool = True  # whether floating inputs are converted to the dtype of ``call``

    @property
    def dtype_policy(self) -> DTypePolicy:
        """In which dtypes the layer computes and keeps its weights; set by name, too. Weights that are there stay."""
        return self._dtype_policy

    @dtype_policy.setter
    def dtype_policy(self, value: Any) -> None:
        policy = checked_policy(type(self).__name__, value)
        self._dtype_policy = policy
        self.dtype = self.variable_dtype = policy.variable_dtype
        self.compute_dtype = policy.compute_dtype
        self.input_dtype = policy.compute_dtype if self.computes_inputs and self.autocast else policy.variable_dtype
        known = self.__dict__.get("_cast_weights", {})
        own = {**known, **{k: v for k, v in self.__dict__.items() if _is_cast(v)}}
        self._reads_cast = self.autocast and policy.compute_dtype != policy.variable_dtype
        if known or (self._reads_cast and own) or "_cast_weights" not in self.__dict__:
            self._cast_weights = {}
            for name, variable in own.items():
                setattr(self, name, variable)

    def __setattr__(self, name: str, value: Any) -> None:
        if self._reads_cast and name != "_cast_weights":
            if _is_cast(value):
                changes.count += 1
                self.__dict__.pop(name, None)
                self._cast_weights[name] = value
                return
            self._cast_weights.pop(name, None)
        super().__setattr__(name, value)

    def __getattr__(self, name: str) -> Any:
        variable = self.__dict__.get("_cast_weights", {}).get(name)
        if variable is None:
            return object.__getattribute__(self, name)  # raises again, with the message of a property that failed
        return ops.cast(variable, self.compute_dtype) if _reading.casts else variable

    @contextlib.contextmanager
    def _casting(self, casts: bool) -> Iterator[None]:
        outer = _reading.casts
        _reading.casts = casts
        try:
            yield
        finally:
            _reading.casts = outer

    def _call_casting(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        with self._casting(True):
            return self.call(*args, **kwargs)


def _is_cast(value: Any) -> bool:
    return isinstance(value, Variable) and value.autocast and value.trainable_by_nature and value.is_floating


def in_float32(compute: Any, x: Any) -> Any:
    """``compute(x)`` in float32 for ``x`` in 16 bits, and back: for sums of squares, which would overflow."""
    return compute(x) if x.dtype not in NARROW else ops.cast(compute(ops.cast(x, "float32")), x.dtype)
