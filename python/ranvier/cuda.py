"""NVIDIA GPUs: whether there is one, its memory, streams and events. Importing this touches no driver.

Work on ``device="cuda"`` is asynchronous: an op returns when its kernels are queued, in the order of the device's
current stream. ``tensor.numpy()`` and ``synchronize`` wait. See docs/cuda.md.
"""

from __future__ import annotations

import threading
from types import TracebackType
from typing import Any

from ranvier import _core
from ranvier._device import get_device

__all__ = [
    "Event",
    "Stream",
    "current_stream",
    "device_capability",
    "device_count",
    "device_name",
    "empty_cache",
    "is_available",
    "memory_stats",
    "reset_peak_memory_stats",
    "set_device",
    "synchronize",
    "why_not",
]


def is_available() -> bool:
    """Whether ``rv.set_device("cuda")`` works.

    >>> import ranvier as rv
    >>> rv.cuda.is_available() == (rv.cuda.why_not() is None)
    True
    """
    return why_not() is None


def why_not() -> str | None:
    """Why CUDA is not available, in words: no kernels built, no driver, one too old, no device; None where it is.

    >>> import ranvier as rv
    >>> rv.cuda.why_not() is None or len(rv.cuda.why_not()) > 10
    True
    """
    reason: str | None = _core._cuda_why_not()
    return reason


def device_count() -> int:
    """How many GPUs this process sees: 0 where CUDA is not available.

    >>> import ranvier as rv
    >>> (rv.cuda.device_count() > 0) == rv.cuda.is_available()
    True
    """
    return int(_core._cuda_device_count())


def _index(device: int | str | None) -> int:
    """The number of a GPU: given as one, as ``"cuda:1"``, or the one that new tensors go to (else 0)."""
    if device is None:
        device = get_device() if get_device().startswith("cuda") else 0
    if isinstance(device, str):
        name, _, number = device.partition(":")
        if name != "cuda" or not (number.isdigit() or number == ""):
            raise ValueError(f"cuda: device {device!r} is no GPU; expected 'cuda' or 'cuda:<index>'")
        device = int(number or 0)
    _core._cuda_require(device)
    return device


def set_device(device: int | str) -> None:
    """Makes a GPU the device of new tensors: ``rv.set_device(f"cuda:{index}")``. DeviceError where there is none."""
    from ranvier._device import set_device as set_any_device

    set_any_device(f"cuda:{_index(device)}")


def device_name(device: int | str | None = None) -> str:
    """The name of a GPU, such as ``"NVIDIA H100 80GB HBM3"``. Raises DeviceError where CUDA is not available."""
    return str(_core._cuda_device_facts(_index(device))["name"])


def device_capability(device: int | str | None = None) -> tuple[int, int]:
    """The compute capability of a GPU, (9, 0) for Hopper. Raises DeviceError where CUDA is not available."""
    major, minor = _core._cuda_device_facts(_index(device))["capability"]
    return int(major), int(minor)


def memory_stats(device: int | str | None = None) -> dict[str, int]:
    """Bytes of a GPU: ``in_use`` by arrays, their peak, ``reserved`` from CUDA, ``free`` and ``total`` of the device.

    ``allocations`` counts requests, ``system_allocations`` those that had to go to CUDA: none in a steady loop.
    Raises DeviceError where CUDA is not available.
    """
    index = _index(device)
    facts = _core._cuda_device_facts(index)
    return {**_core._cuda_memory_stats(index), "free": facts["free_bytes"], "total": facts["total_bytes"]}


def reset_peak_memory_stats(device: int | str | None = None) -> None:
    """Counts ``memory_stats()["peak_in_use"]`` from here on. Raises DeviceError where CUDA is not available."""
    _core._cuda_reset_peak_memory(_index(device))


def empty_cache(device: int | str | None = None) -> None:
    """Gives memory that no array uses back to CUDA, for other programs; ours needs no such call.

    Waits for the device. Raises DeviceError where CUDA is not available.
    """
    _core._cuda_release_cached_memory(_index(device))


def synchronize(device: int | str | None = None) -> None:
    """Waits until a GPU has done all that it was given. Raises DeviceError if a kernel has failed meanwhile."""
    _core._cuda_synchronize(_index(device))


class Event:
    """A mark in a stream: when work has come that far, and how long it took from another mark.

    ``timing=False`` makes one that orders streams only, which is cheaper. Raises DeviceError where there is no CUDA.
    """

    def __init__(self, timing: bool = True, device: int | str | None = None) -> None:
        self._device = _index(device)
        self._handle = _core._cuda_new_event(self._device, timing)

    def record(self, stream: Stream | None = None) -> Event:
        """Marks the place that ``stream`` (default: the current one) has come to."""
        handle = stream.handle if stream is not None else _core._cuda_current_stream(self._device)
        _core._cuda_record_event(self._device, self._handle, handle)
        return self

    def query(self) -> bool:
        """Whether the work before the mark is done."""
        return bool(_core._cuda_event_done(self._handle))

    def synchronize(self) -> None:
        """Waits until the work before the mark is done."""
        _core._cuda_synchronize_event(self._handle)

    def elapsed_time(self, end: Event) -> float:
        """Milliseconds from this mark to ``end``; both must have been reached (``end.synchronize()``)."""
        return float(_core._cuda_elapsed_ms(self._handle, end._handle))

    def __del__(self) -> None:
        if hasattr(self, "_handle"):
            _core._cuda_free_event(self._handle)


class Stream:
    """A queue of work beside the device's own. Within ``with stream:`` this thread's kernels and copies go there.

    Nothing orders two streams unless you do: ``wait_stream`` or ``wait_event``, as in PyTorch. Memory that is freed
    is not used again before every stream has passed that point. Raises DeviceError where CUDA is not available.
    """

    def __init__(self, device: int | str | None = None) -> None:
        self._device = _index(device)
        self._owned = True
        self.handle: int = _core._cuda_new_stream(self._device)  # a cudaStream_t
        self._outer = threading.local()

    @classmethod
    def _of(cls, device: int, handle: int) -> Stream:
        stream = cls.__new__(cls)
        stream._device, stream._owned, stream.handle, stream._outer = device, False, handle, threading.local()
        return stream

    def __enter__(self) -> Stream:
        before = _core._cuda_use_stream(self._device, self.handle)
        self._outer.__dict__.setdefault("streams", []).append(before)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        _core._cuda_use_stream(self._device, self._outer.streams.pop())

    def wait_event(self, event: Event) -> None:
        """What this stream is given from here on comes after ``event``."""
        _core._cuda_wait_for_event(self._device, self.handle, event._handle)

    def wait_stream(self, stream: Stream) -> None:
        """What this stream is given from here on comes after all that ``stream`` was given so far."""
        _core._cuda_wait_for_stream(self._device, self.handle, stream.handle)

    def record_event(self, event: Event | None = None) -> Event:
        """Marks the place that this stream has come to."""
        return (event or Event(device=self._device)).record(self)

    def query(self) -> bool:
        """Whether the stream has nothing left to do."""
        return bool(_core._cuda_stream_done(self._device, self.handle))

    def synchronize(self) -> None:
        """Waits until the stream has nothing left to do. Raises DeviceError if a kernel has failed meanwhile."""
        _core._cuda_synchronize_stream(self._device, self.handle)

    def __del__(self) -> None:
        if getattr(self, "_owned", False) and hasattr(self, "handle"):
            _core._cuda_free_stream(self._device, self.handle)

    def __repr__(self) -> str:
        return f"<ranvier.cuda.Stream {self.handle:#x} on cuda:{self._device}>"


def current_stream(device: int | str | None = None) -> Stream:
    """The stream that this thread's work on a GPU goes to. Raises DeviceError where CUDA is not available."""
    index = _index(device)
    return Stream._of(index, _core._cuda_current_stream(index))


def interface_of(array: Any) -> dict[str, Any]:
    """``__cuda_array_interface__``, version 3 (https://numba.readthedocs.io/en/stable/cuda/cuda_array_interface.html)."""
    if not array.device.startswith("cuda"):
        raise AttributeError(f"__cuda_array_interface__: this tensor is on {array.device}")
    codes = {"float32": "<f4", "float64": "<f8", "float16": "<f2", "int32": "<i4", "int64": "<i8", "uint8": "|u1"}
    code = {**codes, "bool": "|b1"}.get(array.dtype)
    if code is None:
        raise AttributeError(f"__cuda_array_interface__: it has no code for {array.dtype}; use DLPack")
    return {
        "shape": tuple(array.shape),
        "typestr": code,
        "data": (array.address if array.size else 0, array.readonly),
        "version": 3,
        "strides": None,
        "stream": _core._cuda_current_stream(_index(array.device)),
    }
