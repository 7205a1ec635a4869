"""DenseNet: each layer reads what all layers before it in its block made (Huang et al. 2016)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ranvier import layers
from ranvier.applications.construction import Options, network
from ranvier.applications.files import URL, kernels
from ranvier.applications.imagenet_utils import decode_predictions
from ranvier.applications.imagenet_utils import torch_input as preprocess_input
from ranvier.applications.resnet import normalised
from ranvier.models import Model

__all__ = ["DenseNet121", "DenseNet169", "DenseNet201", "decode_predictions", "preprocess_input"]

GROWTH = 32  # channels that each layer adds
HASHES = {
    "densenet121": ("9d60b8095a5708f2dcce2bca79d332c7", "30ee3e1110167f948a6b9946edeeb738"),
    "densenet169": ("d699b8f76981ab1b30698df4c175e90b", "b8c4d4c20dd625c148057b9ff1c1176b"),
    "densenet201": ("1ceb130c1ea1b78c3bf6114dbdfd8807", "c13680b51ded0fb44dff2d8f86ac8bb1"),
}


@network("densenet121")
def DenseNet121(options: Options) -> Model:
    """121 layers in blocks of 6, 12, 24 and 16: images (N, 224, 224, 3) to 1000 classes. Source: arXiv:1608.06993."""
    return _densenet("densenet121", (6, 12, 24, 16), options)


@network("densenet169")
def DenseNet169(options: Options) -> Model:
    """169 layers in blocks of 6, 12, 32 and 32: images (N, 224, 224, 3) to 1000 classes. Source: arXiv:1608.06993."""
    return _densenet("densenet169", (6, 12, 32, 32), options)


@network("densenet201")
def DenseNet201(options: Options) -> Model:
    """201 layers in blocks of 6, 12, 48 and 32: images (N, 224, 224, 3) to 1000 classes. Source: arXiv:1608.06993."""
    return _densenet("densenet201", (6, 12, 48, 32), options)


def _densenet(which: str, blocks: Sequence[int], options: Options) -> Model:
    x = image = options.image(default_size=224, min_size=32)
    x = layers.ZeroPadding2D(3)(x)
    x = normalised(layers.Conv2D(64, 7, strides=2, use_bias=False, name="conv1_conv")(x), "conv1")
    x = layers.ZeroPadding2D(1)(x)
    x = layers.MaxPooling2D(3, strides=2, name="pool1")(x)
    for stage, count in enumerate(blocks, start=2):
        for i in range(1, count + 1):
            x = _layer(x, f"conv{stage}_block{i}")
        if stage < 5:
            x = _transition(x, f"pool{stage}")
    x = layers.BatchNormalization(epsilon=1.001e-5, name="bn")(x)
    x = layers.Activation("relu", name="relu")(x)
    x = options.head(x, "avg_pool", "avg_pool", "max_pool")
    return options.finish(x, image, kernels(URL + "densenet/", which, *HASHES[which]))


def _layer(x: Any, name: str) -> Any:
    """``GROWTH`` more channels: a 3x3 convolution of 4 times as many, which a 1x1 one makes of all there are."""
    new = layers.Conv2D(4 * GROWTH, 1, use_bias=False, name=f"{name}_1_conv")(normalised(x, f"{name}_0"))
    new = normalised(new, f"{name}_1")
    new = layers.Conv2D(GROWTH, 3, padding="same", use_bias=False, name=f"{name}_2_conv")(new)
    return layers.Concatenate(name=f"{name}_concat")([x, new])


def _transition(x: Any, name: str) -> Any:
    """Between blocks: half the channels, half the size."""
    x = layers.Conv2D(x.shape[-1] // 2, 1, use_bias=False, name=f"{name}_conv")(normalised(x, name))
    return layers.AveragePooling2D(2, strides=2, name=f"{name}_pool")(x)
