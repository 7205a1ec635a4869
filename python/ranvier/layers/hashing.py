"""Hashing and HashedCrossing: categories as bins, by TensorFlow's hash functions, so with Keras's numbers."""

from __future__ import annotations

from typing import Any

import numpy as np

from ranvier._names import unknown
from ranvier.layers.arguments import positive
from ranvier.layers.layer import Layer
from ranvier.layers.preprocessing import encode, encoded_shape
from ranvier.layers.symbolic import KerasTensor
from ranvier.tensor import Tensor, as_tensor
from ranvier.utils.hashes import MASK, crossed64, farmhash64, siphash64

_MODES = ("int", "one_hot", "multi_hot", "count")


def _array(inputs: Any) -> np.ndarray:
    """Strings or integers; numbers with a point lose what is behind it."""
    values = np.asarray(inputs.numpy() if isinstance(inputs, Tensor) else inputs)
    return values.astype(np.int64) if values.dtype.kind == "f" else values


def _bytes(value: Any) -> bytes:
    return value if isinstance(value, bytes) else str(value).encode("utf-8")


class _Hashed(Layer):
    """What both share: ``num_bins``, the mode of the output, and its dtype."""

    computes_inputs = False  # 16 bits round large numbers

    def __init__(self, num_bins: int, output_mode: str, modes: tuple[str, ...], sparse: bool, **kwargs: Any) -> None:
        kind = type(self).__name__
        if output_mode not in modes:
            raise ValueError(f"{kind}: {unknown('output_mode', str(output_mode), modes)}")
        if sparse:
            raise ValueError(f"{kind}: sparse=True is not supported: arrays are dense")
        if output_mode == "int":
            kwargs["dtype"] = kwargs.get("dtype") or "int64"
            if str(kwargs["dtype"]) not in ("int32", "int64"):
                raise ValueError(f"{kind}: output_mode='int' needs dtype 'int32' or 'int64', got {kwargs['dtype']!r}")
        super().__init__(**kwargs)
        self.num_bins = positive(kind, "num_bins", num_bins)
        self.output_mode = output_mode
        self.built = True

    def _encoded(self, bins: np.ndarray) -> Any:
        if self.output_mode == "int":
            return as_tensor(bins.astype(self.dtype))
        return encode(as_tensor(bins), self.output_mode, self.num_bins, self.compute_dtype)

    def get_config(self) -> dict[str, Any]:
        own = {"num_bins": self.num_bins, "output_mode": self.output_mode}
        return {**super().get_config(), "dtype": self.dtype_policy.name, **own}


class Hashing(_Hashed):
    """Strings or integers, of any shape, as bins: their hash modulo ``num_bins``.

    FarmHash, or SipHash with ``salt`` (a number or two) as its key: TensorFlow's, so the bins are Keras's. Where
    ``mask_value`` is given it gets bin 0, and no other value does. ``output_mode``: ``"int"`` (int64, the inputs'
    shape), or one of ``CategoryEncoding``. It is called on values, before a model. Raises ValueError for options that
    do not fit. Source: Keras ``Hashing``.

    >>> import ranvier as rv
    >>> rv.layers.Hashing(num_bins=3)([["A"], ["B"], ["C"], ["D"], ["E"]]).tolist()
    [[1], [0], [1], [1], [2]]
    >>> rv.layers.Hashing(num_bins=3, salt=[133, 137])([["A"], ["B"], ["C"], ["D"], ["E"]]).tolist()
    [[1], [2], [1], [0], [2]]
    """

    def __init__(
        self,
        num_bins: int,
        mask_value: Any = None,
        salt: Any = None,
        output_mode: str = "int",
        sparse: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(num_bins, output_mode, _MODES, sparse, **kwargs)
        self.mask_value = mask_value
        pair = [salt, salt] if isinstance(salt, int) else salt
        if pair is not None and not (
            isinstance(pair, (list, tuple)) and len(pair) == 2 and all(isinstance(part, int) for part in pair)
        ):
            raise ValueError(f"Hashing: salt must be an integer or two of them, got {salt!r}")
        self.salt = None if pair is None else list(pair)

    def _bin(self, value: Any) -> int:
        masks = self.mask_value is not None and self.num_bins > 1
        if masks and value == self.mask_value:
            return 0
        text = _bytes(value)
        found = farmhash64(text) if self.salt is None else siphash64(text, self.salt)
        return found % (self.num_bins - 1) + 1 if masks else found % self.num_bins

    def __call__(self, inputs: Any, *args: Any, **kwargs: Any) -> Any:
        """Strings are no tensors: nothing is converted."""
        return super().__call__(inputs) if isinstance(inputs, KerasTensor) else self.call(inputs)

    def call(self, inputs: Any) -> Any:
        values = _array(inputs)
        known = {value: self._bin(value) for value in set(values.ravel().tolist())}
        bins = np.array([known[value] for value in values.ravel().tolist()], np.int64).reshape(values.shape)
        return self._encoded(bins)

    def compute_output_shape(self, input_shape: Any) -> Any:
        return encoded_shape(input_shape, self.output_mode, self.num_bins)

    def compute_output_spec(self, inputs: Any) -> Any:
        return KerasTensor(self.compute_output_shape(inputs.shape), self.compute_dtype)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "salt": self.salt, "mask_value": self.mask_value}


class HashedCrossing(_Hashed):
    """Two or more features, each of shape (), (N,) or (N, 1), crossed into bins: one hash of all of them.

    Strings by FarmHash, integers by themselves, joined as TensorFlow joins them, so the bins are Keras's.
    ``output_mode``: ``"int"`` (int64) or ``"one_hot"``. Raises ValueError for fewer than two inputs and for shapes that
    do not fit. Source: Keras ``HashedCrossing``.

    >>> import ranvier as rv
    >>> rv.layers.HashedCrossing(num_bins=5)((["A", "B", "A", "B", "A"], [101, 101, 101, 102, 102])).tolist()
    [1, 4, 1, 1, 3]
    """

    def __init__(
        self,
        num_bins: int,
        output_mode: str = "int",
        sparse: bool = False,
        name: str | None = None,
        dtype: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(num_bins, output_mode, ("int", "one_hot"), sparse, name=name, dtype=dtype, **kwargs)

    def __call__(self, inputs: Any, *args: Any, **kwargs: Any) -> Any:
        """Features differ in kind: each becomes an array by itself."""
        if not isinstance(inputs, (list, tuple)) or len(inputs) < 2:
            raise ValueError(f"HashedCrossing {self.name!r}: expected a list of two or more features")
        arrays = [_array(each) for each in inputs]
        shape = arrays[0].shape
        if len(shape) > 2 or shape[1:] not in ((), (1,)) or any(each.shape != shape for each in arrays):
            raise ValueError(
                f"HashedCrossing {self.name!r}: features must have one shape, (), (N,) or (N, 1), got "
                f"{', '.join(str(each.shape) for each in arrays)}"
            )
        return self.call(arrays)

    @staticmethod
    def _hash(value: Any) -> int:
        return value & MASK if isinstance(value, int) else farmhash64(_bytes(value))

    def call(self, inputs: Any) -> Any:
        hashed = [[self._hash(value) for value in each.ravel().tolist()] for each in inputs]
        bins = [crossed64(row) % self.num_bins for row in zip(*hashed, strict=True)]
        return self._encoded(np.array(bins, np.int64).reshape(inputs[0].shape))

    def compute_output_shape(self, input_shape: Any) -> Any:
        return encoded_shape(input_shape[0], self.output_mode, self.num_bins)
