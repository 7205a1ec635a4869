"""What the specs cannot say of reductions and of ops that move elements."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import ranvier as rv
from ranvier import _core, ops

DEVICES = pytest.mark.parametrize("device", ["cpu", "reference"])


@DEVICES
def test_ties_share_the_gradient_equally(device: str) -> None:
    with rv.device(device):
        x = rv.Tensor([[1.0, 3.0, 3.0], [2.0, 2.0, 2.0]], requires_grad=True)
        np.testing.assert_array_equal(
            rv.grad(ops.max(x, 1), x, [1.0, 3.0]).numpy(), np.float32([[0, 0.5, 0.5], [1, 1, 1]])
        )
        np.testing.assert_array_equal(rv.grad(ops.min(x), x).numpy(), np.float32([[1, 0, 0], [0, 0, 0]]))


@DEVICES
def test_gradient_of_a_product_with_zeros(device: str) -> None:
    with rv.device(device):
        for zeros in ((), (1,), (1, 3), (0, 1, 2, 3, 4)):
            x = np.arange(1.0, 6.0)
            x[list(zeros)] = 0
            tensor = rv.Tensor(x, requires_grad=True)
            others = [np.prod(np.delete(x, i)) for i in range(5)]
            np.testing.assert_array_equal(rv.grad(ops.prod(tensor), tensor).numpy(), others)


@DEVICES
def test_norms_of_nothing_but_zeros_have_gradient_zero(device: str) -> None:
    with rv.device(device):
        x = rv.Tensor(np.zeros((2, 3)), requires_grad=True)
        for order in (None, 1, 2, 3, 0.5, np.inf, -np.inf):
            np.testing.assert_array_equal(rv.grad(ops.norm(x, order, 1), x, np.ones(2)).numpy(), np.zeros((2, 3)))
        np.testing.assert_array_equal(rv.grad(ops.std(x), x).numpy(), np.zeros((2, 3)))


@DEVICES
def test_logsumexp_of_infinities(device: str) -> None:
    inf = np.inf
    with rv.device(device):
        x = rv.Tensor(np.asarray([[-inf, -inf], [0, -inf], [inf, 0], [1000, 1000], [-inf, np.nan]]), requires_grad=True)
        y = ops.logsumexp(x, 1)
        np.testing.assert_allclose(y.numpy(), [-inf, 0, inf, 1000 + np.log(2), np.nan], rtol=1e-15)
        np.testing.assert_array_equal(rv.grad(y, x, np.ones(5)).numpy()[:2], [[0, 0], [1, 0]])


@DEVICES
def test_reductions_of_nothing(device: str) -> None:
    with rv.device(device):
        empty = ops.zeros((0, 3))
        assert ops.sum(empty, 0).tolist() == [0, 0, 0]
        assert ops.prod(empty, 0).tolist() == [1, 1, 1]
        assert np.isnan(ops.mean(empty, 0).numpy()).all()
        assert ops.logsumexp(empty, 0).tolist() == [-np.inf] * 3
        assert ops.any(empty).item() is False
        assert ops.all(empty).item() is True
        assert ops.max(empty, 1).shape == (0,)
        for op in (ops.max, ops.min, ops.argmax, ops.argmin):
            with pytest.raises(ValueError, match="axis 0 of shape 0x3 is empty"):
                op(empty, 0)


@DEVICES
def test_the_first_of_several_extremes_and_nans_is_the_place(device: str) -> None:
    rng = np.random.default_rng(0)
    for shape in (200, 90), (19, 700), (2, 70_000):
        check_places(device, np.round(rng.normal(size=shape)), rng)
    check_places(device, np.where(rng.random((5, 900)) < 0.999, -np.inf, -1e30), rng)


def check_places(device: str, x: np.ndarray, rng: np.random.Generator) -> None:
    rare = np.where(rng.random(x.shape) < 2 / x.size, np.nan, x)
    with_nan = np.where(rng.random(x.shape) < 0.03, np.nan, x)
    for values in (x, rare, with_nan, with_nan.astype(np.float32), x.clip(-9, 9).astype(np.int32)):
        for axis in (None, 0, np.int64(1)):
            with rv.device(device):
                np.testing.assert_array_equal(ops.argmax(values, axis).numpy(), np.argmax(values, axis))
                np.testing.assert_array_equal(ops.argmin(values, axis).numpy(), np.argmin(values, axis))


def test_dtypes_of_results() -> None:
    for dtype in ("int32", "int64", "uint8", "bool"):
        x = rv.Tensor(np.ones((2, 3), dtype))
        assert ops.sum(x).dtype == "int64"
        assert ops.prod(x).dtype == "int64"
        assert ops.max(x).dtype == dtype
        assert ops.mean(x).dtype == "float32"
        assert ops.argmax(x).dtype == "int32"
    for dtype in ("float16", "bfloat16"):
        x = ops.cast(rv.Tensor([1.0, 2.0, 4.0]), dtype)
        assert [op(x).dtype for op in (ops.sum, ops.mean, ops.max, ops.min, ops.prod)] == [dtype] * 5
        assert ops.cast(ops.sum(x), "float32").item() == 7
        assert ops.argmax(x).item() == 2
    assert ops.sum(rv.Tensor(np.full(300, 255, np.uint8))).item() == 76_500
    assert ops.sum(rv.Tensor([2**31 - 1, 1])).item() == 2**31


def test_long_sums_keep_their_digits() -> None:
    """A million tenths in float32: added one by one they would be off by hundreds."""
    total = ops.sum(ops.full(1_000_000, 0.1, "float32")).item()
    exact = 1_000_000 * float(np.float32(0.1))
    assert abs(total - exact) <= (128 + 20) * 2.0**-24 * exact
    by_rows = ops.sum(ops.full((1_000_000, 3), 0.1, "float32"), 0).numpy()
    assert np.all(np.abs(by_rows - exact) <= (128 + 20) * 2.0**-24 * exact)


@pytest.mark.parametrize("shape", [(1_000_003,), (100_003, 7), (70_001, 40), (9, 60_000), (3, 40_000, 5)])
def test_threads_and_chunks_change_no_bit(shape: tuple[int, ...]) -> None:
    x = rv.Tensor(np.random.default_rng(0).normal(size=shape).astype(np.float32))
    for isa in _core._usable_isas():
        _core._set_isa(isa)
        results = []
        for threads in (1, 2, 5):
            rv.set_num_threads(threads)
            results.append([ops.sum(x, axis).numpy() for axis in (None, *range(len(shape)))])
        for other in results[1:]:
            for ours, first in zip(other, results[0], strict=True):
                np.testing.assert_array_equal(ours, first)


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("dtype", ["bool", "uint8", "int32", "int64"])
def test_long_runs_of_integers(dtype: str, threads: int) -> None:
    """Runs and columns that are cut between the threads, and their ends."""
    rv.set_num_threads(threads)
    for shape, axis in (((100_003,), 0), ((2, 70_001), 1), ((5, 3001), 0), ((301, 7, 11), 1)):
        x = np.random.default_rng(3).integers(0, 2 if dtype == "bool" else 100, shape).astype(dtype)
        for name in ("sum", "max", "min", "any", "all"):
            ours = getattr(ops, name)(rv.Tensor(x), axis).numpy()
            np.testing.assert_array_equal(ours, getattr(np, name)(x, axis), err_msg=name)
    zeros = np.zeros((3, 40_000), np.float32)
    zeros[1, 39_999] = np.nan
    np.testing.assert_array_equal(ops.any(rv.Tensor(zeros), 1).numpy(), [False, True, False])
    np.testing.assert_array_equal(ops.all(rv.Tensor(zeros == 0), 1).numpy(), [True, False, True])


@pytest.mark.parametrize("threads", [1, 2])
def test_places_in_long_rows(threads: int) -> None:
    rv.set_num_threads(threads)
    x = np.random.default_rng(4).normal(size=(3, 100_003)).astype(np.float32)
    x[1, [70_000, 90_001]] = np.nan
    x[2, [5, 99_999]] = 9
    for name in ("argmax", "argmin"):
        np.testing.assert_array_equal(getattr(ops, name)(rv.Tensor(x), 1).numpy(), getattr(np, name)(x, 1))


@pytest.mark.parametrize("side", [1, 2, 3, 4, 5, 17])
def test_lines_apart(side: int) -> None:
    """Few channels taken apart and put together, steps in indices, and reversed axes."""
    x = np.random.default_rng(5).normal(size=(2, 7, 41, side)).astype(np.float32)
    for order in ((0, 3, 1, 2), (0, 2, 3, 1), (3, 0, 2, 1), (0, 3, 2, 1)):
        np.testing.assert_array_equal(ops.transpose(rv.Tensor(x), order).numpy(), x.transpose(order))
    flat = x.reshape(-1, 41 * side)
    for step in (1, 2, 3, 4, 5, -1, -2):
        np.testing.assert_array_equal(rv.Tensor(flat)[:, ::step].numpy(), flat[:, ::step])
    np.testing.assert_array_equal(ops.concatenate([rv.Tensor(flat)] * 2, 1).numpy(), np.concatenate([flat] * 2, 1))


def test_scatter_add_is_in_the_order_of_the_indices() -> None:
    """1 + 2^-24 + 2^-24 is 1 added one by one, and more the other way round: the order shows in the bits."""
    tiny = 2.0**-24
    updates = rv.Tensor(np.float32([1.0, tiny, tiny]))
    assert ops.scatter_add([0.0], [0, 0, 0], updates).item() == 1.0
    assert ops.scatter_add([0.0], [0, 0, 0], ops.flip(updates)).item() > 1.0


def test_constants_of_pad_have_a_gradient() -> None:
    x = rv.Tensor(np.ones((2, 3)), requires_grad=True)
    value = rv.Tensor(np.asarray(5.0), requires_grad=True)
    y = ops.pad(x, ((1, 0), (0, 2)), constant_values=value)
    dx, dvalue = rv.grad(y, [x, value], np.ones(y.shape))
    assert dvalue.item() == y.size - x.size
    np.testing.assert_array_equal(dx.numpy(), np.ones((2, 3)))


def test_arrays_from_nothing() -> None:
    for dtype in ("float32", "float64", "float16", "int32", "int64", "uint8", "bool"):
        np.testing.assert_array_equal(ops.zeros((2, 3), dtype).numpy(), np.zeros((2, 3), dtype))
        np.testing.assert_array_equal(ops.ones((2, 0, 3), dtype).numpy(), np.ones((2, 0, 3), dtype))
        np.testing.assert_array_equal(ops.ones((2, 3), dtype).numpy(), np.ones((2, 3), dtype))
    assert ops.ones(3, "bfloat16").dtype == "bfloat16"
    np.testing.assert_array_equal(ops.full((2, 3), [1, 2, 3]).numpy(), [[1, 2, 3]] * 2)
    for arguments in ((5,), (2, 7), (7, 2, -2), (0, 1, 0.25), (3, 3), (0.5, 3)):
        expected = np.arange(*arguments)
        ours = ops.arange(*arguments).numpy()
        np.testing.assert_array_equal(ours, expected)
        assert ours.dtype == ("float32" if expected.dtype.kind == "f" else "int32")
    for arguments in ((0, 1, 0), (0, np.inf), (np.nan,)):
        with pytest.raises(ValueError, match="arange"):
            ops.arange(*arguments)
    with pytest.raises(ValueError, match="negative side"):
        ops.zeros((2, -1))
    with pytest.raises(TypeError, match="zeros: shape must be an int"):
        ops.zeros(2.5)  # type: ignore[arg-type]


X = np.random.default_rng(1).normal(size=(3, 4))
LINEAR: dict[str, Callable[[Any], Any]] = {
    "sum": lambda t: ops.sum(t, 0),
    "mean": lambda t: ops.mean(t, (0, 1), keepdims=True),
    "max": lambda t: ops.max(t, 1),
    "transpose": ops.transpose,
    "reshape": lambda t: ops.reshape(t, (2, -1)),
    "broadcast_to": lambda t: ops.broadcast_to(t, (2, 3, 4)),
    "concatenate": lambda t: ops.concatenate([t, t], 0),
    "stack": lambda t: ops.stack([t, t], 1),
    "split": lambda t: ops.split(t, 2, 1)[1],
    "pad": lambda t: ops.pad(t, 1),
    "reflect": lambda t: ops.pad(t, 2, "reflect"),
    "tile": lambda t: ops.tile(t, (2, 1)),
    "repeat": lambda t: ops.repeat(t, [1, 0, 2], 0),
    "flip": ops.flip,
    "take": lambda t: ops.take(t, [[0, 2], [2, -1]], 0),
    "embedding": lambda t: ops.embedding([0, 2, 2], t),
    "scatter_add": lambda t: ops.scatter_add(t, [0, 0, 1], t),
}


@pytest.mark.parametrize("name", LINEAR)
def test_second_derivatives_pass_through_linear_ops(name: str) -> None:
    """d/dx of the gradient of sum(op(x)^3): the cube makes it depend on x."""

    def slope(x: Any) -> Any:
        y = LINEAR[name](x)
        return rv.grad((y * y * y).sum(), x, create_graph=True)

    rv.gradcheck(slope, rv.Tensor(X, requires_grad=True))
