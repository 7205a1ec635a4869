"""The default device of new tensors."""

from __future__ import annotations

from types import TracebackType

from ranvier import _core


def canonical(name: str) -> str:
    """The name that arrays give their device: ``"cuda:0"`` for ``"cuda"``."""
    return "cuda:0" if name == "cuda" else name


def get_device() -> str:
    """The device on which new tensors are made: ``"cpu"`` unless changed.

    >>> import ranvier as rv
    >>> rv.get_device()
    'cpu'
    """
    return _core._default_device()


def set_device(name: str) -> None:
    """Makes ``name`` the device of new tensors: ``"cpu"``, ``"cuda"`` or ``"cuda:1"``, ``"sim"`` or ``"reference"``.

    Raises ValueError for a name that is no device, DeviceError for one that this build or machine lacks.
    """
    _core.Array.empty([0], "float32", name)  # whether it is there
    _core._set_default_device(name)


class device:
    """A context in which new tensors of this thread are made on another device.

    >>> import ranvier as rv
    >>> with rv.device("reference"):
    ...     rv.get_device()
    'reference'
    """

    def __init__(self, name: str) -> None:
        self._name: str = _core.Array.empty([0], "float32", name).device
        self._outer: list[str | None] = []

    def __enter__(self) -> device:
        self._outer.append(_core._set_thread_device(self._name))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        _core._set_thread_device(self._outer.pop())
