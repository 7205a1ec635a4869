"""conv2d and conv2d_transpose."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st

import ranvier as rv
from ranvier.reference.conv2d import window_axes
from tests.opspec import (
    Call,
    OpSpec,
    Refused,
    gamma,
    linear_bound,
    linear_gradient_bound,
    normal,
    run,
    run_backward,
    seeds,
    smallest,
)
from tests.specs.gemm import ACTIVATIONS, activated_bound, activated_gradient_error


def pairs(low: int, high: int) -> st.SearchStrategy[Any]:
    """An integer, or one per side."""
    return st.one_of(st.integers(low, high), st.tuples(st.integers(low, high), st.integers(low, high)))


def both(value: Any) -> tuple[int, int]:
    return (value, value) if isinstance(value, int) else value


@st.composite
def geometries(draw: Any, max_kernel: int, max_size: int) -> tuple[tuple[int, int], tuple[int, int], dict[str, Any]]:
    """Sizes of image and kernel, and options under which the kernel fits."""
    kernel = (draw(st.integers(1, max_kernel)), draw(st.integers(1, max_kernel)))
    strides, dilation = draw(pairs(1, 3)), draw(pairs(1, 3))
    side = st.integers(0, 2)
    padding = draw(st.sampled_from(["valid", "same", "explicit"]))
    if padding == "explicit":
        padding = ((draw(side), draw(side)), (draw(side), draw(side)))
    least = [0, 0]
    if padding != "same":
        zeros = [0, 0] if padding == "valid" else [sum(p) for p in padding]
        least = [max((k - 1) * d + 1 - z, 1) for k, d, z in zip(kernel, both(dilation), zeros, strict=True)]
    size = (least[0] + draw(st.integers(0, max_size)), least[1] + draw(st.integers(0, max_size)))
    return size, kernel, dict(strides=strides, padding=padding, dilation=dilation)


def fill(shape: tuple[int, ...], seed: int, integers: bool) -> np.ndarray:
    if integers:
        return np.random.default_rng(seed).integers(-4, 5, shape).astype(np.float64)
    return normal(shape, seed)


@st.composite
def calls(draw: Any, small: bool = False, integers: bool = False) -> Call:
    size, kernel_size, options = draw(geometries(2 if small else 4, 2 if small else 12))
    groups = draw(st.sampled_from([1, 1, 1, 2, 3] if not small else [1, 2]))
    channels = draw(st.integers(1, 2) if small else st.sampled_from([0, 1, 2, 3, 5, 8]))
    outs = draw(st.integers(1, 2) if small else st.sampled_from([0, 1, 2, 7, 16, 17, 33, 70]))
    if draw(st.booleans()) and not small:  # depthwise
        groups, channels, outs = draw(st.sampled_from([2, 5, 16, 19, 40])), 1, draw(st.integers(1, 2))
    if channels == 0:
        groups = 1
    images = draw(st.integers(1, 2) if small else st.integers(0, 3))
    seed = draw(seeds)
    bias = draw(st.booleans())
    activations = (None, "linear", "relu") if integers else (None, None, *ACTIVATIONS)
    return Call(
        {
            "inputs": fill((images, *size, channels * groups), seed, integers),
            "kernel": fill((*kernel_size, channels, outs * groups), seed + 1, integers),
            "bias": fill((outs * groups,), seed + 2, integers) if bias else None,
        },
        {**options, "groups": groups, "activation": draw(st.sampled_from(activations))},
    )


def output_pixels(call: Call) -> int:
    inputs, kernel = np.asarray(call.arrays["inputs"]), np.asarray(call.arrays["kernel"])
    o = call.options
    axes = window_axes(inputs.shape[1:3], kernel.shape[:2], both(o["strides"]), o["padding"], both(o["dilation"]))
    return inputs.shape[0] * axes[0].out * axes[1].out


def kernel_length(call: Call) -> int:
    return int(np.prod(np.asarray(call.arrays["kernel"]).shape[:3])) + 1


def gradient_lengths(call: Call) -> dict[str, int]:
    kernel = np.asarray(call.arrays["kernel"])
    pixels = output_pixels(call)
    through = kernel.shape[0] * kernel.shape[1] * kernel.shape[3] // call.options["groups"]
    return {"inputs": through, "kernel": pixels, "bias": pixels}


def sums_of(call: Call, eps: float) -> tuple[np.ndarray, np.ndarray]:
    """The sums before the activation, and their error."""
    plain = Call(call.arrays, {**call.options, "activation": None})
    (z,), (size,) = (run(rv.ops.conv2d, c, "float64", "reference") for c in (plain, plain.absolute()))
    return z, gamma(kernel_length(call) + 2, eps) * size + smallest(eps)


def conv2d_bound(call: Call, expected: list[np.ndarray], eps: float) -> list[Any]:
    return activated_bound(call.options["activation"], *sums_of(call, eps), expected[0], eps)


def conv2d_gradient_bound(
    call: Call, dys: list[np.ndarray], expected: dict[str, np.ndarray], eps: float
) -> dict[str, Any]:
    """Gradients are linear in dz: their error is its error put through, and that of their own sums."""
    size, error = activated_gradient_error(call.options["activation"], *sums_of(call, eps), dys[0], eps)
    plain = Call(call.arrays, {**call.options, "activation": None}).absolute()
    through, own = (run_backward(rv.ops.conv2d, plain, ARGUMENTS, [d], "float64", "reference") for d in (error, size))
    length = gradient_lengths(call)
    return {k: through[k] + gamma(length[k] + 8, eps) * own[k] + smallest(eps) for k in expected}


@st.composite
def transpose_calls(draw: Any, small: bool = False, integers: bool = False) -> Call:
    top = 2 if small else 4
    kernel = (draw(st.integers(1, top)), draw(st.integers(1, top)))
    strides, dilation = draw(pairs(1, 3)), draw(pairs(1, 2))
    padding = draw(st.sampled_from(["valid", "same"]))
    extents = [(k - 1) * d + 1 for k, d in zip(kernel, both(dilation), strict=True)]
    output_padding = None
    if draw(st.booleans()):
        # The output must convolve back: less than one stride beyond what the windows cover.
        room = [s - 1 + (e - e % 2 if padding == "same" else 0) for s, e in zip(both(strides), extents, strict=True)]
        low = [1 - e % 2 if padding == "same" else 0 for e in extents]  # no empty output
        output_padding = tuple(draw(st.integers(min(a, b), b)) for a, b in zip(low, room, strict=True))
        if any(a > b for a, b in zip(low, room, strict=True)):
            output_padding = None
    size = (draw(st.integers(1, 3 if small else 9)), draw(st.integers(1, 3 if small else 9)))
    channels, outs = (draw(st.integers(1, 2 if small else 20)) for _ in range(2))
    images, seed = draw(st.integers(1, 1) if small else st.integers(0, 2)), draw(seeds)
    return Call(
        {
            "inputs": fill((images, *size, channels), seed, integers),
            "kernel": fill((*kernel, outs, channels), seed + 1, integers),
            "bias": fill((outs,), seed + 2, integers) if draw(st.booleans()) else None,
        },
        dict(strides=strides, padding=padding, output_padding=output_padding, dilation=dilation),
    )


def transpose_length(call: Call) -> int:
    kernel = np.asarray(call.arrays["kernel"])
    return kernel.shape[0] * kernel.shape[1] * kernel.shape[3] + 1


def transpose_gradient_lengths(call: Call) -> dict[str, int]:
    inputs, kernel = np.asarray(call.arrays["inputs"]), np.asarray(call.arrays["kernel"])
    pixels = inputs.shape[0] * inputs.shape[1] * inputs.shape[2]
    strides = both(call.options["strides"])
    through = [n * s + 2 * 4 + 3 * s for n, s in zip(inputs.shape[1:3], strides, strict=True)]  # a side of the output
    return {
        "inputs": int(np.prod(kernel.shape[:3])),
        "kernel": pixels,
        "bias": inputs.shape[0] * through[0] * through[1],
    }


def refused(error: type[Exception], match: str, shape: Any, kernel: Any, dtype: str = "float32", **options: Any) -> Any:
    bias = options.pop("bias", None)
    arrays = {"inputs": np.ones(shape, dtype), "kernel": np.ones(kernel, np.float32), "bias": bias}
    return Refused(Call(arrays, options), error, match)


IMAGE, KERNEL = (2, 8, 8, 4), (3, 3, 4, 6)

REFUSED = (
    refused(ValueError, "conv2d: unknown activation 'relo'", IMAGE, KERNEL, activation="relo"),
    refused(
        ValueError,
        "conv2d: kernel has 3 input channels (shape 3x3x3x32) but input has 1 (shape 64x28x28x1)",
        (64, 28, 28, 1),
        (3, 3, 3, 32),
    ),
    refused(ValueError, "conv2d: inputs must have rank 4 but has rank 3 (shape 8x8x4)", (8, 8, 4), KERNEL),
    refused(ValueError, "conv2d: kernel must have rank 4", IMAGE, (3, 4, 6)),
    refused(TypeError, "conv2d: inputs must be floating", IMAGE, KERNEL, "int32"),
    refused(TypeError, "conv2d: inputs is float64 but kernel is float32", IMAGE, KERNEL, "float64"),
    refused(ValueError, "bias must have shape 6 but has shape 5", IMAGE, KERNEL, bias=np.ones(5, np.float32)),
    refused(
        ValueError,
        "strides must be one or two integers from 1 to 2147483647 but is (-1, -1)",
        IMAGE,
        KERNEL,
        strides=-1,
    ),
    refused(ValueError, "strides must be one or two integers", IMAGE, KERNEL, strides=(1, 1, 1)),
    refused(ValueError, "dilation must be one or two integers", IMAGE, KERNEL, dilation=0),
    refused(ValueError, "dilation must be one or two integers", IMAGE, KERNEL, dilation=2**62),
    refused(
        ValueError,
        "the kernel's height 3 (dilated to 21) is larger than the padded input's 8",
        IMAGE,
        KERNEL,
        dilation=10,
    ),
    refused(ValueError, "the kernel's width 9 is larger than the padded input's 8", IMAGE, (3, 9, 4, 6)),
    refused(
        ValueError,
        'padding must be "valid", "same" or ((top, bottom), (left, right)) but is "full"',
        IMAGE,
        KERNEL,
        padding="full",
    ),
    refused(ValueError, "explicit padding must be from 0", IMAGE, KERNEL, padding=((-1, 0), (0, 0))),
    refused(ValueError, "explicit padding must be ((top, bottom), (left, right))", IMAGE, KERNEL, padding=((1, 1),)),
    refused(ValueError, "groups must divide the input's 4 channels but is 3", IMAGE, KERNEL, groups=3),
    refused(ValueError, "groups must divide the input's 4 channels but is 0", IMAGE, KERNEL, groups=0),
    refused(ValueError, "groups must divide the kernel's 6 output channels but is 4", IMAGE, (3, 3, 1, 6), groups=4),
    refused(
        ValueError, "kernel has 4 input channels (shape 3x3x4x6, groups 2) but input has 4", IMAGE, KERNEL, groups=2
    ),
    refused(TypeError, "conv2d: strides must be one or two integers but is None", IMAGE, KERNEL, strides=None),
    refused(TypeError, "conv2d: padding must be", IMAGE, KERNEL, padding=1),
    refused(TypeError, "conv2d: an option has the wrong type", IMAGE, KERNEL, groups=1.5),
    refused(ValueError, "kernel size must be one or two integers from 1", IMAGE, (0, 3, 4, 6)),
)

TRANSPOSE_REFUSED = (
    refused(ValueError, "conv2d_transpose: kernel has 6 input channels (shape 3x3x4x6) but input has 4", IMAGE, KERNEL),
    refused(
        ValueError,
        'conv2d_transpose: padding must be "valid" or "same" but is "full"',
        IMAGE,
        (3, 3, 6, 4),
        padding="full",
    ),
    refused(ValueError, "output_padding 5 does not suit strides 2", IMAGE, (3, 3, 6, 4), strides=2, output_padding=5),
    refused(ValueError, "bias must have shape 6 but has shape 4", IMAGE, (3, 3, 6, 4), bias=np.ones(4, np.float32)),
)

ARGUMENTS = ("inputs", "kernel", "bias")

SPECS = [
    OpSpec(
        op=rv.ops.conv2d,
        calls=calls(),
        bound=conv2d_bound,
        gradients=ARGUMENTS,
        gradient_bound=conv2d_gradient_bound,
        gradient_calls=calls(small=True),
        integers=calls(integers=True),
        refused=REFUSED,
        twice=True,
    ),
    OpSpec(
        op=rv.ops.conv2d_transpose,
        calls=transpose_calls(),
        bound=linear_bound(rv.ops.conv2d_transpose, transpose_length),
        gradients=ARGUMENTS,
        gradient_bound=linear_gradient_bound(rv.ops.conv2d_transpose, ARGUMENTS, transpose_gradient_lengths),
        gradient_calls=transpose_calls(small=True),
        integers=transpose_calls(integers=True),
        refused=TRANSPOSE_REFUSED,
        twice=True,
    ),
]
