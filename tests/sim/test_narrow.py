"""float16 and bfloat16 on the kernels that take them as they are, under every schedule: the tensor cores' products
above all. The bounds are those of tests/ops/test_narrow.py."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

import ranvier as rv
from tests.ops.test_narrow import (
    check_forward,
    check_gradient,
    every_narrow,
    in_narrow,
    one_rounding,
    rounded,
    rounds_once,
)
from tests.ops.test_specs import select
from tests.opspec import Call, OpSpec, run, seeds
from tests.sim.test_ops import SCHEDULES, small_calls

some_examples = settings(max_examples=2, phases=(Phase.generate,))
# Their backward begins with an output of forward, or with the gradient of a sum, which was rounded to 16 bits.
KEEP_OUTPUTS = ("softmax", "log_softmax", "sigmoid", "tanh", "elu", "selu", "gelu", "silu", "softplus", "leaky_relu")


def keeps_narrow(spec: OpSpec, call: Call) -> bool:
    return spec.name.partition(" ")[0] in KEEP_OUTPUTS or call.options.get("activation") is not None


@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("spec", select(rounds_once))
@every_narrow
@some_examples
@given(data=st.data())
def test_forward(spec: OpSpec, dtype: str, schedule: str, data: Any) -> None:
    call = data.draw(small_calls(spec).filter(one_rounding))
    with rv.sim.options(schedule=schedule, seed=3):
        check_forward(spec, call, dtype, "sim")


@pytest.mark.parametrize("spec", select(rounds_once))
@every_narrow
@some_examples
@given(data=st.data(), seed=seeds)
def test_gradient(spec: OpSpec, dtype: str, data: Any, seed: int) -> None:
    call = data.draw(small_calls(spec).filter(one_rounding))
    check_gradient(spec, call, seed, dtype, "sim", keeps_narrow(spec, call))


@pytest.mark.parametrize("spec", select(lambda s: rounds_once(s) and s.integers is not None))
@every_narrow
@some_examples
@given(data=st.data())
def test_small_integers_are_exact(spec: OpSpec, dtype: str, data: Any) -> None:
    """Sums of small integers are exact in float32, so the result is rounded once."""
    assert spec.integers is not None
    call = data.draw(spec.integers)
    expected = run(spec.op, call, "float64", "reference")
    found = run(in_narrow(spec.op, dtype), call, "float32", "sim")
    for ours, right in zip(found, expected, strict=True):
        np.testing.assert_array_equal(ours, rounded(right, dtype), err_msg=spec.name)


# m, n, k: one tile and several, ragged and in eights, a sum that is split.
PRODUCTS = [(3, 5, 7), (64, 40, 24), (129, 8, 33), (136, 256, 40), (17, 16, 1100), (8, 8, 2048)]


@pytest.mark.parametrize(("m", "n", "k"), PRODUCTS)
@pytest.mark.parametrize("transposed", [(False, False), (False, True), (True, False), (True, True)])
@every_narrow
def test_products_of_every_shape(m: int, n: int, k: int, transposed: tuple[bool, bool], dtype: str) -> None:
    rng = np.random.default_rng(m + n + k)
    a, b = (rng.integers(-3, 4, shape).astype(np.float32) for shape in ((m, k), (k, n)))
    stored = [np.ascontiguousarray(x.T) if t else x for x, t in zip((a, b), transposed, strict=True)]
    x1, x2 = (rv.ops.cast(rv.Tensor(x, device="sim"), dtype) for x in stored)
    y = rv.ops.matmul(x1, x2, transpose_x1=transposed[0], transpose_x2=transposed[1])
    assert y.dtype == dtype
    np.testing.assert_array_equal(rv.ops.cast(y, "float32").numpy(), rounded(a @ b, dtype))
