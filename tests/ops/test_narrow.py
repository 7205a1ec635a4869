"""float16 and bfloat16: storage with float32 arithmetic. The specs' inputs and outputs in 16 bits, against the float64
reference on the rounded inputs: the bound of float32, and one rounding of the result."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

import ranvier as rv
from tests.ops.test_specs import assert_within, select
from tests.opspec import Call, OpSpec, output_gradients, run, run_backward, seeds, tensors_of

NARROW = ("float16", "bfloat16")
UNIT = {"float16": 2.0**-11, "bfloat16": 2.0**-8}  # half an ulp of 1
SMALLEST = {"float16": 2.0**-24, "bfloat16": 2.0**-133}
EPS = float(np.finfo(np.float32).eps)
# Several ops one after another, each of which rounds; and optimizers, whose weights are float32 where layers compute in
# 16 bits.
COMPOSED = ("norm", "logsumexp", "einsum", "pad", "scale_and_translate")
COMPOSED_ACTIVATIONS = ("softmax", "log_softmax")
WIDE = ("moving_mean", "moving_variance", "transform")  # arguments that stay float32
some_examples = settings(max_examples=4, phases=(Phase.generate,))


def rounds_once(spec: OpSpec) -> bool:
    made_of_several = spec.name in COMPOSED or spec.op.__module__.startswith("ranvier.ops.image.")
    return bool(spec.gradients) and not made_of_several and not spec.name.endswith("_step")


def rounded(values: Any, dtype: str) -> Any:
    """Floating values that 16 bits hold, in float32."""
    if values is None or np.asarray(values).dtype.kind != "f":
        return values
    tensor = rv.Tensor(np.asarray(values, np.float32), device="cpu")
    return rv.ops.cast(rv.ops.cast(tensor, dtype), "float32").numpy()


def one_rounding(call: Call) -> bool:
    return call.options.get("activation") not in COMPOSED_ACTIVATIONS


def in_narrow(op: Callable[..., Any], dtype: str) -> Callable[..., Any]:
    """The op computed in 16 bits, on float32 tensors: casts are exact on their way in and out."""

    def narrow(**given: Any) -> Any:
        def to(x: Any, target: str) -> Any:
            return rv.ops.cast(x, target) if isinstance(x, rv.Tensor) and "float" in x.dtype else x

        outputs = op(**{k: v if k in WIDE else to(v, dtype) for k, v in given.items()})
        several = isinstance(outputs, (tuple, list))
        first = outputs[0] if several else outputs
        assert "float" not in first.dtype or first.dtype == dtype
        return tuple(to(y, "float32") for y in outputs) if several else to(outputs, "float32")

    return narrow


def once_more(bound: Any, expected: np.ndarray, dtype: str) -> Any:
    """The bound of a float32 result after its rounding to 16 bits."""
    with np.errstate(all="ignore"):
        return bound + UNIT[dtype] * (np.abs(expected) + bound) + SMALLEST[dtype] / 2


def check(ours: np.ndarray, expected: np.ndarray, bound: Any, dtype: str, what: str) -> None:
    if expected.dtype.kind == "f":
        bound = once_more(np.asarray(bound, np.float64), expected, dtype)
        ours = ours.astype(np.float16) if dtype == "float16" else ours
    assert_within(ours, expected, bound, what)


def check_forward(spec: OpSpec, call: Call, dtype: str, device: str) -> None:
    call = Call({k: rounded(v, dtype) for k, v in call.arrays.items()}, call.options)
    expected = run(spec.op, call, "float64", "reference")
    bounds = spec.bound(call, expected, EPS)
    found = run(in_narrow(spec.op, dtype), call, "float32", device)
    for i, (ours, right, bound) in enumerate(zip(found, expected, bounds, strict=True)):
        check(ours, right, bound, dtype, f"{spec.name} output {i} in {dtype} on {device}")


def check_gradient(spec: OpSpec, call: Call, seed: int, dtype: str, device: str, kept_narrow: bool = False) -> None:
    """kept_narrow: what forward leaves to backward has 16 bits; errors of the gradient are then in those units."""
    assert spec.gradient_bound is not None
    call = Call({k: rounded(v, dtype) for k, v in call.arrays.items()}, call.options)
    dys = [rounded(d, dtype) for d in output_gradients(spec.op, call, seed)]
    expected = run_backward(spec.op, call, spec.gradients, dys, "float64", "reference")
    bounds = spec.gradient_bound(call, [d.astype(np.float64) for d in dys], expected, EPS)
    found = run_backward(in_narrow(spec.op, dtype), call, spec.gradients, dys, "float32", device)
    if kept_narrow:
        bounds = {name: bound * (2 * UNIT[dtype] / EPS) for name, bound in bounds.items()}
    for name, ours in found.items():
        check(ours, expected[name], bounds[name], dtype, f"{spec.name} d{name} in {dtype} on {device}")


every_narrow = pytest.mark.parametrize("dtype", NARROW)


@pytest.mark.parametrize("spec", select(rounds_once))
@every_narrow
@some_examples
@given(data=st.data())
def test_forward(spec: OpSpec, dtype: str, data: Any) -> None:
    check_forward(spec, data.draw(spec.calls.filter(one_rounding)), dtype, "cpu")


@pytest.mark.parametrize("spec", select(rounds_once))
@every_narrow
@some_examples
@given(data=st.data(), seed=seeds)
def test_gradient(spec: OpSpec, dtype: str, data: Any, seed: int) -> None:
    check_gradient(spec, data.draw(spec.calls.filter(one_rounding)), seed, dtype, "cpu")


@pytest.mark.parametrize("spec", select(lambda s: s.gradients and not s.name.endswith("_step")))
@pytest.mark.parametrize("device", ["cpu", "reference"])
@every_narrow
@settings(max_examples=1, phases=(Phase.generate,))
@given(data=st.data())
def test_no_op_refuses_them(spec: OpSpec, device: str, dtype: str, data: Any) -> None:
    call = data.draw(spec.calls)
    with rv.device(device):
        tensors = tensors_of(call, "float32", device)
        for name in spec.gradients:
            if name not in WIDE and tensors[name] is not None and tensors[name].dtype == "float32":
                tensors[name] = rv.ops.cast(tensors[name], dtype)
        spec.op(**tensors, **call.options)
