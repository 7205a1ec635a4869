"""Normalisation of each sample by itself, whatever else is in the batch: LayerNormalization, GroupNormalization, ..."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ranvier import constraints, initializers, ops, regularizers
from ranvier.layers.arguments import check_axes, known_axis
from ranvier.layers.axes import on_last_axis
from ranvier.layers.input_spec import InputSpec
from ranvier.layers.layer import Layer
from ranvier.layers.precision import in_float32
from ranvier.saving.registry import serialize_object

_PARTS = ("initializer", "regularizer", "constraint")
_SHARED = tuple(f"{weight}_{part}" for part in _PARTS for weight in ("beta", "gamma"))


class _SampleNormalization(Layer):
    """What the layers here share: gamma and beta, and their configuration."""

    casts_integers = True

    def __init__(self, epsilon: float, center: bool, scale: bool, parts: dict[str, Any], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.epsilon = float(epsilon)
        self.center = center
        self.scale = scale
        modules = {"initializer": initializers, "regularizer": regularizers, "constraint": constraints}
        for name, value in parts.items():
            setattr(self, name, modules[name.rsplit("_", 1)[1]].get(value))
        self._parts = tuple(parts)
        self.supports_masking = True
        self.gamma: Any = None
        self.beta: Any = None

    def _add_parameters(self, shape: tuple[int, ...]) -> None:
        for name, wanted in (("gamma", self.scale), ("beta", self.center)):
            if wanted:
                initializer, regularizer, constraint = (getattr(self, f"{name}_{part}") for part in _PARTS)
                weight = self.add_weight(
                    shape, initializer, regularizer=regularizer, constraint=constraint, name=name, autocast=False
                )
                setattr(self, name, weight)

    def compute_output_shape(self, input_shape: Any) -> Any:
        return input_shape

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "epsilon": self.epsilon,
            "center": self.center,
            "scale": self.scale,
            **{name: serialize_object(getattr(self, name)) for name in self._parts},
        }


class LayerNormalization(_SampleNormalization):
    """Each sample's numbers along ``axis`` to mean 0 and variance 1, then times gamma plus beta, any shape.

    ``axis`` is one axis or several; gamma and beta have their sizes. Raises ValueError for axes that the input has not.
    Source: Keras ``LayerNormalization`` (Ba, Kiros and Hinton 2016).

    >>> import ranvier as rv
    >>> layer = rv.layers.LayerNormalization()
    >>> layer([[1.0, 3.0], [10.0, 30.0]]).numpy().round(2).tolist()
    [[-1.0, 1.0], [-1.0, 1.0]]
    """

    def __init__(
        self,
        axis: int | Sequence[int] = -1,
        epsilon: float = 1e-3,
        center: bool = True,
        scale: bool = True,
        beta_initializer: Any = "zeros",
        gamma_initializer: Any = "ones",
        beta_regularizer: Any = None,
        gamma_regularizer: Any = None,
        beta_constraint: Any = None,
        gamma_constraint: Any = None,
        **kwargs: Any,
    ) -> None:
        given = locals()
        parts = {name: given[name] for name in _SHARED}
        if kwargs.pop("rms_scaling", False):
            raise ValueError("LayerNormalization: rms_scaling is no longer Keras's; use RMSNormalization")
        super().__init__(epsilon, center, scale, parts, **kwargs)
        self.axis = axis if isinstance(axis, int) else sorted(axis)

    def build(self, input_shape: Any) -> None:
        rank = len(input_shape)
        axes = [self.axis] if isinstance(self.axis, int) else self.axis
        if not axes or not all(-rank <= a < rank for a in axes):
            raise ValueError(
                f"LayerNormalization {self.name!r}: axis {self.axis} is not an axis of the input of shape "
                f"{tuple(input_shape)}"
            )
        self._add_parameters(tuple(known_axis(self, input_shape, a) for a in axes))
        self.built = True

    def call(self, inputs: Any) -> Any:
        return in_float32(lambda x: ops.layer_norm(x, self.gamma, self.beta, self.axis, self.epsilon), inputs)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "axis": self.axis}


class GroupNormalization(_SampleNormalization):
    """The channels in ``groups``, each to mean 0 and variance 1 over a sample's positions, then times gamma plus beta.

    ``groups=-1``: as many as channels (instance normalisation). ``axis`` is the channels'. Raises ValueError for an
    axis that the input has not and for channels that the groups do not divide. Source: Keras ``GroupNormalization``
    (Wu and He 2018).

    >>> import ranvier as rv
    >>> rv.layers.GroupNormalization(groups=2)([[1.0, 3.0, 10.0, 30.0]]).numpy().round(2).tolist()
    [[-1.0, 1.0, -1.0, 1.0]]
    """

    def __init__(
        self,
        groups: int = 32,
        axis: int = -1,
        epsilon: float = 1e-3,
        center: bool = True,
        scale: bool = True,
        beta_initializer: Any = "zeros",
        gamma_initializer: Any = "ones",
        beta_regularizer: Any = None,
        gamma_regularizer: Any = None,
        beta_constraint: Any = None,
        gamma_constraint: Any = None,
        **kwargs: Any,
    ) -> None:
        given = locals()
        parts = {name: given[name] for name in _SHARED}
        super().__init__(epsilon, center, scale, parts, **kwargs)
        self.groups = groups
        self.axis = axis

    def build(self, input_shape: Any) -> None:
        rank, where = len(input_shape), f"{type(self).__name__} {self.name!r}"
        if rank < 2 or not -rank <= self.axis < rank or self.axis % rank == 0:
            raise ValueError(
                f"{where}: axis {self.axis} is not an axis of channels of the input of shape {tuple(input_shape)}"
            )
        size = known_axis(self, input_shape, self.axis)
        groups = size if self.groups == -1 else self.groups
        if groups < 1 or size % groups != 0:
            raise ValueError(f"{where}: groups={self.groups} does not divide the input's {size} channels")
        self._add_parameters((size,))
        self._groups = groups
        self.input_spec = InputSpec(ndim=rank, axes={self.axis: size})
        self.built = True

    def call(self, inputs: Any) -> Any:
        def normalise(x: Any) -> Any:
            return ops.group_norm(x, self.gamma, self.beta, self._groups, self.epsilon)

        return in_float32(lambda x: on_last_axis(normalise, x, self.axis), inputs)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "groups": self.groups, "axis": self.axis}


class InstanceNormalization(GroupNormalization):
    """Each map of each sample to mean 0 and variance 1, then times gamma plus beta: ``GroupNormalization(groups=-1)``.

    What image-to-image generators use in place of batch normalisation. Raises ValueError for an axis that the input has
    not. Source: Ulyanov, Vedaldi and Lempitsky 2016; keras-contrib ``InstanceNormalization``.

    >>> import ranvier as rv
    >>> maps = [[[[1.0, 10.0], [3.0, 30.0]]]]
    >>> rv.layers.InstanceNormalization()(maps).numpy().round(2).tolist()
    [[[[-1.0, -1.0], [1.0, 1.0]]]]
    """

    def __init__(self, axis: int = -1, epsilon: float = 1e-3, **kwargs: Any) -> None:
        super().__init__(groups=-1, axis=axis, epsilon=epsilon, **kwargs)

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        del config["groups"]
        return config


class UnitNormalization(Layer):
    """``inputs / sqrt(max(sum(inputs ** 2, axis), 1e-12))``: vectors of length 1 along ``axis``, any shape.

    Source: Keras ``UnitNormalization``.

    >>> import ranvier as rv
    >>> rv.layers.UnitNormalization()([[3.0, 4.0]]).numpy().round(2)
    array([[0.6, 0.8]], dtype=float32)
    """

    casts_integers = True

    def __init__(self, axis: int | Sequence[int] = -1, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.axis = axis if isinstance(axis, int) else list(axis)
        self.supports_masking = True
        self.built = True

    def call(self, inputs: Any) -> Any:
        axes = self.axis if isinstance(self.axis, int) else tuple(self.axis)
        check_axes(self, inputs.shape, (axes,) if isinstance(axes, int) else axes)

        def normalise(x: Any) -> Any:
            return x / ops.sqrt(ops.maximum(ops.sum(x * x, axes, keepdims=True), 1e-12))

        return in_float32(normalise, inputs)

    def compute_output_shape(self, input_shape: Any) -> Any:
        return input_shape

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "axis": self.axis}


class RMSNormalization(Layer):
    """``inputs / sqrt(mean(inputs ** 2, axis) + epsilon) * scale``, any shape; the scale is trained.

    Source: Keras ``RMSNormalization`` (Zhang and Sennrich 2019).

    >>> import ranvier as rv
    >>> rv.layers.RMSNormalization()([[3.0, 4.0]]).numpy().round(2)
    array([[0.85, 1.13]], dtype=float32)
    """

    casts_integers = True

    def __init__(self, axis: int | Sequence[int] = -1, epsilon: float = 1e-6, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.axis = axis if isinstance(axis, int) else list(axis)
        self.epsilon = epsilon
        self.supports_masking = True

    def build(self, input_shape: Any) -> None:
        axes = [self.axis] if isinstance(self.axis, int) else self.axis
        sizes = tuple(known_axis(self, input_shape, a) for a in axes)
        self.scale = self.add_weight(sizes, "ones", name="scale", autocast=False)
        rank = len(input_shape)
        self._shape = [1] * rank  # of the scale, beside the inputs
        for axis, size in zip(axes, sizes, strict=True):
            self._shape[axis % rank] = size
        self.built = True

    def call(self, inputs: Any) -> Any:
        axes = self.axis if isinstance(self.axis, int) else tuple(self.axis)

        def normalise(x: Any) -> Any:
            size = ops.mean(x * x, axes, keepdims=True)
            return x / ops.sqrt(size + self.epsilon) * ops.reshape(self.scale, self._shape)

        return in_float32(normalise, inputs)

    def compute_output_shape(self, input_shape: Any) -> Any:
        return input_shape

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "axis": self.axis, "epsilon": self.epsilon}
