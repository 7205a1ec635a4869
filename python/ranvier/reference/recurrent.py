"""simple_rnn, lstm and gru over a sequence in NumPy, forward and backward through time; lstm_cell, gru_cell and
simple_rnn_cell are sequences of one step.

Each is a cell, which knows one step, and a walk, which knows sequences, masks and directions.
"""

from __future__ import annotations

from typing import Any

import numpy as np

__all__ = [
    "gru_backward",
    "gru_forward",
    "lstm_backward",
    "lstm_forward",
    "simple_rnn_backward",
    "simple_rnn_forward",
]

Arrays = tuple[Any, ...]


def sigmoid(z: np.ndarray) -> np.ndarray:
    e = np.exp(-np.abs(z))
    return np.where(z >= 0, 1 / (1 + e), e / (1 + e)).astype(z.dtype)


class SimpleRnnCell:
    """State h. Keeps nothing: the slope follows from the output."""

    def __init__(self, activation: str, *weights: Any) -> None:
        self.activation = activation
        self.kernel, self.recurrent_kernel, self.bias = weights

    def step(self, x: np.ndarray, states: Arrays) -> tuple[Arrays, Arrays]:
        z = x @ self.kernel + states[0] @ self.recurrent_kernel
        z = z if self.bias is None else z + self.bias
        functions: dict[str, Any] = {"tanh": np.tanh, "relu": lambda z: np.maximum(z, 0), "sigmoid": sigmoid}
        h = functions[self.activation](z) if self.activation in functions else z
        return (h,), (h,)

    def back(self, kept: Arrays, states: Arrays, gradients: Arrays) -> tuple[np.ndarray, np.ndarray, Arrays]:
        """Gradients of the sums beside x and beside the state, and of the states before the step."""
        (y,), (dh,) = kept, gradients
        slopes = {"tanh": 1 - y**2, "relu": np.where(y <= 0, 0, np.ones_like(y)), "sigmoid": y * (1 - y)}
        dz = dh * slopes.get(self.activation, np.ones_like(y))
        return dz, dz, (dz @ self.recurrent_kernel.T,)


class LstmCell:
    """States h and c. Keeps the gates and c before the step."""

    def __init__(self, *weights: Any) -> None:
        self.kernel, self.recurrent_kernel, self.bias = weights

    def step(self, x: np.ndarray, states: Arrays) -> tuple[Arrays, Arrays]:
        h, c = states
        z = x @ self.kernel + h @ self.recurrent_kernel
        z = z if self.bias is None else z + self.bias
        i, f, g, o = np.split(z, 4, axis=-1)
        i, f, g, o = sigmoid(i), sigmoid(f), np.tanh(g), sigmoid(o)
        next_c = f * c + i * g
        return (o * np.tanh(next_c), next_c), (np.concatenate([i, f, g, o], axis=-1), c)

    def back(self, kept: Arrays, states: Arrays, gradients: Arrays) -> tuple[np.ndarray, np.ndarray, Arrays]:
        (gates, c), (dh, dc) = kept, gradients
        i, f, g, o = np.split(gates, 4, axis=-1)
        tanh_c = np.tanh(f * c + i * g)
        to_c = dc + dh * o * (1 - tanh_c**2)
        sums = (
            to_c * g * i * (1 - i),
            to_c * c * f * (1 - f),
            to_c * i * (1 - g**2),
            dh * tanh_c * o * (1 - o),
        )
        dz = np.concatenate(sums, axis=-1)
        return dz, dz, (dz @ self.recurrent_kernel.T, to_c * f)


class GruCell:
    """State h. Keeps the gates z, r, h and the last factor of h's sum: with reset_after h U_h + b'_h, else r h."""

    def __init__(self, reset_after: bool, *weights: Any) -> None:
        self.reset_after = reset_after
        self.kernel, self.recurrent_kernel, bias = weights
        units = self.recurrent_kernel.shape[0]
        self.to_h = self.recurrent_kernel[:, 2 * units :]
        self.to_gates = self.recurrent_kernel[:, : 2 * units]
        none = np.zeros(3 * units, self.kernel.dtype)
        self.bias: Any
        self.recurrent_bias: Any
        self.bias, self.recurrent_bias = (none, none) if bias is None else bias if reset_after else (bias, none)

    def step(self, x: np.ndarray, states: Arrays) -> tuple[Arrays, Arrays]:
        (before,) = states
        of_x = np.split(x @ self.kernel + self.bias, 3, axis=-1)
        recurrent_bias = np.split(self.recurrent_bias, 3)
        of_z, of_r = np.split(before @ self.to_gates, 2, axis=-1)
        z = sigmoid(of_x[0] + of_z + recurrent_bias[0])
        r = sigmoid(of_x[1] + of_r + recurrent_bias[1])
        if self.reset_after:
            factor = before @ self.to_h + recurrent_bias[2]
            h = np.tanh(of_x[2] + r * factor)
        else:
            factor = r * before
            h = np.tanh(of_x[2] + factor @ self.to_h)
        return (z * before + (1 - z) * h,), (np.concatenate([z, r, h, factor], axis=-1),)

    def back(self, kept: Arrays, states: Arrays, gradients: Arrays) -> tuple[np.ndarray, np.ndarray, Arrays]:
        (before,), (dh,) = states, gradients
        z, r, h, factor = np.split(kept[0], 4, axis=-1)
        of_z = dh * (before - h) * z * (1 - z)
        of_h = dh * (1 - z) * (1 - h**2)
        if self.reset_after:
            of_r = of_h * factor * r * (1 - r)
            beside_state = np.concatenate([of_z, of_r, of_h * r], axis=-1)
            before_gradient = dh * z + beside_state @ self.recurrent_kernel.T
        else:
            of_reset = of_h @ self.to_h.T
            of_r = of_reset * before * r * (1 - r)
            beside_state = np.concatenate([of_z, of_r, of_h], axis=-1)
            before_gradient = dh * z + of_reset * r + beside_state[..., : 2 * z.shape[-1]] @ self.to_gates.T
        return np.concatenate([of_z, of_r, of_h], axis=-1), beside_state, (before_gradient,)


def _position(step: int, steps: int, go_backwards: bool) -> int:
    return steps - 1 - step if go_backwards else step


def _alive(mask: np.ndarray | None, t: int, n: int) -> np.ndarray:
    return np.ones((n, 1), bool) if mask is None else mask[:, t, None]


def _zeros_or_copy(state: np.ndarray | None, like: np.ndarray) -> np.ndarray:
    return np.zeros_like(like) if state is None else state.copy()


def _forward(
    cell: Any, x: np.ndarray, states: Arrays, mask: np.ndarray | None, go_backwards: bool
) -> tuple[np.ndarray, Arrays, list[Arrays]]:
    """Outputs, final states, and what the cell keeps of each step, by its position in x."""
    n, steps, _ = x.shape
    outputs = np.zeros((n, steps, states[0].shape[1]), x.dtype)
    kept: list[Any] = [None] * steps
    for step in range(steps):
        t = _position(step, steps, go_backwards)
        alive = _alive(mask, t, n)
        fresh, kept[t] = cell.step(x[:, t], states)
        previous = outputs[:, step - 1] if step > 0 else np.zeros_like(states[0])
        outputs[:, step] = np.where(alive, fresh[0], previous)
        states = tuple(np.where(alive, new, old) for new, old in zip(fresh, states, strict=True))
    return outputs, states, kept


def _states_before(
    outputs: np.ndarray, initial_h: np.ndarray | None, mask: np.ndarray | None, go_backwards: bool
) -> list[np.ndarray]:
    """The h that each step started from, by its position in x: the last output, before the first the initial h."""
    n, steps, _ = outputs.shape
    h = _zeros_or_copy(initial_h, np.zeros((n, outputs.shape[2]), outputs.dtype))
    befores: list[Any] = [None] * steps
    for step in range(steps):
        t = _position(step, steps, go_backwards)
        befores[t] = h
        h = np.where(_alive(mask, t, n), outputs[:, step], h)
    return befores


def _backward(
    cell: Any,
    x: np.ndarray,
    befores: list[np.ndarray],
    kept: list[Arrays],
    mask: np.ndarray | None,
    doutputs: np.ndarray,
    gradients: Arrays,
    go_backwards: bool,
    needs: tuple[bool, ...],
) -> tuple[Any, ...]:
    """Gradients of x, kernel, recurrent_kernel (None where not needed), the sums beside x and beside the state, and
    the initial states."""
    n, steps, _ = x.shape
    beside_x = np.zeros((n, steps, cell.kernel.shape[1]), x.dtype)
    beside_state, rows = np.zeros_like(beside_x), np.zeros((n, steps, gradients[0].shape[1]), x.dtype)
    recurrent = np.zeros_like(cell.recurrent_kernel)
    units = cell.recurrent_kernel.shape[0]
    repeated = np.zeros_like(gradients[0])  # gradient of a masked step's output, which was the output before it
    for step in reversed(range(steps)):
        t = _position(step, steps, go_backwards)
        alive = _alive(mask, t, n)
        dy = doutputs[:, step] + repeated
        repeated = np.where(alive, 0, dy)
        of_x, of_state, earlier = cell.back(kept[t], (befores[t],), (gradients[0] + dy, *gradients[1:]))
        beside_x[:, t], beside_state[:, t] = np.where(alive, of_x, 0), np.where(alive, of_state, 0)
        rows[:, t] = befores[t]
        gradients = tuple(np.where(alive, new, old) for new, old in zip(earlier, gradients, strict=True))
        if isinstance(cell, GruCell) and not cell.reset_after:  # its gate h multiplies r h
            recurrent[:, 2 * units :] += kept[t][0][:, 3 * units :].T @ beside_state[:, t, 2 * units :]
    flat, flat_state, rows = (d.reshape(n * steps, d.shape[2]) for d in (beside_x, beside_state, rows))
    columns = 2 * units if isinstance(cell, GruCell) and not cell.reset_after else recurrent.shape[1]
    recurrent[:, :columns] = rows.T @ flat_state[:, :columns]
    return (
        beside_x @ cell.kernel.T if needs[0] else None,
        x.reshape(n * steps, x.shape[2]).T @ flat if needs[1] else None,
        recurrent if needs[2] else None,
        flat,
        flat_state,
        *gradients,
    )


def lstm_forward(
    x: np.ndarray,
    kernel: np.ndarray,
    recurrent_kernel: np.ndarray,
    bias: np.ndarray | None,
    initial_h: np.ndarray | None,
    initial_c: np.ndarray | None,
    mask: np.ndarray | None,
    go_backwards: bool,
    training: bool,
) -> tuple[Any, ...]:
    zeros = np.zeros((x.shape[0], recurrent_kernel.shape[0]), x.dtype)
    states = (_zeros_or_copy(initial_h, zeros), _zeros_or_copy(initial_c, zeros))
    cell = LstmCell(kernel, recurrent_kernel, bias)
    outputs, (h, c), kept = _forward(cell, x, states, mask, go_backwards)
    if not training:
        return outputs, h, c, None, None
    return outputs, h, c, _stacked(kept, 0, x, 4 * zeros.shape[1]), _stacked(kept, 1, x, zeros.shape[1])


def _stacked(kept: list[Arrays], index: int, x: np.ndarray, width: int) -> np.ndarray:
    parts = [k[index] for k in kept]
    return np.stack(parts, axis=1) if parts else np.zeros((x.shape[0], 0, width), x.dtype)


def lstm_backward(
    x: np.ndarray,
    kernel: np.ndarray,
    recurrent_kernel: np.ndarray,
    initial_h: np.ndarray | None,
    mask: np.ndarray | None,
    outputs: np.ndarray,
    gates: np.ndarray,
    c_before: np.ndarray,
    doutputs: np.ndarray,
    dh: np.ndarray,
    dc: np.ndarray,
    go_backwards: bool,
    needs: tuple[bool, ...],
) -> tuple[Any, ...]:
    cell = LstmCell(kernel, recurrent_kernel, None)
    befores = _states_before(outputs, initial_h, mask, go_backwards)
    kept = [(gates[:, t], c_before[:, t]) for t in range(x.shape[1])]
    dx, dk, du, flat, _, dh, dc = _backward(cell, x, befores, kept, mask, doutputs, (dh, dc), go_backwards, needs)
    return dx, dk, du, flat.sum(axis=0) if needs[3] else None, dh, dc


def gru_forward(
    x: np.ndarray,
    kernel: np.ndarray,
    recurrent_kernel: np.ndarray,
    bias: np.ndarray | None,
    initial_h: np.ndarray | None,
    mask: np.ndarray | None,
    reset_after: bool,
    go_backwards: bool,
    training: bool,
) -> tuple[Any, ...]:
    zeros = np.zeros((x.shape[0], recurrent_kernel.shape[0]), x.dtype)
    cell = GruCell(reset_after, kernel, recurrent_kernel, bias)
    outputs, (h,), kept = _forward(cell, x, (_zeros_or_copy(initial_h, zeros),), mask, go_backwards)
    return outputs, h, _stacked(kept, 0, x, 4 * zeros.shape[1]) if training else None


def gru_backward(
    x: np.ndarray,
    kernel: np.ndarray,
    recurrent_kernel: np.ndarray,
    initial_h: np.ndarray | None,
    mask: np.ndarray | None,
    outputs: np.ndarray,
    gates: np.ndarray,
    doutputs: np.ndarray,
    dh: np.ndarray,
    reset_after: bool,
    go_backwards: bool,
    needs: tuple[bool, ...],
) -> tuple[Any, ...]:
    cell = GruCell(reset_after, kernel, recurrent_kernel, None)
    befores = _states_before(outputs, initial_h, mask, go_backwards)
    kept = [(gates[:, t],) for t in range(x.shape[1])]
    found = _backward(cell, x, befores, kept, mask, doutputs, (dh,), go_backwards, needs)
    dx, dk, du, flat, flat_state, dh = found
    db = flat.sum(axis=0)
    if reset_after:
        db = np.stack([db, flat_state.sum(axis=0)])
    return dx, dk, du, db if needs[3] else None, dh


def simple_rnn_forward(
    x: np.ndarray,
    kernel: np.ndarray,
    recurrent_kernel: np.ndarray,
    bias: np.ndarray | None,
    initial_h: np.ndarray | None,
    mask: np.ndarray | None,
    activation: str,
    go_backwards: bool,
) -> tuple[Any, ...]:
    zeros = np.zeros((x.shape[0], recurrent_kernel.shape[0]), x.dtype)
    cell = SimpleRnnCell(activation, kernel, recurrent_kernel, bias)
    outputs, (h,), _ = _forward(cell, x, (_zeros_or_copy(initial_h, zeros),), mask, go_backwards)
    return outputs, h


def simple_rnn_backward(
    x: np.ndarray,
    kernel: np.ndarray,
    recurrent_kernel: np.ndarray,
    initial_h: np.ndarray | None,
    mask: np.ndarray | None,
    outputs: np.ndarray,
    doutputs: np.ndarray,
    dh: np.ndarray,
    activation: str,
    go_backwards: bool,
    needs: tuple[bool, ...],
) -> tuple[Any, ...]:
    cell = SimpleRnnCell(activation, kernel, recurrent_kernel, None)
    steps = x.shape[1]
    befores = _states_before(outputs, initial_h, mask, go_backwards)
    kept = [(outputs[:, _position(t, steps, go_backwards)],) for t in range(steps)]
    dx, dk, du, flat, _, dh = _backward(cell, x, befores, kept, mask, doutputs, (dh,), go_backwards, needs)
    return dx, dk, du, flat.sum(axis=0) if needs[3] else None, dh
