"""SqueezeNet 1.1: 1.2 million weights; fire modules squeeze to few channels before they expand (Iandola et al. 2016).

Keras has no such network; names of layers are those of the original, with ``_`` for ``/``.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ranvier import config, layers, ops
from ranvier.applications.construction import Options, network
from ranvier.applications.files import PretrainedFile, find_here
from ranvier.applications.imagenet_utils import decode_predictions
from ranvier.applications.onnx_weights import initializers
from ranvier.layers.symbolic import KerasTensor
from ranvier.models import Model
from ranvier.tensor import Tensor

__all__ = ["SqueezeNet", "decode_predictions", "preprocess_input"]

MEAN = (104.0, 117.0, 123.0)  # blue, green, red
FIRES = ((16, 64), (16, 64), (32, 128), (32, 128), (48, 192), (48, 192), (64, 256), (64, 256))  # squeeze, expand
SINGLE = PretrainedFile("squeezenet1.1.onnx", "", "6d20449868cf700c831cedd09659a0d1e122689d847ff20e2dd334b339d28048")
HALF = PretrainedFile(
    "SqueezeNet_fp16.onnx",
    "https://raw.githubusercontent.com/microsoft/Windows-Machine-Learning/master/SharedContent/models/",
    "21f25e3d9254af93e6218a359469fac714a017b3f9035c0f5c4acbf9a3ff7233",
)


@network("squeezenet")
def SqueezeNet(options: Options) -> Model:
    """18 convolutions: images (N, 224, 224, 3) to 1000 classes. Source: arXiv:1602.07360, release 1.1.

    ImageNet's weights are ``squeezenet1.1.onnx`` of RANVIER_DATA, else ``SqueezeNet_fp16.onnx``, half as exact.

    >>> import ranvier as rv
    >>> rv.applications.SqueezeNet(weights=None).count_params()
    1235496
    """
    image = options.image(default_size=224, min_size=48)
    x = _convolve(image, 64, 3, "conv1", strides=2, padding="valid")
    x = layers.MaxPooling2D(3, strides=2, name="pool1")(x)
    for i, (squeeze, expand) in enumerate(FIRES, start=2):
        x = _fire(x, squeeze, expand, f"fire{i}")
        if i in (3, 5):
            x = layers.MaxPooling2D(3, strides=2, name=f"pool{i}")(x)
    if options.include_top:
        x = layers.Dropout(0.5, name="drop9")(x)
        x = _convolve(x, options.classes, 1, "conv10")
        x = layers.GlobalAveragePooling2D(name="pool10")(x)
        options.check_activation()
        x = layers.Activation(options.classifier_activation, name="prob")(x)
    else:
        x = options.pool(x)
    files = (SINGLE, SINGLE) if find_here(SINGLE) else (HALF, HALF)
    return options.finish(x, image, files, _load)


def _convolve(x: Any, filters: int, kernel: int, name: str, **settings: Any) -> Any:
    x = layers.Conv2D(filters, kernel, name=name, **settings)(x)
    return layers.Activation("relu", name=f"relu_{name}")(x)


def _fire(x: Any, squeeze: int, expand: int, name: str) -> Any:
    """A 1x1 convolution to few channels, from which a 1x1 and a 3x3 one make as many each."""
    x = _convolve(x, squeeze, 1, f"{name}_squeeze1x1")
    branches = [
        _convolve(x, expand, 1, f"{name}_expand1x1"),
        _convolve(x, expand, 3, f"{name}_expand3x3", padding="same"),
    ]
    return layers.Concatenate(name=f"{name}_concat")(branches)


def _load(model: Model, path: str) -> None:
    """Weights of an ONNX file by the layers' names, kernels OIHW there; or of a file that ``load_weights`` reads."""
    if not path.endswith(".onnx"):
        return model.load_weights(path)
    stored = initializers(path)
    for layer in model.layers:
        if layer.weights:
            name = layer.name.replace("_", "/")
            kernel, bias = (stored.get(f"{name}_{part}_0") for part in ("w", "b"))
            if kernel is None or bias is None:
                raise ValueError(f"{path!r} has no weights of layer {name!r}")
            layer.set_weights([kernel.transpose(2, 3, 1, 0).astype(np.float32), bias.astype(np.float32)])


def preprocess_input(x: Any, data_format: str | None = None) -> Any:
    """RGB images (..., H, W, 3) of 0 to 255 as BGR less 104, 117 and 123. Arrays, tensors and symbolic tensors.

    Raises ValueError for ``channels_first``, which no layer takes.
    """
    if data_format not in (None, "channels_last"):
        raise ValueError(f"SqueezeNet takes images with the channels last. Received: data_format={data_format}")
    if isinstance(x, (Tensor, KerasTensor)):
        x = x if x.dtype.startswith("float") else ops.cast(x, config.floatx())
        return ops.flip(x, -1) - np.array(MEAN, x.dtype)
    x = np.asarray(x)
    x = x if x.dtype.kind == "f" else x.astype(config.floatx())
    return x[..., ::-1] - np.array(MEAN, x.dtype)
