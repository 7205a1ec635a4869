"""The op specs on a GPU, within the bounds that the CPU has to keep, and the same bits when they run again."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.ops.test_specs import assert_within, select
from tests.opspec import Call, OpSpec, output_gradients, run, run_backward, seeds


@pytest.mark.parametrize("spec", select(lambda s: True))
@pytest.mark.parametrize("dtype", ["float64", "float32"])
@given(data=st.data())
def test_forward(spec: OpSpec, dtype: str, data: Any) -> None:
    call = data.draw(spec.calls).rounded(dtype)
    expected = run(spec.op, call, "float64", "reference")
    bounds = spec.bound(call, expected, float(np.finfo(dtype).eps))
    outputs, again = run(spec.op, call, dtype, "cuda"), run(spec.op, call, dtype, "cuda")
    for i, (ours, second, right, bound) in enumerate(zip(outputs, again, expected, bounds, strict=True)):
        assert_within(ours, right, bound, f"{spec.name} output {i} on cuda")
        np.testing.assert_array_equal(ours, second, err_msg=f"{spec.name} output {i} differs from run to run")
    for check in spec.properties:
        check(call, outputs)


@pytest.mark.parametrize("spec", select(lambda s: s.gradients))
@pytest.mark.parametrize("dtype", ["float64", "float32"])
@given(data=st.data(), seed=seeds)
def test_gradient(spec: OpSpec, dtype: str, data: Any, seed: int) -> None:
    assert spec.gradient_bound is not None
    call = data.draw(spec.calls).rounded(dtype)
    dys = [d.astype(dtype) for d in output_gradients(spec.op, call, seed)]
    expected = run_backward(spec.op, call, spec.gradients, dys, "float64", "reference")
    wide = [d.astype(np.float64) for d in dys]
    bounds = spec.gradient_bound(call, wide, expected, float(np.finfo(dtype).eps))
    found = run_backward(spec.op, call, spec.gradients, dys, dtype, "cuda")
    again = run_backward(spec.op, call, spec.gradients, dys, dtype, "cuda")
    for name, ours in found.items():
        assert_within(ours, expected[name], bounds[name], f"{spec.name} d{name} on cuda")
        np.testing.assert_array_equal(ours, again[name], err_msg=f"{spec.name} d{name} differs from run to run")


@pytest.mark.parametrize("spec", select(lambda s: s.nan))
@given(data=st.data(), special=st.sampled_from([np.nan, np.inf, -np.inf]))
def test_nan_and_inf_travel(spec: OpSpec, data: Any, special: float) -> None:
    call = data.draw(spec.calls)
    name = next((k for k, v in call.arrays.items() if v is not None and np.asarray(v).dtype.kind == "f"), None)
    if name is None or np.size(call.arrays[name]) == 0:
        return
    values = np.array(call.arrays[name])
    values.flat[data.draw(st.integers(0, values.size - 1))] = special
    spoiled = Call({**call.arrays, name: values}, call.options)
    expected = run(spec.op, spoiled, "float64", "reference")
    for ours, right in zip(run(spec.op, spoiled, "float64", "cuda"), expected, strict=True):
        np.testing.assert_array_equal(np.isnan(ours), np.isnan(right), err_msg=f"NaN of {spec.name}")
        if right.dtype.kind == "f":
            np.testing.assert_array_equal(np.isinf(ours), np.isinf(right), err_msg=f"Inf of {spec.name}")
