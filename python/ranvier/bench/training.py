"""``ranvier bench train``: whole training steps as a user takes them, beside PyTorch and JAX on the same networks.

Each network is described once, in plain tuples, and built three times: for us with Keras's layers and ``fit``; for
PyTorch as modules and a hand-written loop, in the fastest layout (NCHW, channels last) and
optimizer's flavour; for JAX as one jitted step. All three get the same random images, shuffled anew in each epoch.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

import numpy as np

import ranvier as rv
from ranvier import _core
from ranvier.bench.harness import summary, time_interleaved
from ranvier.bench.machine import settle

Epoch = Callable[[], Any]


@dataclass(frozen=True)
class Network:
    """A network, its batch and its optimizer. ``outputs`` classes, or one: yes or no."""

    what: str
    inputs: tuple[int, ...]
    layers: tuple[tuple[Any, ...], ...]  # (kind, size, ...): see ``model_of``
    outputs: int
    batch: int
    optimizer: str
    steps: int  # in one timed epoch
    unit: str = "us/sample"


def _convolutions(*filters: int) -> tuple[tuple[Any, ...], ...]:
    return tuple(layer for f in filters for layer in (("convolution", f), ("pool",)))


NETWORKS = {
    "S11": Network(
        "784-512-10 on 28x28",
        (28, 28, 1),
        (("flatten",), ("dense", 512)),
        10,
        batch=128,
        optimizer="rmsprop",
        steps=200,
    ),
    "S21": Network(
        "small convnet on 28x28, 93,322 parameters",
        (28, 28, 1),
        (*_convolutions(32, 64), ("convolution", 64), ("flatten",), ("dense", 64)),
        10,
        batch=64,
        optimizer="rmsprop",
        steps=60,
    ),
    "S24": Network(
        "convnet on 150x150x3, 3,453,121 parameters",
        (150, 150, 3),
        (*_convolutions(32, 64, 128, 128), ("flatten",), ("dense", 512)),
        1,
        batch=20,
        optimizer="rmsprop",
        steps=3,
    ),
    "LSTM": Network(
        "LSTM classifier, 80 steps of 128, 128 units",
        (80, 128),
        (("lstm", 128),),
        2,
        batch=32,
        optimizer="adam",
        steps=30,
    ),
    "residual": Network(
        "residual net with batch norm on 32x32x3",
        (32, 32, 3),
        (("normalized", 16, 1), ("residual", 16, 1), ("residual", 32, 2), ("residual", 64, 2), ("average",)),
        10,
        batch=64,
        optimizer="sgd",
        steps=15,
    ),
    "tiny": Network("4-5-3", (4,), (("dense", 5),), 3, batch=8, optimizer="sgd", steps=1000, unit="us/step"),
}


@dataclass(frozen=True)
class Trained:
    """One network measured: seconds per sample or step, and spread, per contender."""

    network: str
    what: str
    unit: str
    threads: int
    seconds: dict[str, float]
    spread: dict[str, float]


def data_for(network: Network) -> tuple[np.ndarray, np.ndarray]:
    """Random inputs with labels that can be learnt from them: the work is the same as on real ones.

    With labels that mean nothing units die, their averaged squares decay to denormal numbers, and whoever computes
    with these is measured at a fraction of its speed.
    """
    rng = np.random.default_rng(0)
    count = network.steps * network.batch
    x = rng.random((count, *network.inputs), np.float32) - np.float32(0.5)
    seen = x.reshape(count, -1)[:, :256]
    scores = seen @ rng.normal(size=(seen.shape[1], max(2, network.outputs))).astype(np.float32)
    return x, scores.argmax(-1).astype(np.int32)


def _normalized(filters: int, stride: int, x: Any) -> Any:
    layers = rv.layers
    x = layers.Conv2D(filters, 3, strides=stride, padding="same", use_bias=False)(x)
    return layers.Activation("relu")(layers.BatchNormalization()(x))


def _residual(filters: int, stride: int, x: Any) -> Any:
    layers = rv.layers
    y = _normalized(filters, stride, x)
    y = layers.BatchNormalization()(layers.Conv2D(filters, 3, padding="same", use_bias=False)(y))
    shortcut = x if stride == 1 else layers.Conv2D(filters, 1, strides=stride, use_bias=False)(x)
    return layers.Activation("relu")(layers.Add()([y, shortcut]))


def model_of(network: Network) -> Any:
    """The network in Keras's words, compiled."""
    layers = rv.layers
    kinds: dict[str, Callable[..., Any]] = {
        "flatten": layers.Flatten,
        "dense": lambda units: layers.Dense(units, activation="relu"),
        "convolution": lambda filters: layers.Conv2D(filters, 3, activation="relu"),
        "pool": lambda: layers.MaxPooling2D(2),
        "average": layers.GlobalAveragePooling2D,
        "lstm": layers.LSTM,
        "normalized": lambda filters, stride: lambda x: _normalized(filters, stride, x),
        "residual": lambda filters, stride: lambda x: _residual(filters, stride, x),
    }
    rv.utils.set_random_seed(1)
    inputs = x = rv.Input(network.inputs)
    for kind, *arguments in network.layers:
        x = kinds[kind](*arguments)(x)
    binary = network.outputs == 1
    outputs = layers.Dense(network.outputs, activation="sigmoid" if binary else "softmax")(x)
    model = rv.Model(inputs, outputs)
    optimizer: Any = rv.optimizers.SGD(0.01, momentum=0.9) if network.optimizer == "sgd" else network.optimizer
    model.compile(optimizer=optimizer, loss="binary_crossentropy" if binary else "sparse_categorical_crossentropy")
    return model


def ours(network: Network) -> Epoch:
    """One epoch of ``fit``."""
    model = model_of(network)
    images, labels = data_for(network)
    return lambda: model.fit(images, labels, batch_size=network.batch, epochs=1, verbose=0)


def fastest(variants: dict[str, Epoch]) -> tuple[str, Epoch]:
    """The variant of a peer that is to be measured: the best of two epochs of each."""
    times = {}
    for name, epoch in variants.items():
        epoch()
        settle()
        times[name] = min(time_interleaved({name: epoch}, repeats=2, budget=0)[name])
    name = min(times, key=lambda key: times[key])
    return name, variants[name]


def contenders(network: Network, peers: list[str]) -> tuple[dict[str, Epoch], list[str]]:
    """An epoch of each contender, and what is to be said of them."""
    found, notes = {"ranvier": ours(network)}, []
    if "torch" in peers and find_spec("torch"):
        from ranvier.bench.training_torch import variants

        name, found["torch"] = fastest(variants(network, *data_for(network)))
        notes.append(f"torch {name}")
    if "jax" in peers and find_spec("jax"):
        from ranvier.bench.training_jax import epoch

        found["jax"] = epoch(network, *data_for(network))
    return found, notes


def train(name: str, peers: list[str], repeats: int) -> tuple[Trained, str]:
    """Measures one network; the second result is a line about the peers."""
    network = NETWORKS[name]
    epochs, notes = contenders(network, peers)
    seconds, spread = summary(time_interleaved(epochs, repeats, budget=0))
    count = network.steps * (1 if network.unit == "us/step" else network.batch)
    each = {key: value / count for key, value in seconds.items()}
    return Trained(name, network.what, network.unit, _core.num_threads(), each, spread), ", ".join(notes)


def line(row: Trained, notes: str) -> str:
    """One network: our time and the peers'."""
    mine = row.seconds["ranvier"]
    text = f"{row.network:<9} {row.what:<46} {mine * 1e6:9.1f} {row.unit:<9} +-{row.spread['ranvier']:3.0%}"
    for peer, seconds in row.seconds.items():
        if peer != "ranvier":
            text += f"  {peer} {seconds * 1e6:.1f} ({seconds / mine:.2f})"
    return f"{text}  [{notes}]" if notes else text
