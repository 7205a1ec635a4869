"""DLPack both ways: with NumPy and PyTorch, with read-only, strided and empty arrays, and with broken capsules."""

from __future__ import annotations

import ctypes
import gc
import weakref
from typing import Any

import numpy as np
import pytest

import ranvier as rv
from ranvier import _core

NUMPY_DTYPES = ["float32", "float64", "float16", "int32", "int64", "uint8", "bool"]


def sample(dtype: str, shape: tuple[int, ...] = (3, 4)) -> np.ndarray:
    return np.asarray(np.arange(int(np.prod(shape))).reshape(shape) % 5, dtype)


# --- with NumPy and PyTorch ------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", NUMPY_DTYPES)
@pytest.mark.parametrize("shape", [(), (0,), (3, 0, 2), (7,), (3, 4), (2, 1, 3, 1)])
def test_numpy_both_ways_shares_memory(dtype: str, shape: tuple[int, ...]) -> None:
    theirs = sample(dtype, shape)
    ours = rv.from_dlpack(theirs)
    assert (ours.dtype, ours.shape) == (dtype, shape)
    np.testing.assert_array_equal(ours.numpy(), theirs)
    back = np.from_dlpack(ours)
    assert back.dtype == theirs.dtype and back.shape == shape
    np.testing.assert_array_equal(back, theirs)
    if theirs.size:
        assert np.shares_memory(back, theirs)
        theirs[...] = 1
        assert (ours.numpy() == theirs).all()


@pytest.mark.parametrize("dtype", [*NUMPY_DTYPES, "bfloat16"])
@pytest.mark.parametrize("shape", [(), (0,), (3, 0, 2), (7,), (3, 4)])
def test_torch_both_ways_shares_memory(dtype: str, shape: tuple[int, ...]) -> None:
    torch = pytest.importorskip("torch")
    theirs = torch.from_numpy(sample("float32", shape)).to(getattr(torch, dtype))
    ours = rv.from_dlpack(theirs)
    assert (ours.dtype, ours.shape) == (dtype, shape)
    back = torch.from_dlpack(ours)
    assert back.dtype == theirs.dtype and tuple(back.shape) == shape
    assert torch.equal(back, theirs)
    if theirs.numel():
        assert back.data_ptr() == theirs.data_ptr()
        theirs.fill_(1)
        assert torch.equal(torch.from_dlpack(ours), theirs)
    raw = rv.from_dlpack(torch.utils.dlpack.to_dlpack(theirs))  # a bare capsule of the old kind
    assert torch.equal(torch.from_dlpack(raw), theirs)


def test_strided_sources_are_copied_unless_forbidden() -> None:
    whole = np.arange(60, dtype=np.float32).reshape(3, 4, 5)
    for view in (whole.T, whole[:, ::2], whole[::-1, :, ::-2], whole[:, :, :0], np.broadcast_to(whole[0, 0], (4, 5))):
        ours = rv.from_dlpack(view)
        np.testing.assert_array_equal(ours.numpy(), view)
    with pytest.raises(BufferError, match="not C-contiguous"):
        rv.from_dlpack(whole.T, copy=False)
    assert np.shares_memory(rv.from_dlpack(whole, copy=False).numpy(), whole)
    copied = rv.from_dlpack(whole, copy=True)
    assert not np.shares_memory(copied.numpy(), whole)
    torch = pytest.importorskip("torch")
    expanded = torch.arange(5.0).expand(3, 5)  # stride 0
    np.testing.assert_array_equal(rv.from_dlpack(expanded).numpy(), expanded.numpy())


def test_read_only_travels() -> None:
    frozen = np.arange(4.0)
    frozen.flags.writeable = False
    ours = rv.from_dlpack(frozen)
    assert ours.array.readonly
    with pytest.raises(ValueError, match="read-only"):
        ours.assign(np.zeros(4))
    assert not np.from_dlpack(ours).flags.writeable
    with pytest.raises(BufferError, match="read-only"):
        ours.__dlpack__()  # the old kind cannot say so
    np.testing.assert_array_equal(np.from_dlpack(ours, copy=True), frozen)


def test_arguments_of_the_protocol() -> None:
    x = rv.Tensor([1.0])
    assert x.__dlpack_device__() == (1, 0)
    assert np.from_dlpack(x, device="cpu").tolist() == [1.0]
    with pytest.raises(ValueError, match="stream must be None"):
        x.__dlpack__(stream=1)
    with pytest.raises(BufferError, match="device \\(2, 0\\)"):
        x.__dlpack__(dl_device=(2, 0))
    with pytest.raises(TypeError):
        x.__dlpack__(max_version="new")  # type: ignore[arg-type]
    assert not np.shares_memory(np.from_dlpack(x, copy=True), x.numpy())
    with rv.device("reference"):
        assert rv.from_dlpack(np.ones(2)).device == "reference"


# --- lifetimes --------------------------------------------------------------------------------------------


class Watched(np.ndarray):
    """An array that can be watched for its end."""


def watched() -> tuple[Any, Any]:
    values = np.arange(8.0).view(Watched)
    return values, weakref.ref(values)


@pytest.mark.parametrize("version", [None, (1, 0)])
def test_a_capsule_keeps_its_array_alive_and_lets_it_go(version: Any) -> None:
    values, alive = watched()
    shared = _core.Array.from_numpy(values, copy=False)
    capsule = shared.__dlpack__(max_version=version)
    del values, shared
    gc.collect()
    assert alive() is not None
    del capsule  # never consumed: its destructor deletes
    gc.collect()
    assert alive() is None


@pytest.mark.parametrize("version", [None, (1, 0)])
@pytest.mark.parametrize("copy", [None, True])
def test_a_consumed_capsule_passes_the_array_on(version: Any, copy: bool | None) -> None:
    values, alive = watched()
    capsule = _core.Array.from_numpy(values, copy=False).__dlpack__(max_version=version)
    del values
    taken = _core.Array.from_dlpack_capsule(capsule, copy)
    del capsule
    gc.collect()
    assert (alive() is None) == (copy is True)  # a copy needs the original no longer
    np.testing.assert_array_equal(taken.numpy(), np.arange(8.0))
    view = taken.numpy()
    del taken
    gc.collect()
    assert (alive() is None) == (copy is True)
    del view
    gc.collect()
    assert alive() is None


def test_a_capsule_serves_once() -> None:
    capsule = rv.Tensor([1.0, 2.0]).__dlpack__()
    rv.from_dlpack(capsule)
    with pytest.raises(ValueError, match="has been consumed"):
        rv.from_dlpack(capsule)
    capsule = rv.Tensor([1.0, 2.0]).__dlpack__(max_version=(1, 0))
    np.from_dlpack(Producer(capsule))
    with pytest.raises(ValueError, match="has been consumed"):
        rv.from_dlpack(capsule)


class Producer:
    """Offers a given capsule."""

    def __init__(self, capsule: Any, device: tuple[int, int] = (1, 0)) -> None:
        self.capsule, self.device = capsule, device

    def __dlpack__(self, **options: Any) -> Any:
        return self.capsule

    def __dlpack_device__(self) -> tuple[int, int]:
        return self.device


class OldProducer(Producer):
    """Knows no max_version, as before DLPack 1.0."""

    def __dlpack__(self, stream: Any = None) -> Any:  # type: ignore[override]
        return self.capsule


def test_producers_older_than_version_1() -> None:
    assert rv.from_dlpack(OldProducer(rv.Tensor([5.0]).__dlpack__())).tolist() == [5.0]


# --- capsules made by hand ----------------------------------------------------------------------------------


class DLTensor(ctypes.Structure):
    _fields_ = [
        ("data", ctypes.c_void_p), ("device_type", ctypes.c_int32), ("device_id", ctypes.c_int32),
        ("ndim", ctypes.c_int32), ("code", ctypes.c_uint8), ("bits", ctypes.c_uint8), ("lanes", ctypes.c_uint16),
        ("shape", ctypes.POINTER(ctypes.c_int64)), ("strides", ctypes.POINTER(ctypes.c_int64)),
        ("byte_offset", ctypes.c_uint64),
    ]  # fmt: skip


class Legacy(ctypes.Structure):
    _fields_ = [("tensor", DLTensor), ("context", ctypes.c_void_p), ("deleter", ctypes.c_void_p)]


class Versioned(ctypes.Structure):
    _fields_ = [
        ("major", ctypes.c_uint32), ("minor", ctypes.c_uint32), ("context", ctypes.c_void_p),
        ("deleter", ctypes.c_void_p), ("flags", ctypes.c_uint64), ("tensor", DLTensor),
    ]  # fmt: skip


new_capsule = ctypes.pythonapi.PyCapsule_New
new_capsule.restype = ctypes.py_object
new_capsule.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p]
DELETER = ctypes.CFUNCTYPE(None, ctypes.c_void_p)


class HandMade:
    """A capsule with any header over ``data``, and how often its deleter ran."""

    def __init__(self, source: np.ndarray, versioned: bool = False, major: int = 1, **changes: Any) -> None:
        self.source = source
        self.deleted = 0
        self.deleter = DELETER(self._delete)
        self.shape = (ctypes.c_int64 * 8)(*changes.pop("shape", source.shape))
        strides = changes.pop("strides", None)
        self.strides = None if strides is None else (ctypes.c_int64 * 8)(*strides)
        tensor = DLTensor(source.ctypes.data, 1, 0, source.ndim, 2, 8 * source.itemsize, 1, self.shape, self.strides, 0)
        for name, value in changes.items():
            setattr(tensor, name, value)
        deleter = ctypes.cast(self.deleter, ctypes.c_void_p)
        self.managed = Versioned(major, 0, None, deleter, 0, tensor) if versioned else Legacy(tensor, None, deleter)
        self.name = b"dltensor_versioned" if versioned else b"dltensor"
        self.capsule = new_capsule(ctypes.addressof(self.managed), self.name, None)

    def _delete(self, managed: Any) -> None:
        self.deleted += 1


@pytest.mark.parametrize("versioned", [False, True])
def test_hand_made_capsules_and_their_deleters(versioned: bool) -> None:
    made = HandMade(np.arange(6, dtype=np.float32), versioned, shape=(2, 3), ndim=2, strides=(3, 1))
    ours = rv.from_dlpack(made.capsule)
    assert ours.tolist() == [[0, 1, 2], [3, 4, 5]]
    assert made.deleted == 0
    del ours
    assert made.deleted == 1
    made = HandMade(np.arange(6, dtype=np.float32), versioned, shape=(3, 2), ndim=2, strides=(1, 3))
    assert rv.from_dlpack(made.capsule).tolist() == [[0, 3], [1, 4], [2, 5]]
    assert made.deleted == 1  # copied, and done with
    made = HandMade(np.arange(6, dtype=np.float32), versioned, shape=(4,), byte_offset=8)
    assert rv.from_dlpack(made.capsule).tolist() == [2, 3, 4, 5]
    made = HandMade(np.frombuffer(bytes(17), np.uint8), versioned, shape=(4,), byte_offset=1, code=2, bits=32)
    assert rv.from_dlpack(made.capsule).tolist() == [0, 0, 0, 0]  # unaligned: copied
    assert made.deleted == 1
    made = HandMade(np.arange(6, dtype=np.float32), versioned, shape=(0,), data=None, strides=(2**62,))
    assert rv.from_dlpack(made.capsule).shape == (0,)


BROKEN = [
    ({"device_type": 10}, rv.DeviceError, "device type 10"),
    ({"lanes": 4}, TypeError, "4 lanes"),
    ({"lanes": 0}, TypeError, "0 lanes"),
    ({"code": 5}, TypeError, "type code 5"),
    ({"bits": 0}, TypeError, "0 bits"),
    ({"bits": 128}, TypeError, "128 bits"),
    ({"code": 1, "bits": 16}, TypeError, "16 bits"),
    ({"ndim": -1}, ValueError, "rank is -1"),
    ({"ndim": 2**31 - 1}, ValueError, "rank is"),
    ({"shape": (-3,)}, ValueError, "negative side"),
    ({"shape": (2**62, 2**62), "ndim": 2}, ValueError, "too many elements"),
    ({"data": None}, ValueError, "has no data"),
    ({"strides": (2**62,)}, ValueError, "beyond memory"),
    ({"strides": (-(2**63),)}, ValueError, "beyond memory"),
    ({"strides": (2**60, 2**60), "shape": (4, 4), "ndim": 2}, ValueError, "beyond memory"),
]


@pytest.mark.parametrize("versioned", [False, True])
@pytest.mark.parametrize(("changes", "error", "match"), BROKEN)
def test_broken_headers_are_refused_and_stay_with_the_capsule(
    versioned: bool, changes: dict[str, Any], error: type[Exception], match: str
) -> None:
    made = HandMade(np.arange(6, dtype=np.float32), versioned, **changes)
    with pytest.raises(error, match=match):
        rv.from_dlpack(made.capsule)
    assert made.deleted == 0  # not consumed
    assert f'"{made.name.decode()}"' in repr(made.capsule)


def test_foreign_capsules_and_strangers() -> None:
    holder = ctypes.create_string_buffer(64)
    for name, match in ((b"arrow_schema", "named 'arrow_schema'"), (None, "without a name"), (b"", "named ''")):
        with pytest.raises(ValueError, match=match):
            rv.from_dlpack(new_capsule(ctypes.addressof(holder), name, None))
    for stranger in (1, None, "dltensor", [1.0], object()):
        with pytest.raises(TypeError, match="expected a DLPack capsule"):
            rv.from_dlpack(stranger)
    with pytest.raises(TypeError, match="expected a DLPack capsule"):
        rv.from_dlpack(Producer("no capsule"))
    with pytest.raises(rv.DeviceError, match="device type 10"):
        rv.from_dlpack(Producer(None, (10, 0)))
    with pytest.raises(rv.DeviceError, match="cuda:63"):
        rv.from_dlpack(Producer(None, (2, 63)))
    with pytest.raises(BufferError, match="version 2"):
        rv.from_dlpack(HandMade(np.ones(3), True, major=2).capsule)
    with pytest.raises(TypeError, match="type code 5"):
        rv.from_dlpack(np.ones(3, complex))
    with pytest.raises(BufferError):
        rv.from_dlpack(np.array(["text"]))
