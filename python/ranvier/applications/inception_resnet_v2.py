"""InceptionResNetV2: the branches of Inception, added to what they are given (Szegedy et al. 2016)."""

from __future__ import annotations

from typing import Any

from ranvier import layers
from ranvier.applications.construction import Options, network
from ranvier.applications.files import URL, kernels
from ranvier.applications.imagenet_utils import decode_predictions
from ranvier.applications.imagenet_utils import tf_input as preprocess_input
from ranvier.layers.layer import Layer
from ranvier.models import Model
from ranvier.saving import register_serializable

__all__ = ["InceptionResNetV2", "decode_predictions", "preprocess_input"]

Step = tuple[int, Any]  # filters and kernel size of a convolution
BRANCHES: dict[str, tuple[tuple[Step, ...], ...]] = {
    "block35": (((32, 1),), ((32, 1), (32, 3)), ((32, 1), (48, 3), (64, 3))),
    "block17": (((192, 1),), ((128, 1), (160, (1, 7)), (192, (7, 1)))),
    "block8": (((192, 1),), ((192, 1), (224, (1, 3)), (256, (3, 1)))),
}


@network("inception_resnet_v2")
def InceptionResNetV2(options: Options) -> Model:
    """164 layers: images (N, 299, 299, 3) to 1000 classes. Source: arXiv:1602.07261, Keras ``InceptionResNetV2``.

    >>> import ranvier as rv
    >>> rv.applications.InceptionResNetV2(include_top=False, weights=None).output_shape
    (None, None, None, 1536)
    """
    image = options.image(default_size=299, min_size=75)
    x = _convolve(image, 32, 3, strides=2, padding="valid")
    x = _convolve(x, 32, 3, padding="valid")
    x = layers.MaxPooling2D(3, strides=2)(_convolve(x, 64, 3))
    x = _convolve(x, 80, 1, padding="valid")
    x = layers.MaxPooling2D(3, strides=2)(_convolve(x, 192, 3, padding="valid"))
    branches = [_chain(x, (96, 1)), _chain(x, (48, 1), (64, 5)), _chain(x, (64, 1), (96, 3), (96, 3))]
    pooled = layers.AveragePooling2D(3, strides=1, padding="same")(x)
    x = layers.Concatenate(name="mixed_5b")([*branches, _convolve(pooled, 64, 1)])
    for i in range(1, 11):
        x = _block(x, 0.17, "block35", i)
    branches = [_striding(x, (384, 3)), _striding(x, (256, 1), (256, 3), (384, 3))]
    x = layers.Concatenate(name="mixed_6a")([*branches, layers.MaxPooling2D(3, strides=2)(x)])
    for i in range(1, 21):
        x = _block(x, 0.1, "block17", i)
    branches = [_striding(x, (256, 1), (384, 3)), _striding(x, (256, 1), (288, 3))]
    branches.append(_striding(x, (256, 1), (288, 3), (320, 3)))
    x = layers.Concatenate(name="mixed_7a")([*branches, layers.MaxPooling2D(3, strides=2)(x)])
    for i in range(1, 11):
        x = _block(x, 0.2, "block8", i) if i < 10 else _block(x, 1.0, "block8", i, activation=None)
    x = options.head(_convolve(x, 1536, 1, name="conv_7b"))
    hashes = "e693bd0210a403b3192acc6073ad2e96", "d19885ff4a710c122648d3b5c3b684e4"
    return options.finish(x, image, kernels(URL + "inception_resnet_v2/", "inception_resnet_v2", *hashes))


@register_serializable(package="ranvier")
class CustomScaleLayer(Layer):
    """``inputs[0] + scale * inputs[1]``. Source: Keras's layer of this name."""

    def __init__(self, scale: float, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.scale = scale

    def call(self, inputs: Any) -> Any:
        return inputs[0] + inputs[1] * self.scale

    def compute_output_shape(self, input_shape: Any) -> Any:
        return input_shape[0]

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "scale": self.scale}


def _convolve(
    x: Any, filters: int, kernel: Any, strides: int = 1, padding: str = "same", name: str | None = None
) -> Any:
    """Convolution, batch norm without a scale (the next convolution has one), ReLU."""
    x = layers.Conv2D(filters, kernel, strides=strides, padding=padding, use_bias=False, name=name)(x)
    x = layers.BatchNormalization(scale=False, name=name and f"{name}_bn")(x)
    return layers.Activation("relu", name=name and f"{name}_ac")(x)


def _chain(x: Any, *steps: Step) -> Any:
    for filters, kernel in steps:
        x = _convolve(x, filters, kernel)
    return x


def _striding(x: Any, *steps: Step) -> Any:
    """A chain whose last convolution halves the image."""
    *before, (filters, kernel) = steps
    return _convolve(_chain(x, *before), filters, kernel, strides=2, padding="valid")


def _block(x: Any, scale: float, kind: str, number: int, activation: str | None = "relu") -> Any:
    """relu(x + scale * 1x1 of the branches): the scale keeps deep sums from growing."""
    name = f"{kind}_{number}"
    branches = [_chain(x, *steps) for steps in BRANCHES[kind]]
    mixed = layers.Concatenate(name=f"{name}_mixed")(branches)
    up = layers.Conv2D(x.shape[-1], 1, padding="same", name=f"{name}_conv")(mixed)
    x = CustomScaleLayer(scale)([x, up])
    return layers.Activation(activation, name=f"{name}_ac")(x) if activation else x
