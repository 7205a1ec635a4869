"""The networks of ``ranvier bench train`` in JAX: parameters in a list, and the whole step jitted.

Batch norm keeps no moving averages here, which favours JAX a little.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from ranvier.bench import jax

if TYPE_CHECKING:
    from ranvier.bench.training import Network

jnp: Any = jax.numpy if jax is not None else None  # this module is read by the doctests without JAX too
Apply = Callable[[list[Any], Any], Any]


def _random(*shape: int) -> Any:
    scale = math.sqrt(2 / max(1, math.prod(shape[:-1])))
    return jnp.asarray((np.random.default_rng(0).normal(size=shape) * scale).astype(np.float32))


def _convolve(x: Any, w: Any, stride: int = 1, padding: str = "VALID") -> Any:
    return jax.lax.conv_general_dilated(x, w, (stride, stride), padding, dimension_numbers=("NHWC", "HWIO", "NHWC"))


def _norm(x: Any, gamma: Any, beta: Any) -> Any:
    mean, variance = x.mean((0, 1, 2)), x.var((0, 1, 2))
    return (x - mean) * (gamma * jax.lax.rsqrt(variance + 1e-3)) + beta


def _lstm(p: list[Any], x: Any) -> Any:
    w, u, b = p
    gates = jnp.swapaxes(x @ w + b, 0, 1)
    start = jnp.zeros((x.shape[0], u.shape[0]), x.dtype)

    def step(state: Any, z: Any) -> Any:
        h, c = state
        i, f, g, o = jnp.split(z + h @ u, 4, -1)
        c = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jnp.tanh(g)
        return (jax.nn.sigmoid(o) * jnp.tanh(c), c), None

    return jax.lax.scan(step, (start, start), gates)[0][0]


def _pool(x: Any) -> Any:
    return jax.lax.reduce_window(x, -jnp.inf, jax.lax.max, (1, 2, 2, 1), (1, 2, 2, 1), "VALID")


def layer(kind: str, sizes: list[int], size: int, channels: int) -> tuple[list[Any], Apply]:
    """A layer's parameters and its function."""
    n = sizes[0] if sizes else channels
    ones, zeros = jnp.ones(n, np.float32), jnp.zeros(n, np.float32)
    if kind == "flatten":
        return [], lambda p, x: x.reshape(len(x), -1)
    if kind == "dense":
        return [_random(channels, n), zeros], lambda p, x: jax.nn.relu(x @ p[0] + p[1])
    if kind == "convolution":
        return [_random(3, 3, channels, n), zeros], lambda p, x: jax.nn.relu(_convolve(x, p[0]) + p[1])
    if kind == "pool":
        return [], lambda p, x: _pool(x)
    if kind == "average":
        return [], lambda p, x: x.mean((1, 2))
    if kind == "lstm":
        return [_random(channels, 4 * n), _random(n, 4 * n), jnp.zeros(4 * n, np.float32)], _lstm
    stride = sizes[1]
    if kind == "normalized":
        parameters = [_random(3, 3, channels, n), ones, zeros]
        return parameters, lambda p, x: jax.nn.relu(_norm(_convolve(x, p[0], stride, "SAME"), p[1], p[2]))
    parameters = [_random(3, 3, channels, n), ones, zeros, _random(3, 3, n, n), ones, zeros, _random(1, 1, channels, n)]

    def residual(p: list[Any], x: Any) -> Any:
        y = jax.nn.relu(_norm(_convolve(x, p[0], stride, "SAME"), p[1], p[2]))
        y = _norm(_convolve(y, p[3], 1, "SAME"), p[4], p[5])
        return jax.nn.relu(y + (x if stride == 1 else _convolve(x, p[6], stride)))

    return parameters, residual


def build(network: Network) -> tuple[list[list[Any]], Callable[[list[list[Any]], Any], Any]]:
    """All parameters, and the function from them and inputs to logits."""
    size, channels = network.inputs[0], network.inputs[-1]
    layers = []
    for kind, *sizes in network.layers:
        layers.append(layer(kind, sizes, size, channels))
        if kind == "flatten":
            channels *= size**2
        size = size - 2 if kind == "convolution" else size // 2 if kind == "pool" else size
        channels = sizes[0] if sizes else channels
    layers.append(
        ([_random(channels, network.outputs), jnp.zeros(network.outputs, np.float32)], lambda p, x: x @ p[0] + p[1])
    )
    functions = [function for _, function in layers]

    def apply(parameters: list[list[Any]], x: Any) -> Any:
        for function, own in zip(functions, parameters, strict=True):
            x = function(own, x)
        return x

    return [own for own, _ in layers], apply


def update(name: str, p: Any, g: Any, m: Any, v: Any, t: Any) -> Any:
    """One parameter by its optimizer; m and v are its state, unused where the optimizer has none."""
    if name == "sgd":
        m = 0.9 * m - 0.01 * g
        return p + m, m, v
    if name == "rmsprop":
        v = 0.9 * v + 0.1 * g * g
        return p - 1e-3 * g / (jnp.sqrt(v) + 1e-7), m, v
    m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g * g
    return (
        p - 1e-3 * jnp.sqrt(1 - jnp.float32(0.999) ** t) / (1 - jnp.float32(0.9) ** t) * m / (jnp.sqrt(v) + 1e-7),
        m,
        v,
    )


def epoch(network: Network, x: np.ndarray, y: np.ndarray) -> Callable[[], None]:
    """One pass over shuffled batches."""
    parameters, apply = build(network)
    zeros = jax.tree.map(jnp.zeros_like, parameters)
    state = [parameters, zeros, zeros, 1.0]

    def loss(p: Any, inputs: Any, labels: Any) -> Any:
        logits = apply(p, inputs)
        if network.outputs == 1:
            z = logits[:, 0]
            return (jax.nn.softplus(z) - labels * z).mean()
        return -jnp.take_along_axis(jax.nn.log_softmax(logits), labels[:, None], 1).mean()

    def step(p: Any, m: Any, v: Any, t: Any, inputs: Any, labels: Any) -> Any:
        gradients = jax.grad(loss)(p, inputs, labels)
        leaves = [jax.tree.leaves(tree) for tree in (p, gradients, m, v)]
        new = [update(network.optimizer, w, g, a, b, t) for w, g, a, b in zip(*leaves, strict=True)]
        tree = jax.tree.structure(p)
        return [jax.tree.unflatten(tree, [each[i] for each in new]) for i in range(3)]

    jitted = jax.jit(step, donate_argnums=(0, 1, 2))
    state[:3] = [jax.tree.map(jnp.array, tree) for tree in state[:3]]  # donated: each needs arrays of its own

    def run() -> None:
        order = np.random.permutation(len(x))
        for start in range(0, len(x), network.batch):
            chosen = order[start : start + network.batch]
            state[:3] = jitted(*state[:3], np.float32(state[3]), x[chosen], y[chosen])
            state[3] += 1.0
        jax.block_until_ready(state[0])

    return run
