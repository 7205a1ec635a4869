"""Convolution: bound by arithmetic, except where the first layer's few channels make it write more than it computes."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

import ranvier as rv
from ranvier.bench import OpBench, dtype, jax, jitted, odd, time_interleaved, torch
from ranvier.bench.harness import Shape, summary

# Images, size, channels in and out: the course's MNIST and cats-and-dogs nets, then ResNet's blocks, its stem and what
# joins its stages, and MobileNet's depthwise blocks. The side of the kernel, stride, dilation and groups are 3, 1, 1
# and 1 where nothing is said; ``width`` is there where images are not square.
SHAPES: tuple[Shape, ...] = (
    {"images": 64, "size": 28, "channels": 1, "filters": 32, "padding": "valid"},
    {"images": 64, "size": 13, "channels": 32, "filters": 64, "padding": "valid"},
    {"images": 64, "size": 5, "channels": 64, "filters": 64, "padding": "valid"},
    {"images": 20, "size": 150, "channels": 3, "filters": 32, "padding": "valid"},
    {"images": 20, "size": 74, "channels": 32, "filters": 64, "padding": "valid"},
    {"images": 20, "size": 36, "channels": 64, "filters": 128, "padding": "valid"},
    {"images": 8, "size": 56, "channels": 64, "filters": 64, "padding": "same"},
    {"images": 8, "size": 28, "channels": 128, "filters": 128, "padding": "same"},
    {"images": 8, "size": 14, "channels": 256, "filters": 256, "padding": "same"},
    {"images": 8, "size": 7, "channels": 512, "filters": 512, "padding": "same"},
    {"images": 4, "size": 224, "channels": 3, "filters": 64, "padding": "same", "window": 7, "stride": 2},
    {"images": 8, "size": 56, "channels": 64, "filters": 256, "padding": "valid", "window": 1},
    {"images": 8, "size": 28, "channels": 128, "filters": 256, "padding": "same", "stride": 2},
    {"images": 8, "size": 28, "channels": 128, "filters": 256, "padding": "valid", "window": 1, "stride": 2},
    {"images": 8, "size": 56, "channels": 128, "filters": 128, "padding": "same", "groups": 128},
    {"images": 8, "size": 56, "channels": 128, "filters": 128, "padding": "same", "stride": 2, "groups": 128},
    {"images": 16, "size": 14, "channels": 256, "filters": 256, "padding": "same", "groups": 256},
    {"images": 8, "size": 28, "channels": 64, "filters": 64, "padding": "same", "groups": 8},
    {"images": 8, "size": 28, "channels": 64, "filters": 8, "padding": "same"},
)


class Problem:
    """One shape, its arrays for us and, where there is one, for PyTorch, whose padding is the same on both sides."""

    def __init__(
        self,
        images: int,
        size: int,
        channels: int,
        filters: int,
        padding: str,
        width: int = 0,
        window: int = 3,
        stride: int = 1,
        dilation: int = 1,
        groups: int = 1,
        arrays: bool = True,
    ) -> None:
        self.sides, self.window, self.groups = [size, width or size], window, groups
        self.strides, self.dilation = [stride] * 2, [dilation] * 2
        reach = (window - 1) * dilation + 1
        self.pad = reach // 2 if padding == "same" else 0
        self.padding = [[self.pad] * 2] * 2
        out = [(side + 2 * self.pad - reach) // stride + 1 for side in self.sides]
        shapes = [
            (images, *self.sides, channels),
            (window, window, channels // groups, filters),
            (filters,),
            (images, *out, filters),
        ]
        self.bytes = 4.0 * sum(float(np.prod(s)) for s in shapes)
        self.flops = 2.0 * float(np.prod(shapes[3])) * window**2 * (channels // groups)
        if not arrays:
            return
        rng = np.random.default_rng(0)
        self.x, self.w, self.b, self.dy = (rng.normal(size=s).astype(dtype()) for s in shapes)
        self.ours = [rv.Tensor(v).array for v in (self.x, self.w, self.b, self.dy)]
        self.geometry = (self.strides, self.padding, self.dilation, groups)

    def torch(self, call: Callable[..., Any]) -> Callable[[], Any]:
        """``call(x, w, b, dy)`` in the layout, NCHW or channels-last, in which it is faster."""
        thunks: dict[str, Any] = {}
        for layout in (torch.channels_last, torch.contiguous_format):
            x, w, dy = (
                torch.from_numpy(v.transpose(p).copy()).contiguous(memory_format=layout)
                for v, p in ((self.x, (0, 3, 1, 2)), (self.w, (3, 2, 0, 1)), (self.dy, (0, 3, 1, 2)))
            )
            thunks[str(layout)] = partial(call, x, w, torch.from_numpy(self.b), dy)
        seconds, _ = summary(time_interleaved(thunks, repeats=3, budget=0.002))
        return thunks[min(seconds, key=lambda layout: seconds[layout])]

    def torch_gradient(self, mask: list[bool]) -> Callable[[], Any]:
        """PyTorch's backward pass for those of (inputs, kernel, bias) that ``mask`` names."""
        backward = torch.ops.aten.convolution_backward
        rest = (self.strides, [self.pad] * 2, self.dilation, False, [0, 0], self.groups, mask)
        return self.torch(lambda x, w, b, dy: backward(dy, x, w, None, *rest))


def flops(**shape: Any) -> float:
    """A multiply and an add per tap, channel, filter and pixel; the gradients do as many."""
    return Problem(**shape, arrays=False).flops


def moved(**shape: Any) -> float:
    """Bytes of inputs, kernel and outputs, each once; the gradients move as many."""
    return Problem(**shape, arrays=False).bytes


def prepare_forward(**shape: Any) -> dict[str, Any]:
    """With a bias."""
    p = Problem(**shape)
    x, w, b, _ = p.ours
    contenders: dict[str, Any] = {
        "ranvier": lambda: rv._core.conv2d_forward(x, w, b, *p.geometry),
        "numpy": lambda: rv.reference.conv2d_forward(p.x, p.w, p.b, *p.geometry),
    }
    if torch is not None:
        rest = {"padding": p.pad, "stride": p.strides, "dilation": p.dilation, "groups": p.groups}
        contenders["torch"] = p.torch(lambda x, w, b, dy: torch.conv2d(x, w, b, **rest))
    if jax is not None:
        convolve = partial(
            jax.lax.conv_general_dilated,
            window_strides=p.strides,
            padding=p.padding,
            rhs_dilation=p.dilation,
            feature_group_count=p.groups,
        )
        layout = ("NHWC", "HWIO", "NHWC")
        contenders["jax"] = jitted(lambda x, w, b: convolve(x, w, dimension_numbers=layout) + b, p.x, p.w, p.b)
    return contenders


def prepare_input_gradient(**shape: Any) -> dict[str, Any]:
    """From the output's gradient and the kernel."""
    p = Problem(**shape)
    _, w, _, dy = p.ours
    contenders: dict[str, Any] = {
        "ranvier": lambda: rv._core.conv2d_input_gradient(dy, w, p.sides, *p.geometry),
        "numpy": lambda: rv.reference.conv2d_input_gradient(p.dy, p.w, p.sides, *p.geometry),
    }
    if torch is not None:
        contenders["torch"] = p.torch_gradient([True, False, False])
    return contenders


def prepare_kernel_gradient(**shape: Any) -> dict[str, Any]:
    """From the inputs and the output's gradient."""
    p = Problem(**shape)
    x, _, _, dy = p.ours
    sides = [p.window] * 2
    contenders: dict[str, Any] = {
        "ranvier": lambda: rv._core.conv2d_kernel_gradient(x, dy, sides, *p.geometry),
        "numpy": lambda: rv.reference.conv2d_kernel_gradient(p.x, p.dy, sides, *p.geometry),
    }
    if torch is not None:
        contenders["torch"] = p.torch_gradient([False, True, False])
    return contenders


def draw(rng: np.random.Generator) -> Shape:
    """Kernels of 1 to 7 a side, strides to 3, some dilation, groups and depthwise, maps that may be long and thin."""
    window = int(rng.choice([1, 2, 3, 3, 3, 4, 5, 7]))
    dilation = int(rng.choice([1, 1, 1, 2]))
    least = (window - 1) * dilation + 1
    shape: Shape = {"images": int(rng.choice([1, 1, 2, 5, 16])), "size": max(odd(rng, 3, 128), least)}
    shape |= {"channels": odd(rng, 1, 300), "filters": odd(rng, 1, 300), "padding": str(rng.choice(["valid", "same"]))}
    kind = str(rng.choice(["dense", "dense", "dense", "grouped", "depthwise"]))
    if kind == "grouped":
        shape["groups"] = int(rng.choice([2, 3, 4, 8]))
        shape["channels"], shape["filters"] = (shape["groups"] * odd(rng, 1, 40) for _ in range(2))
    elif kind == "depthwise":
        shape["groups"] = shape["filters"] = shape["channels"]
    shape |= {"window": window, "stride": int(rng.choice([1, 1, 2, 3])), "dilation": dilation}
    if rng.random() < 0.3:
        shape["width"] = max(odd(rng, 3, 500), least)
    return shape


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
    OpBench(name="conv2d", shapes=SHAPES, prepare=prepare_forward, flops=flops, bytes=moved, draw=draw),
    OpBench(
        name="conv2d_input_gradient",
        shapes=tuple(s for s in SHAPES if int(str(s["channels"])) > 3),  # nobody needs the first layer's
        prepare=prepare_input_gradient,
        flops=flops,
        bytes=moved,
        draw=draw,
    ),
    OpBench(
        name="conv2d_kernel_gradient",
        shapes=SHAPES,
        prepare=prepare_kernel_gradient,
        flops=flops,
        bytes=moved,
        draw=draw,
    ),
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
