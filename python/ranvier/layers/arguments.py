"""Checks of arguments that layers share."""

from __future__ import annotations

import inspect
from typing import Any

from ranvier import dtype_policies
from ranvier.dtype_policies import DTypePolicy


def positive(layer: str, name: str, value: Any) -> int:
    """``value`` as an int. Raises ValueError unless it is an integer above zero."""
    if isinstance(value, bool) or not hasattr(value, "__index__") or value.__index__() < 1:
        raise ValueError(f"{layer}: {name} must be a positive integer, got {value!r}")
    return int(value)


def known_axis(layer: Any, shape: Any, axis: int) -> int:
    """The size of an axis that building needs. Raises ValueError where there is none, and where it is None."""
    if shape:
        check_axes(layer, shape, (axis,))
    if not shape or shape[axis] is None:
        raise ValueError(
            f"{type(layer).__name__} {layer.name!r}: axis {axis} of the input must be known to build it, got input "
            f"shape {shape}"
        )
    return int(shape[axis])


def check_axes(layer: Any, shape: Any, axes: Any) -> None:
    """Raises ValueError for axes that inputs of a shape do not have."""
    for axis in axes:
        if not -len(shape) <= axis < len(shape):
            raise ValueError(
                f"{type(layer).__name__} {layer.name!r}: the input has no axis {axis}; its shape is {tuple(shape)}"
            )


def check_data_format(layer: str, data_format: str | None, rank: int = 4) -> None:
    """Raises ValueError for anything but channels last. ``rank`` is that of the inputs."""
    if data_format not in (None, "channels_last"):
        axes, order = {3: ("(N, T, C)", "(0, 2, 1)"), 4: ("(N, H, W, C)", "(0, 2, 3, 1)")}[rank]
        raise ValueError(
            f"{layer}: only data_format='channels_last' {axes} is supported, got {data_format!r}. Transpose "
            f"channels-first data with rv.ops.transpose(x, {order})"
        )


def sizes(layer: str, name: str, value: Any, rank: int) -> tuple[int, ...]:
    """``3`` or ``(3, 5)`` as ``rank`` positive integers. Raises ValueError for anything else."""
    values = (value,) * rank if hasattr(value, "__index__") else tuple(value)
    if len(values) != rank:
        wanted = "one integer" if rank == 1 else f"one or {('two', 'three')[rank - 2]} integers"
        raise ValueError(f"{layer}: {name} must be {wanted}, got {value!r}")
    return tuple(positive(layer, name, v) for v in values)


def pair(layer: str, name: str, value: Any) -> tuple[int, int]:
    """``3`` or ``(3, 5)`` as two positive integers. Raises ValueError for anything else."""
    first, second = sizes(layer, name, value, 2)
    return first, second


def check_padding(layer: str, padding: Any) -> str:
    """``"valid"`` or ``"same"``, in small letters. Raises ValueError for others."""
    value = padding.lower() if isinstance(padding, str) else padding
    if value not in ("valid", "same"):
        raise ValueError(f"{layer}: padding must be 'valid' or 'same', got {padding!r}")
    return str(value)


def output_size(size: int | None, window: int, stride: int, padding: str, dilation: int = 1) -> int | None:
    """How many places a window takes along an axis, as TensorFlow counts them."""
    if size is None:
        return None
    if padding == "same":
        return -(-size // stride)
    return (size - dilation * (window - 1) - 1) // stride + 1


def checked_places(layer: Any, input_shape: Any, sizes: Any) -> Any:
    """``sizes``, unless the window does not fit, which is a ValueError."""
    if any(s is not None and s < 1 for s in sizes):
        raise ValueError(
            f"{type(layer).__name__} {layer.name!r}: the window is larger than the input of shape "
            f"{tuple(input_shape)}; use padding='same' or fewer downsampling layers"
        )
    return sizes


# --- what every layer takes ---------------------------------------------------------------------------------


def plain_dtype(dtype: Any) -> Any:
    """The name of a dtype that Keras may have written as a DTypePolicy."""
    return dtype.get("config", {}).get("name") if isinstance(dtype, dict) else dtype


def checked_policy(layer: str, dtype: Any) -> DTypePolicy:
    """A layer's dtype policy, by default the global one. Raises ValueError for what is none."""
    try:
        return dtype_policies.get(dtype)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{layer}: dtype must be a dtype or a policy such as 'mixed_float16': {error}") from None


def input_shape_argument(kwargs: dict[str, Any]) -> tuple[int | None, ...] | None:
    """``input_shape=`` or ``input_dim=`` of the first layer of a Sequential, without the batch axis."""
    shape = kwargs.pop("input_shape", None)
    size = kwargs.pop("input_dim", None)
    if shape is not None:
        return tuple(shape) if isinstance(shape, (tuple, list)) else (shape,)
    return (size,) if size is not None else None


_old_names = {
    "output_dim": "units",
    "nb_filter": "filters",
    "border_mode": "padding",
    "subsample": "strides",
    "init": "kernel_initializer",
    "W_regularizer": "kernel_regularizer",
    "b_regularizer": "bias_regularizer",
    "dim_ordering": "data_format",
    "batch_input_shape": "rv.Input(batch_shape=...)",
    "input_length": "nothing: the length is read from the input",
    "weights": "set_weights(...) after building",
}


KERAS_ONLY = {  # options that we lack, as Keras writes them where they are not used
    "quantization_config": None,
    "zero_output_for_mask": False,
    "renorm": False,
    "renorm_clipping": None,
    "renorm_momentum": 0.99,
    "sparse": False,
    "ragged": False,
    "optional": False,
}


def unknown_arguments(layer_class: Any, kwargs: dict[str, Any]) -> ValueError:
    """The error for arguments that a layer does not have, with today's names for old ones."""
    names = {**_old_names, **layer_class.renamed_arguments}
    hints = "".join(f"; {k!r} is an old name, today: {names[k]}" for k in kwargs if k in names)
    return ValueError(f"Unrecognized keyword arguments passed to {layer_class.__name__}: {kwargs}{hints}")


def simple_arguments(layer: Any, base: dict[str, Any]) -> dict[str, Any]:
    """The arguments with which a custom layer without ``get_config`` was made, if JSON can hold them, and those of
    ``base`` that it takes."""
    from ranvier.saving.registry import serialize_object

    args, kwargs = layer._init_arguments
    bound = inspect.signature(type(layer).__init__).bind(layer, *args, **kwargs)
    bound.apply_defaults()
    values = dict(list(bound.arguments.items())[1:])
    takes_all = False
    for name, parameter in inspect.signature(type(layer).__init__).parameters.items():
        if parameter.kind is parameter.VAR_KEYWORD:
            values.update(values.pop(name, {}))
            takes_all = True
        if parameter.kind is parameter.VAR_POSITIONAL and values.pop(name, ()):
            raise NotImplementedError(f"Layer {type(layer).__name__} takes *{name}: define get_config() to save it")
    try:
        values = {name: serialize_object(value) for name, value in values.items()}
    except (TypeError, ValueError) as error:
        raise NotImplementedError(
            f"Layer {type(layer).__name__} was made with arguments that cannot be saved ({error}): define get_config()"
        ) from None
    return {**values, **{name: value for name, value in base.items() if takes_all or name in values}}
