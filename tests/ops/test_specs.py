"""The shared suite: every test here runs for every OpSpec of ``tests/specs``."""

from __future__ import annotations

import os
import re
import resource
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import ranvier as rv
from ranvier import _core
from tests.opspec import Call, OpSpec, Refused, normal, output_gradients, run, run_backward, seeds, tensors_of
from tests.specs import ALL_SPECS

DTYPES = ("float64", "float32")
# RANVIER_TEST_ISAS=avx512 shortens a development loop; CI runs all.
ISAS = os.environ.get("RANVIER_TEST_ISAS", "").split() or _core._usable_isas()
MACHINES = [(isa, threads) for isa in ISAS for threads in (1, 2)]

every_spec = pytest.mark.parametrize("spec", ALL_SPECS, ids=lambda s: s.name)
every_dtype = pytest.mark.parametrize("dtype", DTYPES)


def select(chosen: Any) -> list[Any]:
    return [pytest.param(s, id=s.name) for s in ALL_SPECS if chosen(s)]


def on(machine: tuple[str, int]) -> None:
    _core._set_isa(machine[0])
    rv.set_num_threads(machine[1])


def assert_within(ours: np.ndarray, expected: np.ndarray, bound: Any, what: str) -> None:
    """|ours - expected| <= bound where finite; NaN and Inf in the same places."""
    assert ours.shape == expected.shape, f"{what}: shape {ours.shape}, expected {expected.shape}"
    if expected.dtype.kind != "f":
        np.testing.assert_array_equal(ours, expected, err_msg=what)
        return
    with np.errstate(all="ignore"):
        wide = ours.astype(np.float64)
        overflow = np.isinf(expected.astype(ours.dtype))  # beyond this dtype's range
        error = np.abs(wide - expected)
        limit = np.broadcast_to(np.asarray(bound, np.float64), expected.shape)
        good = (
            (error <= limit) | (wide == expected) | (np.isnan(wide) & np.isnan(expected)) | (np.isinf(wide) & overflow)
        )
    if not good.all():
        worst = np.unravel_index(np.argmax(np.where(good, -1, error / np.maximum(limit, 1e-300))), error.shape)
        raise AssertionError(
            f"{what}: {np.count_nonzero(~good)} of {good.size} outside the bound; at {worst}: {wide[worst]!r}, "
            f"expected {expected[worst]!r}, error {error[worst]:.3e}, bound {limit[worst]:.3e}"
        )


@every_spec
@every_dtype
@given(data=st.data())
def test_forward(spec: OpSpec, dtype: str, data: Any) -> None:
    """Every instruction set is within its bound of the float64 reference; thread counts agree bit for bit."""
    call = data.draw(spec.calls).rounded(dtype)
    expected = run(spec.op, call, "float64", "reference")
    bounds = spec.bound(call, expected, float(np.finfo(dtype).eps))
    last: dict[str, list[np.ndarray]] = {}
    for machine in MACHINES:
        on(machine)
        outputs = run(spec.op, call, dtype, "cpu")
        assert len(outputs) == len(expected)
        for i, (ours, right, bound) in enumerate(zip(outputs, expected, bounds, strict=True)):
            assert_within(ours, right, bound, f"{spec.name} output {i} on {machine}")
            if machine[0] in last:
                np.testing.assert_array_equal(ours, last[machine[0]][i], err_msg=f"threads change bits on {machine}")
        last[machine[0]] = outputs
        for check in spec.properties:
            check(call, outputs)


@pytest.mark.parametrize("spec", select(lambda s: s.gradients))
@every_dtype
@given(data=st.data(), seed=seeds)
def test_gradient(spec: OpSpec, dtype: str, data: Any, seed: int) -> None:
    """The gradient kernels against the reference's, for every instruction set; thread counts agree bit for bit."""
    assert spec.gradient_bound is not None
    call = data.draw(spec.calls).rounded(dtype)
    dys = [d.astype(dtype) for d in output_gradients(spec.op, call, seed)]
    expected = run_backward(spec.op, call, spec.gradients, dys, "float64", "reference")
    wide = [d.astype(np.float64) for d in dys]
    bounds = spec.gradient_bound(call, wide, expected, float(np.finfo(dtype).eps))
    last: dict[tuple[str, str], np.ndarray] = {}
    for machine in MACHINES:
        on(machine)
        found = run_backward(spec.op, call, spec.gradients, dys, dtype, "cpu")
        assert found.keys() == expected.keys()
        for name, ours in found.items():
            assert_within(ours, expected[name], bounds[name], f"{spec.name} d{name} on {machine}")
            key = (machine[0], name)
            if key in last:
                np.testing.assert_array_equal(ours, last[key], err_msg=f"threads change d{name} on {machine}")
            last[key] = ours


def as_function(spec: OpSpec, call: Call) -> tuple[Any, list[Any]]:
    """The op as a function of the arguments that have gradients, and those arguments as float64 tensors."""
    names = [k for k in spec.gradients if np.asarray(call.arrays[k]).dtype.kind == "f"]
    tensors = tensors_of(call, "float64", "cpu", tuple(names))

    def function(*values: Any) -> Any:
        result = spec.op(**{**tensors, **dict(zip(names, values, strict=True))}, **call.options)
        outputs = result if isinstance(result, (tuple, list)) else (result,)
        return [o for o in outputs if o.dtype == "float64"]

    return function, [tensors[k] for k in names]


@pytest.mark.parametrize("spec", select(lambda s: s.gradients))
@given(data=st.data())
def test_central_differences(spec: OpSpec, data: Any) -> None:
    """The gradient against central differences in float64."""
    function, inputs = as_function(spec, data.draw(spec.calls if spec.gradient_calls is None else spec.gradient_calls))
    rv.gradcheck(function, inputs)


@pytest.mark.parametrize("spec", select(lambda s: s.twice))
@given(data=st.data())
def test_central_differences_of_the_gradient(spec: OpSpec, data: Any) -> None:
    """The gradient's own gradient (create_graph) against central differences of the gradient."""
    function, inputs = as_function(spec, data.draw(spec.calls if spec.gradient_calls is None else spec.gradient_calls))

    def gradient(*values: Any) -> Any:
        outputs = function(*values)
        weights = [rv.Tensor(normal(o.shape, 1)) for o in outputs]
        found = rv.grad(outputs, list(values), weights, create_graph=True, allow_unused=True)
        return [g for g in found if g is not None and g.requires_grad]

    rv.gradcheck(gradient, inputs)


@pytest.mark.parametrize("spec", select(lambda s: s.integers is not None))
@every_dtype
@given(data=st.data())
def test_small_integers_are_exact(spec: OpSpec, dtype: str, data: Any) -> None:
    assert spec.integers is not None
    call = data.draw(spec.integers)
    expected = run(spec.op, call, "float64", "reference")
    for machine in MACHINES:
        on(machine)
        for ours, right in zip(run(spec.op, call, dtype, "cpu"), expected, strict=True):
            np.testing.assert_array_equal(ours, right, err_msg=f"{spec.name} on {machine}")


@pytest.mark.parametrize("spec", select(lambda s: s.nan))
@given(data=st.data(), special=st.sampled_from([np.nan, np.inf, -np.inf]))
def test_nan_and_inf_travel(spec: OpSpec, data: Any, special: float) -> None:
    """One NaN or Inf in the first floating argument reaches the elements that it reaches in the reference."""
    call = data.draw(spec.calls)
    name = next((k for k, v in call.arrays.items() if v is not None and np.asarray(v).dtype.kind == "f"), None)
    if name is None or np.size(call.arrays[name]) == 0:
        return
    values = np.array(call.arrays[name])
    values.flat[data.draw(st.integers(0, values.size - 1))] = special
    spoiled = Call({**call.arrays, name: values}, call.options)
    expected = run(spec.op, spoiled, "float64", "reference")
    for machine in MACHINES:
        on(machine)
        for ours, right in zip(run(spec.op, spoiled, "float64", "cpu"), expected, strict=True):
            np.testing.assert_array_equal(np.isnan(ours), np.isnan(right), err_msg=f"NaN of {spec.name} on {machine}")
            if right.dtype.kind == "f":
                np.testing.assert_array_equal(np.isposinf(ours), np.isposinf(right), err_msg=f"+Inf on {machine}")
                np.testing.assert_array_equal(np.isneginf(ours), np.isneginf(right), err_msg=f"-Inf on {machine}")


REFUSALS = [pytest.param(s, r, id=f"{s.name}-{i}") for s in ALL_SPECS for i, r in enumerate(s.refused)]


@pytest.mark.parametrize(("spec", "refused"), REFUSALS)
@pytest.mark.parametrize("device", ["cpu", "reference"])
def test_refuses(spec: OpSpec, refused: Refused, device: str) -> None:
    """Bad input raises the named error with a message that says what was expected and what came."""
    with rv.device(device), pytest.raises(refused.error, match=re.escape(refused.match)):
        arrays = {k: None if v is None else rv.Tensor(v, device=device) for k, v in refused.call.arrays.items()}
        spec.op(**arrays, **refused.call.options)


# --- random bad calls: an exception of the documented kinds, or an answer; never a crash -------------------

ALLOWED = (ValueError, TypeError, rv.DeviceError, MemoryError, IndexError, NotImplementedError)
BAD_DTYPES = ("float32", "float64", "float16", "int32", "int64", "uint8", "bool")


@st.composite
def broken_arrays(draw: Any) -> Any:
    shape = draw(st.lists(st.integers(0, 5), max_size=6).map(tuple))
    values = normal(shape, draw(seeds), 3.0)
    return np.asarray(values).astype(draw(st.sampled_from(BAD_DTYPES)))


broken_options = st.one_of(
    st.integers(-3, 5),
    st.sampled_from([2**31, 2**62, -(2**63), 2**63, 1.5, float("nan"), "same", "", None, True]),
    st.lists(st.integers(-2, 5), max_size=4),
    st.lists(st.sampled_from([0, 1, -1, 2**62]), max_size=3).map(tuple),
)


@pytest.fixture
def little_memory() -> Iterator[None]:
    """What asks for gigabytes gets a MemoryError at once, instead of all the machine has."""
    if not os.path.exists("/proc/self/statm"):  # macOS
        yield
        return
    limits = resource.getrlimit(resource.RLIMIT_AS)
    with open("/proc/self/statm") as pages:
        used = int(pages.read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + 2**30, limits[1]))
    yield
    resource.setrlimit(resource.RLIMIT_AS, limits)


@every_spec
@given(data=st.data())
def test_bad_calls_never_crash(little_memory: None, spec: OpSpec, data: Any) -> None:
    call = data.draw(spec.calls if spec.gradient_calls is None else spec.gradient_calls)
    arrays, options = dict(call.arrays), dict(call.options)
    for _ in range(data.draw(st.integers(1, 2))):
        where, name = data.draw(st.sampled_from([("a", k) for k in arrays] + [("o", k) for k in options]))
        if where == "a":
            arrays[name] = data.draw(st.one_of(broken_arrays(), st.none()))
        else:
            options[name] = data.draw(broken_options)
    try:
        tensors = {k: None if v is None else rv.Tensor(v) for k, v in arrays.items()}
        spec.op(**tensors, **options)
    except ALLOWED:
        pass
