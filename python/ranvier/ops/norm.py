"""Normalisation: batch_norm."""

from __future__ import annotations

from typing import Any

from ranvier import ops
from ranvier.autograd import GPUS, Function, is_recording
from ranvier.tensor import Tensor, wrap

__all__ = ["batch_norm"]


class BatchNorm(Function):
    optional = (1, 2)
    narrow = GPUS
    mixes_widths = True

    def forward(
        self,
        x: Any,
        gamma: Any,
        beta: Any,
        moving: tuple[Any, Any],
        training: bool,
        momentum: float,
        epsilon: float,
        activation: str | None,
    ) -> Any:
        self.training, self.epsilon, self.activation = training, epsilon, activation
        y, mean, rstd = self.kernels.batch_norm_forward(
            x, gamma, beta, *moving, training, momentum, epsilon, activation
        )
        self.save(x, gamma, beta, mean, rstd)
        return y

    def backward(self, dy: Tensor) -> tuple[Tensor | None, ...]:
        x, gamma, beta, mean, rstd = self.saved
        if is_recording():
            return self._from_ops(x, gamma, beta, mean, rstd, dy)
        dx, dgamma, dbeta = self.kernels.batch_norm_backward(
            x.array,
            None if gamma is None else gamma.array,
            mean.array,
            rstd.array,
            dy.array,
            self.training,
            self.needs[0],
            None if beta is None else beta.array,
            self.activation,
        )
        return None if dx is None else wrap(dx), wrap(dgamma), wrap(dbeta)

    def _from_ops(
        self, x: Tensor, gamma: Any, beta: Any, mean: Tensor, rstd: Tensor, dy: Tensor
    ) -> tuple[Tensor | None, ...]:
        """The gradients as functions of x, through the batch's statistics too."""
        axes = tuple(range(x.ndim - 1))
        training = self.training and x.size > 0
        if training:
            mean = ops.mean(x, axes)
            rstd = 1 / ops.sqrt(ops.var(x, axes) + self.epsilon)
        normal = (x - mean) * rstd
        if self.activation == "relu":
            y = normal if gamma is None else normal * gamma
            dy = ops.where((y if beta is None else y + beta) <= 0, 0.0, dy)
        dgamma, dbeta = ops.sum(dy * normal, axes), ops.sum(dy, axes)
        if not self.needs[0]:
            return None, dgamma, dbeta
        dx = dy
        if training:
            dx = dy - (dbeta + normal * dgamma) * (x.shape[-1] / x.size)
        dx = dx * (rstd if gamma is None else rstd * gamma)
        return ops.cast(dx, x.dtype), dgamma, dbeta


def batch_norm(
    x: Any,
    gamma: Any,
    beta: Any,
    moving_mean: Tensor,
    moving_variance: Tensor,
    training: bool = False,
    momentum: float = 0.99,
    epsilon: float = 1e-3,
    activation: str | None = None,
) -> Tensor:
    """``(x - mean) / sqrt(variance + epsilon) * gamma + beta`` per channel, the last axis: (..., C) -> (..., C).

    With ``training`` mean and biased variance are those of ``x`` over all other axes, and ``moving_mean`` and
    ``moving_variance`` become ``momentum`` of themselves plus the rest of the batch's, in place (an empty batch leaves
    them); else they are the mean and variance. ``gamma``, ``beta`` and the moving statistics are (C,); ``gamma`` or
    ``beta`` may be None. ``activation="relu"`` takes the positive part in the same pass over memory, and its gradient
    too: no mask and no sum before it are kept. float32 or float64, all alike. Raises ValueError for shapes that do not
    fit, for momentum or epsilon out of range and for other activations, TypeError for dtypes. Source: Ioffe and Szegedy
    2015; Keras ``BatchNormalization``; curriculum F30.

    >>> import ranvier as rv
    >>> mean, variance = rv.ops.zeros(1), rv.ops.ones(1)
    >>> rv.ops.batch_norm([[1.0], [3.0]], None, None, mean, variance, training=True).numpy().round(3)
    array([[-1.],
           [ 1.]], dtype=float32)
    >>> mean.numpy().round(3)
    array([0.02], dtype=float32)
    """
    for name, value in (("moving_mean", moving_mean), ("moving_variance", moving_variance)):
        if not isinstance(value, Tensor):
            raise TypeError(
                f"batch_norm: {name} must be a Tensor, it is changed in place, but is {type(value).__name__}"
            )
    moving = (moving_mean.array, moving_variance.array)
    return BatchNorm.apply(
        x,
        gamma,
        beta,
        moving=moving,
        training=training,
        momentum=momentum,
        epsilon=epsilon,
        activation=activation,
    )
