"""InputSpec: what a layer expects of its inputs, and the check with its messages."""

from __future__ import annotations

from typing import Any

from ranvier import _tree
from ranvier.tensor import Tensor


class InputSpec:
    """Rank, least rank, sizes of axes or dtype that a layer expects of an input. Source: Keras ``InputSpec``.

    >>> InputSpec(min_ndim=2, axes={-1: 784})
    InputSpec(min_ndim=2, axes={-1: 784})
    """

    def __init__(
        self,
        dtype: str | None = None,
        shape: Any = None,
        ndim: int | None = None,
        max_ndim: int | None = None,
        min_ndim: int | None = None,
        axes: dict[int, int | None] | None = None,
    ) -> None:
        self.dtype = dtype
        self.shape = tuple(shape) if shape is not None else None
        self.ndim = len(self.shape) if self.shape is not None else ndim
        self.max_ndim = max_ndim
        self.min_ndim = min_ndim
        self.axes = dict(axes or {})

    def __repr__(self) -> str:
        shown = {k: v for k, v in vars(self).items() if v not in (None, {})}
        return f"InputSpec({', '.join(f'{k}={v!r}' for k, v in shown.items())})"

    def problem(self, x: Any) -> str | None:
        """What is wrong with ``x``, or None. Says what was expected, what came, and the full shape."""
        shape = tuple(x.shape)
        if self.ndim is not None and len(shape) != self.ndim:
            return f"expected ndim={self.ndim}, found ndim={len(shape)}{_full(shape)}"
        if self.max_ndim is not None and len(shape) > self.max_ndim:
            return f"expected max_ndim={self.max_ndim}, found ndim={len(shape)}{_full(shape)}"
        if self.min_ndim is not None and len(shape) < self.min_ndim:
            return f"expected min_ndim={self.min_ndim}, found ndim={len(shape)}{_full(shape)}"
        if self.dtype is not None and x.dtype != self.dtype:
            return f"expected dtype={self.dtype}, found dtype={x.dtype}{_full(shape)}"
        for axis, size in self.axes.items():
            if size is not None and shape[axis] not in (size, None):
                return f"expected axis {axis} of input shape to have value {size}, but received shape {shape}"
        if self.shape is not None:
            for wanted, found in zip(self.shape, shape, strict=True):
                if wanted is not None and found is not None and wanted != found:
                    return f"expected shape={self.shape}, found shape={shape}"
        return None


def _full(shape: Any) -> str:
    return f". Full shape received: {shape}"


def check_inputs(spec: Any, inputs: Any, layer: str) -> None:
    """Raises ValueError, naming the layer and the one before it, where ``inputs`` do not fit ``spec``."""
    if isinstance(spec, InputSpec) and isinstance(inputs, Tensor) and spec.problem(inputs) is None:
        return  # nearly every call
    specs = _tree.flatten(spec)
    values = _tree.flatten(inputs)
    if len(values) != len(specs):
        raise ValueError(
            f"Layer {layer!r} expects {len(specs)} input(s), but it received {len(values)} input tensors of shapes "
            f"{[getattr(v, 'shape', v) for v in values]}"
        )
    for position, (x, wanted) in enumerate(zip(values, specs, strict=True)):
        if wanted is None or x is None:
            continue
        if not hasattr(x, "shape"):
            raise ValueError(f"Inputs to a layer should be tensors. Got {x!r} (of type {type(x)}) for layer {layer!r}.")
        problem = wanted.problem(x)
        if problem:
            raise ValueError(
                f"Input {position} of layer {layer!r} is incompatible with the layer: {problem}{_origin(x)}"
            )


def _origin(x: Any) -> str:
    """The layer before, where the input is symbolic and knows it."""
    node = getattr(x, "source", None)
    return f" (the output of layer {node.layer.name!r}, {type(node.layer).__name__})" if node is not None else ""
