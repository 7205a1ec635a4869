"""Weights of PyTorch's modules in our layers: other layouts, other names, the same numbers.

PyTorch keeps matrices as (out, in), convolution kernels as (out, in, height, width) and images as NCHW; Ranvier, as
Keras, (in, out), (height, width, in, out) and NHWC. Modules and layers are matched by their order.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import numpy as np

from ranvier import layers
from ranvier.tensor import Tensor

_Arrays = dict[str, np.ndarray]


def load_torch_weights(model: Any, state_dict: Mapping[str, Any] | str | os.PathLike[str]) -> None:
    """Takes the weights of a PyTorch ``state_dict``, or of a ``.safetensors`` file of one, into a stack of layers.

    The layers with weights are matched, in order, with the modules: Linear with Dense, Conv1d/2d and
    ConvTranspose1d/2d with their layers, grouped ones of one channel a group with DepthwiseConv, BatchNorm, LayerNorm,
    GroupNorm, Embedding, PReLU, LSTM, GRU (``reset_after=True``) and RNN of one layer and direction. The rows of a
    Dense layer after a Flatten of images are put into our order. Nothing changes unless all fit; ValueError names what
    does not. Tensors of PyTorch are read in place; ``torch.load`` files, which are pickles, are not read.

    >>> import numpy as np, ranvier as rv
    >>> model = rv.Sequential([rv.Input((3,)), rv.layers.Dense(2)])
    >>> rv.saving.load_torch_weights(model, {"0.weight": np.ones((2, 3)), "0.bias": np.zeros(2)})
    >>> model.layers[0].kernel.shape
    (3, 2)
    """
    if not isinstance(state_dict, Mapping):
        from safetensors.numpy import load_file

        path = os.fspath(state_dict)
        try:
            state_dict = load_file(path)
        except FileNotFoundError:
            raise
        except Exception as error:
            raise ValueError(f"{path!r} cannot be read as safetensors: {error}") from error
    modules = _modules(state_dict)
    owners = [layer for layer in model.layers if layer.weights]
    if len(owners) != len(modules):
        raise ValueError(
            f"load_torch_weights: model {model.name!r} has {len(owners)} layers with weights, the state_dict "
            f"{len(modules)} modules: {', '.join(modules)}"
        )
    fitting: list[tuple[Any, np.ndarray]] = []
    for layer, (name, arrays) in zip(owners, modules.items(), strict=True):
        try:
            values = _converted(layer, dict(arrays), _image_before(model, layer))
        except (KeyError, ValueError) as error:
            raise ValueError(
                f"load_torch_weights: module {name!r} does not fit layer {layer.name!r}: {error}"
            ) from None
        shapes = [v.shape for v in layer.weights]
        if shapes != [v.shape for v in values]:
            raise ValueError(
                f"load_torch_weights: layer {layer.name!r} has weights of shapes {shapes}, module {name!r} gives "
                f"{[v.shape for v in values]}"
            )
        fitting += zip(layer.weights, values, strict=True)
    for variable, value in fitting:
        variable.assign(np.ascontiguousarray(value, dtype=variable.dtype))


def _modules(state_dict: Mapping[str, Any]) -> dict[str, _Arrays]:
    """Arrays by the module that holds them, in order."""
    found: dict[str, _Arrays] = {}
    for key, value in state_dict.items():
        module, _, name = key.rpartition(".")
        if name != "num_batches_tracked":
            value = value.detach().cpu() if hasattr(value, "detach") and not isinstance(value, Tensor) else value
            found.setdefault(module, {})[name] = np.asarray(value)
    return found


def _image_before(model: Any, layer: Any) -> Any:
    """The (height, width, channels) that a Flatten before this layer took apart."""
    place = model.layers.index(layer)
    for before in reversed(model.layers[:place]):
        if isinstance(before, layers.Flatten) and before.inbound_nodes:
            shape = tuple(before.inbound_nodes[0].inputs[0].shape[1:])
            return shape if len(shape) > 1 and None not in shape else None
        if before.weights:
            return None
    return None


def _converted(layer: Any, arrays: _Arrays, image: tuple[int, ...] | None) -> list[np.ndarray]:
    """A module's arrays as the layer's weights, in order."""
    if isinstance(layer, (layers.LSTM, layers.GRU, layers.SimpleRNN)):
        return _recurrent(layer, arrays)
    weight = arrays.pop("weight")
    bias = arrays.pop("bias", None)
    rest = [arrays[name] for name in ("running_mean", "running_var") if name in arrays]
    biases = [] if bias is None else [bias]
    if isinstance(layer, layers.Dense):
        rows = weight.T
        if image is not None and rows.shape[0] == np.prod(image):
            *sides, channels = image
            rows = np.moveaxis(rows.reshape(channels, *sides, -1), 0, -2).reshape(rows.shape)
        return [rows, *biases]
    if isinstance(layer, (layers.DepthwiseConv1D, layers.DepthwiseConv2D)):
        *window, channels, each = layer.weights[0].shape
        return [np.moveaxis(weight.reshape(channels, each, *window), (0, 1), (-2, -1)), *biases]
    if weight.ndim > 2:  # (out, in, ...) of convolutions, (in, out, ...) of transposed ones: both end as (..., 1, 0)
        return [np.moveaxis(weight, (0, 1), (-1, -2)), *biases]
    if isinstance(layer, layers.PReLU):
        return [np.broadcast_to(weight, layer.weights[0].shape)]
    return [weight, *biases, *rest]


def _recurrent(layer: Any, arrays: _Arrays) -> list[np.ndarray]:
    """Gates of PyTorch: i, f, g, o of an LSTM as ours; r, z, n of a GRU, where ours are z, r, h."""
    unknown = [name for name in arrays if not name.endswith("_l0")]
    if unknown:
        raise ValueError(f"{unknown[0]!r} belongs to a second layer or direction; make one layer of each")
    gru = isinstance(layer, layers.GRU)

    def ordered(array: np.ndarray) -> np.ndarray:
        if not gru:
            return array
        r, z, n = np.split(array, 3)
        return np.concatenate([z, r, n])

    kernels = [ordered(arrays[f"weight_{name}_l0"]).T for name in ("ih", "hh")]
    if not layer.use_bias:
        return kernels
    ours, theirs = (ordered(arrays[f"bias_{name}_l0"]) for name in ("ih", "hh"))
    if gru and not layer.reset_after:
        raise ValueError("PyTorch's GRU is that of reset_after=True")
    return [*kernels, np.stack([ours, theirs]) if gru else ours + theirs]
