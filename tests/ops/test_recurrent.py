"""Recurrent ops where their paths part: weights that fit a cache or not, x first or with each step, batches that
threads share or not; Keras' masks."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import ranvier as rv
from tests.ops.test_specs import MACHINES, assert_within, on
from tests.opspec import Call, run, run_backward
from tests.specs.recurrent import GATES, gradient_bound, lstm_bound, state_bound, state_gradient_bound

NAMES = ("x", "kernel", "recurrent_kernel", "bias")


def call(op: str, options: dict[str, Any], batch: int, steps: int, inputs: int, units: int, masked: bool) -> Call:
    rng = np.random.default_rng(3)
    columns = GATES[op] * units
    bias = (2, columns) if options.get("reset_after") else (columns,)
    shapes = ((batch, steps, inputs), (inputs, columns), (units, columns), bias)
    arrays: dict[str, Any] = {n: rng.normal(size=s) / np.sqrt(units) for n, s in zip(NAMES, shapes, strict=True)}
    if op != "lstm":
        arrays["recurrent_kernel"] /= np.sqrt(units)  # their bounds grow with the norm of U at each step
    arrays["mask"] = rng.random((batch, steps)) < 0.8 if masked else None
    return Call(arrays, options)


# Few rows; rows for two threads; weights of 512 KB in one type; beyond it in both.
SIZES = [(3, 4, 70, 40), (40, 4, 70, 40), (33, 3, 90, 160), (40, 3, 300, 200), (5, 2, 300, 200)]
OPS = {
    "lstm": ("lstm", {}),
    "gru": ("gru", {"reset_after": True}),
    "gru_before": ("gru", {"reset_after": False}),
    "simple_rnn": ("simple_rnn", {"activation": "relu"}),
}


@pytest.mark.parametrize("sizes", SIZES, ids=str)
@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("name", OPS)
def test_sizes_that_take_other_paths(name: str, sizes: tuple[int, int, int, int], masked: bool, dtype: str) -> None:
    op_name, options = OPS[name]
    op = getattr(rv.ops, op_name)
    one = call(op_name, options, *sizes, masked).rounded(dtype)
    right = run(op, one, "float64", "reference")
    dys = [np.ones_like(r) for r in right]
    right_gradients = run_backward(op, one, NAMES, dys, "float64", "reference")
    eps = float(np.finfo(dtype).eps)
    bound, of_gradients = (lstm_bound, gradient_bound) if name == "lstm" else (state_bound, state_gradient_bound)
    bounds = bound(one, right, eps)
    gradient_bounds = of_gradients(one, dys, right_gradients, eps)
    bits: dict[Any, np.ndarray] = {}
    for machine in MACHINES:
        on(machine)
        found = run(op, one, dtype, "cpu")
        gradients = run_backward(op, one, NAMES, dys, dtype, "cpu")
        checks = [
            *zip(found, right, bounds, strict=True),
            *((gradients[n], right_gradients[n], gradient_bounds[n]) for n in NAMES),
        ]
        for i, (ours, expected, limit) in enumerate(checks):
            assert_within(ours, expected, limit, f"result {i} on {machine}")
            same = bits.setdefault((machine[0], i), ours)
            np.testing.assert_array_equal(ours, same, err_msg=f"threads change result {i} on {machine}")


@pytest.mark.parametrize("batch", [2, 20])
@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("name", OPS)
def test_a_sequence_in_two_parts_is_the_same_bit_for_bit(name: str, batch: int, masked: bool) -> None:
    """However many steps of x are multiplied at once, and however rows are shared, each sum is one chain."""
    op_name, options = OPS[name]
    op = getattr(rv.ops, op_name)
    one = call(op_name, options, batch, 90, 7, 40, masked)
    x, kernel, recurrent_kernel, bias = (one.arrays[n] for n in NAMES)
    mask: Any = one.arrays["mask"]

    def part(begin: int, end: int, states: Any) -> list[np.ndarray]:
        initial = dict(zip(("initial_h", "initial_c"), states, strict=False))
        own = None if mask is None else mask[:, begin:end].copy()
        found = op(x[:, begin:end].copy(), kernel, recurrent_kernel, bias, mask=own, **initial, **options)
        return [t.numpy() for t in found]

    if mask is not None:
        mask[:, 37] = True  # or the second part would begin with zeros where it repeats an output
    whole, first = part(0, 90, ()), part(0, 37, ())
    second = part(37, 90, first[1:])
    np.testing.assert_array_equal(np.concatenate([first[0], second[0]], axis=1), whole[0])
    for ours, right in zip(second[1:], whole[1:], strict=True):
        np.testing.assert_array_equal(ours, right)


@pytest.mark.parametrize("device", ["cpu", "reference"])
def test_masked_steps_keep_the_state_and_repeat_the_output(device: str) -> None:
    with rv.device(device):
        rng = np.random.default_rng(4)
        x, kernel, recurrent, h0 = (rng.normal(size=s) for s in ((1, 4, 3), (3, 8), (2, 8), (1, 2)))
        mask = np.array([[False, True, False, True]])
        y, h, c = rv.ops.lstm(x, kernel, recurrent, initial_h=h0, initial_c=h0, mask=mask)
        kept, kept_h, kept_c = rv.ops.lstm(x[:, [1, 3]], kernel, recurrent, initial_h=h0, initial_c=h0)
        np.testing.assert_array_equal(y.numpy()[:, 0], 0)  # nothing to repeat yet; the state stays h0
        np.testing.assert_allclose(y.numpy()[:, [1, 3]], kept.numpy(), rtol=1e-14)
        np.testing.assert_array_equal(y.numpy()[:, 2], y.numpy()[:, 1])
        np.testing.assert_allclose(h.numpy(), kept_h.numpy(), rtol=1e-14)
        np.testing.assert_allclose(c.numpy(), kept_c.numpy(), rtol=1e-14)


@pytest.mark.parametrize("device", ["cpu", "sim"])
def test_masked_steps_of_a_gru_leave_nothing_unwritten(device: str) -> None:
    """What memory held before (NaN) reaches no gradient through the gates of a masked step."""
    rng = np.random.default_rng(6)
    with rv.device(device):
        x, kernel, recurrent = (rng.normal(size=s) for s in ((3, 4, 2), (2, 15), (5, 15)))
        mask = rv.Tensor(np.array([[1, 1, 0, 0], [0, 1, 1, 0], [1, 0, 1, 1]], bool))
        weights = rv.Tensor(recurrent, requires_grad=True)
        spoiled = [rv.Tensor(np.full((3, 4, 5 * n), np.nan)) for n in (1, 2, 3, 4) for _ in range(4)]
        del spoiled
        y = rv.ops.gru(x, kernel, weights, mask=mask, reset_after=False)[0]
        assert np.isfinite(rv.grad(y.sum(), weights).numpy()).all()


def test_backwards_is_the_reversed_sequence() -> None:
    rng = np.random.default_rng(5)
    x, kernel, recurrent = (rng.normal(size=s) for s in ((3, 5, 4), (4, 8), (2, 8)))
    mask = rng.random((3, 5)) < 0.6
    back = rv.ops.lstm(x, kernel, recurrent, mask=mask, go_backwards=True)
    flipped = rv.ops.lstm(x[:, ::-1].copy(), kernel, recurrent, mask=mask[:, ::-1].copy())
    for ours, right in zip(back, flipped, strict=True):
        np.testing.assert_array_equal(ours.numpy(), right.numpy())


def test_second_derivatives_are_refused() -> None:
    x = rv.Tensor(np.ones((1, 2, 3)), requires_grad=True)
    y, _, _ = rv.ops.lstm(x, np.ones((3, 4)), np.ones((1, 4)))
    with pytest.raises(NotImplementedError, match="lstm: its gradient is not itself differentiable"):
        rv.grad(y.sum(), x, create_graph=True)
