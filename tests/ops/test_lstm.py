"""LSTM where its paths part: kernels that fit a cache or not, batches that threads share or not; Keras' masks."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import ranvier as rv
from tests.ops.test_specs import MACHINES, assert_within, on
from tests.opspec import Call, run, run_backward
from tests.specs.recurrent import gradient_bound, lstm_bound

NAMES = ("x", "kernel", "recurrent_kernel", "bias")


def call(batch: int, steps: int, inputs: int, units: int, masked: bool) -> Call:
    rng = np.random.default_rng(3)
    shapes = ((batch, steps, inputs), (inputs, 4 * units), (units, 4 * units), (4 * units,))
    arrays: dict[str, Any] = {n: rng.normal(size=s) / np.sqrt(units) for n, s in zip(NAMES, shapes, strict=True)}
    arrays["mask"] = rng.random((batch, steps)) < 0.8 if masked else None
    return Call(arrays)


# (inputs + units) * 4 * units numbers fit 768 KB in both types, in float32 only, in neither.
SIZES = [(3, 4, 70, 40), (40, 4, 70, 40), (33, 3, 90, 160), (40, 3, 300, 200), (5, 2, 300, 200)]


@pytest.mark.parametrize("sizes", SIZES)
@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_sizes_that_take_other_paths(sizes: tuple[int, int, int, int], masked: bool, dtype: str) -> None:
    one = call(*sizes, masked).rounded(dtype)
    right = run(rv.ops.lstm, one, "float64", "reference")
    dys = [np.ones_like(r) for r in right]
    right_gradients = run_backward(rv.ops.lstm, one, NAMES, dys, "float64", "reference")
    eps = float(np.finfo(dtype).eps)
    bounds = lstm_bound(one, right, eps)
    gradient_bounds = gradient_bound(one, dys, right_gradients, eps)
    bits: dict[Any, np.ndarray] = {}
    for machine in MACHINES:
        on(machine)
        found = run(rv.ops.lstm, one, dtype, "cpu")
        gradients = run_backward(rv.ops.lstm, one, NAMES, dys, dtype, "cpu")
        checks = [
            *zip(found, right, bounds, strict=True),
            *((gradients[n], right_gradients[n], gradient_bounds[n]) for n in NAMES),
        ]
        for i, (ours, expected, bound) in enumerate(checks):
            assert_within(ours, expected, bound, f"result {i} on {machine}")
            same = bits.setdefault((machine[0], i), ours)
            np.testing.assert_array_equal(ours, same, err_msg=f"threads change result {i} on {machine}")


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
