"""CUDA, or why it is not here. Importing this touches no driver."""

from __future__ import annotations

from ranvier import _core

__all__ = ["device_name", "is_available", "why_not"]


def is_available() -> bool:
    """Whether ``rv.set_device("cuda")`` works.

    >>> import ranvier as rv
    >>> rv.cuda.is_available() or isinstance(rv.cuda.why_not(), str)
    True
    """
    return why_not() is None


def why_not() -> str | None:
    """Why CUDA is not available, in words; None where it is."""
    return str(_core._build_facts()["cuda_status"])


def device_name(index: int = 0) -> str:
    """The name of GPU ``index``. Raises DeviceError where CUDA is not available."""
    raise _core.DeviceError(f"cuda.device_name({index}): CUDA is {why_not()}")
