"""EinsumDense: a Dense layer over any axes."""

from __future__ import annotations

import math
import re
from typing import Any

from ranvier import activations, ops
from ranvier.layers.core import WeightedLayer
from ranvier.layers.input_spec import InputSpec
from ranvier.saving.registry import serialize_object

_EQUATION = re.compile(r"(\.\.\.)?([a-zA-Z]+)(\.\.\.)?,([a-zA-Z]+)->(\.\.\.)?([a-zA-Z]+)(\.\.\.)?")


class EinsumDense(WeightedLayer):
    """``activation(einsum(equation, inputs, kernel) + bias)``, for an equation such as ``"abc,cde->abde"``.

    ``output_shape`` is that of a sample, None where a size is the input's; with ``...`` in the equation it holds only
    the axes that are named. ``bias_axes`` are the letters of the result along which the bias varies; None: no bias.
    The kernel's fans, which initializers scale by, follow from the equation. Raises ValueError for equations that are
    none, for sizes that contradict them, and for kernel sizes that are not known. Source: Keras ``EinsumDense``.

    >>> import ranvier as rv
    >>> layer = rv.layers.EinsumDense("...x,xy->...y", output_shape=5, bias_axes="y")
    >>> layer(rv.ops.ones((2, 3, 4))).shape
    (2, 3, 5)
    """

    def __init__(
        self,
        equation: str,
        output_shape: Any,
        activation: Any = None,
        bias_axes: str | None = None,
        kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        bias_regularizer: Any = None,
        kernel_constraint: Any = None,
        bias_constraint: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            activation,
            bias_axes is not None,
            kernel_initializer,
            bias_initializer,
            kernel_regularizer,
            bias_regularizer,
            kwargs.pop("activity_regularizer", None),
            kernel_constraint,
            bias_constraint,
            **kwargs,
        )
        found = re.fullmatch(_EQUATION, str(equation).replace(" ", ""))
        left, right = (found[1], found[3]) if found else (None, None)
        if found is None or (left and right) or (left, right) != (found[5], found[7]):
            raise ValueError(
                f"EinsumDense: equation {equation!r} must be of the form 'ab,bc->ac', '...ab,bc->...ac' or "
                "'ab...,bc->ac...'"
            )
        self.equation = equation
        self.partial_output_shape = (output_shape,) if isinstance(output_shape, int) else tuple(output_shape)
        self.bias_axes = bias_axes
        self._left, self._right = bool(left), bool(right)
        self._letters = found[2], found[4], found[6]
        for letter in (bias_axes or "") + self._letters[2]:
            if letter not in self._letters[2]:
                raise ValueError(f"EinsumDense: bias axis {letter!r} is not an axis of the result of {equation!r}")
            if letter not in self._letters[0] + self._letters[1]:
                raise ValueError(f"EinsumDense: axis {letter!r} of the result is in neither operand of {equation!r}")
        self.supports_masking = False

    def _sizes(self, input_shape: Any) -> tuple[dict[str, Any], Any]:
        """The size of each letter of the equation, and the sizes that ``...`` stands for."""
        own, kernel, output = self._letters
        where = f"EinsumDense {self.name!r}: equation {self.equation!r}"
        elided = len(input_shape) - len(own)
        if elided < 0 or (elided > 0) > (self._left or self._right):
            raise ValueError(f"{where} has {len(own)} axes for the input, which has shape {tuple(input_shape)}")
        rest = input_shape[:elided] if self._left else input_shape[len(own) :]
        sizes = dict(zip(own, input_shape[elided:] if self._left else input_shape, strict=False))
        wanted = self.partial_output_shape if self._left else (input_shape[0], *self.partial_output_shape)
        if len(wanted) != len(output):
            raise ValueError(
                f"{where} names {len(output)} axes of the result, which output_shape {self.partial_output_shape}"
                f"{'' if self._left else ' and the batch axis'} must have too"
            )
        for letter, size in zip(output, wanted, strict=True):
            if None not in (size, sizes.get(letter)) and size != sizes[letter]:
                raise ValueError(
                    f"{where}: axis {letter!r} has size {sizes[letter]} in the input, but {size} in the output"
                )
            sizes[letter] = sizes.get(letter) if size is None else size
        for letter in kernel:
            if sizes.get(letter) is None:
                raise ValueError(
                    f"{where}: the size of the kernel's axis {letter!r} must be known to build it; input shape "
                    f"{tuple(input_shape)}, output_shape {self.partial_output_shape}"
                )
        return sizes, rest

    def build(self, input_shape: Any) -> None:
        sizes, rest = self._sizes(input_shape)
        own, letters, output = self._letters
        inner = [i for i, c in enumerate(letters) if c not in output]
        outer = [i for i, c in enumerate(letters) if c in output]
        self.kernel = self.add_weight(
            [sizes[c] for c in letters],
            _with_fans(self.kernel_initializer, inner, outer),
            regularizer=self.kernel_regularizer,
            constraint=self.kernel_constraint,
            name="kernel",
        )
        if self.bias_axes is not None:
            varied = output[min(output.find(c) for c in self.bias_axes) :] if self.bias_axes else ""
            shape = [sizes[c] if c in self.bias_axes else 1 for c in varied] + [1] * (0 if self._left else len(rest))
            if None in shape:
                raise ValueError(f"EinsumDense {self.name!r}: the bias's sizes must be known to build it, got {shape}")
            self.bias = self.add_weight(
                shape,
                self.bias_initializer,
                regularizer=self.bias_regularizer,
                constraint=self.bias_constraint,
                name="bias",
            )
        # a product of rows with a matrix, which has bias and activation in its last pass
        bound = "".join(letters[i] for i in inner)
        free, made = own.removesuffix(bound), letters.removeprefix(bound)
        self._is_dense = (
            own == free + bound
            and letters == bound + made
            and output == free + made
            and not set(free) & set(made)
            and not self._right
            and self.bias_axes in (None, made)
        )
        self.input_spec = InputSpec(ndim=len(input_shape))
        self.built = True

    def call(self, inputs: Any) -> Any:
        if not self._is_dense:
            y = ops.einsum(self.equation, inputs, self.kernel)
            return self.activation(y if self.bias is None else y + self.bias)
        outer = [c for c in self._letters[1] if c in self._letters[2]]
        shape = self.kernel.shape
        inner = len(shape) - len(outer)
        lead, columns = inputs.shape[: inputs.ndim - inner], math.prod(shape[inner:])
        kernel = ops.reshape(self.kernel, (math.prod(shape[:inner]), columns))
        bias = None if self.bias is None else ops.reshape(self.bias, (columns,))
        name = activations.name_of(self.activation)
        fused = name if name in self.fused else None
        x = inputs if inner == 1 else ops.reshape(inputs, (*lead, kernel.shape[0]))
        y = ops.reshape(ops.dense(x, kernel, bias, activation=fused), (*lead, *shape[inner:]))
        return y if fused else self.activation(y)

    def compute_output_shape(self, input_shape: Any) -> Any:
        sizes, rest = self._sizes(input_shape)
        named = tuple(sizes[c] for c in self._letters[2])
        return (*rest, *named) if self._left else (*named, *rest)

    def get_config(self) -> dict[str, Any]:
        config = {
            **super().get_config(),
            "output_shape": list(self.partial_output_shape),
            "equation": self.equation,
            "bias_axes": self.bias_axes,
            "activity_regularizer": serialize_object(self.activity_regularizer),
        }
        del config["use_bias"]
        return config


def _with_fans(initializer: Any, inner: list[int], outer: list[int]) -> Any:
    """The initializer, scaled by the fans that the equation gives the kernel where it is one that scales."""
    from ranvier.initializers import VarianceScaling

    if not isinstance(initializer, VarianceScaling) or initializer.input_axes or initializer.output_axes:
        return initializer
    return type(initializer).from_config({**initializer.get_config(), "input_axes": inner, "output_axes": outer})
