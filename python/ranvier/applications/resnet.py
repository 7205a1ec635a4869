"""ResNet: bottleneck blocks that add to what they are given (He et al. 2015), and with activation first (2016)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ranvier import layers
from ranvier.applications.construction import Options, network
from ranvier.applications.files import URL, kernels
from ranvier.applications.imagenet_utils import caffe_input as preprocess_input
from ranvier.applications.imagenet_utils import decode_predictions
from ranvier.models import Model

__all__ = ["ResNet50", "ResNet101", "ResNet152", "decode_predictions", "preprocess_input"]

HASHES = {
    "resnet50": ("2cb95161c43110f7111970584f804107", "4d473c1dd8becc155b73f8504c6f6626"),
    "resnet101": ("f1aeb4b969a6efcfb50fad2f0c20cfc5", "88cf7a10940856eca736dc7b7e228a21"),
    "resnet152": ("100835be76be38e30d865e96f2aaae62", "ee4c566cf9a93f14d82f913c2dc6dd0c"),
    "resnet50v2": ("3ef43a0b657b3be2300d5770ece849e0", "fac2f116257151a9d068a22e544a4917"),
    "resnet101v2": ("6343647c601c52e1368623803854d971", "c0ed64b8031c3730f411d2eb4eea35b5"),
    "resnet152v2": ("a49b44d1979771252814e80f8ec446f9", "ed17cf2e0169df9d443503ef94b23b33"),
}


@network("resnet50")
def ResNet50(options: Options) -> Model:
    """50 layers in 3, 4, 6 and 3 blocks: images (N, 224, 224, 3) to 1000 classes. Source: arXiv:1512.03385.

    >>> import ranvier as rv
    >>> rv.applications.ResNet50(weights=None).count_params()
    25636712
    """
    return resnet("resnet50", (3, 4, 6, 3), options)


@network("resnet101")
def ResNet101(options: Options) -> Model:
    """101 layers in 3, 4, 23 and 3 blocks: images (N, 224, 224, 3) to 1000 classes. Source: arXiv:1512.03385."""
    return resnet("resnet101", (3, 4, 23, 3), options)


@network("resnet152")
def ResNet152(options: Options) -> Model:
    """152 layers in 3, 8, 36 and 3 blocks: images (N, 224, 224, 3) to 1000 classes. Source: arXiv:1512.03385."""
    return resnet("resnet152", (3, 8, 36, 3), options)


def resnet(which: str, blocks: Sequence[int], options: Options, activation_first: bool = False) -> Model:
    """A network of four stages of so many blocks."""
    x = image = options.image(default_size=224, min_size=32)
    x = layers.ZeroPadding2D(3, name="conv1_pad")(x)
    x = layers.Conv2D(64, 7, strides=2, name="conv1_conv")(x)
    if not activation_first:
        x = normalised(x, "conv1")
    x = layers.ZeroPadding2D(1, name="pool1_pad")(x)
    x = layers.MaxPooling2D(3, strides=2, name="pool1_pool")(x)
    for stage, count in enumerate(blocks):
        stack = _stack_v2 if activation_first else _stack_v1
        x = stack(x, 64 << stage, count, stage, f"conv{stage + 2}")
    if activation_first:
        x = normalised(x, "post")
    x = options.head(x, "avg_pool", "avg_pool", "max_pool")
    return options.finish(x, image, kernels(URL + "resnet/", which, *HASHES[which]))


def normalised(x: Any, name: str) -> Any:
    """Batch norm and ReLU, as ``<name>_bn`` and ``<name>_relu``."""
    x = layers.BatchNormalization(epsilon=1.001e-5, name=f"{name}_bn")(x)
    return layers.Activation("relu", name=f"{name}_relu")(x)


def _stack_v1(x: Any, filters: int, count: int, stage: int, name: str) -> Any:
    """The first block strides (not in the first stage) and has a convolution as its shortcut."""
    x = _block_v1(x, filters, 1 if stage == 0 else 2, True, f"{name}_block1")
    for i in range(2, count + 1):
        x = _block_v1(x, filters, 1, False, f"{name}_block{i}")
    return x


def _block_v1(x: Any, filters: int, strides: int, project: bool, name: str) -> Any:
    """relu(x + bn(1x1 of relu(bn(3x3 of relu(bn(1x1 of x)))))), the shortcut x projected where the shape changes."""
    shortcut = x
    if project:
        shortcut = layers.Conv2D(4 * filters, 1, strides=strides, name=f"{name}_0_conv")(x)
        shortcut = layers.BatchNormalization(epsilon=1.001e-5, name=f"{name}_0_bn")(shortcut)
    x = normalised(layers.Conv2D(filters, 1, strides=strides, name=f"{name}_1_conv")(x), f"{name}_1")
    x = normalised(layers.Conv2D(filters, 3, padding="same", name=f"{name}_2_conv")(x), f"{name}_2")
    x = layers.Conv2D(4 * filters, 1, name=f"{name}_3_conv")(x)
    x = layers.BatchNormalization(epsilon=1.001e-5, name=f"{name}_3_bn")(x)
    x = layers.Add(name=f"{name}_add")([shortcut, x])
    return layers.Activation("relu", name=f"{name}_out")(x)


def _stack_v2(x: Any, filters: int, count: int, stage: int, name: str) -> Any:
    """The first block projects its shortcut, the last one strides (not in the last stage)."""
    for i in range(1, count + 1):
        strides = 2 if i == count and stage < 3 else 1
        x = _block_v2(x, filters, strides, i == 1, f"{name}_block{i}")
    return x


def _block_v2(x: Any, filters: int, strides: int, project: bool, name: str) -> Any:
    """x + 1x1 of relu(bn(3x3 of relu(bn(1x1 of relu(bn(x)))))): what is added stays as it is from end to end."""
    first = normalised(x, f"{name}_preact")
    if project:
        shortcut = layers.Conv2D(4 * filters, 1, strides=strides, name=f"{name}_0_conv")(first)
    else:
        shortcut = layers.MaxPooling2D(1, strides=strides)(x) if strides > 1 else x
    x = normalised(layers.Conv2D(filters, 1, use_bias=False, name=f"{name}_1_conv")(first), f"{name}_1")
    x = layers.ZeroPadding2D(1, name=f"{name}_2_pad")(x)
    x = layers.Conv2D(filters, 3, strides=strides, use_bias=False, name=f"{name}_2_conv")(x)
    x = layers.Conv2D(4 * filters, 1, name=f"{name}_3_conv")(normalised(x, f"{name}_2"))
    return layers.Add(name=f"{name}_out")([shortcut, x])
