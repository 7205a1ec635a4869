"""Array: the buffer protocol, NumPy in and out, dtypes, views, versions, and what must be refused."""

from __future__ import annotations

import copy
import gc
import pickle
import weakref
from typing import Any

import numpy as np
import pytest

import ranvier as rv
from ranvier import _core
from ranvier._core import Array

DTYPES = ["float32", "float64", "float16", "int32", "int64", "uint8", "bool"]


# --- NumPy and the buffer protocol --------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(), (0,), (4, 0), (5,), (2, 3, 4), (1,) * 8])
def test_numpy_round_trip(dtype: str, shape: tuple[int, ...]) -> None:
    values = np.asarray(np.arange(int(np.prod(shape))).reshape(shape) % 7, dtype)
    for shared in (False, True):
        array = Array.from_numpy(values, copy=not shared)
        assert (array.shape, array.dtype, array.size, array.nbytes) == (shape, dtype, values.size, values.nbytes)
        for view in (array.numpy(), np.asarray(memoryview(array)), np.array(array)):
            assert view.dtype == values.dtype and view.shape == shape
            np.testing.assert_array_equal(view, values)
        if values.size:
            assert np.shares_memory(array.numpy(), values) == shared
            assert np.shares_memory(array.numpy(), np.asarray(memoryview(array)))


def test_views_keep_the_memory_alive() -> None:
    class Watched(np.ndarray):
        pass

    values = np.arange(8.0).view(Watched)
    alive = weakref.ref(values)
    array = Array.from_numpy(values, copy=False)
    view, buffer = array.reshape([2, 4]).slice_leading(1, 2).numpy(), memoryview(array)
    del values, array
    gc.collect()
    assert view.tolist() == [[4.0, 5.0, 6.0, 7.0]] and buffer[7] == 7.0
    del view
    gc.collect()
    assert alive() is not None
    del buffer
    gc.collect()
    assert alive() is None


def test_read_only_memory_stays_so() -> None:
    values = np.arange(4.0)
    values.flags.writeable = False
    array = Array.from_numpy(values, copy=False)
    assert array.readonly and not array.numpy().flags.writeable and memoryview(array).readonly
    with pytest.raises(ValueError, match="read-only"):
        array.copy_from(Array.zeros([4], "float64"))
    assert not array.copy().readonly
    assert not Array.from_numpy(values, copy=True).readonly
    view = array.reshape([2, 2])
    assert view.readonly


def test_other_byte_orders_strides_and_alignments_are_copied() -> None:
    values = np.arange(12, dtype=np.float32).reshape(3, 4)
    odd = np.zeros(49, np.uint8)[1:].view(np.float32).reshape(3, 4)
    odd[...] = values
    assert not odd.flags.aligned
    for source in (values.astype(">f4"), values.T, values[::2, ::-1], odd, values.astype(">f4")[:, 1]):
        array = Array.from_numpy(source, copy=False)
        np.testing.assert_array_equal(array.numpy(), source)
        assert array.numpy().flags.c_contiguous and array.numpy().dtype == "float32"
        assert not np.shares_memory(array.numpy(), source)


@pytest.mark.parametrize(
    "source", [np.ones(2, complex), np.ones(2, "int8"), np.ones(2, "uint32"), np.array(["a"]), np.array([None]),
               np.zeros(2, "datetime64[s]"), np.zeros(2, [("a", "f4")]), np.ones(2, np.longdouble)],
)  # fmt: skip
def test_other_dtypes_are_refused(source: np.ndarray) -> None:
    with pytest.raises(TypeError, match=r"dtype .* is not supported; expected float32"):
        Array.from_numpy(source)
    with pytest.raises(TypeError):
        rv.Tensor(source)


def test_bfloat16_leaves_as_its_bits_or_by_dlpack() -> None:
    array = Array.zeros([3], "bfloat16")
    assert array.nbytes == 6 and array.numpy().dtype == "uint16"
    with pytest.raises(BufferError):
        memoryview(array)


# --- shapes, views, versions -------------------------------------------------------------------------------


def test_views_share_memory_and_version() -> None:
    array = Array.zeros([4, 3])
    rows = array.slice_leading(1, 3)
    flat = rows.reshape([6])
    assert array.shares_memory_with(flat) and not array.shares_memory_with(array.copy())
    flat.copy_from(Array.from_numpy(np.arange(6, dtype=np.float32)))
    assert array.numpy().tolist() == [[0, 0, 0], [0, 1, 2], [3, 4, 5], [0, 0, 0]]
    assert array.version == rows.version == flat.version == 1
    array.bump_version()
    assert flat.version == 2
    assert array.slice_leading(4, 4).shape == (0, 3)


@pytest.mark.parametrize(
    ("call", "error", "match"),
    [
        (lambda: Array.empty([-1]), ValueError, "shape -1 has a negative side"),
        (lambda: Array.empty([2**62]), ValueError, "too many elements"),
        (lambda: Array.empty([2**40, 2**40]), ValueError, "too many elements"),
        (lambda: Array.empty([0, 2**62, 2**62]), ValueError, "too many elements"),
        (lambda: Array.empty([2**63]), TypeError, ""),
        (lambda: Array.empty([1.5]), TypeError, ""),
        (lambda: Array.empty([2], "complex64"), TypeError, "dtype 'complex64' is not supported"),
        (lambda: Array.empty([2], "float32", "tpu"), ValueError, "device 'tpu' is unknown"),
        (lambda: Array.empty([2], "float32", "cuda:1"), rv.DeviceError, "'cuda:1' is not available"),
        (lambda: Array.zeros([2, 3]).reshape([4]), ValueError, "cannot turn shape 2x3"),
        (lambda: Array.zeros([2, 3]).reshape([-1]), ValueError, "negative side"),
        (lambda: Array.zeros([2, 0]).reshape([2**62, 2**62, 0]), ValueError, "too many elements"),
        (lambda: Array.zeros([2, 3]).slice_leading(1, 3), ValueError, "rows 1 to 3"),
        (lambda: Array.zeros([2, 3]).slice_leading(-1, 1), ValueError, "rows -1 to 1"),
        (lambda: Array.zeros([2, 3]).slice_leading(2, 1), ValueError, "rows 2 to 1"),
        (lambda: Array.zeros([]).slice_leading(0, 1), ValueError, "shape scalar"),
        (lambda: Array.zeros([2]).copy_from(Array.zeros([3])), ValueError, "value must have shape 2"),
        (lambda: Array.zeros([2]).copy_from(Array.zeros([2], "float64")), TypeError, "value is float64"),
        (lambda: Array.zeros([2]).item(), ValueError, ""),
        (lambda: Array(), TypeError, "No constructor"),
    ],
)
def test_refuses(call: Any, error: type[Exception], match: str) -> None:
    with pytest.raises(error, match=match or None):
        call()


def test_pickle_and_deepcopy() -> None:
    for array in (Array.zeros([2, 0]), Array.from_numpy(np.array(3.0)), Array.from_numpy(np.arange(6).reshape(2, 3))):
        for twin in (pickle.loads(pickle.dumps(array)), copy.deepcopy(array), copy.copy(array)):
            assert (twin.shape, twin.dtype, twin.device) == (array.shape, array.dtype, array.device)
            np.testing.assert_array_equal(twin.numpy(), array.numpy())
            assert not twin.shares_memory_with(array)
    tensor = rv.Tensor([1.0, 2.0], requires_grad=True)
    twin = copy.deepcopy(tensor)
    assert twin.tolist() == [1.0, 2.0] and twin.requires_grad and twin.is_leaf
    state = ((2,), "float32", "cpu", b"1234")
    with pytest.raises(ValueError, match="must hold 8 bytes but holds 4"):
        Array.__new__(Array).__setstate__(state)


# --- the short names ---------------------------------------------------------------------------------------


def test_array_and_from_numpy() -> None:
    values = np.arange(4, dtype=np.float32)
    assert rv.array([1, 2]).dtype == "int32" and rv.array([1.0]).dtype == "float32"
    assert not np.shares_memory(rv.array(values).numpy(), values)
    assert np.shares_memory(rv.array(values, copy=None).numpy(), values)
    assert np.shares_memory(rv.array(values, copy=False).numpy(), values)
    assert np.shares_memory(rv.from_numpy(values).numpy(), values)
    tensor = rv.Tensor([1.0])
    assert rv.array(tensor, copy=False).array.shares_memory_with(tensor.array)
    for data in ([1.0], values[::2]):
        with pytest.raises(ValueError, match="without a copy"):
            rv.array(data, copy=False)
        rv.array(data, copy=None)
    with pytest.raises(TypeError, match="expected a NumPy array"):
        rv.from_numpy([1.0])  # type: ignore[arg-type]
    with rv.device("reference"):
        assert rv.from_numpy(values).device == "reference"


def test_many_arrays_are_independent() -> None:
    arrays = [Array.from_numpy(np.full(n, n, np.float32)) for n in range(200)]
    for n, array in enumerate(arrays):
        assert (array.numpy() == n).all() and (n == 0 or array.numpy().ctypes.data % 64 == 0)
    assert _core.memory_stats()["in_use"] >= sum(a.nbytes for a in arrays)
