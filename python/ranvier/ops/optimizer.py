"""Optimizer steps, in place over lists of tensors: each is one kernel call for all parameters.

What they share: all parameters have one dtype (float32 or float64) and device; gradients and state fit them one by
one; no array is given twice. ``weight_decay`` first shrinks each parameter by learning_rate * weight_decay of itself
("decoupled", as in AdamW); a list gives each parameter its own. Of ``clipvalue`` (gradients cut to +-clipvalue),
``clipnorm`` (each gradient scaled to at most that norm) and ``global_clipnorm`` (all scaled together) at most one is
given. Scalars that vary from step to step are arguments: ``learning_rate`` and ``iteration`` may be arrays of one
number (float64, int64) that is read when the kernel runs. ValueError names what does not fit; TypeError and
DeviceError dtypes and devices that differ.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ranvier import _core
from ranvier._kernels import kernels_for
from ranvier.tensor import Tensor

__all__ = [
    "adadelta_step",
    "adagrad_step",
    "adam_step",
    "adamax_step",
    "blend_step",
    "ftrl_step",
    "lamb_step",
    "lion_step",
    "nadam_step",
    "rmsprop_step",
    "sgd_step",
]

Tensors = Sequence[Tensor]
_SHARED = ("weight_decay", "clipnorm", "clipvalue", "global_clipnorm")
Decay = float | Sequence[float] | None


def _arrays(op: str, name: str, tensors: Tensors) -> list[_core.Array]:
    if type(tensors) is list:  # as optimizers give them
        try:
            return [t.array for t in tensors]
        except AttributeError:
            pass
    if isinstance(tensors, Tensor) or not isinstance(tensors, Sequence):
        raise TypeError(f"{op}: {name} must be a list of Tensors but is {type(tensors).__name__}")
    for i, tensor in enumerate(tensors):
        if not isinstance(tensor, Tensor):
            raise TypeError(f"{op}: {name}[{i}] must be a Tensor but is {type(tensor).__name__}")
    return [t.array for t in tensors]


def _options(given: dict[str, Any], *own: str) -> dict[str, Any]:
    """The options of a step out of its arguments: the learning rate, its own, and those that all share."""
    return {name: given[name] for name in ("learning_rate", *own, *_SHARED)}


def _step(op: str, options: dict[str, Any], parameters: Tensors, gradients: Tensors, **lists: Tensors | None) -> None:
    """Calls the kernel ``op`` of the parameters' device; lists and options that are None stay at its defaults."""
    targets, slopes = _arrays(op, "parameters", parameters), _arrays(op, "gradients", gradients)
    arrays = {name: _arrays(op, name, tensors) for name, tensors in lists.items() if tensors is not None}
    given = {name: value for name, value in options.items() if value is not None}
    kernels = kernels_for(targets[0]) if targets else _core
    if kernels is not _core:  # NumPy would compute in float64 with an array of one element
        given = {name: v.item() if isinstance(v, _core.Array) else v for name, v in given.items()}
    try:
        getattr(kernels, op)(targets, slopes, **arrays, **given)
    except TypeError as error:
        if "incompatible function arguments" not in str(error):
            raise
        came = ", ".join(f"{k}={v!r} ({type(v).__name__})" for k, v in given.items())
        raise TypeError(f"{op}: an argument is missing, has the wrong type or is too large; got {came}") from None


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
    options = _options(locals(), "momentum", "nesterov")
    _step("sgd_step", options, parameters, gradients, velocities=velocities)


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
) -> None:
    """AdaGrad, in place: s <- s + g^2; p <- p - learning_rate g / sqrt(s + epsilon).

    See the module for what all steps share. Source: Keras 3 ``Adagrad`` (epsilon under the root); curriculum F22.

    >>> import ranvier as rv
    >>> p, g, s = rv.Tensor([1.0]), rv.Tensor([2.0]), rv.Tensor([0.0])
    >>> rv.ops.adagrad_step([p], [g], [s], learning_rate=0.5)
    >>> p.numpy(), s.numpy()
    (array([0.5], dtype=float32), array([4.], dtype=float32))
    """
    options = _options(locals(), "epsilon")
    _step("adagrad_step", options, parameters, gradients, accumulators=accumulators)


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
    options = _options(locals(), "rho", "epsilon")
    _step(
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
    options = _options(locals(), "rho", "momentum", "epsilon")
    _step(
        "rmsprop_step",
        options,
        parameters,
        gradients,
        velocities=velocities,
        momentums=momentums,
        average_gradients=average_gradients,
    )


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
    options = _options(locals(), "iteration", "beta_1", "beta_2", "epsilon")
    _step(
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
    options = _options(locals(), "iteration", "beta_1", "beta_2", "epsilon")
    _step("nadam_step", options, parameters, gradients, momentums=momentums, velocities=velocities)


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
) -> None:
    """Adam by the largest gradient, in place: p <- p - learning_rate / (1 - beta_1^t) m / (u + epsilon).

    u <- max(beta_2 u, |g|); m and t as in ``adam_step``. Source: Keras 3 ``Adamax``; Kingma and Ba 2015, section 7.

    >>> import ranvier as rv
    >>> p, g, m, u = (rv.Tensor([v]) for v in (0.0, 2.0, 0.0, 0.0))
    >>> rv.ops.adamax_step([p], [g], [m], [u], learning_rate=0.1, iteration=1)
    >>> p.numpy().round(4)
    array([-0.1], dtype=float32)
    """
    options = _options(locals(), "iteration", "beta_1", "beta_2", "epsilon")
    _step("adamax_step", options, parameters, gradients, momentums=momentums, norms=norms)


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
    options = _options(locals(), "iteration", "beta_1", "beta_2", "epsilon")
    _step("lamb_step", options, parameters, gradients, momentums=momentums, velocities=velocities)


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
) -> None:
    """Lion, in place: p <- p - learning_rate sign(beta_1 m + (1 - beta_1) g); then m <- beta_2 m + (1 - beta_2) g.

    See the module for what all steps share. Source: Keras 3 ``Lion``; Chen et al. 2023.

    >>> import ranvier as rv
    >>> p, g, m = (rv.Tensor([v]) for v in (0.0, 5.0, 0.0))
    >>> rv.ops.lion_step([p], [g], [m], learning_rate=0.1)
    >>> p.numpy().round(4), m.numpy().round(4)
    (array([-0.1], dtype=float32), array([0.05], dtype=float32))
    """
    options = _options(locals(), "beta_1", "beta_2")
    _step("lion_step", options, parameters, gradients, momentums=momentums)


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
    options = _options(locals(), "learning_rate_power", "l1", "l2", "l2_shrinkage", "beta")
    _step("ftrl_step", options, parameters, gradients, accumulators=accumulators, linears=linears)


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
    options = _options(locals(), "keep", "add")
    _step("blend_step", options, parameters, gradients)
