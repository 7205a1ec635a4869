"""``get_item`` is NumPy's indexing, its gradient the sum over uses; and what array users expect of a Tensor."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import ranvier as rv
from tests.specs.shape_calls import keys

SHAPES = st.lists(st.integers(0, 5), max_size=5).map(tuple)


def numbered(shape: tuple[int, ...]) -> np.ndarray:
    """Every element different: whatever ends up in a wrong place shows."""
    return np.arange(np.prod(shape, dtype=int), dtype=np.float64).reshape(shape)


def check(x: np.ndarray, key: Any) -> None:
    """Values and gradient of x[key], against NumPy's x[key] and its adding at key."""
    tensor = rv.Tensor(x, requires_grad=True)
    ours, expected = tensor[key], x[key]
    assert ours.shape == np.shape(expected)
    np.testing.assert_array_equal(ours.numpy(), expected)
    dy = numbered(ours.shape) + 1
    dx = np.zeros_like(x)
    np.add.at(dx, key, dy)
    np.testing.assert_array_equal(rv.grad(ours, tensor, dy).numpy(), dx)


@st.composite
def shape_and_key(draw: Any, make: Any) -> Any:
    shape = draw(SHAPES)
    return shape, draw(make(shape))


@given(shape_and_key(lambda s: hnp.basic_indices(s, allow_newaxis=True, allow_ellipsis=True)))
def test_basic_keys(case: Any) -> None:
    shape, key = case
    check(numbered(shape), key)


@given(shape_and_key(keys))
def test_mixed_keys(case: Any) -> None:
    shape, key = case
    check(numbered(shape), key)


@given(st.data())
def test_several_integer_arrays(data: Any) -> None:
    """Arrays are broadcast together; where a slice stands between two, their axes come first."""
    shape = data.draw(st.lists(st.integers(1, 5), min_size=2, max_size=4).map(tuple))
    where = data.draw(hnp.mutually_broadcastable_shapes(num_shapes=len(shape), max_dims=2, max_side=3)).input_shapes
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    items = [
        data.draw(st.sampled_from([slice(None), int(rng.integers(-n, n)), rng.integers(-n, n, size=w)]))
        for n, w in zip(shape, where, strict=True)
    ]
    check(numbered(shape), tuple(items))


@given(shape_and_key(lambda s: hnp.arrays(bool, s)))
def test_masks_of_several_axes(case: Any) -> None:
    shape, mask = case
    if shape:
        check(numbered(shape), mask)


@pytest.mark.parametrize("device", ["cpu", "reference"])
def test_keys_may_be_tensors_and_lists(device: str) -> None:
    with rv.device(device):
        x = rv.Tensor([[1, 2, 3], [4, 5, 6]])
        assert x[rv.Tensor([1, 0])].tolist() == [[4, 5, 6], [1, 2, 3]]
        assert x[:, [2, 0]].tolist() == [[3, 1], [6, 4]]
        assert x[x > 4].tolist() == [5, 6]
        assert x[rv.Tensor(1)].tolist() == [4, 5, 6]
        assert x[np.int64(1), np.uint8(2)].item() == 6
        assert x[[]].shape == (0, 3)


@pytest.mark.parametrize("key", ["a", 1.0, None.__class__, {0}, np.asarray([0.5]), (0, "b")])
def test_keys_of_another_kind_are_refused(key: Any) -> None:
    with pytest.raises(TypeError, match="an index must be an integer, a slice"):
        rv.Tensor([[1.0, 2.0]])[key]


def test_whole_rows_share_memory_and_others_do_not() -> None:
    x = rv.Tensor(numbered((4, 3)))
    assert x[1].array.shares_memory_with(x.array)
    assert x[1:3].array.shares_memory_with(x.array)
    assert x[2:, None].array.shares_memory_with(x.array)
    assert not x[::2].array.shares_memory_with(x.array)
    assert not x[:, 1:].array.shares_memory_with(x.array)


def test_backward_refuses_a_view_of_what_has_changed() -> None:
    """A view shares its storage's version: what is written through the original is noticed."""
    x = rv.Tensor([1.0, 2.0, 3.0])
    row = x[:2]
    w = rv.Tensor([1.0, 1.0], requires_grad=True)
    y = (row * w).sum()
    x.assign([5.0, 6.0, 7.0])
    with pytest.raises(RuntimeError, match="was changed in place"):
        y.backward()


def test_second_derivatives_pass_through() -> None:
    x = rv.Tensor(numbered((3, 4)) / 5 - 1, requires_grad=True)
    for key in (1, (slice(None), slice(3, 0, -2)), ([0, 2, 0], 1), (None, slice(1, 3))):

        def slope(t: Any, key: Any = key) -> Any:
            y = t[key]
            return rv.grad((y * y * y).sum(), t, create_graph=True)

        rv.gradcheck(slope, x)


# --- a Tensor as NumPy's users expect it ---------------------------------------------------------------------------


def test_iteration_length_and_methods() -> None:
    a = numbered((2, 3, 4))
    x = rv.Tensor(a)
    assert len(x) == 2
    assert [row.shape for row in x] == [(3, 4), (3, 4)]
    np.testing.assert_array_equal(np.stack([row.numpy() for row in x]), a)
    _, second = x
    np.testing.assert_array_equal(second.numpy(), a[1])
    np.testing.assert_array_equal(x.T.numpy(), a.T)
    np.testing.assert_array_equal(x.transpose(1, 0, 2).numpy(), a.transpose(1, 0, 2))
    np.testing.assert_array_equal(x.transpose((1, 0, 2)).numpy(), a.transpose(1, 0, 2))
    np.testing.assert_array_equal(x.transpose().numpy(), a.transpose())
    for shape in ((-1,), (6, 4), (2, -1), (4, 3, 2)):
        np.testing.assert_array_equal(x.reshape(shape).numpy(), a.reshape(shape))
        np.testing.assert_array_equal(x.reshape(*shape).numpy(), a.reshape(shape))
    np.testing.assert_array_equal(x.reshape(np.int64(-1)).numpy(), a.reshape(-1))
    for axis in (None, 0, -1, (0, 2), [1]):
        plain = tuple(axis) if isinstance(axis, list) else axis
        np.testing.assert_allclose(x.sum(axis).numpy(), a.sum(plain))
        np.testing.assert_allclose(x.mean(axis).numpy(), a.mean(plain))
        np.testing.assert_array_equal(x.max(axis, keepdims=True).numpy(), a.max(plain, keepdims=True))
        np.testing.assert_array_equal(x.min(axis).numpy(), a.min(plain))
    assert x.argmax().item() == 23
    with pytest.raises(TypeError, match=r"len\(\) of a scalar"):
        len(rv.Tensor(1.0))
    with pytest.raises(TypeError, match=r"len\(\) of a scalar"):
        list(rv.Tensor(1.0))


def test_iteration_stops_at_the_end_of_zero_rows() -> None:
    assert list(rv.ops.zeros((0, 3))) == []
