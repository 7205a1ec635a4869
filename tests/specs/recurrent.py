"""Long short-term memory, gated recurrent units, the simple layer: a sequence, and one step."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st

import ranvier as rv
from tests.opspec import Call, OpSpec, Refused, gamma, normal, seeds

WEIGHTS = ("x", "kernel", "recurrent_kernel", "bias", "initial_h", "initial_c")


GATES = {"lstm": 4, "gru": 3, "simple_rnn": 1}


def masks(draw: Any, n: int, steps: int, seed: int) -> Any:
    """None, sequences that end early (as padding makes them), that begin late, or holes anywhere."""
    kind = draw(st.sampled_from(["none", "none", "ends", "begins", "holes"]))
    random = np.random.default_rng(seed)
    lengths = random.integers(0, steps + 1, (n, 1))
    if kind == "ends":
        return np.arange(steps) < lengths
    if kind == "begins":
        return np.arange(steps) >= lengths
    return random.random((n, steps)) < 0.7 if kind == "holes" else None


@st.composite
def sequence_calls(
    draw: Any, op: str, max_batch: int = 24, max_steps: int = 5, max_units: int = 20, scale: float = 1.0
) -> Call:
    n, steps = draw(st.integers(0, max_batch)), draw(st.integers(0, max_steps))
    inputs, units = draw(st.integers(0, max_units)), draw(st.integers(1, max_units))
    seed = draw(seeds)
    options: dict[str, Any] = {"go_backwards": draw(st.booleans())}
    bias: tuple[int, ...] = (GATES[op] * units,)
    if op == "gru":
        options["reset_after"] = draw(st.booleans())
        bias = (2, *bias) if options["reset_after"] else bias
    if op == "simple_rnn":
        options["activation"] = draw(st.sampled_from(["tanh", "relu", "sigmoid", "linear"]))
    shapes = ((n, steps, inputs), (inputs, GATES[op] * units), (units, GATES[op] * units), bias, (n, units), (n, units))
    arrays: dict[str, Any] = {
        name: normal(shape, seed + i, scale) for i, (name, shape) in enumerate(zip(WEIGHTS, shapes, strict=True))
    }
    for name in WEIGHTS[3:]:
        if draw(st.booleans()):
            arrays[name] = None
    if op != "lstm":
        del arrays["initial_c"]
    if op == "simple_rnn":  # nothing there keeps states and sums small
        arrays["recurrent_kernel"] = arrays["recurrent_kernel"] / units
    arrays["mask"] = masks(draw, n, steps, seed)
    return Call(arrays, options)


@st.composite
def cell_calls(draw: Any, op: str, max_side: int = 20, scale: float = 1.0) -> Call:
    call = draw(sequence_calls(op, max_batch=max_side, max_steps=0, max_units=max_side, scale=scale))
    weights = ("kernel", "recurrent_kernel", "bias")
    n, _, inputs = call.arrays["x"].shape
    units = call.arrays["recurrent_kernel"].shape[0]
    seed = draw(seeds)
    states = {name: normal((n, units), seed + i, scale) for i, name in enumerate("hc" if op == "lstm" else "h")}
    options = {k: v for k, v in call.options.items() if k != "go_backwards"}
    return Call({"x": normal((n, inputs), seed, scale), **states, **{k: call.arrays[k] for k in weights}}, options)


def of_array(call: Call, name: str) -> Any:
    """An argument in float64; zeros of no size for an absent one."""
    value = call.arrays.get(name)
    return np.zeros(0) if value is None else np.asarray(value, np.float64)


def step_error(call: Call, eps: float) -> tuple[float, float, float]:
    """Errors of z, h and c after all steps, by the recurrence of their first-order bounds.

    |dz| <= gamma * (|x||W| + |h||U| + |b|) + |dh| column sums of |U|; sigmoid has slope at most 1/4, tanh 1; |h| < 1
    and c grows by at most 1 a step.
    """
    x, w, u = of_array(call, "x"), of_array(call, "kernel"), of_array(call, "recurrent_kernel")
    inputs, units = w.shape[0], u.shape[0]
    steps = x.shape[1] if x.ndim == 3 else 1
    h0, c0 = of_array(call, "initial_h"), of_array(call, "initial_c")
    if "h" in call.arrays:
        h0, c0 = of_array(call, "h"), of_array(call, "c")
    h_size, c_size = max(1.0, np.abs(h0).max(initial=0)), np.abs(c0).max(initial=0)
    columns = np.abs(u).sum(0).max(initial=0)
    reach = (np.abs(x).reshape(-1, inputs) @ np.abs(w)).max(initial=0) if x.size and w.size else 0.0
    size = reach + h_size * columns + np.abs(of_array(call, "bias")).max(initial=0)
    dz = dh = dc = 0.0
    for _ in range(steps):
        dz = gamma(inputs + units + 4, eps) * size + dh * columns
        gate = dz / 4 + 4 * eps
        dc = dc + gate * c_size + dz + 4 * eps + gate + 4 * eps * (c_size + 1)
        c_size += 1
        dh = gate + dc + 6 * eps
    return dz, dh, dc


def lstm_bound(call: Call, expected: list[np.ndarray], eps: float) -> list[Any]:
    _, dh, dc = step_error(call, eps)
    return [dh, dh, dc]


def cell_bound(call: Call, expected: list[np.ndarray], eps: float) -> list[Any]:
    _, dh, dc = step_error(call, eps)
    return [dh, dc]


def gradient_bound(call: Call, dys: list[np.ndarray], expected: dict[str, np.ndarray], eps: float) -> dict[str, Any]:
    """Backward through time is linear in the gradients: their size grows each step by at most the factor of the
    step's Jacobian, and relative errors of the gates add to gamma of the sums."""
    dz, dh, dc = step_error(call, eps)
    u = np.abs(of_array(call, "recurrent_kernel"))
    x = of_array(call, "x")
    steps = x.shape[1] if x.ndim == 3 else 1
    c0 = np.abs(of_array(call, "initial_c" if "initial_c" in call.arrays else "c")).max(initial=0)
    units, batch = u.shape[0], max(1, x.shape[0])
    h_gradient = c_gradient = 0.0
    error_h = error_c = 0.0
    largest = max((float(np.abs(d).max(initial=0)) for d in dys), default=0.0)
    relative = 16 * (dz + dh + dc) + gamma(4 * units + 16, eps)
    z_gradient = z_error = 0.0
    c_size = c0 + steps
    for _ in range(steps):
        h_in = h_gradient + largest * (2 if call.arrays.get("mask") is None else steps + 1)
        c_in = c_gradient + h_in + largest
        c_error = error_c + error_h + relative * c_in
        z_one = max(c_in * max(1.0, c_size / 4), h_in / 4)
        e_one = max(c_error * max(1.0, c_size / 4), error_h / 4) + relative * z_one * (1 + c_size)
        z_gradient, z_error = max(z_gradient, z_one), max(z_error, e_one)
        rows = u.sum(1).max(initial=0)
        h_gradient, error_h = z_one * rows, e_one * rows + relative * z_one * rows
        c_gradient, error_c = c_in, c_error
    terms = batch * max(1, steps)
    sums = z_error + gamma(terms + 8, eps) * z_gradient
    w = np.abs(of_array(call, "kernel"))
    h0 = np.abs(of_array(call, "initial_h" if "initial_h" in call.arrays else "h")).max(initial=0)
    bounds = {
        "x": w.sum(1).max(initial=0) * (z_error + gamma(4 * units + 4, eps) * z_gradient),
        "kernel": terms * np.abs(x).max(initial=0) * sums,
        "recurrent_kernel": terms * (max(1.0, h0) * sums + dh * z_gradient),
        "bias": terms * sums,
        "h": error_h + relative * largest + 4 * eps * h_gradient,
        "c": error_c + relative * (largest + c_gradient),
    }
    bounds["initial_h"], bounds["initial_c"] = bounds["h"], bounds["c"]
    return {name: bounds[name] for name in expected}


# --- gru and simple_rnn: one state ------------------------------------------------------------------------------


def sums_of(call: Call) -> tuple[np.ndarray, float, float, float]:
    """Column sums of |U|, the largest |x W| + |b|, the largest |h| before the first step, and the steps."""
    x, w, u = of_array(call, "x"), of_array(call, "kernel"), of_array(call, "recurrent_kernel")
    reach = (np.abs(x).reshape(-1, w.shape[0]) @ np.abs(w)).max(initial=0) if x.size and w.size else 0.0
    bias = np.abs(of_array(call, "bias"))
    h0 = np.abs(of_array(call, "initial_h" if "initial_h" in call.arrays else "h")).max(initial=0)
    steps = x.shape[1] if x.ndim == 3 else 1
    return np.abs(u), reach + (bias.sum(0) if bias.ndim == 2 else bias).max(initial=0), h0, steps


def state_errors(call: Call, eps: float) -> tuple[list[float], list[float]]:
    """Size and error of h before each step and after the last, by the recurrence of their first-order bounds.

    simple_rnn: slopes are at most 1; tanh and sigmoid bound h by 1. gru: z and r move by at most dz / 4, the sum of
    gate h by its own error, r's times its factor, and (without reset_after) the error of r h; |h| stays within
    max(1, |h0|).
    """
    u, reach, h, steps = sums_of(call)
    columns, units = u.sum(0).max(initial=0), u.shape[0]
    terms = call.arrays["kernel"].shape[0] + units + 6
    activation = call.options.get("activation")
    error, sizes, errors = 0.0, [h], [0.0]
    for _ in range(int(steps)):
        size = reach + h * columns
        of_sum = gamma(terms, eps) * size + error * columns
        if "activation" in call.options or call.arrays["recurrent_kernel"].shape[1] == units:
            error = of_sum + 6 * eps
            h = max(h, size if activation in ("relu", "linear") else 1.0)
        else:
            gate = of_sum / 4 + 4 * eps
            of_h = of_sum * 2 + gate * (size + h * columns) + 8 * eps
            h = max(1.0, h)
            error = error + gate * 2 * h + of_h + 8 * eps * h
        sizes.append(h)
        errors.append(error)
    return sizes, errors


def state_bound(call: Call, expected: list[np.ndarray], eps: float) -> list[Any]:
    error = state_errors(call, eps)[1][-1]
    return [error] * len(expected)


def state_gradient_bound(
    call: Call, dys: list[np.ndarray], expected: dict[str, np.ndarray], eps: float
) -> dict[str, Any]:
    """As for lstm: a step multiplies the gradient of h by at most ``factor`` and adds errors relative to it."""
    sizes, errors = state_errors(call, eps)
    u, reach, _, steps = sums_of(call)
    units, batch = u.shape[0], max(1, call.arrays["x"].shape[0])
    columns, rows, size_h = u.sum(0).max(initial=0), u.sum(1).max(initial=0), max(sizes)
    gru = call.arrays["recurrent_kernel"].shape[1] == 3 * units and "activation" not in call.options
    size = reach + size_h * columns
    # of h's gradient, what a sum's may be, and how much the errors of the saved values change that
    slope = max(1.0, size / 4, size_h / 2) if gru else 1.0
    wrong = 16 * (1 + size + size_h) * (max(errors) * (1 + columns) + gamma(units + 16, eps) * (1 + size))
    largest = max((float(np.abs(d).max(initial=0)) for d in dys), default=0.0)
    reused = 2 if call.arrays.get("mask") is None else steps + 1
    kept = 1.0 + size_h * rows if gru else 0.0  # gru: z h beside the product; its resets' products
    h = largest
    error = sum_size = sum_error = 0.0
    for _ in range(int(steps)):
        h += largest * reused
        of_sum, of_error = slope * h, slope * error + wrong * h * slope
        sum_size, sum_error = max(sum_size, of_sum), max(sum_error, of_error)
        error = of_error * rows + kept * (error + wrong * h) + gamma(3 * units + 8, eps) * of_sum * rows
        h = of_sum * rows + kept * h
    terms = batch * max(1, int(steps))
    sums = sum_error + gamma(terms + 8, eps) * sum_size
    w = np.abs(of_array(call, "kernel"))
    bounds = {
        "x": w.sum(1).max(initial=0) * (sum_error + gamma(3 * units + 4, eps) * sum_size),
        "kernel": terms * np.abs(of_array(call, "x")).max(initial=0) * sums,
        "recurrent_kernel": terms * (max(1.0, size_h) * sums + max(errors) * sum_size),
        "bias": terms * sums,
        "h": error + 4 * eps * h,
    }
    bounds["initial_h"] = bounds["h"]
    return {name: bounds[name] for name in expected}


# --- specs --------------------------------------------------------------------------------------------------------


def arrays_of(op: str, options: dict[str, Any] | None = None, **replaced: Any) -> Call:
    gates = GATES[op]
    arrays: dict[str, Any] = {
        "x": np.ones((2, 3, 4)),
        "kernel": np.ones((4, 5 * gates)),
        "recurrent_kernel": np.ones((5, 5 * gates)),
        "bias": None,
        "initial_h": None,
        "mask": None,
    }
    return Call({**arrays, **replaced}, {"go_backwards": False, **(options or {})})


def refused(op: str) -> tuple[Refused, ...]:
    """What every op of the family refuses."""
    gates = GATES[op]
    columns, shape = 5 * gates, {1: "(units, units)", 3: "(units, 3 * units)", 4: "(units, 4 * units)"}[gates]

    def bad(error: type[Exception], match: str, **replaced: Any) -> Refused:
        return Refused(arrays_of(op, **replaced), error, match)

    return (
        bad(ValueError, f"{op}: x must have rank 3", x=np.ones((2, 4))),
        bad(
            ValueError,
            f"{op}: kernel has 3 input features (shape 3x{columns}) but x has 4",
            kernel=np.ones((3, columns)),
        ),
        bad(ValueError, f"kernel must have shape 4x{columns}", kernel=np.ones((4, 4 * gates))),
        bad(ValueError, f"must have shape {shape}", recurrent_kernel=np.ones((5, columns - 1))),
        bad(ValueError, "must be positive", recurrent_kernel=np.ones((0, 0))),
        bad(ValueError, "bias must have shape", bias=np.ones(6)),
        bad(ValueError, "initial_h must have shape 2x5", initial_h=np.ones((2, 4))),
        bad(ValueError, "mask must have shape 2x3", mask=np.ones((2, 4), bool)),
        bad(TypeError, "mask must be bool", mask=np.ones((2, 3), np.int32)),
        bad(TypeError, "x is float32 but kernel is float64", x=np.ones((2, 3, 4), np.float32)),
    )


def refused_cell(op: str) -> tuple[Refused, ...]:
    call = arrays_of(op, x=np.ones(4))
    weights = {k: call.arrays[k] for k in ("x", "kernel", "recurrent_kernel")}
    states = {name: np.ones((2, 5)) for name in ("hc" if op == "lstm" else "h")}
    return (Refused(Call({**weights, **states}), ValueError, f"{op}_cell: x must have rank 2"),)


def specs_of(sequence: Any, cell: Any, bound: Any, gradient: Any, cell_bound: Any) -> list[OpSpec]:
    op = sequence.__name__
    states = ("h", "c") if op == "lstm" else ("h",)
    initial = tuple(f"initial_{name}" for name in states)
    return [
        OpSpec(
            op=sequence,
            calls=sequence_calls(op),
            bound=bound,
            gradients=(*WEIGHTS[:4], *initial),
            gradient_bound=gradient,
            gradient_calls=sequence_calls(op, max_batch=3, max_steps=3, max_units=3, scale=0.7),
            refused=refused(op),
        ),
        OpSpec(
            op=cell,
            calls=cell_calls(op),
            bound=cell_bound,
            gradients=("x", *states, *WEIGHTS[1:4]),
            gradient_bound=gradient,
            gradient_calls=cell_calls(op, max_side=3, scale=0.7),
            refused=refused_cell(op),
        ),
    ]


SPECS: list[OpSpec] = [
    *specs_of(rv.ops.lstm, rv.ops.lstm_cell, lstm_bound, gradient_bound, cell_bound),
    *specs_of(rv.ops.gru, rv.ops.gru_cell, state_bound, state_gradient_bound, state_bound),
    *specs_of(rv.ops.simple_rnn, rv.ops.simple_rnn_cell, state_bound, state_gradient_bound, state_bound),
]
