"""What a step tells: names and numbers, read from the device when somebody looks."""

from __future__ import annotations

from collections.abc import Callable, Iterator, MutableMapping
from typing import Any

import numpy as np

from ranvier.tensor import Tensor


class LazyLogs(MutableMapping[str, Any]):
    """Names and floats of a batch, read from the device when somebody looks."""

    __slots__ = ("_read", "_values")

    def __init__(self, read: Callable[[], dict[str, Any]]) -> None:
        self._read = read
        self._values: dict[str, Any] | None = None

    def fresh(self) -> LazyLogs:
        """The same names, to be read anew."""
        return LazyLogs(self._read)

    @property
    def values_now(self) -> dict[str, Any]:
        """The values, read at most once."""
        if self._values is None:
            self._values = self._read()
        return self._values

    def __getitem__(self, key: str) -> Any:
        return self.values_now[key]

    def __setitem__(self, key: str, value: Any) -> None:
        self.values_now[key] = value

    def __delitem__(self, key: str) -> None:
        del self.values_now[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self.values_now)

    def __len__(self) -> int:
        return len(self.values_now)

    def __repr__(self) -> str:
        return repr(self.values_now)


def as_number(value: Any) -> Any:
    """A metric's result for logs: a float, or a NumPy array where a metric gives several numbers."""
    if isinstance(value, (int, float)):
        return float(value)
    if isinstance(value, dict):
        return {name: as_number(item) for name, item in value.items()}
    values = value.numpy() if isinstance(value, Tensor) else np.asarray(value)
    return float(values) if values.ndim == 0 else values
