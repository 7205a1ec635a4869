"""The same tools without layers: ops, the tape and one optimizer call, on two spirals of points.

``python examples/own_training_loop.py``; for those who want to see what ``fit`` does.
"""

from __future__ import annotations

import numpy as np

import ranvier as rv
from ranvier import ops


def spirals(points: int) -> tuple[np.ndarray, np.ndarray]:
    """Two interleaved spirals: (2 * points, 2) coordinates, (2 * points,) labels."""
    rng = np.random.default_rng(0)
    turn = np.sqrt(rng.uniform(0.02, 1, (2, points))) * 3 * np.pi
    angle = turn + np.array([[0.0], [np.pi]])
    xy = np.stack([turn * np.cos(angle), turn * np.sin(angle)], -1) / 10 + rng.normal(0, 0.02, (2, points, 2))
    return xy.reshape(-1, 2).astype(np.float32), np.repeat([0, 1], points).astype(np.int32)


def main() -> None:
    """Trains 2-32-32-2 with Adam on all points at once."""
    x, y = spirals(300)
    rng = np.random.default_rng(1)
    shapes = [(2, 32), (32,), (32, 32), (32,), (32, 2), (2,)]
    parameters = [
        rv.Tensor((rng.normal(size=s) * np.sqrt(2 / s[0]) if len(s) == 2 else np.zeros(s)), "float32", True)
        for s in shapes
    ]
    first, second = ([rv.Tensor(np.zeros(s), "float32") for s in shapes] for _ in range(2))

    def logits(inputs: np.ndarray) -> rv.Tensor:
        w1, b1, w2, b2, w3, b3 = parameters
        hidden = ops.dense(ops.dense(inputs, w1, b1, activation="tanh"), w2, b2, activation="tanh")
        return ops.dense(hidden, w3, b3)

    for step in range(1, 501):
        loss = ops.softmax_cross_entropy(y, logits(x)).mean()
        gradients = rv.grad(loss, parameters)
        ops.adam_step(parameters, gradients, first, second, learning_rate=0.01, iteration=step)
        if step % 100 == 0:
            with rv.no_grad():
                accuracy = (logits(x).numpy().argmax(-1) == y).mean()
            print(f"step {step}: loss {loss.item():.4f}, accuracy {accuracy:.3f}")


if __name__ == "__main__":
    main()
