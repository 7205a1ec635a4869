"""Random tensors from Philox4x32-10: the same seed gives the same bits on every device and thread count."""

from __future__ import annotations

import contextlib
import math
import operator
import os
import threading
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

import ranvier
from ranvier import _core
from ranvier._device import get_device
from ranvier._kernels import kernels_on
from ranvier.ops.symbolic import direct
from ranvier.tensor import Tensor, as_tensor, wrap

__all__ = [
    "Generator",
    "bernoulli",
    "default_generator",
    "integers",
    "normal",
    "permutation",
    "randint",
    "shuffle",
    "truncated_normal",
    "uniform",
]

Shape = int | Sequence[int]


_WORD64 = 2**64


def _shape(shape: Shape) -> list[int]:
    sides = [shape] if isinstance(shape, (int, np.integer)) else shape
    return [operator.index(side) for side in sides]


def _seed_to_key(seed: Any) -> int:
    if seed is None:
        return int.from_bytes(os.urandom(8), "little")
    if isinstance(seed, bool) or not isinstance(seed, (int, np.integer)):
        raise TypeError(f"Generator: seed must be an integer or None but is {seed!r}")
    if not 0 <= seed < _WORD64:
        raise ValueError(f"Generator: seed must be in [0, 2**64) but is {seed}")
    return int(seed)


class Generator:
    """A stream of random numbers: Philox4x32-10 with the seed as key and a counter that rises with each draw.

    ``seed``: an integer in [0, 2**64), or None for one from the operating system. Draws depend on the seed and
    on what was drawn before, on nothing else: not on device, threads or instruction set. Threads may share a
    generator; after ``fork`` parent and child draw the same numbers, as with NumPy.

    >>> import ranvier as rv
    >>> rv.random.Generator(1).uniform(2).numpy()
    array([0.89025915, 0.8946847 ], dtype=float32)
    """

    def __init__(self, seed: int | None = None) -> None:
        self._state = _core._RandomState(_seed_to_key(seed), 0)

    def __repr__(self) -> str:
        key, counter = self._state.get()
        return f"Generator(key={key}, counter={counter})"

    def get_state(self) -> tuple[int, int]:
        """(key, counter): what ``set_state`` needs to continue from here."""
        return self._state.get()

    def set_state(self, state: Sequence[int]) -> None:
        """Continues where ``get_state`` was called. Raises ValueError for a state that cannot be."""
        key, counter = (int(part) for part in state)
        if not (0 <= key < _WORD64 and 0 <= counter < _WORD64):
            raise ValueError(f"set_state: key and counter must be in [0, 2**64) but are {key}, {counter}")
        self._state.set(key, counter)

    def reserve(self, words: int) -> tuple[Any, int]:
        """(key, counter) of a stream of ``words`` 32-bit words that nobody else will draw.

        In a recorded step the key is a place that each run of the step fills anew.
        """
        return self._state.reserve(min(max(words, 0), _WORD64 - 1))

    def _continuous(self, name: str, shape: Shape, dtype: str, **options: Any) -> Tensor:
        sides = _shape(shape)
        state = self.reserve(math.prod(sides) * (2 if dtype == "float64" else 1))
        kernels = kernels_on(get_device())
        return wrap(getattr(kernels, name)(sides, *state, **options, dtype=dtype, device=get_device()))

    @direct("random_uniform")
    def uniform(self, shape: Shape = (), minval: float = 0.0, maxval: float = 1.0, dtype: str = "float32") -> Tensor:
        """Numbers in [minval, maxval), evenly distributed over 2**24 (float64: 2**53) values; see ``uniform``."""
        return self._continuous("random_uniform", shape, dtype, low=float(minval), high=float(maxval))

    @direct("random_normal")
    def normal(self, shape: Shape = (), mean: float = 0.0, stddev: float = 1.0, dtype: str = "float32") -> Tensor:
        """Normally distributed numbers; see ``normal``."""
        return self._continuous("random_normal", shape, dtype, mean=float(mean), stddev=float(stddev))

    def truncated_normal(
        self, shape: Shape = (), mean: float = 0.0, stddev: float = 1.0, dtype: str = "float32"
    ) -> Tensor:
        """Normally distributed numbers no more than two ``stddev`` from ``mean``; see ``truncated_normal``."""
        options = {"mean": float(mean), "stddev": float(stddev), "truncated": True}
        return self._continuous("random_normal", shape, dtype, **options)

    def bernoulli(self, shape: Shape = (), probability: float = 0.5, dtype: str = "bool") -> Tensor:
        """True with the given probability; see ``bernoulli``."""
        sides = _shape(shape)
        key, counter = self.reserve(math.prod(sides))
        draw = kernels_on(get_device()).random_bernoulli
        drawn = wrap(draw(sides, key, counter, probability=float(probability), device=get_device()))
        return drawn if dtype == "bool" else ranvier.ops.cast(drawn, dtype)

    def integers(self, shape: Shape, minval: int, maxval: int, dtype: str = "int32") -> Tensor:
        """Integers in [minval, maxval), each equally likely; see ``integers``."""
        sides = _shape(shape)
        if dtype not in ("int32", "int64", "uint8"):
            raise TypeError(f"integers: dtype must be int32, int64 or uint8 but is {dtype}")
        limits = np.iinfo(dtype)
        if not (limits.min <= minval and maxval <= int(limits.max) + 1):
            raise ValueError(f"integers: [{minval}, {maxval}) does not fit {dtype}")
        key, counter = self.reserve(2 * math.prod(sides))
        low, high = operator.index(minval), operator.index(maxval)
        drawn = wrap(kernels_on(get_device()).random_integers(sides, key, counter, low, high, device=get_device()))
        return drawn if dtype == "int64" else ranvier.ops.cast(drawn, dtype)

    @direct("random_permutation")
    def permutation(self, x: Any) -> Tensor:
        """0..x-1 in random order (int64) for an integer, else the rows of ``x`` in random order."""
        if not isinstance(x, (int, np.integer)):
            rows = as_tensor(x)
            if rows.ndim == 0:
                raise ValueError("permutation: expected an integer or an array of rank 1 or more, got a scalar")
            return ranvier.ops.take(rows, self.permutation(rows.shape[0]), axis=0)
        n = int(x)
        key, counter = self.reserve(2 * n)
        return wrap(kernels_on(get_device()).random_permutation(n, key, counter, device=get_device()))

    def shuffle(self, x: Any, axis: int = 0) -> Tensor:
        """A copy of ``x`` with its slices along ``axis`` in random order; see ``shuffle``."""
        values = as_tensor(x)
        if not -values.ndim <= axis < values.ndim:
            raise ValueError(f"shuffle: axis {axis} is out of range for shape {values.shape}")
        return ranvier.ops.take(values, self.permutation(values.shape[axis]), axis=axis)


_global = Generator()
_thread = threading.local()


def default_generator() -> Generator:
    """The generator that draws when no seed is given; ``rv.utils.set_random_seed`` restarts it."""
    return getattr(_thread, "generator", _global)


@contextlib.contextmanager
def use_generator(generator: Generator) -> Iterator[Generator]:
    """A context in which ``generator`` is this thread's default one."""
    outer = getattr(_thread, "generator", None)
    _thread.generator = generator
    try:
        yield generator
    finally:
        if outer is None:
            del _thread.generator
        else:
            _thread.generator = outer


def generator_of(seed: int | Generator | None) -> Generator:
    """The generator that a ``seed`` argument means: the default one, itself, or a new one."""
    if seed is None:
        return default_generator()
    return seed if isinstance(seed, Generator) else Generator(seed)


Seed = int | Generator | None


def uniform(
    shape: Shape, minval: float = 0.0, maxval: float = 1.0, dtype: str = "float32", seed: Seed = None
) -> Tensor:
    """Uniform random numbers in [minval, maxval), of any ``shape``, float32 or float64.

    ``seed``: an integer always gives the same numbers; a ``Generator`` or None (the default one) draws on.
    Raises ValueError if maxval < minval or a bound is not finite, TypeError for other dtypes.
    Source: Keras ``random.uniform``.

    >>> import ranvier as rv
    >>> rv.random.uniform(2, seed=1).numpy()
    array([0.89025915, 0.8946847 ], dtype=float32)
    """
    return generator_of(seed).uniform(shape, minval, maxval, dtype)


def normal(shape: Shape, mean: float = 0.0, stddev: float = 1.0, dtype: str = "float32", seed: Seed = None) -> Tensor:
    """Normal random numbers of any ``shape``, float32 or float64; ``seed`` as in ``uniform``.

    Made by the inverse distribution function (Wichura, AS 241) from exactly rounded operations only, so that
    every device gives the same bits. Raises ValueError for a negative stddev. Source: Keras ``random.normal``.

    >>> import ranvier as rv
    >>> rv.random.normal(2, seed=1).shape
    (2,)
    """
    return generator_of(seed).normal(shape, mean, stddev, dtype)


def truncated_normal(
    shape: Shape, mean: float = 0.0, stddev: float = 1.0, dtype: str = "float32", seed: Seed = None
) -> Tensor:
    """Normal random numbers no further than two ``stddev`` from ``mean``; otherwise as ``normal``.

    Source: Keras ``random.truncated_normal``.

    >>> import ranvier as rv
    >>> abs(rv.random.truncated_normal(1000, seed=1).numpy()).max() <= 2
    np.True_
    """
    return generator_of(seed).truncated_normal(shape, mean, stddev, dtype)


def bernoulli(shape: Shape, probability: float = 0.5, dtype: str = "bool", seed: Seed = None) -> Tensor:
    """True (or 1 in another ``dtype``) with the given probability, exact to 2**-32; ``seed`` as in ``uniform``.

    Raises ValueError for a probability outside [0, 1].

    >>> import ranvier as rv
    >>> rv.random.bernoulli(3, 1.0).tolist()
    [True, True, True]
    """
    return generator_of(seed).bernoulli(shape, probability, dtype)


def integers(shape: Shape, minval: int, maxval: int, dtype: str = "int32", seed: Seed = None) -> Tensor:
    """Integers in [minval, maxval), each equally likely (to 2**-64 of the range), int32, int64 or uint8.

    Raises ValueError for an empty range or one that does not fit the dtype. Source: Keras ``random.randint``.

    >>> import ranvier as rv
    >>> rv.random.integers(4, 7, 8).tolist()
    [7, 7, 7, 7]
    """
    return generator_of(seed).integers(shape, minval, maxval, dtype)


randint = integers  # Keras's name


def permutation(x: Any, seed: Seed = None) -> Tensor:
    """0..x-1 in random order, int64 of shape (x,), or the rows of an array in random order.

    Source: NumPy ``Generator.permutation``.

    >>> import ranvier as rv
    >>> sorted(rv.random.permutation(4).tolist())
    [0, 1, 2, 3]
    """
    return generator_of(seed).permutation(x)


def shuffle(x: Any, axis: int = 0, seed: Seed = None) -> Tensor:
    """A copy of ``x`` with its slices along ``axis`` in random order. Source: Keras ``random.shuffle``.

    >>> import ranvier as rv
    >>> sorted(rv.random.shuffle([3, 1, 2]).tolist())
    [1, 2, 3]
    """
    return generator_of(seed).shuffle(x, axis)


def set_global_seed(seed: int) -> None:
    """Restarts the default generator; ``rv.utils.set_random_seed`` calls it."""
    _global.set_state((_seed_to_key(seed), 0))
