"""Normalisation of each sample by itself: group_norm, and layer_norm on the same kernels."""

from __future__ import annotations

import math
import operator
from collections.abc import Sequence
from typing import Any

from ranvier import ops
from ranvier.autograd import GPUS, Function, is_recording
from ranvier.tensor import Tensor, as_tensor, wrap

__all__ = ["group_norm", "layer_norm"]


class GroupNorm(Function):
    optional = (1, 2)
    narrow = GPUS
    mixes_widths = True

    def forward(self, x: Any, gamma: Any, beta: Any, groups: int, epsilon: float) -> Any:
        self.groups, self.epsilon = groups, epsilon
        y, mean, rstd = self.kernels.group_norm_forward(x, gamma, beta, groups, epsilon)
        self.save(x, gamma, mean, rstd)
        return y

    def backward(self, dy: Tensor) -> tuple[Tensor | None, ...]:
        x, gamma, mean, rstd = self.saved
        if is_recording():
            return self._from_ops(x, gamma, dy)
        parameters = self.needs[1] or self.needs[2]
        gradients = self.kernels.group_norm_backward(
            x.array, None if gamma is None else gamma.array, mean.array, rstd.array, dy.array, self.needs[0], parameters
        )
        return tuple(None if g is None else wrap(g) for g in gradients)

    def _from_ops(self, x: Tensor, gamma: Any, dy: Tensor) -> tuple[Tensor | None, ...]:
        """The gradients as functions of x, through each group's statistics too."""
        positions = math.prod(x.shape[1:-1])
        grouped = (x.shape[0], positions, self.groups, x.shape[-1] // self.groups)
        values = ops.reshape(x, grouped)
        centred = values - ops.mean(values, (1, 3), keepdims=True)
        rstd = 1 / ops.sqrt(ops.mean(centred * centred, (1, 3), keepdims=True) + self.epsilon)
        normal = centred * rstd
        axes = tuple(range(x.ndim - 1))
        dgamma, dbeta = ops.sum(dy * ops.reshape(normal, x.shape), axes), ops.sum(dy, axes)
        scaled = ops.reshape(dy if gamma is None else dy * gamma, grouped)
        shared = ops.mean(scaled, (1, 3), keepdims=True) + normal * ops.mean(scaled * normal, (1, 3), keepdims=True)
        return ops.cast(ops.reshape((scaled - shared) * rstd, x.shape), x.dtype), dgamma, dbeta


def group_norm(x: Any, gamma: Any = None, beta: Any = None, groups: int = 1, epsilon: float = 1e-3) -> Tensor:
    """Channels in ``groups``, each normalised over a sample's positions and its channels: (N, ..., C) -> (N, ..., C).

    ``(x - mean) / sqrt(variance + epsilon) * gamma + beta`` with the mean and biased variance of a group; ``gamma`` and
    ``beta`` are (C,), or None. One group normalises a whole sample, as many groups as channels each map by itself
    (instance normalisation). float32 or float64, all alike. Raises ValueError for groups that do not divide the
    channels, for shapes that do not fit and an epsilon out of range, TypeError for dtypes. Source: Wu and He 2018;
    Keras ``GroupNormalization``.

    >>> import ranvier as rv
    >>> rv.ops.group_norm([[1.0, 3.0, 10.0, 30.0]], groups=2).numpy().round(2)
    array([[-1.,  1., -1.,  1.]], dtype=float32)
    """
    return GroupNorm.apply(x, gamma, beta, groups=groups, epsilon=epsilon)


def layer_norm(
    x: Any, gamma: Any = None, beta: Any = None, axis: int | Sequence[int] = -1, epsilon: float = 1e-3
) -> Tensor:
    """``(x - mean) / sqrt(variance + epsilon) * gamma + beta`` over ``axis``, any shape; by default over the last one.

    ``gamma`` and ``beta`` have the sizes of the axes, or are None. float32 or float64, all alike. Raises ValueError for
    axes that x has not or has twice, for shapes that do not fit and an epsilon out of range, TypeError for dtypes.
    Source: Ba, Kiros and Hinton 2016; Keras ``LayerNormalization``.

    >>> import ranvier as rv
    >>> rv.ops.layer_norm([[1.0, 2.0, 3.0], [0.0, 0.0, 6.0]]).numpy().round(2)
    array([[-1.22,  0.  ,  1.22],
           [-0.71, -0.71,  1.41]], dtype=float32)
    """
    x = as_tensor(x)
    axes = _axes(axis, x.ndim)
    sizes = tuple(x.shape[a] for a in axes)
    columns = math.prod(sizes)
    flat = []
    for name, value in (("gamma", gamma), ("beta", beta)):
        value = None if value is None else as_tensor(value, device=x.array.device)
        if value is not None and value.shape != sizes:
            raise ValueError(f"layer_norm: {name} must have shape {sizes}, that of axis {axes}, but has {value.shape}")
        flat.append(None if value is None else ops.reshape(value, (columns,)))
    order = tuple(a for a in range(x.ndim) if a not in axes) + axes
    moved = x if order == tuple(range(x.ndim)) else ops.transpose(x, order)
    rows = math.prod(moved.shape[: x.ndim - len(axes)])
    y = ops.reshape(group_norm(ops.reshape(moved, (rows, columns)), flat[0], flat[1], epsilon=epsilon), moved.shape)
    return y if moved is x else ops.transpose(y, tuple(order.index(a) for a in range(x.ndim)))


def _axes(axis: int | Sequence[int], rank: int) -> tuple[int, ...]:
    given = (axis,) if isinstance(axis, int) else tuple(axis)
    axes = tuple(operator.index(a) + (rank if a < 0 else 0) for a in given)
    if not axes or len(set(axes)) != len(axes) or not all(0 <= a < rank for a in axes):
        raise ValueError(f"layer_norm: axis must name different axes of x, which has {rank}, but is {axis!r}")
    return axes
