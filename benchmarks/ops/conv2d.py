"""Convolution: bound by arithmetic, except where the first layer's few channels make it write more than it computes."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

import ranvier as rv
from ranvier.bench import OpBench, dtype, jax, jitted, torch

# Images, size, channels in and out of 3x3 kernels: the course's MNIST and cats-and-dogs nets, then ResNet's blocks.
SHAPES = (
    {"images": 64, "size": 28, "channels": 1, "filters": 32, "padding": "valid"},
    {"images": 64, "size": 13, "channels": 32, "filters": 64, "padding": "valid"},
    {"images": 64, "size": 5, "channels": 64, "filters": 64, "padding": "valid"},
    {"images": 20, "size": 150, "channels": 3, "filters": 32, "padding": "valid"},
    {"images": 20, "size": 74, "channels": 32, "filters": 64, "padding": "valid"},
    {"images": 20, "size": 36, "channels": 64, "filters": 128, "padding": "valid"},
    {"images": 8, "size": 56, "channels": 64, "filters": 64, "padding": "same"},
    {"images": 8, "size": 14, "channels": 256, "filters": 256, "padding": "same"},
)
WINDOW = 3


def out_size(size: int, padding: str) -> int:
    """The output's side."""
    return size if padding == "same" else size - WINDOW + 1


def flops(images: int, size: int, channels: int, filters: int, padding: str) -> float:
    """A multiply and an add per tap, channel, filter and pixel; the gradients do as many."""
    return 2.0 * images * out_size(size, padding) ** 2 * filters * channels * WINDOW**2


def moved(images: int, size: int, channels: int, filters: int, padding: str) -> float:
    """Bytes of inputs, kernel and outputs, each once; the gradients move as many."""
    return 4.0 * (
        images * (size**2 * channels + out_size(size, padding) ** 2 * filters) + WINDOW**2 * channels * filters
    )


class Problem:
    """The arrays of one shape, for us and for PyTorch (NHWC in memory for both)."""

    def __init__(self, images: int, size: int, channels: int, filters: int, padding: str) -> None:
        rng = np.random.default_rng(0)
        out = out_size(size, padding)
        self.padding, self.pad = padding, 1 if padding == "same" else 0
        self.x = rng.normal(size=(images, size, size, channels)).astype(dtype())
        self.w = rng.normal(size=(WINDOW, WINDOW, channels, filters)).astype(dtype())
        self.b = rng.normal(size=filters).astype(dtype())
        self.dy = rng.normal(size=(images, out, out, filters)).astype(dtype())
        self.ours = [rv.Tensor(v).array for v in (self.x, self.w, self.b, self.dy)]
        if torch is not None:
            self.torch_x, self.torch_w, self.torch_dy = (
                torch.from_numpy(v.transpose(p).copy()).contiguous(memory_format=torch.channels_last)
                for v, p in ((self.x, (0, 3, 1, 2)), (self.w, (3, 2, 0, 1)), (self.dy, (0, 3, 1, 2)))
            )
            self.torch_b = torch.from_numpy(self.b)

    def torch_backward(self, mask: list[bool]) -> Any:
        return torch.ops.aten.convolution_backward(
            self.torch_dy, self.torch_x, self.torch_w, None, [1, 1], [self.pad] * 2, [1, 1], False, [0, 0], 1, mask
        )


def prepare_forward(**shape: Any) -> dict[str, Any]:
    """With a bias."""
    p = Problem(**shape)
    x, w, b, _ = p.ours
    geometry = ([1, 1], p.padding, [1, 1], 1)
    contenders: dict[str, Any] = {
        "ranvier": lambda: rv._core.conv2d_forward(x, w, b, *geometry),
        "numpy": lambda: rv.reference.conv2d_forward(p.x, p.w, p.b, *geometry),
    }
    if torch is not None:
        contenders["torch"] = lambda: torch.conv2d(p.torch_x, p.torch_w, p.torch_b, padding=p.pad)
    if jax is not None:
        convolve = partial(jax.lax.conv_general_dilated, window_strides=(1, 1), padding=p.padding.upper())
        layout = ("NHWC", "HWIO", "NHWC")
        contenders["jax"] = jitted(lambda x, w, b: convolve(x, w, dimension_numbers=layout) + b, p.x, p.w, p.b)
    return contenders


def prepare_input_gradient(**shape: Any) -> dict[str, Any]:
    """From the output's gradient and the kernel."""
    p = Problem(**shape)
    _, w, _, dy = p.ours
    size, geometry = [shape["size"]] * 2, ([1, 1], p.padding, [1, 1], 1)
    contenders: dict[str, Any] = {
        "ranvier": lambda: rv._core.conv2d_input_gradient(dy, w, size, *geometry),
        "numpy": lambda: rv.reference.conv2d_input_gradient(p.dy, p.w, size, *geometry),
    }
    if torch is not None:
        contenders["torch"] = lambda: p.torch_backward([True, False, False])
    return contenders


def prepare_kernel_gradient(**shape: Any) -> dict[str, Any]:
    """From the inputs and the output's gradient."""
    p = Problem(**shape)
    x, _, _, dy = p.ours
    geometry = ([WINDOW] * 2, [1, 1], p.padding, [1, 1], 1)
    contenders: dict[str, Any] = {
        "ranvier": lambda: rv._core.conv2d_kernel_gradient(x, dy, *geometry),
        "numpy": lambda: rv.reference.conv2d_kernel_gradient(p.x, p.dy, *geometry),
    }
    if torch is not None:
        contenders["torch"] = lambda: p.torch_backward([False, True, False])
    return contenders


# A generator that doubles the side twice: images, side before, channels before and after.
TRANSPOSE_SHAPES = (
    {"images": 32, "size": 7, "channels": 128, "filters": 64},
    {"images": 32, "size": 14, "channels": 64, "filters": 32},
)


def prepare_transpose(images: int, size: int, channels: int, filters: int) -> dict[str, Any]:
    """4x4 kernels with stride 2 and padding "same"."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(images, size, size, channels)).astype(dtype())
    w = rng.normal(size=(4, 4, filters, channels)).astype(dtype())
    ours = [rv.Tensor(v).array for v in (x, w)]
    geometry = ([2, 2], "same", [], [1, 1])
    contenders: dict[str, Any] = {
        "ranvier": lambda: rv._core.conv2d_transpose_forward(*ours, None, *geometry),
        "numpy": lambda: rv.reference.conv2d_transpose_forward(x, w, None, *geometry),
    }
    if torch is not None:
        theirs = torch.from_numpy(x.transpose(0, 3, 1, 2).copy()).contiguous(memory_format=torch.channels_last)
        kernel = torch.from_numpy(w.transpose(3, 2, 0, 1).copy()).contiguous(memory_format=torch.channels_last)
        contenders["torch"] = lambda: torch.conv_transpose2d(theirs, kernel, stride=2, padding=1)
    return contenders


BENCHES = [
    OpBench(name="conv2d", shapes=SHAPES, prepare=prepare_forward, flops=flops, bytes=moved),
    OpBench(
        name="conv2d_input_gradient",
        shapes=tuple(s for s in SHAPES if int(str(s["channels"])) > 3),  # nobody needs the first layer's
        prepare=prepare_input_gradient,
        flops=flops,
        bytes=moved,
    ),
    OpBench(name="conv2d_kernel_gradient", shapes=SHAPES, prepare=prepare_kernel_gradient, flops=flops, bytes=moved),
    OpBench(
        name="conv2d_transpose",
        shapes=TRANSPOSE_SHAPES,
        prepare=prepare_transpose,
        flops=lambda images, size, channels, filters: 2.0 * images * size**2 * 16 * channels * filters,
        bytes=lambda images, size, channels, filters: (
            4.0 * (images * size**2 * (channels + 4 * filters) + 16 * channels * filters)
        ),
    ),
]
