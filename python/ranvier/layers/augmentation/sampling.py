"""Gamma and beta distributed numbers from uniform ones, without a loop that waits for a lucky draw.

So a recorded step draws them too. Jöhnk (1964): if u^(1/a) + v^(1/b) <= 1, u^(1/a) / (u^(1/a) + v^(1/b)) has the
distribution beta(a, b). Of a fixed number of tries the first that succeeds counts; for a, b <= 1 half or more do.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from ranvier import ops, random
from ranvier.tensor import Tensor

_TRIES = 24  # all of them fail once in 2**24 numbers; then the last one counts


def _johnk(generator: random.Generator, shape: Sequence[int], a: Any, b: Any, dtype: str) -> Tensor:
    """beta(a, b) for a, b in (0, 1], numbers or tensors of one."""
    u, v = _logarithms(generator, (2, _TRIES, *shape), dtype)
    x, y = u / a, v / b
    largest = ops.maximum(x, y)
    fits = largest + ops.log(ops.exp(x - largest) + ops.exp(y - largest)) <= 0
    share = ops.sigmoid(x - y)
    found = share[_TRIES - 1]
    for i in reversed(range(_TRIES - 1)):
        found = ops.where(fits[i], share[i], found)
    return found


def _logarithms(generator: random.Generator, shape: Sequence[int], dtype: str) -> Tensor:
    return ops.log(1.0 - generator.uniform(shape, dtype=dtype))  # of numbers in (0, 1]


def gamma(generator: random.Generator, shape: Sequence[int], alpha: float, dtype: str) -> Tensor:
    """Numbers of the distribution gamma(alpha), alpha > 0: for each whole unit an exponential, and a share of one."""
    whole = math.floor(alpha)
    rest = alpha - whole
    total: Any = 0.0
    if whole:
        total = ops.sum(-_logarithms(generator, (whole, *shape), dtype), axis=0)
    if rest:
        total = total - _logarithms(generator, shape, dtype) * _johnk(generator, shape, rest, 1 - rest, dtype)
    return total


def beta(generator: random.Generator, shape: Sequence[int], alpha: Any, dtype: str) -> Tensor:
    """Numbers of the distribution beta(alpha, alpha), alpha > 0; a tensor of one number must be at most 1."""
    if isinstance(alpha, Tensor) or alpha <= 1:
        return _johnk(generator, shape, alpha, alpha, dtype)
    one, other = (gamma(generator, shape, alpha, dtype) for _ in range(2))
    return one / (one + other)
