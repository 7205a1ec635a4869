"""Adam and its kin: steps by running means of the gradient and of its square."""

from __future__ import annotations

from ranvier import _core
from ranvier.ops.optimizer.lists import Decay, Tensors, options_of, step
from ranvier.tensor import Tensor


def adam_step(
    parameters: Tensors,
    gradients: Tensors,
    momentums: Tensors,
    velocities: Tensors,
    max_velocities: Tensors | None = None,
    *,
    learning_rate: float | _core.Array,
    iteration: int | _core.Array,
    beta_1: float = 0.9,
    beta_2: float = 0.999,
    epsilon: float = 1e-7,
    weight_decay: Decay = None,
    clipnorm: float | None = None,
    clipvalue: float | None = None,
    global_clipnorm: float | None = None,
    gradient_scale: Tensor | _core.Array | None = None,
) -> None:
    """Adam, in place: p <- p - learning_rate c m / (sqrt(s) + epsilon), c = sqrt(1 - beta_2^t) / (1 - beta_1^t).

    m and s are running means of g and g^2; t is ``iteration``, counted from 1. ``max_velocities`` (AMSGrad) keep the
    largest s, which then takes its place. With ``weight_decay`` this is AdamW. See the module for what all steps share.
    Source: Keras 3 ``Adam``, ``AdamW``; Kingma and Ba 2015; curriculum F25, F26.

    >>> import ranvier as rv
    >>> p, g, m, s = (rv.Tensor([v]) for v in (0.0, 1.0, 0.0, 0.0))
    >>> rv.ops.adam_step([p], [g], [m], [s], learning_rate=0.1, iteration=1)
    >>> p.numpy().round(4)
    array([-0.1], dtype=float32)
    """
    options = options_of(locals(), "iteration", "beta_1", "beta_2", "epsilon")
    step(
        "adam_step",
        options,
        parameters,
        gradients,
        momentums=momentums,
        velocities=velocities,
        max_velocities=max_velocities,
    )


def nadam_step(
    parameters: Tensors,
    gradients: Tensors,
    momentums: Tensors,
    velocities: Tensors,
    *,
    learning_rate: float | _core.Array,
    iteration: int | _core.Array,
    beta_1: float = 0.9,
    beta_2: float = 0.999,
    epsilon: float = 1e-7,
    weight_decay: Decay = None,
    clipnorm: float | None = None,
    clipvalue: float | None = None,
    global_clipnorm: float | None = None,
    gradient_scale: Tensor | _core.Array | None = None,
) -> None:
    """Adam with Nesterov's momentum, in place: p <- p - learning_rate m' / (sqrt(s / (1 - beta_2^t)) + epsilon).

    m' = u_(t+1) m / (1 - U_(t+1)) + (1 - u_t) g / (1 - U_t), with u_t = beta_1 (1 - 0.96^t / 2) and U_t their product
    from 1 to t; m, s and t as in ``adam_step``. Source: Keras 3 ``Nadam``; Dozat 2016.

    >>> import ranvier as rv
    >>> p, g, m, s = (rv.Tensor([v]) for v in (0.0, 1.0, 0.0, 0.0))
    >>> rv.ops.nadam_step([p], [g], [m], [s], learning_rate=0.1, iteration=1)
    >>> p.numpy().round(4)
    array([-0.1063], dtype=float32)
    """
    options = options_of(locals(), "iteration", "beta_1", "beta_2", "epsilon")
    step("nadam_step", options, parameters, gradients, momentums=momentums, velocities=velocities)


def adamax_step(
    parameters: Tensors,
    gradients: Tensors,
    momentums: Tensors,
    norms: Tensors,
    *,
    learning_rate: float | _core.Array,
    iteration: int | _core.Array,
    beta_1: float = 0.9,
    beta_2: float = 0.999,
    epsilon: float = 1e-7,
    weight_decay: Decay = None,
    clipnorm: float | None = None,
    clipvalue: float | None = None,
    global_clipnorm: float | None = None,
    gradient_scale: Tensor | _core.Array | None = None,
) -> None:
    """Adam by the largest gradient, in place: p <- p - learning_rate / (1 - beta_1^t) m / (u + epsilon).

    u <- max(beta_2 u, |g|); m and t as in ``adam_step``. Source: Keras 3 ``Adamax``; Kingma and Ba 2015, section 7.

    >>> import ranvier as rv
    >>> p, g, m, u = (rv.Tensor([v]) for v in (0.0, 2.0, 0.0, 0.0))
    >>> rv.ops.adamax_step([p], [g], [m], [u], learning_rate=0.1, iteration=1)
    >>> p.numpy().round(4)
    array([-0.1], dtype=float32)
    """
    options = options_of(locals(), "iteration", "beta_1", "beta_2", "epsilon")
    step("adamax_step", options, parameters, gradients, momentums=momentums, norms=norms)


def lamb_step(
    parameters: Tensors,
    gradients: Tensors,
    momentums: Tensors,
    velocities: Tensors,
    *,
    learning_rate: float | _core.Array,
    iteration: int | _core.Array,
    beta_1: float = 0.9,
    beta_2: float = 0.999,
    epsilon: float = 1e-7,
    weight_decay: Decay = None,
    clipnorm: float | None = None,
    clipvalue: float | None = None,
    global_clipnorm: float | None = None,
    gradient_scale: Tensor | _core.Array | None = None,
) -> None:
    """Adam with a step as long as its tensor allows, in place: p <- p - learning_rate |p| / |d| d.

    d = m / (1 - beta_1^t) / (sqrt(s / (1 - beta_2^t)) + epsilon); the ratio is 1 where a norm is 0. m, s and t as in
    ``adam_step``. Source: Keras 3 ``Lamb``; You et al. 2020.

    >>> import ranvier as rv
    >>> p, g, m, s = (rv.Tensor([v]) for v in (3.0, 1.0, 0.0, 0.0))
    >>> rv.ops.lamb_step([p], [g], [m], [s], learning_rate=0.1, iteration=1)
    >>> p.numpy().round(4)
    array([2.7], dtype=float32)
    """
    options = options_of(locals(), "iteration", "beta_1", "beta_2", "epsilon")
    step("lamb_step", options, parameters, gradients, momentums=momentums, velocities=velocities)
