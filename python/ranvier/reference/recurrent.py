"""Long short-term memory over a sequence in NumPy, forward and backward through time; lstm_cell is one step of it."""

from __future__ import annotations

import numpy as np

__all__ = ["lstm_backward", "lstm_forward"]


def sigmoid(z: np.ndarray) -> np.ndarray:
    e = np.exp(-np.abs(z))
    return np.where(z >= 0, 1 / (1 + e), e / (1 + e)).astype(z.dtype)


def lstm_forward(
    x: np.ndarray,
    kernel: np.ndarray,
    recurrent_kernel: np.ndarray,
    bias: np.ndarray | None,
    initial_h: np.ndarray | None,
    initial_c: np.ndarray | None,
    mask: np.ndarray | None,
    go_backwards: bool,
) -> tuple[np.ndarray, ...]:
    n, steps, _ = x.shape
    units = recurrent_kernel.shape[0]
    h = np.zeros((n, units), x.dtype) if initial_h is None else initial_h.copy()
    c = np.zeros((n, units), x.dtype) if initial_c is None else initial_c.copy()
    outputs = np.zeros((n, steps, units), x.dtype)
    gates = np.zeros((n, steps, 4 * units), x.dtype)
    h_before, c_before = np.zeros_like(outputs), np.zeros_like(outputs)
    for step in range(steps):
        t = steps - 1 - step if go_backwards else step
        h_before[:, t], c_before[:, t] = h, c
        z = x[:, t] @ kernel + h @ recurrent_kernel
        if bias is not None:
            z = z + bias
        i, f, g, o = np.split(z, 4, axis=-1)
        i, f, g, o = sigmoid(i), sigmoid(f), np.tanh(g), sigmoid(o)
        gates[:, t] = np.concatenate([i, f, g, o], axis=-1)
        next_c = f * c + i * g
        next_h = o * np.tanh(next_c)
        alive = np.ones((n, 1), bool) if mask is None else mask[:, t, None]
        previous = outputs[:, step - 1] if step > 0 else np.zeros_like(h)
        outputs[:, step] = np.where(alive, next_h, previous)
        h, c = np.where(alive, next_h, h), np.where(alive, next_c, c)
    return outputs, h, c, gates, h_before, c_before


def lstm_backward(
    recurrent_kernel: np.ndarray,
    mask: np.ndarray | None,
    gates: np.ndarray,
    c_before: np.ndarray,
    doutputs: np.ndarray,
    dh: np.ndarray,
    dc: np.ndarray,
    go_backwards: bool,
) -> tuple[np.ndarray, ...]:
    n, steps, _ = c_before.shape
    dz = np.zeros_like(gates)
    repeated = np.zeros_like(dh)  # gradient of a masked step's output, which was the output before it
    for step in reversed(range(steps)):
        t = steps - 1 - step if go_backwards else step
        alive = np.ones((n, 1), bool) if mask is None else mask[:, t, None]
        i, f, g, o = np.split(gates[:, t], 4, axis=-1)
        tanh_c = np.tanh(f * c_before[:, t] + i * g)
        dy = doutputs[:, step] + repeated
        repeated = np.where(alive, 0, dy)
        to_h = dh + dy
        to_c = dc + to_h * o * (1 - tanh_c**2)
        sums = (
            to_c * g * i * (1 - i),
            to_c * c_before[:, t] * f * (1 - f),
            to_c * i * (1 - g**2),
            to_h * tanh_c * o * (1 - o),
        )
        dz[:, t] = np.where(alive, np.concatenate(sums, axis=-1), 0)
        dh = np.where(alive, dz[:, t] @ recurrent_kernel.T, dh)
        dc = np.where(alive, to_c * f, dc)
    return dz, dh, dc
