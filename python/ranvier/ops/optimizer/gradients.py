"""Steps by the gradient and its squares: SGD, AdaGrad, AdaDelta, RMSprop, Lion, Ftrl, and the plain blend."""

from __future__ import annotations

from ranvier import _core
from ranvier.ops.optimizer.lists import Decay, Tensors, options_of, step
from ranvier.tensor import Tensor


def sgd_step(
    parameters: Tensors,
    gradients: Tensors,
    velocities: Tensors | None = None,
    *,
    learning_rate: float | _core.Array,
    momentum: float = 0.0,
    nesterov: bool = False,
    weight_decay: Decay = None,
    clipnorm: float | None = None,
    clipvalue: float | None = None,
    global_clipnorm: float | None = None,
    gradient_scale: Tensor | _core.Array | None = None,
) -> None:
    """Gradient descent, in place: v <- momentum v - learning_rate g; p <- p + v, or p - learning_rate g without v.

    With ``nesterov`` p <- p + momentum v - learning_rate g. ``velocities`` are needed where ``momentum`` is not 0. See
    the module for what all steps share. Source: Keras 3 ``SGD``; curriculum F17, F20, F21.

    >>> import ranvier as rv
    >>> p, g = rv.Tensor([1.0, 2.0]), rv.Tensor([1.0, -1.0])
    >>> rv.ops.sgd_step([p], [g], learning_rate=0.5)
    >>> p.numpy()
    array([0.5, 2.5], dtype=float32)
    """
    options = options_of(locals(), "momentum", "nesterov")
    step("sgd_step", options, parameters, gradients, velocities=velocities)


def adagrad_step(
    parameters: Tensors,
    gradients: Tensors,
    accumulators: Tensors,
    *,
    learning_rate: float | _core.Array,
    epsilon: float = 1e-7,
    weight_decay: Decay = None,
    clipnorm: float | None = None,
    clipvalue: float | None = None,
    global_clipnorm: float | None = None,
    gradient_scale: Tensor | _core.Array | None = None,
) -> None:
    """AdaGrad, in place: s <- s + g^2; p <- p - learning_rate g / sqrt(s + epsilon).

    See the module for what all steps share. Source: Keras 3 ``Adagrad`` (epsilon under the root); curriculum F22.

    >>> import ranvier as rv
    >>> p, g, s = rv.Tensor([1.0]), rv.Tensor([2.0]), rv.Tensor([0.0])
    >>> rv.ops.adagrad_step([p], [g], [s], learning_rate=0.5)
    >>> p.numpy(), s.numpy()
    (array([0.5], dtype=float32), array([4.], dtype=float32))
    """
    options = options_of(locals(), "epsilon")
    step("adagrad_step", options, parameters, gradients, accumulators=accumulators)


def adadelta_step(
    parameters: Tensors,
    gradients: Tensors,
    accumulated_gradients: Tensors,
    accumulated_deltas: Tensors,
    *,
    learning_rate: float | _core.Array,
    rho: float = 0.95,
    epsilon: float = 1e-7,
    weight_decay: Decay = None,
    clipnorm: float | None = None,
    clipvalue: float | None = None,
    global_clipnorm: float | None = None,
    gradient_scale: Tensor | _core.Array | None = None,
) -> None:
    """AdaDelta, in place: p <- p + learning_rate d with d = -sqrt(u + epsilon) / sqrt(s + epsilon) g.

    s and u are running means, with ``rho``, of g^2 (first) and of d^2 (afterwards). See the module for what all steps
    share. Source: Keras 3 ``Adadelta``; curriculum F24.

    >>> import ranvier as rv
    >>> p, g, s, u = (rv.Tensor([v]) for v in (0.0, 1.0, 0.0, 0.0))
    >>> rv.ops.adadelta_step([p], [g], [s], [u], learning_rate=1.0, epsilon=1e-6)
    >>> p.numpy().round(6)
    array([-0.004472], dtype=float32)
    """
    options = options_of(locals(), "rho", "epsilon")
    step(
        "adadelta_step",
        options,
        parameters,
        gradients,
        accumulated_gradients=accumulated_gradients,
        accumulated_deltas=accumulated_deltas,
    )


def rmsprop_step(
    parameters: Tensors,
    gradients: Tensors,
    velocities: Tensors,
    momentums: Tensors | None = None,
    average_gradients: Tensors | None = None,
    *,
    learning_rate: float | _core.Array,
    rho: float = 0.9,
    momentum: float = 0.0,
    epsilon: float = 1e-7,
    weight_decay: Decay = None,
    clipnorm: float | None = None,
    clipvalue: float | None = None,
    global_clipnorm: float | None = None,
    gradient_scale: Tensor | _core.Array | None = None,
) -> None:
    """RMSprop, in place: s <- rho s + (1 - rho) g^2; p <- p - learning_rate g / sqrt(s + epsilon).

    With ``average_gradients`` a (centred) s - a^2 stands for s; rounding cannot take it below zero here. With
    ``momentums`` m, needed where ``momentum`` is not 0, m <- momentum m + step and p <- p - m. See the module for what
    all steps share. Source: Keras 3 ``RMSprop`` (epsilon under the root); curriculum F23.

    >>> import ranvier as rv
    >>> p, g, s = rv.Tensor([0.0]), rv.Tensor([1.0]), rv.Tensor([0.0])
    >>> rv.ops.rmsprop_step([p], [g], [s], learning_rate=0.1)
    >>> p.numpy().round(4)
    array([-0.3162], dtype=float32)
    """
    options = options_of(locals(), "rho", "momentum", "epsilon")
    step(
        "rmsprop_step",
        options,
        parameters,
        gradients,
        velocities=velocities,
        momentums=momentums,
        average_gradients=average_gradients,
    )


def lion_step(
    parameters: Tensors,
    gradients: Tensors,
    momentums: Tensors,
    *,
    learning_rate: float | _core.Array,
    beta_1: float = 0.9,
    beta_2: float = 0.99,
    weight_decay: Decay = None,
    clipnorm: float | None = None,
    clipvalue: float | None = None,
    global_clipnorm: float | None = None,
    gradient_scale: Tensor | _core.Array | None = None,
) -> None:
    """Lion, in place: p <- p - learning_rate sign(beta_1 m + (1 - beta_1) g); then m <- beta_2 m + (1 - beta_2) g.

    See the module for what all steps share. Source: Keras 3 ``Lion``; Chen et al. 2023.

    >>> import ranvier as rv
    >>> p, g, m = (rv.Tensor([v]) for v in (0.0, 5.0, 0.0))
    >>> rv.ops.lion_step([p], [g], [m], learning_rate=0.1)
    >>> p.numpy().round(4), m.numpy().round(4)
    (array([-0.1], dtype=float32), array([0.05], dtype=float32))
    """
    options = options_of(locals(), "beta_1", "beta_2")
    step("lion_step", options, parameters, gradients, momentums=momentums)


def ftrl_step(
    parameters: Tensors,
    gradients: Tensors,
    accumulators: Tensors,
    linears: Tensors,
    *,
    learning_rate: float | _core.Array,
    learning_rate_power: float = -0.5,
    l1: float = 0.0,
    l2: float = 0.0,
    l2_shrinkage: float = 0.0,
    beta: float = 0.0,
    weight_decay: Decay = None,
    clipnorm: float | None = None,
    clipvalue: float | None = None,
    global_clipnorm: float | None = None,
    gradient_scale: Tensor | _core.Array | None = None,
) -> None:
    """Follow the regularized leader, in place: p <- (clip(z, -l1, l1) - z) / (n^q / rate + 2 l2 + beta / rate).

    n <- n + g^2; z <- z + g + 2 l2_shrinkage p - (n^q - (n before)^q) / rate p; q = -``learning_rate_power``, at least
    0; n are ``accumulators``, z ``linears``. Source: Keras 3 ``Ftrl``; McMahan et al. 2013.

    >>> import ranvier as rv
    >>> p, g, n, z = (rv.Tensor([v]) for v in (0.0, 2.0, 0.0, 0.0))
    >>> rv.ops.ftrl_step([p], [g], [n], [z], learning_rate=0.1, l1=0.5)
    >>> p.numpy().round(4)
    array([-0.075], dtype=float32)
    """
    options = options_of(locals(), "learning_rate_power", "l1", "l2", "l2_shrinkage", "beta")
    step("ftrl_step", options, parameters, gradients, accumulators=accumulators, linears=linears)


def blend_step(
    parameters: Tensors,
    gradients: Tensors,
    *,
    learning_rate: float | _core.Array = 0.0,
    keep: float,
    add: float,
    weight_decay: Decay = None,
    clipnorm: float | None = None,
    clipvalue: float | None = None,
    global_clipnorm: float | None = None,
    gradient_scale: Tensor | _core.Array | None = None,
) -> None:
    """p <- keep p + add g, in place, where 0 times anything is 0: running means, sums of gradients, plain copies.

    The rest as for all steps: with ``keep=0, add=1`` p becomes the clipped gradient; with ``keep=1, add=0`` nothing but
    the weight decay happens.

    >>> import ranvier as rv
    >>> mean, w = rv.Tensor([1.0]), rv.Tensor([3.0])
    >>> rv.ops.blend_step([mean], [w], keep=0.75, add=0.25)
    >>> mean.numpy()
    array([1.5], dtype=float32)
    """
    options = options_of(locals(), "keep", "add")
    step("blend_step", options, parameters, gradients)
