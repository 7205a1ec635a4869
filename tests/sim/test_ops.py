"""The op specs on the simulator: small calls, within the bounds that the CPU has to keep, and the same bits under
every schedule."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

import ranvier as rv
from tests.ops.test_specs import assert_within, select
from tests.opspec import Call, OpSpec, output_gradients, run, run_backward, seeds

SCHEDULES = ("forward", "reverse", "random")

MOST_ELEMENTS = 1500  # of a call's arrays together: a watched access takes 20 ns
some_examples = settings(max_examples=3, phases=(Phase.generate,))


def small_calls(spec: OpSpec) -> Any:
    """Calls that are soon watched."""

    def small(call: Call) -> bool:
        return sum(np.size(v) for v in call.arrays.values() if v is not None) <= MOST_ELEMENTS

    return spec.calls.filter(small) if spec.watched_calls is None else spec.watched_calls


def under_every_schedule(compute: Callable[[], dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """What ``compute`` gives, whatever the order of threads and blocks."""
    found = []
    for schedule in SCHEDULES:
        with rv.sim.options(schedule=schedule, seed=3):
            found.append(compute())
    for other in found[1:]:
        for name, ours in other.items():
            np.testing.assert_array_equal(ours, found[0][name], err_msg=f"{name} depends on the schedule")
    return found[0]


@pytest.mark.parametrize("spec", select(lambda s: True))
@pytest.mark.parametrize("dtype", ["float64", "float32"])
@some_examples
@given(data=st.data())
def test_forward(spec: OpSpec, dtype: str, data: Any) -> None:
    call = data.draw(small_calls(spec)).rounded(dtype)
    expected = run(spec.op, call, "float64", "reference")
    bounds = spec.bound(call, expected, float(np.finfo(dtype).eps))
    outputs = under_every_schedule(lambda: {str(i): o for i, o in enumerate(run(spec.op, call, dtype, "sim"))})
    for (i, ours), right, bound in zip(outputs.items(), expected, bounds, strict=True):
        assert_within(ours, right, bound, f"{spec.name} output {i} on sim")
    for check in spec.properties:
        check(call, list(outputs.values()))


@pytest.mark.parametrize("spec", select(lambda s: s.gradients))
@pytest.mark.parametrize("dtype", ["float64", "float32"])
@some_examples
@given(data=st.data(), seed=seeds)
def test_gradient(spec: OpSpec, dtype: str, data: Any, seed: int) -> None:
    assert spec.gradient_bound is not None
    call = data.draw(small_calls(spec)).rounded(dtype)
    dys = [d.astype(dtype) for d in output_gradients(spec.op, call, seed)]
    expected = run_backward(spec.op, call, spec.gradients, dys, "float64", "reference")
    wide = [d.astype(np.float64) for d in dys]
    bounds = spec.gradient_bound(call, wide, expected, float(np.finfo(dtype).eps))
    found = under_every_schedule(lambda: run_backward(spec.op, call, spec.gradients, dys, dtype, "sim"))
    for name, ours in found.items():
        assert_within(ours, expected[name], bounds[name], f"{spec.name} d{name} on sim")


@pytest.mark.parametrize("spec", select(lambda s: s.nan))
@some_examples
@given(data=st.data(), special=st.sampled_from([np.nan, np.inf, -np.inf]))
def test_nan_and_inf_travel(spec: OpSpec, data: Any, special: float) -> None:
    call = data.draw(small_calls(spec))
    name = next((k for k, v in call.arrays.items() if v is not None and np.asarray(v).dtype.kind == "f"), None)
    if name is None or np.size(call.arrays[name]) == 0:
        return
    values = np.array(call.arrays[name])
    values.flat[data.draw(st.integers(0, values.size - 1))] = special
    spoiled = Call({**call.arrays, name: values}, call.options)
    expected = run(spec.op, spoiled, "float64", "reference")
    for ours, right in zip(run(spec.op, spoiled, "float64", "sim"), expected, strict=True):
        np.testing.assert_array_equal(np.isnan(ours), np.isnan(right), err_msg=f"NaN of {spec.name}")
        if right.dtype.kind == "f":
            np.testing.assert_array_equal(np.isinf(ours), np.isinf(right), err_msg=f"Inf of {spec.name}")
