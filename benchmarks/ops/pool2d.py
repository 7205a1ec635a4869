"""Pooling: bound by memory; the maximum's places add a byte per output."""

from __future__ import annotations

from typing import Any

import numpy as np

import ranvier as rv
from ranvier.bench import OpBench, dtype, odd, torch

SHAPES = (
    {"images": 20, "size": 148, "channels": 32},
    {"images": 64, "size": 26, "channels": 32},
    {"images": 8, "size": 56, "channels": 256},
)


def moved(images: int, size: int, channels: int) -> float:
    """Bytes of the inputs and of a quarter as many outputs."""
    return 4.0 * images * channels * (size**2 + (size // 2) ** 2)


def tensors(images: int, size: int, channels: int, requires_grad: bool = False) -> tuple[Any, Any, Any]:
    """The images in NumPy, for us and for PyTorch (NHWC in memory for all)."""
    x = np.random.default_rng(0).normal(size=(images, size, size, channels)).astype(dtype())
    theirs = None
    if torch is not None:
        theirs = torch.from_numpy(x.transpose(0, 3, 1, 2).copy()).contiguous(memory_format=torch.channels_last)
        theirs.requires_grad = requires_grad
    return x, rv.Tensor(x, requires_grad=requires_grad), theirs


def prepare_max(**shape: int) -> dict[str, Any]:
    """2x2 maxima with their places on the tape, as training needs them."""
    x, ours, theirs = tensors(**shape, requires_grad=True)
    contenders: dict[str, Any] = {
        "ranvier": lambda: rv.ops.max_pool2d(ours),
        "numpy": lambda: rv.reference.max_pool2d_forward(x, (2, 2), (2, 2), "valid"),
    }
    if torch is not None:
        contenders["torch"] = lambda: torch.nn.functional.max_pool2d_with_indices(theirs, 2)
    return contenders


def prepare_max_gradient(**shape: int) -> dict[str, Any]:
    """From the places that the forward pass kept."""
    x, _, theirs = tensors(**shape)
    window = ([2, 2], [2, 2], "valid")
    y, places = rv._core.max_pool2d_forward(rv.Tensor(x).array, *window)
    size = [shape["size"]] * 2
    contenders: dict[str, Any] = {"ranvier": lambda: rv._core.max_pool2d_backward(y, places, size, *window)}
    if torch is not None:
        z, indices = torch.nn.functional.max_pool2d_with_indices(theirs, 2)
        contenders["torch"] = lambda: torch.ops.aten.max_pool2d_with_indices_backward(
            z, theirs, [2, 2], [2, 2], [0, 0], [1, 1], False, indices
        )
    return contenders


def prepare_average(**shape: int) -> dict[str, Any]:
    """2x2 means."""
    x, ours, theirs = tensors(**shape)
    contenders: dict[str, Any] = {
        "ranvier": lambda: rv.ops.avg_pool2d(ours),
        "numpy": lambda: rv.reference.avg_pool2d_forward(x, (2, 2), (2, 2), "valid"),
    }
    if torch is not None:
        contenders["torch"] = lambda: torch.nn.functional.avg_pool2d(theirs, 2)
    return contenders


def prepare_global_max(**shape: int) -> dict[str, Any]:
    """The maximum of each channel."""
    x, ours, theirs = tensors(**shape)
    contenders: dict[str, Any] = {"ranvier": lambda: rv.ops.global_max_pool2d(ours), "numpy": lambda: x.max((1, 2))}
    if torch is not None:
        contenders["torch"] = lambda: torch.amax(theirs, (2, 3))
    return contenders


def prepare_global_average(**shape: int) -> dict[str, Any]:
    """The mean of each channel."""
    x, ours, theirs = tensors(**shape)
    contenders: dict[str, Any] = {"ranvier": lambda: rv.ops.global_avg_pool2d(ours), "numpy": lambda: x.mean((1, 2))}
    if torch is not None:
        contenders["torch"] = lambda: torch.mean(theirs, (2, 3))
    return contenders


GLOBAL_SHAPES = ({"images": 32, "size": 7, "channels": 512}, {"images": 64, "size": 13, "channels": 32})


def read_once(images: int, size: int, channels: int) -> float:
    """Bytes of the inputs."""
    return 4.0 * images * channels * size**2


def drawn(rng: np.random.Generator) -> dict[str, Any]:
    """Random maps, no smaller than the window."""
    return {"images": odd(rng, 1, 64), "size": odd(rng, 3, 150), "channels": odd(rng, 1, 512)}


BENCHES = [
    *[
        OpBench(name=name, shapes=SHAPES, prepare=prepare, flops=lambda **_: 0, bytes=moved, draw=drawn)
        for name, prepare in (
            ("max_pool2d", prepare_max),
            ("max_pool2d_gradient", prepare_max_gradient),
            ("avg_pool2d", prepare_average),
        )
    ],
    OpBench(
        name="global_max_pool2d",
        shapes=GLOBAL_SHAPES,
        prepare=prepare_global_max,
        flops=lambda **_: 0,
        bytes=read_once,
    ),
    OpBench(
        name="global_avg_pool2d",
        shapes=GLOBAL_SHAPES,
        prepare=prepare_global_average,
        flops=lambda **_: 0,
        bytes=read_once,
    ),
]
