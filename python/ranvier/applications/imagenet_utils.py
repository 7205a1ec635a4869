"""What the networks trained on ImageNet share: how images are prepared, and what the 1000 classes are called."""

from __future__ import annotations

import functools
import json
from typing import Any

import numpy as np

from ranvier import config, ops
from ranvier.applications.files import PretrainedFile, find
from ranvier.layers.symbolic import KerasTensor
from ranvier.tensor import Tensor

CLASS_INDEX = PretrainedFile(
    "imagenet_class_index.json",
    "https://storage.googleapis.com/download.tensorflow.org/data/",
    "c2c37ea517e94d9795004a39431a14cb",
)
_CAFFE_MEAN = (103.939, 116.779, 123.68)  # blue, green, red
_TORCH_MEAN, _TORCH_DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # red, green, blue


def preprocess_input(x: Any, data_format: str | None = None, mode: str = "caffe") -> Any:
    """Images (H, W, 3) or (N, H, W, 3) of 0 to 255 in the form that a network was trained on.

    ``mode``: ``"caffe"`` turns RGB to BGR and subtracts ImageNet's mean; ``"tf"`` scales to -1 to 1; ``"torch"``
    scales to 0 to 1 and normalises each channel. Takes NumPy arrays (integers become float32; the array given is
    left as it is, unlike Keras's), tensors and symbolic tensors. Raises ValueError for another mode or format.
    Source: Keras ``imagenet_utils.preprocess_input``.

    >>> import numpy as np, ranvier as rv
    >>> rv.applications.imagenet_utils.preprocess_input(np.full((1, 1, 3), 255), mode="tf")
    array([[[1., 1., 1.]]], dtype=float32)
    """
    if mode not in ("caffe", "tf", "torch"):
        raise ValueError(f"Expected mode to be one of `caffe`, `tf` or `torch`. Received: mode={mode}")
    if data_format not in (None, "channels_first", "channels_last"):
        raise ValueError(
            "Expected data_format to be one of `channels_first` or `channels_last`. Received: "
            f"data_format={data_format}"
        )
    shape = (3, 1, 1) if data_format == "channels_first" else (3,)
    axis = -len(shape)
    if isinstance(x, (Tensor, KerasTensor)):
        x = x if x.dtype.startswith("float") else ops.cast(x, config.floatx())
        flip: Any = ops.flip
    else:
        x = np.asarray(x)
        x = x if x.dtype.kind == "f" else x.astype(config.floatx())
        flip = np.flip

    def channels(values: tuple[float, ...]) -> Any:
        return np.array(values, str(x.dtype)).reshape(shape)

    if mode == "tf":
        return x / 127.5 - 1.0
    if mode == "torch":
        return (x / 255.0 - channels(_TORCH_MEAN)) / channels(_TORCH_DEVIATION)
    return flip(x, axis) - channels(_CAFFE_MEAN)


def caffe_input(x: Any, data_format: str | None = None) -> Any:
    """RGB images of 0 to 255 as BGR less ImageNet's mean; see ``imagenet_utils.preprocess_input``."""
    return preprocess_input(x, data_format, mode="caffe")


def tf_input(x: Any, data_format: str | None = None) -> Any:
    """RGB images of 0 to 255 scaled to -1 to 1; see ``imagenet_utils.preprocess_input``."""
    return preprocess_input(x, data_format, mode="tf")


def torch_input(x: Any, data_format: str | None = None) -> Any:
    """RGB images of 0 to 255, each channel normalised by ImageNet's; see ``imagenet_utils.preprocess_input``."""
    return preprocess_input(x, data_format, mode="torch")


@functools.cache
def _class_index(path: str) -> dict[str, list[str]]:
    with open(path) as file:
        names: dict[str, list[str]] = json.load(file)
    return names


def decode_predictions(preds: Any, top: int = 5) -> list[list[tuple[str, str, float]]]:
    """For each row of scores (N, 1000) the ``top`` best classes: (WordNet id, name, score), the best first.

    The names are read once from ``imagenet_class_index.json`` (RANVIER_DATA, else downloaded and cached). Raises
    ValueError for another shape. Source: Keras ``imagenet_utils.decode_predictions``.
    """
    shape = tuple(preds.shape)
    if len(shape) != 2 or shape[1] != 1000:
        raise ValueError(
            "`decode_predictions` expects a batch of predictions (i.e. a 2D array of shape (samples, 1000)). "
            f"Received array with shape: {shape}"
        )
    names = _class_index(find(CLASS_INDEX))
    found = []
    for row in preds.numpy() if isinstance(preds, Tensor) else np.asarray(preds):
        best = row.argsort()[-top:][::-1] if top else []
        found.append([(*names[str(i)], row[i]) for i in best])
    return found
