"""Optimizer steps in NumPy, in place: lists of parameters, their gradients and their state (Keras 3's forms)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

__all__ = [
    "adadelta_step",
    "adagrad_step",
    "adam_step",
    "adamax_step",
    "blend_step",
    "ftrl_step",
    "lamb_step",
    "lion_step",
    "loss_scale_step",
    "nadam_step",
    "rmsprop_step",
    "sgd_step",
]

Arrays = Sequence[np.ndarray]
Preparation = Any  # weight decay (a number, or one per parameter), limits of the gradients


def _norm(gradients: Arrays) -> float:
    return float(np.sqrt(sum(np.square(g, dtype=np.float64).sum() for g in gradients)))


def _scale(norm: float, limit: float) -> float:
    return 1.0 if norm <= limit else limit / norm


def _clipped(
    gradients: Arrays, clipnorm: float | None, clipvalue: float | None, global_clipnorm: float | None
) -> Arrays:
    """Gradients cut to +-clipvalue, or scaled so that the norm of each, or of all together, is at most the limit."""
    if clipvalue is not None:
        return [np.clip(g, -clipvalue, clipvalue) for g in gradients]
    if clipnorm is not None:
        return [g * g.dtype.type(_scale(_norm([g]), clipnorm)) for g in gradients]
    if global_clipnorm is not None:
        norm = _norm(gradients)
        scale = _scale(norm, global_clipnorm) if np.isfinite(norm) else np.nan
        return [g * g.dtype.type(scale) for g in gradients]
    return gradients


def _prepared(
    parameters: Arrays,
    gradients: Arrays,
    learning_rate: float,
    weight_decay: float | Sequence[float] | None = None,
    clipnorm: float | None = None,
    clipvalue: float | None = None,
    global_clipnorm: float | None = None,
    gradient_scale: np.ndarray | None = None,
) -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
    """Each parameter, decayed in place apart from its gradient ("decoupled"), with its clipped gradient.

    None where ``gradient_scale``, by which gradients are multiplied, is 0.
    """
    if gradient_scale == 0:
        return
    if gradient_scale is not None:
        gradients = [g * g.dtype.type(gradient_scale) for g in gradients]
    decays = weight_decay if isinstance(weight_decay, Sequence) else [weight_decay or 0.0] * len(parameters)
    for i, gradient in enumerate(_clipped(gradients, clipnorm, clipvalue, global_clipnorm)):
        if decays[i]:
            parameters[i][...] -= parameters[i] * (learning_rate * decays[i])
        yield i, parameters[i], gradient


def sgd_step(
    parameters: Arrays,
    gradients: Arrays,
    velocities: Arrays | None = None,
    *,
    learning_rate: float,
    momentum: float = 0.0,
    nesterov: bool = False,
    **preparation: Preparation,
) -> None:
    for i, p, g in _prepared(parameters, gradients, learning_rate, **preparation):
        if velocities is None:
            p[...] -= g * learning_rate
            continue
        v = velocities[i]
        v[...] = v * momentum - g * learning_rate
        p[...] += v * momentum - g * learning_rate if nesterov else v


def adagrad_step(
    parameters: Arrays,
    gradients: Arrays,
    accumulators: Arrays,
    *,
    learning_rate: float,
    epsilon: float = 1e-7,
    **preparation: Preparation,
) -> None:
    for i, p, g in _prepared(parameters, gradients, learning_rate, **preparation):
        accumulators[i][...] += g * g
        p[...] -= learning_rate * g / np.sqrt(accumulators[i] + epsilon)


def adadelta_step(
    parameters: Arrays,
    gradients: Arrays,
    accumulated_gradients: Arrays,
    accumulated_deltas: Arrays,
    *,
    learning_rate: float,
    rho: float = 0.95,
    epsilon: float = 1e-7,
    **preparation: Preparation,
) -> None:
    for i, p, g in _prepared(parameters, gradients, learning_rate, **preparation):
        squares, deltas = accumulated_gradients[i], accumulated_deltas[i]
        squares[...] = rho * squares + (1 - rho) * (g * g)
        delta = -np.sqrt(deltas + epsilon) * g / np.sqrt(squares + epsilon)
        deltas[...] = rho * deltas + (1 - rho) * (delta * delta)
        p[...] += learning_rate * delta


def rmsprop_step(
    parameters: Arrays,
    gradients: Arrays,
    velocities: Arrays,
    momentums: Arrays | None = None,
    average_gradients: Arrays | None = None,
    *,
    learning_rate: float,
    rho: float = 0.9,
    momentum: float = 0.0,
    epsilon: float = 1e-7,
    **preparation: Preparation,
) -> None:
    for i, p, g in _prepared(parameters, gradients, learning_rate, **preparation):
        v = velocities[i]
        v[...] = rho * v + (1 - rho) * (g * g)
        spread = v
        if average_gradients is not None:  # centred: a variance, which rounding must not take below zero
            a = average_gradients[i]
            a[...] = rho * a + (1 - rho) * g
            spread = np.maximum(v - a * a, 0)
        step = learning_rate * g / np.sqrt(spread + epsilon)
        if momentums is not None:
            step = momentums[i][...] = momentum * momentums[i] + step
        p[...] -= step


def adam_step(
    parameters: Arrays,
    gradients: Arrays,
    momentums: Arrays,
    velocities: Arrays,
    max_velocities: Arrays | None = None,
    *,
    learning_rate: float,
    iteration: int,
    beta_1: float = 0.9,
    beta_2: float = 0.999,
    epsilon: float = 1e-7,
    **preparation: Preparation,
) -> None:
    alpha = learning_rate * np.sqrt(1 - beta_2**iteration) / (1 - beta_1**iteration)
    for i, p, g in _prepared(parameters, gradients, learning_rate, **preparation):
        m, v = momentums[i], velocities[i]
        m[...] += (g - m) * (1 - beta_1)
        v[...] += (g * g - v) * (1 - beta_2)
        scale = v
        if max_velocities is not None:  # AMSGrad
            scale = max_velocities[i]
            scale[...] = np.maximum(scale, v)
        p[...] -= m * float(alpha) / (np.sqrt(scale) + epsilon)


def nadam_step(
    parameters: Arrays,
    gradients: Arrays,
    momentums: Arrays,
    velocities: Arrays,
    *,
    learning_rate: float,
    iteration: int,
    beta_1: float = 0.9,
    beta_2: float = 0.999,
    epsilon: float = 1e-7,
    **preparation: Preparation,
) -> None:
    u = [beta_1 * (1 - 0.5 * 0.96**i) for i in range(1, max(iteration, 1) + 2)]  # the weights, to the next step's
    product = float(np.prod(u[:-1]))
    look_ahead, own = u[-1] / (1 - product * u[-1]), (1 - u[-2]) / (1 - product)
    for i, p, g in _prepared(parameters, gradients, learning_rate, **preparation):
        m, v = momentums[i], velocities[i]
        m[...] += (g - m) * (1 - beta_1)
        v[...] += (g * g - v) * (1 - beta_2)
        m_hat = look_ahead * m + own * g
        p[...] -= learning_rate * m_hat / (np.sqrt(v / (1 - beta_2**iteration)) + epsilon)


def adamax_step(
    parameters: Arrays,
    gradients: Arrays,
    momentums: Arrays,
    norms: Arrays,
    *,
    learning_rate: float,
    iteration: int,
    beta_1: float = 0.9,
    beta_2: float = 0.999,
    epsilon: float = 1e-7,
    **preparation: Preparation,
) -> None:
    for i, p, g in _prepared(parameters, gradients, learning_rate, **preparation):
        m, norm = momentums[i], norms[i]
        m[...] += (g - m) * (1 - beta_1)
        norm[...] = np.maximum(norm * beta_2, np.abs(g))
        p[...] -= learning_rate * m / ((1 - beta_1**iteration) * (norm + epsilon))


def lamb_step(
    parameters: Arrays,
    gradients: Arrays,
    momentums: Arrays,
    velocities: Arrays,
    *,
    learning_rate: float,
    iteration: int,
    beta_1: float = 0.9,
    beta_2: float = 0.999,
    epsilon: float = 1e-7,
    **preparation: Preparation,
) -> None:
    for i, p, g in _prepared(parameters, gradients, learning_rate, **preparation):
        m, v = momentums[i], velocities[i]
        m[...] += (g - m) * (1 - beta_1)
        v[...] += (g * g - v) * (1 - beta_2)
        update = m / (1 - beta_1**iteration) / (np.sqrt(v / (1 - beta_2**iteration)) + epsilon)
        weight_norm, update_norm = _norm([p]), _norm([update])
        trust = weight_norm / update_norm if weight_norm > 0 and update_norm > 0 else 1.0
        p[...] -= trust * learning_rate * update


def lion_step(
    parameters: Arrays,
    gradients: Arrays,
    momentums: Arrays,
    *,
    learning_rate: float,
    beta_1: float = 0.9,
    beta_2: float = 0.99,
    **preparation: Preparation,
) -> None:
    for i, p, g in _prepared(parameters, gradients, learning_rate, **preparation):
        m = momentums[i]
        p[...] -= learning_rate * np.sign(m * beta_1 + g * (1 - beta_1))
        m[...] = m * beta_2 + g * (1 - beta_2)


def ftrl_step(
    parameters: Arrays,
    gradients: Arrays,
    accumulators: Arrays,
    linears: Arrays,
    *,
    learning_rate: float,
    learning_rate_power: float = -0.5,
    l1: float = 0.0,
    l2: float = 0.0,
    l2_shrinkage: float = 0.0,
    beta: float = 0.0,
    **preparation: Preparation,
) -> None:
    for i, p, g in _prepared(parameters, gradients, learning_rate, **preparation):
        squares, linear = accumulators[i], linears[i]
        before = squares**-learning_rate_power
        squares[...] += g * g
        after = squares**-learning_rate_power
        linear[...] += g + 2 * l2_shrinkage * p - (after - before) / learning_rate * p
        quadratic = after / learning_rate + 2 * (l2 + beta / (2 * learning_rate))
        p[...] = (np.clip(linear, -l1, l1) - linear) / quadratic


def blend_step(
    parameters: Arrays,
    gradients: Arrays,
    *,
    learning_rate: float = 0.0,
    keep: float,
    add: float,
    **preparation: Preparation,
) -> None:
    for _, p, g in _prepared(parameters, gradients, learning_rate, **preparation):
        kept = p * keep if keep else np.zeros_like(p)  # what is dropped takes its NaNs along
        p[...] = kept + g * add if add else kept


def loss_scale_step(
    gradients: Arrays,
    scale: np.ndarray,
    good_steps: np.ndarray,
    iterations: np.ndarray,
    gradient_scale: np.ndarray,
    growth_steps: int,
) -> None:
    finite = all(np.isfinite(g).all() for g in gradients)
    gradient_scale[...] = 1 / np.float64(scale) if finite else 0
    iterations += finite
    good_steps[...] = good_steps + 1 if finite else 0
    if not finite:
        scale *= np.float32(0.5)
    elif good_steps == growth_steps:
        good_steps[...], scale[...] = 0, scale * 2
