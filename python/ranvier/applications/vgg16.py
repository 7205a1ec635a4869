"""VGG16: 3x3 convolutions in blocks that double the channels and halve the image (Simonyan and Zisserman 2014)."""

from __future__ import annotations

from collections.abc import Sequence

from ranvier import layers
from ranvier.applications.construction import Files, Options, network
from ranvier.applications.files import URL, kernels
from ranvier.applications.imagenet_utils import caffe_input as preprocess_input
from ranvier.applications.imagenet_utils import decode_predictions
from ranvier.models import Model

__all__ = ["VGG16", "decode_predictions", "preprocess_input"]


@network("vgg16")
def VGG16(options: Options) -> Model:
    """The 16-layer network of VGG: images (N, 224, 224, 3) to 1000 classes. Source: arXiv:1409.1556.

    >>> import ranvier as rv
    >>> base = rv.applications.VGG16(include_top=False, weights=None, input_shape=(150, 150, 3))
    >>> base.output_shape, base.count_params()
    ((None, 4, 4, 512), 14714688)
    """
    hashes = "64373286793e3c8b2b4e3219cbf3544b", "6d6bbae143d832006294945121d1f1fc"
    return vgg((2, 2, 3, 3, 3), options, kernels(URL + "vgg16/", "vgg16", *hashes))


def vgg(convolutions: Sequence[int], options: Options, files: Files) -> Model:
    """A network with so many convolutions in each block."""
    x = image = options.image(default_size=224, min_size=32)
    for block, (count, filters) in enumerate(zip(convolutions, (64, 128, 256, 512, 512), strict=True), start=1):
        for i in range(1, count + 1):
            x = layers.Conv2D(filters, 3, activation="relu", padding="same", name=f"block{block}_conv{i}")(x)
        x = layers.MaxPooling2D(2, strides=2, name=f"block{block}_pool")(x)
    if not options.include_top:
        return options.finish(options.pool(x), image, files)
    x = layers.Flatten(name="flatten")(x)
    x = layers.Dense(4096, activation="relu", name="fc1")(x)
    x = layers.Dense(4096, activation="relu", name="fc2")(x)
    return options.finish(options.classify(x), image, files)
