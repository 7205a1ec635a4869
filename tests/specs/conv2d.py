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

# --- Winograd's algorithm: the same op, in float32 from 16 channels on, with a bound of its own ------------------


def winograd_matrices(side: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """|A^T|, |G| and |B^T| of F(side x side, 3 x 3): Cook and Toom's formulas for our points and infinity."""
    points = np.array([0, 1, -1] if side == 2 else [0, 5 / 8, -5 / 8, 3 / 2, -3 / 2])
    n = len(points)
    others = [np.delete(points, i) for i in range(n)]
    at = np.array([[p**k for p in points] + [float(k == side - 1)] for k in range(side)])
    g = np.array([[p**k / np.prod(p - o) for k in range(3)] for p, o in zip(points, others, strict=True)] + [[0, 0, 1]])
    bt = np.array([[*np.poly(o)[::-1], 0] for o in others] + [np.poly(points)[::-1]])
    return np.abs(at), np.abs(g), np.abs(bt)


def tiles_of(x: np.ndarray, pads: Any, outs: tuple[int, int], side: int, reach: int) -> np.ndarray:
    """Patches of side + reach inputs for each tile of side outputs: (N, tile rows, tile columns, patch, patch, C)."""
    rows, columns = (-(-o // side) for o in outs)
    padded = np.zeros((x.shape[0], rows * side + reach, columns * side + reach, x.shape[3]))
    top, left = pads
    inside = x[:, max(-top, 0) :, max(-left, 0) :]
    height, width = (min(inside.shape[1 + i], padded.shape[1 + i] - max(p, 0)) for i, p in enumerate((top, left)))
    padded[:, max(top, 0) : max(top, 0) + height, max(left, 0) : max(left, 0) + width] = inside[:, :height, :width]
    size = side + reach
    return np.stack(
        [
            np.stack([padded[:, i * side : i * side + size, j * side : j * side + size] for j in range(columns)], 1)
            for i in range(rows)
        ],
        1,
    )


def winograd_size(x: np.ndarray, w: np.ndarray, pads: Any, outs: tuple[int, int]) -> np.ndarray:
    """How large the terms of a correlation get on the way, for the worse of the tile sizes."""
    sizes = []
    for side in (2, 4):
        at, g, bt = winograd_matrices(side)
        v = np.einsum("ai,bj,nrsijc->nrsabc", bt, bt, tiles_of(np.abs(x), pads, outs, side, 2), optimize=True)
        u = np.einsum("ai,bj,ijco->abco", g, g, np.abs(w), optimize=True)
        m = np.einsum("nrsabc,abco->nrsabo", v, u, optimize=True)
        y = np.einsum("ka,lb,nrsabo->nrkslo", at, at, m, optimize=True)
        whole = (y.shape[0], y.shape[1] * side, y.shape[3] * side, y.shape[5])
        sizes.append(y.reshape(whole)[:, : outs[0], : outs[1]])
    return np.maximum(*sizes)


def winograd_kernel_size(x: np.ndarray, dy: np.ndarray, pads: Any) -> np.ndarray:
    sizes, outs = [], (dy.shape[1], dy.shape[2])
    for side in (2, 4):
        at, g, bt = winograd_matrices(side)
        v = np.einsum("ai,bj,nrsijc->nrsabc", bt, bt, tiles_of(np.abs(x), pads, outs, side, 2), optimize=True)
        d = np.einsum("ka,lb,nrsklo->nrsabo", at, at, tiles_of(np.abs(dy), (0, 0), outs, side, 0), optimize=True)
        p = np.einsum("nrsabc,nrsabo->abco", v, d, optimize=True)
        sizes.append(np.einsum("ai,bj,abco->ijco", g, g, p, optimize=True))
    return np.maximum(*sizes)


TRANSFORMS = 32  # roundings in the transforms of inputs, kernel and outputs


def winograd_parts(call: Call) -> tuple[np.ndarray, np.ndarray, tuple[int, int], tuple[int, int]]:
    inputs, kernel = (np.asarray(call.arrays[k], np.float64) for k in ("inputs", "kernel"))
    axes = window_axes(inputs.shape[1:3], kernel.shape[:2], (1, 1), call.options["padding"], (1, 1))
    return inputs, kernel, (axes[0].before, axes[1].before), (axes[0].out, axes[1].out)


def winograd_sums(call: Call, eps: float) -> tuple[np.ndarray, np.ndarray]:
    plain = Call(call.arrays, {**call.options, "activation": None})
    (z,) = run(rv.ops.conv2d, plain, "float64", "reference")
    size = winograd_size(*winograd_parts(call)) + (0 if call.arrays["bias"] is None else np.abs(call.arrays["bias"]))
    return z, gamma(kernel_length(call) + TRANSFORMS, eps) * size + smallest(eps)


def winograd_bound(call: Call, expected: list[np.ndarray], eps: float) -> list[Any]:
    return activated_bound(call.options["activation"], *winograd_sums(call, eps), expected[0], eps)


def winograd_gradient_bound(
    call: Call, dys: list[np.ndarray], expected: dict[str, np.ndarray], eps: float
) -> dict[str, Any]:
    size, error = activated_gradient_error(call.options["activation"], *winograd_sums(call, eps), dys[0], eps)
    plain = Call(call.arrays, {**call.options, "activation": None}).absolute()
    through = run_backward(rv.ops.conv2d, plain, ARGUMENTS, [error], "float64", "reference")
    x, w, pads, _ = winograd_parts(call)
    rotated, room = w[::-1, ::-1].transpose(0, 1, 3, 2), (2 - pads[0], 2 - pads[1])
    own = {
        "inputs": winograd_size(size, rotated, room, x.shape[1:3]),
        "kernel": winograd_kernel_size(x, size, pads),
        "bias": size.sum((0, 1, 2)),
    }
    length = gradient_lengths(call)
    return {k: through[k] + gamma(length[k] + TRANSFORMS, eps) * own[k] + smallest(eps) for k in expected}


@st.composite
def winograd_calls(draw: Any, small: bool = False) -> Call:
    seed, most = draw(seeds), 6 if small else 18
    channels, outs = (draw(st.sampled_from(some[: 2 if small else 4])) for some in ([16, 17, 32, 39], [16, 19, 33, 64]))
    size = (draw(st.integers(3, most)), draw(st.integers(3, most)))
    side = st.integers(0, 3)
    padding = draw(st.sampled_from(["valid", "same", ((draw(side), draw(side)), (draw(side), draw(side)))]))
    images = draw(st.sampled_from([1, 2] if small else [0, 1, 2, 3, 15]))
    arrays: dict[str, Any] = {
        "inputs": normal((images, *size, channels), seed),
        "kernel": normal((3, 3, channels, outs), seed + 1),
        "bias": normal((outs,), seed + 2) if draw(st.booleans()) else None,
    }
    activation = draw(st.sampled_from([None, "relu", "tanh", "silu"]))
    return Call(arrays, dict(strides=1, padding=padding, dilation=1, groups=1, activation=activation))


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
        name="conv2d_winograd",
        op=rv.ops.conv2d,
        calls=winograd_calls(),
        watched_calls=winograd_calls(small=True),
        bound=winograd_bound,
        gradients=ARGUMENTS,
        gradient_bound=winograd_gradient_bound,
        gradient_calls=calls(small=True),
        nan=False,
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
