"""Training on MNIST beside PyTorch in one run: ``python -m benchmarks.training [--repeats 5] [--samples 60000]``.

S11: 784-512-10, RMSprop, batches of 128; S21: the small convnet, batches of 64. Each repeat is one epoch of each
contender in turn, on the same threads; printed is the median over the repeats, microseconds per sample. Ours is
``model.fit`` as a user calls it; PyTorch is a hand-written loop (channels last), also with a malloc that keeps its
pages if the environment says so (MALLOC_TOP_PAD_, MALLOC_MMAP_THRESHOLD_, MALLOC_TRIM_THRESHOLD_).
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np

import ranvier as rv
from ranvier.bench import torch
from ranvier.quickstart import convolutional_network, dense_network

Epoch = Callable[[], Any]


def ours(build: Callable[[], Any], batch: int, x: np.ndarray, y: np.ndarray) -> Epoch:
    """One epoch of ``fit``."""
    rv.utils.set_random_seed(1)
    model = build()
    return lambda: model.fit(x, y, batch_size=batch, epochs=1, verbose=0)


def torch_dense() -> Any:
    """S11 in PyTorch."""
    nn = torch.nn
    return nn.Sequential(nn.Flatten(), nn.Linear(784, 512), nn.ReLU(), nn.Linear(512, 10))


def torch_convolutional() -> Any:
    """S21 in PyTorch."""
    nn = torch.nn
    layers = [nn.Conv2d(1, 32, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(32, 64, 3), nn.ReLU(), nn.MaxPool2d(2)]
    layers += [nn.Conv2d(64, 64, 3), nn.ReLU(), nn.Flatten(), nn.Linear(576, 64), nn.ReLU(), nn.Linear(64, 10)]
    return nn.Sequential(*layers).to(memory_format=torch.channels_last)


def theirs(model: Any, batch: int, x: np.ndarray, y: np.ndarray) -> Epoch:
    """One epoch of a plain PyTorch loop over shuffled batches."""
    images = torch.from_numpy(x).permute(0, 3, 1, 2)  # channels last in memory
    labels = torch.from_numpy(y).long()
    optimizer = torch.optim.RMSprop(model.parameters(), lr=1e-3, alpha=0.9, eps=1e-7)
    loss_of = torch.nn.CrossEntropyLoss()

    def epoch() -> None:
        for indices in torch.randperm(len(images)).split(batch):
            optimizer.zero_grad()
            loss_of(model(images[indices]), labels[indices]).backward()
            optimizer.step()

    return epoch


def main() -> None:
    """Prints a line per network."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--samples", type=int, default=60_000)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    rng = np.random.default_rng(arguments.seed)
    try:
        (x, y), _ = rv.datasets.mnist.load_data(download=False)
        x = np.ascontiguousarray((x[: arguments.samples] / np.float32(255))[..., None])
    except FileNotFoundError:
        print("MNIST is not here (set RANVIER_DATA): random images, the same work")
        x = rng.random((arguments.samples, 28, 28, 1), np.float32)
        y = rng.integers(0, 10, arguments.samples)
    y = y[: arguments.samples].astype(np.int32)
    if torch is not None:
        torch.set_num_threads(rv.num_threads())
    networks = (("S11", dense_network, "torch_dense", 128), ("S21", convolutional_network, "torch_convolutional", 64))
    for name, build, peer, batch in networks:
        contenders = {"ranvier": ours(build, batch, x, y)}
        if torch is not None:
            contenders["torch"] = theirs(globals()[peer](), batch, x, y)
        samples: dict[str, list[float]] = {key: [] for key in contenders}
        for _ in range(arguments.repeats):
            for key, epoch in contenders.items():
                time.sleep(0.05)  # the other's workers stop spinning
                start = time.perf_counter()
                epoch()
                samples[key].append(1e6 * (time.perf_counter() - start) / len(x))
        medians = {key: statistics.median(values) for key, values in samples.items()}
        print(f"{name}: " + ", ".join(f"{key} {value:.1f} us/sample" for key, value in medians.items()), flush=True)


if __name__ == "__main__":
    main()
