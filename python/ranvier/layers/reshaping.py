"""Layers that rearrange their inputs."""

from __future__ import annotations

import math
from typing import Any

from ranvier import ops
from ranvier.layers.arguments import check_data_format, positive
from ranvier.layers.input_spec import InputSpec
from ranvier.layers.layer import Layer


class _Rearranging(Layer):
    keeps_dtype = True

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.built = True


class Flatten(_Rearranging):
    """Each sample as one row: (N, ...) -> (N, features). Source: Keras ``Flatten``.

    >>> import ranvier as rv
    >>> rv.layers.Flatten()(rv.ops.ones((2, 3, 4))).shape
    (2, 12)
    """

    def __init__(self, data_format: str | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        check_data_format("Flatten", data_format)
        self.input_spec = InputSpec(min_ndim=1)

    def call(self, inputs: Any) -> Any:
        return ops.reshape(inputs, self.compute_output_shape(inputs.shape))

    def compute_output_shape(self, input_shape: Any) -> Any:
        sizes = input_shape[1:]
        return (input_shape[0], None if None in sizes else math.prod(sizes))


class Reshape(_Rearranging):
    """Each sample in another shape: (N, ...) -> (N, *target_shape); one size may be -1. Source: Keras ``Reshape``.

    Raises ValueError where the numbers of elements differ.

    >>> import ranvier as rv
    >>> rv.layers.Reshape((2, -1))(rv.ops.ones((5, 6))).shape
    (5, 2, 3)
    """

    def __init__(self, target_shape: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.target_shape = tuple(target_shape)
        if self.target_shape.count(-1) > 1:
            raise ValueError(f"Reshape: at most one size may be -1, got target_shape {self.target_shape}")

    def call(self, inputs: Any) -> Any:
        return ops.reshape(inputs, (inputs.shape[0], *self._target(inputs.shape)))

    def _target(self, input_shape: Any) -> Any:
        sizes = input_shape[1:]
        if None in sizes:
            return tuple(None if n == -1 else n for n in self.target_shape)
        total, known = math.prod(sizes), math.prod(n for n in self.target_shape if n != -1)
        if (total != known) if -1 not in self.target_shape else (known == 0 or total % known):
            raise ValueError(
                f"Reshape {self.name!r}: a sample of shape {tuple(sizes)} has {total} elements, which do not fit "
                f"target_shape {self.target_shape}"
            )
        return tuple(total // known if n == -1 else n for n in self.target_shape)

    def compute_output_shape(self, input_shape: Any) -> Any:
        return (input_shape[0], *self._target(input_shape))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "target_shape": list(self.target_shape)}


class Permute(_Rearranging):
    """Axes in another order; they count from 1, the batch axis stays. Source: Keras ``Permute``.

    >>> import ranvier as rv
    >>> rv.layers.Permute((2, 1))(rv.ops.ones((5, 6, 7))).shape
    (5, 7, 6)
    """

    def __init__(self, dims: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.dims = tuple(dims)
        if sorted(self.dims) != list(range(1, len(self.dims) + 1)):
            raise ValueError(f"Permute: dims must hold each of 1, 2, ... once, got {self.dims}")
        self.input_spec = InputSpec(ndim=len(self.dims) + 1)

    def call(self, inputs: Any) -> Any:
        return ops.transpose(inputs, (0, *self.dims))

    def compute_output_shape(self, input_shape: Any) -> Any:
        return (input_shape[0], *(input_shape[d] for d in self.dims))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "dims": list(self.dims)}


class RepeatVector(_Rearranging):
    """(N, features) -> (N, n, features). Source: Keras ``RepeatVector``.

    >>> import ranvier as rv
    >>> rv.layers.RepeatVector(3)(rv.ops.ones((2, 4))).shape
    (2, 3, 4)
    """

    def __init__(self, n: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.n = positive("RepeatVector", "n", n)
        self.input_spec = InputSpec(ndim=2)

    def call(self, inputs: Any) -> Any:
        return ops.tile(ops.expand_dims(inputs, 1), (1, self.n, 1))

    def compute_output_shape(self, input_shape: Any) -> Any:
        return (input_shape[0], self.n, input_shape[1])

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "n": self.n}


def _pairs(layer: str, name: str, value: Any) -> tuple[tuple[int, int], tuple[int, int]]:
    """``1`` | ``(1, 2)`` | ``((1, 1), (2, 2))`` as ((top, bottom), (left, right))."""
    rows, columns = (value, value) if isinstance(value, int) else value
    pairs = tuple((v, v) if isinstance(v, int) else tuple(v) for v in (rows, columns))
    if any(len(p) != 2 or any(not isinstance(n, int) or n < 0 for n in p) for p in pairs):
        raise ValueError(f"{layer}: {name} must be n, (rows, columns) or ((top, bottom), (left, right)), got {value!r}")
    return pairs  # type: ignore[return-value]


class ZeroPadding2D(_Rearranging):
    """Zeros around images (N, H, W, C). Source: Keras ``ZeroPadding2D``.

    >>> import ranvier as rv
    >>> rv.layers.ZeroPadding2D(((1, 0), (2, 2)))(rv.ops.ones((1, 3, 3, 1))).shape
    (1, 4, 7, 1)
    """

    def __init__(self, padding: Any = (1, 1), data_format: str | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        check_data_format("ZeroPadding2D", data_format)
        self.padding = _pairs("ZeroPadding2D", "padding", padding)
        self.input_spec = InputSpec(ndim=4)

    def call(self, inputs: Any) -> Any:
        return ops.pad(inputs, ((0, 0), *self.padding, (0, 0)))

    def compute_output_shape(self, input_shape: Any) -> Any:
        n, h, w, c = input_shape
        (top, bottom), (left, right) = self.padding
        return (n, h if h is None else h + top + bottom, w if w is None else w + left + right, c)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "padding": [list(p) for p in self.padding]}


class Cropping2D(_Rearranging):
    """Images (N, H, W, C) without their borders. Source: Keras ``Cropping2D``.

    >>> import ranvier as rv
    >>> rv.layers.Cropping2D(1)(rv.ops.ones((1, 5, 4, 2))).shape
    (1, 3, 2, 2)
    """

    def __init__(self, cropping: Any = ((0, 0), (0, 0)), data_format: str | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        check_data_format("Cropping2D", data_format)
        self.cropping = _pairs("Cropping2D", "cropping", cropping)
        self.input_spec = InputSpec(ndim=4)

    def call(self, inputs: Any) -> Any:
        _, h, w, _ = inputs.shape
        (top, bottom), (left, right) = self.cropping
        self.compute_output_shape(inputs.shape)
        return inputs[:, top : h - bottom, left : w - right, :]

    def compute_output_shape(self, input_shape: Any) -> Any:
        n, h, w, c = input_shape
        (top, bottom), (left, right) = self.cropping
        sizes = (h if h is None else h - top - bottom, w if w is None else w - left - right)
        if any(s is not None and s <= 0 for s in sizes):
            raise ValueError(f"Cropping2D {self.name!r}: cropping {self.cropping} leaves nothing of {input_shape}")
        return (n, *sizes, c)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "cropping": [list(p) for p in self.cropping]}
