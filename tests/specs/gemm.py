"""Matrix products: matmul, dense, einsum."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st

import ranvier as rv
from tests.opspec import Call, OpSpec, Refused, gamma, linear_bound, linear_gradient_bound, normal, seeds, smallest


@st.composite
def matmul_shapes(draw: Any, max_side: int, max_batch: int) -> Any:
    """Shapes of both operands as stored, and the transpositions: vectors, matrices, batches that broadcast."""
    m, n, k = (draw(st.integers(0, max_side)) for _ in range(3))
    t1, t2 = draw(st.booleans()), draw(st.booleans())
    first, second = ((k, m) if t1 else (m, k)), ((n, k) if t2 else (k, n))
    kind = draw(st.sampled_from(["matrices", "batches", "left vector", "right vector", "vectors"]))
    if kind in ("left vector", "vectors"):
        first, t1 = (k,), False
    if kind in ("right vector", "vectors"):
        second, t2 = (k,), False
    if kind == "batches":
        batch = draw(st.lists(st.integers(0, max_batch), max_size=2))
        stretched = [draw(st.sampled_from([side, 1])) for side in batch]
        dropped = draw(st.integers(0, len(batch)))
        one, other = draw(st.permutations([tuple(batch), tuple(stretched[dropped:])]))
        first, second = one + first, other + second
    return first, second, {"transpose_x1": t1, "transpose_x2": t2}


@st.composite
def matmul_calls(draw: Any, max_side: int = 40, max_batch: int = 3) -> Call:
    first, second, options = draw(matmul_shapes(max_side, max_batch))
    seed = draw(seeds)
    return Call({"x1": normal(first, seed), "x2": normal(second, seed + 1)}, options)


@st.composite
def matmul_integers(draw: Any) -> Call:
    first, second, options = draw(matmul_shapes(70, 3))
    rng = np.random.default_rng(draw(seeds))
    arrays = {"x1": rng.integers(-9, 10, first).astype(float), "x2": rng.integers(-9, 10, second).astype(float)}
    return Call(arrays, options)


def inner_length(call: Call) -> int:
    x1 = call.arrays["x1"]
    assert x1 is not None
    return int(x1.shape[-2 if call.options["transpose_x1"] else -1])


def gradient_lengths(call: Call) -> dict[str, int]:
    """Terms in each element's sum: all multiplications, shared evenly among the operand's elements."""
    with rv.device("reference"):
        products = rv.ops.matmul(**call.arrays, **call.options).size * inner_length(call)
    return {name: products // max(1, np.size(x)) for name, x in call.arrays.items()}


ones = np.ones
MATMUL_REFUSED = (
    Refused(
        Call({"x1": ones((2, 3)), "x2": ones((2, 3))}), ValueError, "x1 has 3 columns (shape 2x3) but x2 has 2 rows"
    ),
    Refused(
        Call({"x1": ones((2, 3)), "x2": ones((2, 3))}, {"transpose_x1": True, "transpose_x2": True}),
        ValueError,
        "x1 has 2 columns (shape 2x3, transposed) but x2 has 3 rows (shape 2x3, transposed)",
    ),
    Refused(Call({"x1": ones((2, 2, 3)), "x2": ones((3, 3, 4))}), ValueError, "batch axes do not broadcast"),
    Refused(Call({"x1": ones(()), "x2": ones((3, 4))}), ValueError, "x1 must"),
    Refused(Call({"x1": ones(3), "x2": ones((3, 4))}, {"transpose_x1": True}), ValueError, "transpose_x1 needs x1 of"),
    Refused(Call({"x1": ones((2, 3), np.int32), "x2": ones((3, 4))}), TypeError, "x1 must be floating"),
    Refused(Call({"x1": ones((2, 3), np.float32), "x2": ones((3, 4))}), TypeError, "x2"),
)

# --- dense ----------------------------------------------------------------------------------------------

ACTIVATIONS = (
    *(None, "linear", "relu", "leaky_relu", "elu", "selu", "gelu"),
    *("silu", "swish", "softplus", "sigmoid", "tanh", "softmax", "log_softmax"),
)
KINKED = ("relu", "leaky_relu", "selu")  # the slope jumps at 0
STEEPEST = 1.76  # largest slope of any of them (selu), and largest rate at which a slope changes


@st.composite
def dense_calls(
    draw: Any, max_side: int = 40, scale: float = 1.0, activations: tuple[str | None, ...] = ACTIVATIONS
) -> Call:
    batch = tuple(draw(st.lists(st.integers(0, max_side), max_size=2)))
    inputs, outputs = draw(st.integers(0, max_side)), draw(st.integers(0, max_side))
    seed = draw(seeds)
    arrays: dict[str, Any] = {
        "x": normal((*batch, inputs), seed, scale),
        "kernel": normal((inputs, outputs), seed + 1, scale),
        "bias": normal((outputs,), seed + 2, scale) if draw(st.booleans()) else None,
    }
    return Call(arrays, {"activation": draw(st.sampled_from(activations))})


@st.composite
def dense_integers(draw: Any) -> Call:
    call = draw(dense_calls(max_side=30, activations=(None, "relu")))
    return Call({k: None if v is None else np.round(3 * v) for k, v in call.arrays.items()}, call.options)


def sums_of(call: Call) -> tuple[np.ndarray, np.ndarray]:
    """x kernel + bias, and the same on absolute values."""
    x, kernel = (np.asarray(call.arrays[k], np.float64) for k in ("x", "kernel"))
    bias = np.zeros(kernel.shape[1]) if call.arrays["bias"] is None else np.asarray(call.arrays["bias"], np.float64)
    return x @ kernel + bias, np.abs(x) @ np.abs(kernel) + np.abs(bias)


def sum_error(call: Call, eps: float) -> np.ndarray:
    kernel = call.arrays["kernel"]
    assert kernel is not None
    return gamma(kernel.shape[0] + 2, eps) * sums_of(call)[1] + smallest(eps)


def activated_bound(name: str | None, z: np.ndarray, error: np.ndarray, y: np.ndarray, eps: float) -> list[Any]:
    """The sum's error times the steepest slope, and some ulps of the activation (of a row of `n` in softmax)."""
    if name in (None, "linear", "relu"):
        return [error]
    if name in ("softmax", "log_softmax"):
        widest = np.max(np.abs(z), axis=-1, keepdims=True, initial=0)
        row = np.max(error, axis=-1, keepdims=True, initial=0)
        return [4 * row + gamma(4 * z.shape[-1] + 32, eps) * (widest + 1) + 4 * eps * np.abs(y)]
    return [STEEPEST * error + 8 * eps * (np.abs(z) + 1)]


def dense_bound(call: Call, expected: list[np.ndarray], eps: float) -> list[Any]:
    return activated_bound(call.options["activation"], sums_of(call)[0], sum_error(call, eps), expected[0], eps)


def activated_gradient_error(
    name: str | None, z: np.ndarray, error: np.ndarray, dy: np.ndarray, eps: float
) -> tuple[np.ndarray, np.ndarray]:
    """How large the gradient before the activation can be, and how wrong where z is known within `error`."""
    size = np.abs(dy)
    if name in ("softmax", "log_softmax"):
        size = size + size.sum(-1, keepdims=True)
        error = np.broadcast_to(np.max(error, axis=-1, keepdims=True, initial=0) * 4, size.shape)
        wide = np.max(np.abs(z), axis=-1, keepdims=True, initial=0)
        dz_error = size * (error + gamma(4 * z.shape[-1] + 64, eps) * (wide + 1))
    elif name in (None, "linear"):
        dz_error = np.zeros_like(size)
    else:
        jumps = np.abs(z) <= error if name in KINKED else np.zeros(z.shape, bool)
        dz_error = size * (STEEPEST * error + 16 * eps * (np.abs(z) + 1) + np.where(jumps, STEEPEST, 0))
    return STEEPEST * size, dz_error


def dense_gradient_bound(
    call: Call, dys: list[np.ndarray], expected: dict[str, np.ndarray], eps: float
) -> dict[str, Any]:
    x, kernel = (np.abs(np.asarray(call.arrays[k], np.float64)) for k in ("x", "kernel"))
    z = sums_of(call)[0]
    size, dz_error = activated_gradient_error(call.options["activation"], z, sum_error(call, eps), dys[0], eps)
    rows = int(np.prod(x.shape[:-1]))
    flat_x = x.reshape(rows, x.shape[-1])
    over_rows = (dz_error + gamma(rows + 8, eps) * size).reshape(rows, z.shape[-1])
    bounds = {
        "x": (dz_error + gamma(z.shape[-1] + 8, eps) * size) @ kernel.T + smallest(eps),
        "kernel": flat_x.T @ over_rows + smallest(eps),
        "bias": over_rows.sum(0) + smallest(eps),
    }
    return {k: bounds[k] for k in expected}


DENSE_REFUSED = (
    Refused(
        Call({"x": ones((2, 3)), "kernel": ones((4, 5))}), ValueError, "kernel has 4 inputs (shape 4x5) but x has 3"
    ),
    Refused(Call({"x": ones((2, 3)), "kernel": ones((3, 5)), "bias": ones(4)}), ValueError, "bias must have shape 5"),
    Refused(Call({"x": ones((2, 3)), "kernel": ones(3)}), ValueError, "kernel must have rank 2"),
    Refused(Call({"x": ones(()), "kernel": ones((3, 5))}), ValueError, "x must have rank 1 or more"),
    Refused(
        Call({"x": ones((2, 3)), "kernel": ones((3, 5))}, {"activation": "relo"}),
        ValueError,
        "unknown activation 'relo'",
    ),
    Refused(Call({"x": ones((2, 3), np.int32), "kernel": ones((3, 5))}), TypeError, "x must be floating"),
    Refused(Call({"x": ones((2, 3), np.float32), "kernel": ones((3, 5))}), TypeError, "x is float32 but kernel is"),
)

# --- einsum ---------------------------------------------------------------------------------------------


@st.composite
def einsum_calls(draw: Any, max_side: int = 7) -> Call:
    """Any letters in any order: of both and the result, of both alone, of one and the result, of one alone."""
    groups = [draw(st.integers(0, 2)) for _ in range(4)] + [draw(st.integers(0, 1)) for _ in range(2)]
    letters = iter("abcdefghijklm")
    batch, rows, columns, inner, alone1, alone2 = ([next(letters) for _ in range(n)] for n in groups)
    sizes = {c: draw(st.integers(0, max_side)) for c in "abcdefghijklm"}
    x1, x2 = (
        draw(st.permutations(batch + rows + inner + alone1)),
        draw(st.permutations(batch + columns + inner + alone2)),
    )
    output = draw(st.permutations(batch + rows + columns))
    dots = draw(st.booleans())  # axes in front, of both and the result
    lead, front = ("...", (draw(st.integers(0, 3)),)) if dots else ("", ())
    equation = f"{lead}{''.join(x1)},{lead}{''.join(x2)}->{lead}{''.join(output)}"
    seed = draw(seeds)
    shapes = [(*front, *(sizes[c] for c in part)) for part in (x1, x2)]
    return Call({"x1": normal(shapes[0], seed), "x2": normal(shapes[1], seed + 1)}, {"equation": equation})


@st.composite
def einsum_integers(draw: Any) -> Call:
    call = draw(einsum_calls())
    return Call({k: np.round(3 * np.asarray(v)) for k, v in call.arrays.items()}, call.options)


def einsum_sums(call: Call, kept: int) -> int:
    """Terms of a sum: the sizes of all letters but those of a part of the equation (0, 1: operands, 2: the result)."""
    parts = call.options["equation"].replace("...", ".").replace("->", ",").split(",")
    shapes = [np.shape(x) for x in call.arrays.values()]
    sizes = dict(zip(parts[0] + parts[1], shapes[0] + shapes[1], strict=True))
    return int(np.prod([max(1, n) for c, n in sizes.items() if c not in parts[kept]], dtype=np.int64))


def einsum_is_numpys(call: Call, results: list[np.ndarray]) -> None:
    expected = np.einsum(call.options["equation"], *call.arrays.values())
    np.testing.assert_allclose(results[0], expected, rtol=1e-3, atol=1e-3)


EINSUM_REFUSED = (
    Refused(Call({"x1": ones((2, 3)), "x2": ones((4, 5))}, {"equation": "ab,bc->ac"}), ValueError, "axis 'b' of"),
    Refused(Call({"x1": ones((2, 3)), "x2": ones((3, 5))}, {"equation": "abc,bc->ac"}), ValueError, "3 axes for x1"),
    Refused(Call({"x1": ones((3, 3)), "x2": ones((3, 5))}, {"equation": "aa,ac->ac"}), ValueError, "named twice"),
    Refused(
        Call({"x1": ones((2, 3)), "x2": ones((3, 5))}, {"equation": "ab,bc->ad"}), ValueError, "axis of the result"
    ),
    Refused(Call({"x1": ones((2, 3)), "x2": ones((3, 5))}, {"equation": "ab,bc"}), ValueError, "must name the axes"),
    Refused(
        Call({"x1": ones((2, 3), np.int32), "x2": ones((3, 4))}, {"equation": "ab,bc->ac"}),
        TypeError,
        "x1 must be floating",
    ),
)

SPECS: list[OpSpec] = [
    OpSpec(
        op=rv.ops.matmul,
        calls=matmul_calls(),
        bound=linear_bound(rv.ops.matmul, inner_length),
        gradients=("x1", "x2"),
        gradient_bound=linear_gradient_bound(rv.ops.matmul, ("x1", "x2"), gradient_lengths),
        gradient_calls=matmul_calls(max_side=3, max_batch=2),
        integers=matmul_integers(),
        refused=MATMUL_REFUSED,
        twice=True,
        nan=True,
    ),
    OpSpec(
        op=rv.ops.dense,
        calls=dense_calls(),
        bound=dense_bound,
        gradients=("x", "kernel", "bias"),
        gradient_bound=dense_gradient_bound,
        gradient_calls=dense_calls(max_side=3, scale=0.8),
        integers=dense_integers(),
        refused=DENSE_REFUSED,
        twice=True,
    ),
    OpSpec(
        op=rv.ops.einsum,
        calls=einsum_calls(),
        bound=linear_bound(rv.ops.einsum, lambda call: einsum_sums(call, 2)),
        gradients=("x1", "x2"),
        gradient_bound=linear_gradient_bound(
            rv.ops.einsum, ("x1", "x2"), lambda call: {"x1": einsum_sums(call, 0), "x2": einsum_sums(call, 1)}
        ),
        gradient_calls=einsum_calls(max_side=3),
        integers=einsum_integers(),
        refused=EINSUM_REFUSED,
        twice=True,
        nan=True,
        properties=(einsum_is_numpys,),
    ),
]
