"""The front door of rv.ops: the direct way gives what the op's Python gives, and is taken only where it may be."""

from __future__ import annotations

import copy
import inspect
import pickle
import pydoc
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

import ranvier as rv
from ranvier import _core

DIRECT = sorted(name for name, op in rv.ops.SYMBOLIC.items() if hasattr(op, "kernel"))
OPTIONS: dict[str, list[dict[str, Any]]] = {
    "clip": [{"x_min": 0.5, "x_max": 1}],
    "elu": [{"alpha": 0.5}, {"alpha": 2}],
    "gelu": [{"approximate": False}],
    "leaky_relu": [{"negative_slope": 0.1}],
    "threshold": [{"value": 1, "inclusive": False}],
    "transpose": [{"axes": (1, 0)}, {"axes": [0, -1]}],
    "reshape": [{"newshape": n} for n in (-1, (7, -1), [5, 7, 1], (35,))],
    "expand_dims": [{"axis": a} for a in (0, -1, (0, 3), [1, -1])],
    "squeeze": [{}, {"axis": ()}],
    "flip": [{}, {"axis": 0}, {"axis": (-1, 0)}],
    "broadcast_to": [{"shape": n} for n in ((5, 7), (2, 5, 7), [1, 3, 5, 7])],
    "tile": [{"repeats": n} for n in (2, (2, 3), (2, 1, 0), [1, 1])],
    "repeat": [{"repeats": 2}, {"repeats": 3, "axis": 0}, {"repeats": [2], "axis": -1}, {"repeats": 0}],
    "pad": [
        *({"pad_width": n} for n in (1, (1, 2), [(0, 1), (2, 0)], ((3, 1),), 0)),
        {"pad_width": 1, "constant_values": -0.3},
        {"pad_width": 1, "mode": "constant", "constant_values": 2},
    ],
    "split": [
        *({"indices_or_sections": n, "axis": a} for n, a in ((5, 0), (1, 0), (7, -1))),
        *({"indices_or_sections": n, "axis": 1} for n in ([3], (0, 2, 2), [], (7,), (5, 3), (-2,), (9,))),
    ],
    "zeros_like": [{"dtype": "int64"}],
    "ones_like": [{"dtype": "int64"}, {"dtype": "bool"}],
    "sum_to_shape": [{"shape": n} for n in ((7,), (5, 1), (), (5, 7), [1, 7])],
    "cast": [{"dtype": n} for n in ("float32", "float64", "bfloat16", "float16", "int32", "bool")],
    "get_item": [
        {"key": key}
        for key in (
            0,
            -1,
            slice(None),
            slice(1, 3),
            slice(None, None, -2),
            slice(9, 1),
            None,
            ...,
            (1, 2),
            (..., 1),
            (1, ...),
            (slice(None), slice(1, -1)),
            (None, slice(3, 0, -1), None, -2),
            (..., None),
            (slice(1, 2), ..., None),
            (),
        )
    ],
}


CREATION: dict[str, list[tuple[Any, ...]]] = {
    "zeros": [(3,), ((2, 5), "float64"), ([], "int32"), ((0, 3), "bool", "cpu")],
    "ones": [(3,), ((2, 5), "float64"), ([4, 1], "int64"), ((), "bfloat16"), ((0, 3), "uint8", "cpu")],
    "full": [
        (3, 2.5),
        ((2, 5), 7),
        ([4], -7, "int64"),
        (2, float("nan")),
        (2, True),
        (3, 2**40),
        (2, 1e300, "float64"),
    ],
    "arange": [(7,), (0,), (2, 9), (9, 2, -3), (2, 2), (5, 1), (1, 6, 2, "int64"), (0.5, 3), (4, None, 1, "float32")],
}
MANY = 20_000  # more elements than are copied without letting other threads run


def by_index_arguments(name: str, dtype: str) -> list[tuple[tuple[Any, ...], dict[str, Any]]]:
    rng = np.random.default_rng(0)
    x = rv.Tensor(rng.normal(size=(5, 7)).astype(dtype))
    large = rv.Tensor(rng.normal(size=(MANY, 3)).astype(dtype))
    rows = [np.array([4, 0, -1]), rng.integers(0, 5, (2, 3)).astype(np.int32), np.array(2), np.zeros((0, 2), np.int64)]
    rows += [row[::2] for row in rows[:2]]  # not one after the other
    tensors = [rv.Tensor(row) for row in rows]
    many = rng.integers(0, MANY, MANY)
    if name == "embedding":
        used = [rv.Tensor(np.abs(row)) for row in rows]
        return [((row, table), {}) for row in used for table in (x, rv.ops.cast(x, "int32"))]
    if name == "take":
        calls = [((x, row), {"axis": axis}) for row in (*rows, *tensors) for axis in (None, 0, -1)]
        return [*calls, ((x, [1, 2]), {}), ((x, 1, 1), {}), ((large, many, 0), {}), ((large, rv.Tensor(many)), {})]
    calls = [((x, row, rv.Tensor(np.ones((*row.shape, 7), dtype))), {}) for row in rows]
    return [*calls, ((x, rv.Tensor(np.array([6, 6])), rv.ops.ones((5, 2), dtype), -1), {}), ((large, many, large), {})]


def arguments(name: str, dtype: str) -> list[tuple[tuple[Any, ...], dict[str, Any]]]:
    """Calls of an op that go directly: its operands, and its options by name."""
    rng = np.random.default_rng(0)
    x, y = (rv.Tensor(np.abs(rng.normal(size=(5, 7))).astype(dtype)) for _ in range(2))
    if name in ("any", "all", "logical_and", "logical_or"):
        x = rv.Tensor(rng.choice([0.0, -0.0, 1e-40, float("nan")], size=(5, 7), p=[0.3, 0.3, 0.2, 0.2]).astype(dtype))
    row = rv.Tensor(rng.normal(size=7).astype(dtype))
    parameters = inspect.signature(getattr(rv.ops, name)).parameters
    names = list(parameters)
    if names == ["x1", "x2"]:
        return [((a, b), {}) for a, b in ((x, y), (x, row), (row, x), (x, 2), (0.5, x), (x, float("nan")))]
    if name == "where":
        return [((x > 0.5, x, y), {}), ((row > 0, 0), {"x2": x}), ((x > 1, row, 2.5), {})]
    if name in CREATION:
        return [(args, {}) for args in CREATION[name]]
    if name in ("take", "scatter_add", "embedding"):
        return by_index_arguments(name, dtype)
    if "pool" in name:
        return pool_arguments(name, dtype)
    if name in ("concatenate", "stack"):
        return [(([x, y],), {}), (((y, x, y),), {"axis": 0}), (([x],), {"axis": 1})]
    if names == ["x", "axis"] and name not in OPTIONS:
        return [((x,), {}), ((x, 0), {}), ((x,), {"axis": -1})]
    if "axis" in names and name not in OPTIONS:
        axes: list[Any] = [None, 0, -1] if name.startswith("arg") else [None, 0, -1, (0, 1), [1], ()]
        return [((x,), {"axis": axis, "keepdims": keep}) for axis in axes for keep in (False, True)] + [((x, 1), {})]
    alone = all(parameters[each].default is not inspect.Parameter.empty for each in names[1:])
    return [((x,), options) for options in ([{}] if alone else []) + OPTIONS.get(name, [])]


def pool_arguments(name: str, dtype: str) -> list[tuple[tuple[Any, ...], dict[str, Any]]]:
    images = rv.Tensor(np.random.default_rng(0).normal(size=(2, 5, 6, 3)).astype(dtype))
    if name.startswith("global"):
        return [((images,), {}), ((images, True), {})]
    options = [{}, {"pool_size": 3}, {"pool_size": (2, 3), "strides": 1}, {"pool_size": [3, 1], "strides": (1, 2)}]
    calls = [((images,), {**o, "padding": padding}) for o in options for padding in ("valid", "same")]
    return [*calls, ((images, 2, None, ((1, 1), (0, 1))), {})]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", DIRECT)
def test_both_ways_give_the_same_bits(name: str, dtype: str) -> None:
    op = getattr(rv.ops, name)
    for args, kwargs in arguments(name, dtype):
        ours, python = op(*args, **kwargs), op.__wrapped__(*args, **kwargs)
        both = list(zip(ours, python, strict=True)) if isinstance(python, list) else [(ours, python)]
        for one, other in both:
            assert (one.shape, one.dtype, one.requires_grad) == (other.shape, other.dtype, False)
            np.testing.assert_array_equal(one.numpy(), other.numpy())


@pytest.mark.parametrize(
    ("draw", "args"),
    [
        *(("uniform", a) for a in ((), (5,), ((2, 3), -1, 2), ([7], 0.5, 1.5, "float64"), ((0, 2),), (MANY * 3,))),
        *(("normal", a) for a in ((), (5,), ((2, 3), -1, 2.5), ([7], 0, 1, "float64"), ((0, 2),), (MANY * 3,))),
        *(("permutation", a) for a in ((0,), (1,), (9,), (MANY * 3,))),
    ],
)
def test_draws_are_the_same_both_ways(draw: str, args: Any) -> None:
    ours, python = rv.random.Generator(3), rv.random.Generator(3)
    for _ in range(2):
        drawn, expected = getattr(ours, draw)(*args), getattr(rv.random.Generator, draw).__wrapped__(python, *args)
        assert (drawn.shape, drawn.dtype, ours.get_state()) == (expected.shape, expected.dtype, python.get_state())
        np.testing.assert_array_equal(drawn.numpy(), expected.numpy())


def test_what_is_made_from_nothing_is_on_the_default_device() -> None:
    makers = (
        lambda: rv.ops.zeros(2),
        lambda: rv.ops.ones((2,)),
        lambda: rv.ops.full(2, 1.5),
        lambda: rv.ops.arange(3),
        lambda: rv.random.Generator(1).uniform(2),
        lambda: rv.random.Generator(1).normal(2),
        lambda: rv.random.Generator(1).permutation(2),
    )
    for make in makers:
        with rv.device("reference"):
            assert make().device == "reference"
            with rv.device("cpu"):
                assert make().device == "cpu"
        assert make().device == "cpu"
    rv.set_device("reference")
    try:
        assert {make().device for make in makers} == {"reference"}
        with ThreadPoolExecutor(1) as pool:
            assert pool.submit(makers[0]).result().device == "reference"
    finally:
        rv.set_device("cpu")


def test_many_ops_have_a_direct_way() -> None:
    assert {"add", "sum", "relu", "exp", "argmax", "transpose"} <= set(DIRECT)
    assert len(DIRECT) > 40


def test_gradients_integers_lists_and_the_reference_take_the_other_way() -> None:
    w = rv.Tensor([1.0, 2.0], requires_grad=True)
    y = rv.ops.add(w, 1.0)
    assert y.requires_grad and rv.ops.add(1.0, w).requires_grad and rv.ops.sum(w).requires_grad
    with rv.no_grad():
        assert not rv.ops.add(w, 1.0).requires_grad
    assert rv.ops.add(rv.Tensor([1, 2]), 0.5).dtype == "float32"
    assert rv.ops.add([1.0], [2.0]).tolist() == [3.0]
    assert rv.ops.sum(rv.Tensor([True, True])).item() == 2
    assert rv.ops.exp(rv.Tensor([0.0], device="reference")).device == "reference"
    assert rv.ops.add(rv.Tensor([1.0], dtype="float64"), rv.Tensor([1.0])).dtype == "float64"


@pytest.mark.parametrize(
    ("call", "error"),
    [
        (lambda x: rv.ops.add(x, rv.Tensor([1.0, 2.0, 3.0])), ValueError),
        (lambda x: rv.ops.sum(x, axis=2), ValueError),
        (lambda x: rv.ops.sum(x, axis=(0, 0)), ValueError),
        (lambda x: rv.ops.sum(x, axis=2**70), (TypeError, ValueError)),
        (lambda x: rv.ops.sum(x, 0, False, 1), TypeError),
        (lambda x: rv.ops.sum(x, depth=1), TypeError),
        (lambda x: rv.ops.sum(x, x=x), TypeError),
        (lambda x: rv.ops.add(x), TypeError),
        (lambda x: rv.ops.add(x, 10**400), (ValueError, OverflowError)),
        (lambda x: rv.ops.elu(x, alpha="1"), TypeError),
        (lambda x: rv.ops.take(x, np.array([2]), 0), ValueError),
        (lambda x: rv.ops.take(x, np.array([0.5]), 0), TypeError),
        (lambda x: rv.ops.take(x, np.array([0]), 3), ValueError),
        (lambda x: rv.ops.embedding(rv.Tensor([1]), x), ValueError),
        (lambda x: rv.ops.scatter_add(x, np.array([0]), rv.Tensor([1.0])), ValueError),
        (lambda x: rv.ops.split(x, 3), ValueError),
        (lambda x: rv.ops.split(x, 0), ValueError),
        (lambda x: rv.ops.zeros((2, -1)), ValueError),
        (lambda x: rv.ops.zeros(2, "text"), TypeError),
        (lambda x: rv.ops.zeros((2**40, 2**40)), ValueError),
        (lambda x: rv.ops.arange(1, 2, 0), ValueError),
        (lambda x: rv.random.Generator(1).uniform(-1), ValueError),
        (lambda x: rv.random.Generator(1).uniform(2, 3.0, 1.0), ValueError),
        (lambda x: rv.random.Generator(1).uniform(2, dtype="int32"), TypeError),
        (lambda x: rv.random.Generator(1).permutation(-1), ValueError),
    ],
)
def test_wrong_calls_fail_as_those_of_the_function_do(call: Any, error: type[Exception]) -> None:
    with pytest.raises(error):
        call(rv.Tensor([[1.0, 2.0]]))


def test_a_door_looks_like_its_function() -> None:
    add = rv.ops.add
    assert isinstance(add, _core.FrontDoor) and inspect.isroutine(add)
    assert (add.__name__, add.__module__) == ("add", "ranvier.ops.elementwise.arithmetic")
    assert "element by element" in pydoc.render_doc(add)
    assert list(inspect.signature(rv.ops.sum).parameters) == ["x", "axis", "keepdims"]
    assert copy.deepcopy(add) is add
    inner = rv.ops.SYMBOLIC["add"]
    assert pickle.loads(pickle.dumps(inner)) is inner

    class Holder:
        twice = add

    with pytest.raises((TypeError, ValueError)):
        Holder().twice(rv.Tensor([1.0]))  # bound as a method: the holder is its first operand


def test_no_kernel_of_that_name() -> None:
    with pytest.raises(ValueError, match="nonsense"):
        _core.FrontDoor(lambda x: x, "nonsense", None)
    with pytest.raises(ValueError, match="takes 2 arguments"):
        _core.FrontDoor(lambda x: x, "add", None)


def test_a_profiler_sees_every_call() -> None:
    x = rv.Tensor([1.0, 2.0])
    with rv.profiler() as profile:
        rv.ops.sum(rv.ops.relu(x))
    assert [event.op for event in profile.events] == ["relu_forward", "sum_forward"]


@pytest.mark.parametrize("shape", [(0, 3), (3, 0), (1, 9), (9, 1), (300, 3), (3, 40_000), (40, 3, 5)])
@pytest.mark.parametrize("zeros", [0.0, 0.5, 0.99, 1.0])
def test_any_and_all_of_floats(shape: tuple[int, ...], zeros: float) -> None:
    rng = np.random.default_rng(0)
    x = np.where(rng.random(shape) < zeros, 0.0, rng.choice([np.nan, 1e-30, -3.0, np.inf], size=shape)).astype(
        "float32"
    )
    for axis in (None, 0, 1, (0, len(shape) - 1)):
        np.testing.assert_array_equal(rv.ops.any(rv.Tensor(x), axis).numpy(), x.any(axis))
        np.testing.assert_array_equal(rv.ops.all(rv.Tensor(x), axis).numpy(), x.all(axis))


def test_large_calls_from_several_threads() -> None:
    x = rv.ops.ones((512, 257))

    def work(_: int) -> float:
        y = rv.ops.add(x, 1.0)
        return float(rv.ops.sum(rv.ops.multiply(y, y)).item()) + float(x.array.numpy()[0, 0])

    with ThreadPoolExecutor(4) as pool:
        assert set(pool.map(work, range(64))) == {4.0 * x.size + 1}
