"""InceptionV3: blocks of parallel branches, large kernels taken apart into thin ones (Szegedy et al. 2015)."""

from __future__ import annotations

from typing import Any

from ranvier import layers
from ranvier.applications.construction import Options, network
from ranvier.applications.files import URL, kernels
from ranvier.applications.imagenet_utils import decode_predictions
from ranvier.applications.imagenet_utils import tf_input as preprocess_input
from ranvier.models import Model

__all__ = ["InceptionV3", "decode_predictions", "preprocess_input"]

Step = tuple[int, Any]  # filters and kernel size of a convolution


@network("inception_v3")
def InceptionV3(options: Options) -> Model:
    """48 layers: images (N, 299, 299, 3) to 1000 classes. Source: arXiv:1512.00567, Keras ``InceptionV3``.

    >>> import ranvier as rv
    >>> rv.applications.InceptionV3(weights=None).count_params()
    23851784
    """
    image = options.image(default_size=299, min_size=75)
    x = _convolve(image, 32, 3, 2, "valid")
    x = _convolve(x, 32, 3, 1, "valid")
    x = layers.MaxPooling2D(3, strides=2)(_convolve(x, 64, 3))
    x = _convolve(x, 80, 1, 1, "valid")
    x = layers.MaxPooling2D(3, strides=2)(_convolve(x, 192, 3, 1, "valid"))
    for i, pooled in enumerate((32, 64, 64)):
        branches = [_chain(x, (64, 1)), _chain(x, (48, 1), (64, 5)), _chain(x, (64, 1), (96, 3), (96, 3))]
        x = _joined([*branches, _averaged(x, pooled)], f"mixed{i}")
    branches = [_convolve(x, 384, 3, 2, "valid"), _striding(x, (64, 1), (96, 3), (96, 3))]
    x = _joined([*branches, layers.MaxPooling2D(3, strides=2)(x)], "mixed3")
    for i, width in enumerate((128, 160, 160, 192), start=4):
        x = _seven(x, width, f"mixed{i}")
    branches = [_striding(x, (192, 1), (320, 3)), _striding(x, (192, 1), (192, (1, 7)), (192, (7, 1)), (192, 3))]
    x = _joined([*branches, layers.MaxPooling2D(3, strides=2)(x)], "mixed8")
    for i in range(2):
        x = _wide(x, i)
    x = options.head(x)
    hashes = "9a0d58056eeedaa3f26cb7ebd46da564", "bcbd6486424b2319ff4ef7d526e38f63"
    return options.finish(x, image, kernels(URL + "inception_v3/", "inception_v3", *hashes))


def _convolve(x: Any, filters: int, kernel: Any, strides: int = 1, padding: str = "same") -> Any:
    """Convolution, batch norm without a scale (the next convolution has one), ReLU."""
    x = layers.Conv2D(filters, kernel, strides=strides, padding=padding, use_bias=False)(x)
    return layers.Activation("relu")(layers.BatchNormalization(scale=False)(x))


def _chain(x: Any, *steps: Step) -> Any:
    for filters, kernel in steps:
        x = _convolve(x, filters, kernel)
    return x


def _striding(x: Any, *steps: Step) -> Any:
    """A chain whose last convolution halves the image."""
    *before, (filters, kernel) = steps
    return _convolve(_chain(x, *before), filters, kernel, 2, "valid")


def _averaged(x: Any, filters: int) -> Any:
    return _convolve(layers.AveragePooling2D(3, strides=1, padding="same")(x), filters, 1)


def _joined(branches: list[Any], name: str | None = None) -> Any:
    return layers.Concatenate(name=name)(branches)


def _seven(x: Any, width: int, name: str) -> Any:
    """7x7 kernels as rows of 7 and columns of 7."""
    row, column = (1, 7), (7, 1)
    branches = [
        _chain(x, (192, 1)),
        _chain(x, (width, 1), (width, row), (192, column)),
        _chain(x, (width, 1), (width, column), (width, row), (width, column), (192, row)),
        _averaged(x, 192),
    ]
    return _joined(branches, name)


def _wide(x: Any, i: int) -> Any:
    """The last blocks: branches that fork into a row and a column."""
    first = _chain(x, (320, 1))
    second = _chain(x, (384, 1))
    second = _joined([_convolve(second, 384, (1, 3)), _convolve(second, 384, (3, 1))], f"mixed9_{i}")
    third = _chain(x, (448, 1), (384, 3))
    third = _joined([_convolve(third, 384, (1, 3)), _convolve(third, 384, (3, 1))])
    return _joined([first, second, third, _averaged(x, 192)], f"mixed{9 + i}")
