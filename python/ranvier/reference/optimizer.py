"""Optimizer steps in NumPy, in place: lists of parameters, their gradients and their state (Keras 3's forms)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

__all__ = ["adadelta_step", "adagrad_step", "adam_step", "rmsprop_step", "sgd_step"]

Arrays = Sequence[np.ndarray]


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
    weight_decay: float | None = None,
    clipnorm: float | None = None,
    clipvalue: float | None = None,
    global_clipnorm: float | None = None,
) -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
    """Each parameter, decayed in place apart from its gradient ("decoupled"), with its clipped gradient."""
    for i, gradient in enumerate(_clipped(gradients, clipnorm, clipvalue, global_clipnorm)):
        if weight_decay:
            parameters[i][...] -= parameters[i] * (learning_rate * weight_decay)
        yield i, parameters[i], gradient


def sgd_step(
    parameters: Arrays,
    gradients: Arrays,
    velocities: Arrays | None = None,
    *,
    learning_rate: float,
    momentum: float = 0.0,
    nesterov: bool = False,
    **preparation: float | None,
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
    **preparation: float | None,
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
    **preparation: float | None,
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
    **preparation: float | None,
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
    **preparation: float | None,
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
