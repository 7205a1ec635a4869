"""Long short-term memory: a sequence, and one step."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st

import ranvier as rv
from tests.opspec import Call, OpSpec, Refused, gamma, normal, seeds

WEIGHTS = ("x", "kernel", "recurrent_kernel", "bias", "initial_h", "initial_c")


@st.composite
def lstm_calls(draw: Any, max_batch: int = 24, max_steps: int = 5, max_units: int = 20, scale: float = 1.0) -> Call:
    n, steps = draw(st.integers(0, max_batch)), draw(st.integers(0, max_steps))
    inputs, units = draw(st.integers(0, max_units)), draw(st.integers(1, max_units))
    seed = draw(seeds)
    shapes = ((n, steps, inputs), (inputs, 4 * units), (units, 4 * units), (4 * units,), (n, units), (n, units))
    arrays: dict[str, Any] = {
        name: normal(shape, seed + i, scale) for i, (name, shape) in enumerate(zip(WEIGHTS, shapes, strict=True))
    }
    for name in WEIGHTS[3:]:
        if draw(st.booleans()):
            arrays[name] = None
    arrays["mask"] = np.random.default_rng(seed).random((n, steps)) < 0.7 if draw(st.booleans()) else None
    return Call(arrays, {"go_backwards": draw(st.booleans())})


@st.composite
def cell_calls(draw: Any, max_side: int = 20, scale: float = 1.0) -> Call:
    n, inputs, units = draw(st.integers(0, max_side)), draw(st.integers(0, max_side)), draw(st.integers(1, max_side))
    seed = draw(seeds)
    shapes = {
        "x": (n, inputs),
        "h": (n, units),
        "c": (n, units),
        "kernel": (inputs, 4 * units),
        "recurrent_kernel": (units, 4 * units),
        "bias": (4 * units,),
    }
    arrays: dict[str, Any] = {name: normal(shape, seed + i, scale) for i, (name, shape) in enumerate(shapes.items())}
    if draw(st.booleans()):
        arrays["bias"] = None
    return Call(arrays, {})


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


def arrays_of(**replaced: Any) -> Call:
    arrays: dict[str, Any] = {
        "x": np.ones((2, 3, 4)),
        "kernel": np.ones((4, 20)),
        "recurrent_kernel": np.ones((5, 20)),
        "bias": np.ones(20),
        "initial_h": None,
        "initial_c": None,
        "mask": None,
    }
    return Call({**arrays, **replaced}, {"go_backwards": False})


REFUSED = (
    Refused(arrays_of(x=np.ones((2, 4))), ValueError, "x must have rank 3"),
    Refused(arrays_of(kernel=np.ones((3, 20))), ValueError, "kernel has 3 input features (shape 3x20) but x has 4"),
    Refused(arrays_of(kernel=np.ones((4, 16))), ValueError, "kernel must have shape 4x20"),
    Refused(arrays_of(recurrent_kernel=np.ones((5, 19))), ValueError, "must have shape (units, 4 * units)"),
    Refused(arrays_of(recurrent_kernel=np.ones((0, 0))), ValueError, "must be positive"),
    Refused(arrays_of(bias=np.ones(5)), ValueError, "bias must have shape 20"),
    Refused(arrays_of(initial_h=np.ones((2, 4))), ValueError, "initial_h must have shape 2x5"),
    Refused(arrays_of(mask=np.ones((2, 4), bool)), ValueError, "mask must have shape 2x3"),
    Refused(arrays_of(mask=np.ones((2, 3), np.int32)), TypeError, "mask must be bool"),
    Refused(arrays_of(x=np.ones((2, 3, 4), np.float32)), TypeError, "x is float32 but kernel is float64"),
)

SPECS: list[OpSpec] = [
    OpSpec(
        op=rv.ops.lstm,
        calls=lstm_calls(),
        bound=lstm_bound,
        gradients=WEIGHTS,
        gradient_bound=gradient_bound,
        gradient_calls=lstm_calls(max_batch=3, max_steps=3, max_units=3, scale=0.7),
        refused=REFUSED,
    ),
    OpSpec(
        op=rv.ops.lstm_cell,
        calls=cell_calls(),
        bound=cell_bound,
        gradients=("x", "h", "c", "kernel", "recurrent_kernel", "bias"),
        gradient_bound=gradient_bound,
        gradient_calls=cell_calls(max_side=3, scale=0.7),
        refused=(
            Refused(
                Call(
                    {
                        "x": np.ones(4),
                        "h": np.ones((2, 5)),
                        "c": np.ones((2, 5)),
                        "kernel": np.ones((4, 20)),
                        "recurrent_kernel": np.ones((5, 20)),
                        "bias": None,
                    }
                ),
                ValueError,
                "lstm_cell: x must have rank 2",
            ),
        ),
    ),
]
