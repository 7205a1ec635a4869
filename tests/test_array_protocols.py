"""A tensor in the hands of somebody who knows NumPy: functions, comparisons, iteration, printing, copies, pickles."""

from __future__ import annotations

import copy
import operator
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import ranvier as rv
from ranvier import array_protocols

VALUES = np.array([[0.5, 2.0, 3.0], [4.0, 1.0, 6.0]], np.float32)


def both(function: Callable[[Any], Any]) -> tuple[Any, Any]:
    return function(rv.Tensor(VALUES)), function(VALUES)


@pytest.mark.parametrize("name", sorted(array_protocols._UFUNCS))
def test_ufuncs_that_ranvier_has_give_tensors(name: str) -> None:
    ufunc = getattr(np, name)
    if name in ("logical_and", "logical_or", "logical_not"):
        function: Any = lambda t: ufunc(*([t > 1] * ufunc.nin))  # noqa: E731
    elif name == "matmul":
        function = lambda t: np.matmul(t, VALUES.T)  # noqa: E731
    else:
        function = lambda t: ufunc(*([t, VALUES + 1][: ufunc.nin]))  # noqa: E731
    ours, theirs = both(function)
    assert isinstance(ours, rv.Tensor)
    np.testing.assert_allclose(ours.numpy(), theirs, rtol=1e-6)
    if ufunc.nin == 2 and name != "matmul" and not name.startswith("logical"):
        np.testing.assert_allclose(ufunc(VALUES, rv.Tensor(VALUES + 1)).numpy(), ufunc(VALUES, VALUES + 1), rtol=1e-6)


CALLS: dict[str, Callable[[Any], Any]] = {
    "sum": lambda t: np.sum(t), "sum of an axis": lambda t: np.sum(t, axis=1, keepdims=True),
    "mean": lambda t: np.mean(t, axis=0), "max": lambda t: np.max(t, 1), "min": lambda t: np.min(t),
    "prod": lambda t: np.prod(t, axis=1), "std": lambda t: np.std(t), "var": lambda t: np.var(t, axis=0),
    "argmax": lambda t: np.argmax(t, axis=1), "argmin": lambda t: np.argmin(t), "any": lambda t: np.any(t > 5),
    "all": lambda t: np.all(t > 0, axis=0), "reshape": lambda t: np.reshape(t, (3, 2)),
    "transpose": lambda t: np.transpose(t), "axes": lambda t: np.transpose(t, (1, 0)),
    "concatenate": lambda t: np.concatenate([t, VALUES], axis=1), "stack": lambda t: np.stack([t, t]),
    "squeeze": lambda t: np.squeeze(t[None], 0), "expand_dims": lambda t: np.expand_dims(t, 0),
    "broadcast_to": lambda t: np.broadcast_to(t, (2, 2, 3)), "clip": lambda t: np.clip(t, 1, 3),
    "where": lambda t: np.where(t > 1, t, 0.0), "take": lambda t: np.take(t, [1, 0], axis=0),
    "flip": lambda t: np.flip(t, 0), "tile": lambda t: np.tile(t, (1, 2)),
    "zeros_like": lambda t: np.zeros_like(t), "ones_like": lambda t: np.ones_like(t),
}  # fmt: skip


@pytest.mark.parametrize("name", list(CALLS))
def test_functions_that_ranvier_has_give_tensors(name: str) -> None:
    ours, theirs = both(CALLS[name])
    assert isinstance(ours, rv.Tensor) and ours.shape == np.shape(theirs)
    np.testing.assert_allclose(ours.numpy(), theirs, rtol=1e-6)


@pytest.mark.parametrize(
    "function",
    [
        np.sin, np.floor, np.median, np.linalg.norm, np.add.reduce, np.cumsum, np.sort, lambda t: np.percentile(t, 30),
        lambda t: np.mean(t, dtype=np.float64), lambda t: np.where(t > 1), lambda t: np.add(t, 1, dtype=np.float64),
        lambda t: np.multiply.outer(t, VALUES), lambda t: np.array_equal(t, VALUES), lambda t: np.allclose(t, VALUES),
        lambda t: np.histogram(t, 3)[0], lambda t: np.split(t, 3, axis=1)[1], np.shape, np.ndim, np.size,
    ],
)  # fmt: skip
def test_functions_that_only_numpy_has_give_arrays(function: Any) -> None:
    ours, theirs = both(function)
    assert not isinstance(ours, rv.Tensor) and type(ours) is type(theirs)
    np.testing.assert_array_equal(ours, theirs)


def test_numpys_functions_are_on_the_tape() -> None:
    x = rv.Tensor(VALUES, requires_grad=True)
    np.sum(np.exp(x) * VALUES + np.float32(2) * x).backward()
    np.testing.assert_allclose(x.grad.numpy(), np.exp(VALUES) * VALUES + 2, rtol=1e-6)


def test_where_results_go() -> None:
    t, out = rv.Tensor(VALUES), np.zeros_like(VALUES)
    assert np.add(t, 1, out=out) is out and out[0, 0] == 1.5
    out += t
    assert out[0, 0] == 2.0
    with pytest.raises(TypeError, match=r"np\.add: out must not be a tensor.*assign"):
        np.add(VALUES, 1, out=t)
    with pytest.raises(TypeError, match=r"not written in place.*rv\.ops\.where"):
        t[0] = 1


def test_comparisons() -> None:
    t = rv.Tensor(VALUES)
    assert (t == None) is False and (t != None) is True and (t == "x") is False  # noqa: E711
    assert 6.0 in t and 7.0 not in t and t in [t]
    chosen = (t > 1) & ~(t > 3) | (t == 6)
    np.testing.assert_array_equal(chosen.numpy(), (VALUES > 1) & ~(VALUES > 3) | (VALUES == 6))
    np.testing.assert_array_equal(((t > 1) & (VALUES > 2)).numpy(), VALUES > 2)
    for wrong in (lambda: t & t, lambda: ~t, lambda: (t > 1) | 1):
        with pytest.raises(TypeError, match="is for tensors of bool"):
            wrong()
    for compare in (operator.lt, operator.le, operator.gt, operator.ge):
        np.testing.assert_array_equal(compare(VALUES, t + 1).numpy(), compare(VALUES, VALUES + 1))
    with pytest.raises(ValueError, match="ambiguous"):
        bool(t > 1)


def test_iteration_indexing_and_printing() -> None:
    t = rv.Tensor(VALUES)
    assert [row.tolist() for row in t] == VALUES.tolist() and len(t) == 2
    assert t[-1, ::2].tolist() == [4.0, 6.0] and t[t > 3].tolist() == [4.0, 6.0] and t[None, ..., 0].shape == (1, 2)
    for wrong in (5, "x", 1.5):
        with pytest.raises((IndexError, TypeError)):
            t[wrong]
    assert (+t) is t and t.flatten().shape == (6,) and t.any().item() and t.argmin().item() == 0
    assert f"{t[0, 1]:.2f}" == "2.00" and f"{t}" == str(t) == repr(t)
    assert len(repr(rv.ops.zeros((2000, 2000)))) < 1000 and "[]" in repr(rv.ops.zeros((0, 3)))
    with pytest.raises(TypeError, match="scalar"):
        len(rv.Tensor(1.0))


def test_copies_but_no_pickles() -> None:
    t = rv.Tensor(VALUES, requires_grad=True)
    for twin in (copy.copy(t), copy.deepcopy([t])[0]):
        assert twin.requires_grad and twin.is_leaf and not twin.array.shares_memory_with(t.array)
        np.testing.assert_array_equal(twin.numpy(), VALUES)
    layer = rv.layers.Dense(2)
    layer(VALUES)
    twin = copy.deepcopy(layer.kernel)
    assert type(twin) is rv.Variable and (twin.path, twin.trainable) == (layer.kernel.path, True)
    model = rv.Sequential([rv.Input((3,)), layer])
    for each in (t, layer.kernel, model):
        with pytest.raises(TypeError, match=r"not pickled: .*model\.save\(path\)"):
            pickle.dumps(each)
