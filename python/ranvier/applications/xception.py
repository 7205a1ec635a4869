"""Xception: separable convolutions throughout, in blocks with shortcuts (Chollet 2016)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ranvier import layers
from ranvier.applications.construction import Options, network
from ranvier.applications.files import URL, kernels
from ranvier.applications.imagenet_utils import decode_predictions
from ranvier.applications.imagenet_utils import tf_input as preprocess_input
from ranvier.models import Model

__all__ = ["Xception", "decode_predictions", "preprocess_input"]


@network("xception")
def Xception(options: Options) -> Model:
    """71 layers: images (N, 299, 299, 3) to 1000 classes. Source: arXiv:1610.02357, Keras ``Xception``.

    >>> import ranvier as rv
    >>> rv.applications.Xception(weights=None).count_params()
    22910480
    """
    x = image = options.image(default_size=299, min_size=71)
    for i, (filters, strides) in enumerate(((32, 2), (64, 1)), start=1):
        x = layers.Conv2D(filters, 3, strides=strides, use_bias=False, name=f"block1_conv{i}")(x)
        x = layers.BatchNormalization(name=f"block1_conv{i}_bn")(x)
        x = layers.Activation("relu", name=f"block1_conv{i}_act")(x)
    x = _narrowing(x, (128, 128), "block2")
    x = _narrowing(x, (256, 256), "block3")
    x = _narrowing(x, (728, 728), "block4")
    for i in range(5, 13):
        x = layers.Add()([_separable(x, (728, 728, 728), f"block{i}"), x])
    x = _narrowing(x, (728, 1024), "block13")
    for i, filters in enumerate((1536, 2048), start=1):
        x = _convolve(x, filters, f"block14_sepconv{i}")
        x = layers.Activation("relu", name=f"block14_sepconv{i}_act")(x)
    x = options.head(x)
    hashes = "0a58e3b7378bc2990ea3b43d5981f1f6", "b0042744bf5b25fce3cb969f33bebb97"
    return options.finish(x, image, kernels(URL + "xception/", "xception", *hashes))


def _convolve(x: Any, filters: int, name: str) -> Any:
    x = layers.SeparableConv2D(filters, 3, padding="same", use_bias=False, name=name)(x)
    return layers.BatchNormalization(name=f"{name}_bn")(x)


def _separable(x: Any, filters: Sequence[int], name: str) -> Any:
    """ReLU and convolution, so many times; the second block gets its input with a ReLU already."""
    for i, count in enumerate(filters, start=1):
        if (name, i) != ("block2", 1):
            x = layers.Activation("relu", name=f"{name}_sepconv{i}_act")(x)
        x = _convolve(x, count, f"{name}_sepconv{i}")
    return x


def _narrowing(x: Any, filters: Sequence[int], name: str) -> Any:
    """A block that halves the image, and a strided 1x1 convolution as its shortcut."""
    shortcut = layers.Conv2D(filters[-1], 1, strides=2, padding="same", use_bias=False)(x)
    shortcut = layers.BatchNormalization()(shortcut)
    x = layers.MaxPooling2D(3, strides=2, padding="same", name=f"{name}_pool")(_separable(x, filters, name))
    return layers.Add()([x, shortcut])
