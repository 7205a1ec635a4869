"""Case: one call of a layer, and the shapes and reasons that many share."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

IMAGE = (2, 9, 8, 4)
SEQUENCE = (2, 10, 4)
TRAILING = "its torch backend normalises trailing axes only"


@dataclass
class Case:
    """A layer by name, its arguments, the shapes of its input (one, or a list of several) and of its output."""

    layer: str
    arguments: dict[str, Any]
    shape: Any
    output: Any
    integers: int | None = None  # inputs are integers below this
    call: dict[str, Any] = field(default_factory=dict)
    keras: str = ""  # why Keras's torch backend is no measure here

    @property
    def name(self) -> str:
        settings = ",".join(f"{k}={v}" for k, v in self.arguments.items())
        return f"{self.layer}({settings})" + "".join(f",{k}={v}" for k, v in self.call.items())

    def inputs(self, seed: int = 0, dtype: str = "float64") -> Any:
        random = np.random.default_rng(seed)
        if isinstance(self.shape, list):
            return [random.standard_normal(s).astype(dtype) for s in self.shape]
        if self.integers is not None:
            return random.integers(0, self.integers, self.shape, np.int32)
        return random.standard_normal(self.shape).astype(dtype)
