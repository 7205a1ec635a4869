"""LeNet-5, which read the digits on cheques (LeCun et al. 1998). Keras has no such network."""

from __future__ import annotations

from typing import Any

from ranvier import layers
from ranvier.applications.construction import Options
from ranvier.models import Model

__all__ = ["LeNet5"]


def LeNet5(
    include_top: bool = True,
    weights: Any = None,
    input_tensor: Any = None,
    input_shape: Any = (32, 32, 1),
    pooling: str | None = None,
    classes: int = 10,
    activation: Any = "tanh",
    classifier_activation: Any = "softmax",
    name: str | None = "lenet5",
) -> Model:
    """Three 5x5 convolutions with average pooling between, and two dense layers: images (N, 32, 32, 1) to 10 classes.

    As the paper has it but for three things that all do today: pooling has no weights, every map of C3 reads all maps
    of S2, and the output is a softmax. ``input_shape`` from 28x28 on (there C5
    pads its 4x4 maps); ``weights``: None or the path of a file. Raises ValueError for others.

    >>> import ranvier as rv
    >>> rv.applications.LeNet5().count_params()
    61706
    """
    if weights == "imagenet":
        raise ValueError("LeNet5 reads digits: there are no weights trained on ImageNet. Pass None or a file")
    options = Options(include_top, weights, input_tensor, input_shape, pooling, classes, classifier_activation, name)
    x = image = options.image(default_size=32, min_size=28)
    x = layers.Conv2D(6, 5, activation=activation, name="C1")(x)
    x = layers.AveragePooling2D(2, name="S2")(x)
    x = layers.Conv2D(16, 5, activation=activation, name="C3")(x)
    x = layers.AveragePooling2D(2, name="S4")(x)
    x = layers.Conv2D(120, 5, activation=activation, padding="valid" if _fits(x) else "same", name="C5")(x)
    if not include_top:
        return options.finish(options.pool(x), image, None)
    x = layers.Flatten(name="flatten")(x)
    x = layers.Dense(84, activation=activation, name="F6")(x)
    options.check_activation()
    return options.finish(layers.Dense(classes, activation=classifier_activation, name="output")(x), image, None)


def _fits(x: Any) -> bool:
    """Whether a 5x5 kernel fits: 28x28 images are 4x4 here."""
    return all(size is None or size >= 5 for size in x.shape[1:3])
