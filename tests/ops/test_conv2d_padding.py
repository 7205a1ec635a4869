"""Inf and NaN beside padding. Its zeros are multiplied by the kernel and by the output's gradient, as if the input had
been padded before; the input's gradient sums over what saw an input, and no zero takes part in it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import ranvier as rv
from tests.ops.test_specs import MACHINES, on
from tests.opspec import Call, normal, run
from tests.specs.conv2d import both, calls, transpose_calls

SPECIAL = st.sampled_from([np.nan, np.inf, -np.inf])


def spoil(data: Any, array: np.ndarray) -> np.ndarray:
    spoiled = np.array(array)
    if spoiled.size:
        spoiled.flat[data.draw(st.integers(0, spoiled.size - 1))] = data.draw(SPECIAL)
    return spoiled


def check(what: str, call: Any) -> None:
    """The same NaN and Inf as the reference, in float32 and float64, whatever the machine."""
    with np.errstate(all="ignore"):
        expected = call("reference", "float64")
        for machine in MACHINES:
            on(machine)
            for dtype in ("float64", "float32"):
                ours = call("cpu", dtype)
                for kind in (np.isnan, np.isposinf, np.isneginf):
                    message = f"{kind.__name__} of {what}, {dtype}, on {machine}"
                    np.testing.assert_array_equal(kind(ours), kind(expected), err_msg=message)
                finite = np.isfinite(expected)
                np.testing.assert_allclose(ours[finite], expected[finite], rtol=0, atol=1e-2, err_msg=what)


def direction(name: str, a: np.ndarray, b: np.ndarray, *rest: Any) -> Any:
    def call(device: str, dtype: str) -> np.ndarray:
        if device == "reference":
            return getattr(rv.reference, name)(a, b, *rest)
        arrays = [rv.Tensor(v, dtype).array for v in (a, b)]
        return np.asarray(getattr(rv._core, name)(*arrays, *rest))

    return call


@given(data=st.data(), call=calls(), spoiled=st.sampled_from(["inputs", "kernel", "dy"]))
def test_special_values_reach_what_they_reach_in_the_reference(data: Any, call: Call, spoiled: str) -> None:
    o = call.options
    geometry = (list(both(o["strides"])), o["padding"], list(both(o["dilation"])), o["groups"])
    x, w = (np.asarray(call.arrays[k]) for k in ("inputs", "kernel"))
    y, _ = rv.reference.conv2d_forward(x, w, None, *geometry)
    dy = normal(y.shape, 3)
    x, w, dy = (spoil(data, v) if k == spoiled else v for k, v in (("inputs", x), ("kernel", w), ("dy", dy)))
    plain = Call({"inputs": x, "kernel": w, "bias": call.arrays["bias"]}, {**o, "activation": None})
    check("y", lambda device, dtype: run(rv.ops.conv2d, plain, dtype, device)[0])
    check("dx", direction("conv2d_input_gradient", dy, w, list(x.shape[1:3]), *geometry))
    check("dw", direction("conv2d_kernel_gradient", x, dy, list(w.shape[:2]), *geometry))


@given(data=st.data(), call=transpose_calls())
def test_transposed_convolutions_multiply_no_padding(data: Any, call: Call) -> None:
    arrays = {**call.arrays, "kernel": spoil(data, np.asarray(call.arrays["kernel"]))}
    spoiled = Call(arrays, call.options)
    check("y", lambda device, dtype: run(rv.ops.conv2d_transpose, spoiled, dtype, device)[0])


@pytest.mark.parametrize("dilation", [1, 5, 2**30])
@pytest.mark.parametrize("groups", [1, 6])
def test_taps_that_meet_padding_only(dilation: int, groups: int) -> None:
    """They give NaN to every output of their channel, and gradients of NaN where dy is not finite, like any other."""
    x, w, dy = normal((2, 4, 5, 6), 0), normal((3, 3, 6 // groups, 6), 1), normal((2, 4, 5, 6), 2)
    w[0, 0, 0, 2] = np.inf
    dy[1, 2, 3, 4] = np.inf
    geometry = ([1, 1], "same", [dilation, dilation], groups)
    check("dw", direction("conv2d_kernel_gradient", x, dy, [3, 3], *geometry))
    check("dx", direction("conv2d_input_gradient", dy, w, [4, 5], *geometry))
    arrays = {"inputs": x, "kernel": w, "bias": None}
    options = dict(padding="same", dilation=dilation, groups=groups)
    check("y", lambda device, dtype: run(rv.ops.conv2d, Call(arrays, options), dtype, device)[0])
    assert np.isnan(run(rv.ops.conv2d, Call(arrays, options), "float32", "cpu")[0][..., 2]).any()
