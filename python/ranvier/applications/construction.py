"""What every network here begins and ends with: Keras's checks, the input, the classifier, the weights."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from ranvier import _tree, activations, layers
from ranvier.applications.files import PretrainedFile, find
from ranvier.layers.core import InputLayer
from ranvier.layers.symbolic import KerasTensor
from ranvier.models import Model

Shape = tuple[int | None, ...]
Files = tuple[PretrainedFile, PretrainedFile]  # with the classifier, and without


@dataclass
class Options:
    """The arguments that all networks take. ``image`` and ``finish`` are their beginning and their end."""

    include_top: bool
    weights: Any
    input_tensor: Any
    input_shape: Any
    pooling: str | None
    classes: int
    classifier_activation: Any
    name: str | None

    def image(self, default_size: int, min_size: int) -> Any:
        """The symbolic images, after the checks. Raises ValueError as Keras does."""
        self.check_weights()
        self.input_shape = input_shape(self.input_shape, default_size, min_size, self.include_top, self.weights)
        return self.input_or_given()

    def check_weights(self) -> None:
        """Raises ValueError for weights that are no file, or that do not fit the number of classes."""
        weights = self.weights
        if not (weights is None or weights == "imagenet" or os.path.exists(weights)):
            raise ValueError(
                "The `weights` argument should be either `None` (random initialization), 'imagenet' (pre-training on "
                f"ImageNet), or the path to the weights file to be loaded.  Received: weights={weights}"
            )
        if weights == "imagenet" and self.include_top and self.classes != 1000:
            raise ValueError(
                "If using `weights='imagenet'` with `include_top=True`, `classes` should be 1000.  "
                f"Received classes={self.classes}"
            )

    def input_or_given(self) -> Any:
        """``input_tensor``, or a new input of ``input_shape``."""
        if self.input_tensor is None:
            return layers.Input(self.input_shape)
        if not isinstance(self.input_tensor, KerasTensor):
            raise ValueError(
                "input_tensor must be symbolic: the output of rv.Input() or of a layer called on one. Received: "
                f"{type(self.input_tensor).__name__}"
            )
        return self.input_tensor

    def check_activation(self) -> None:
        """Raises ValueError where trained weights are to end in something else than softmax or logits."""
        found = activations.get(self.classifier_activation)
        if self.weights is not None and found not in (activations.get("softmax"), activations.get(None)):
            raise ValueError(
                "Only `None` and `softmax` activations are allowed for the `classifier_activation` argument when "
                "using pretrained weights, with `include_top=True`; Received: "
                f"classifier_activation={self.classifier_activation}"
            )

    def classify(self, x: Any) -> Any:
        """The last dense layer."""
        self.check_activation()
        return layers.Dense(self.classes, activation=self.classifier_activation, name="predictions")(x)

    def head(self, x: Any, top: str | None = "avg_pool", average: str | None = None, largest: str | None = None) -> Any:
        """The average over the image and the last dense layer, or without a classifier the pooling asked for.

        ``top``, ``average`` and ``largest`` name the pooling layers (None: automatically).
        """
        if not self.include_top:
            return self.pool(x, average, largest)
        return self.classify(layers.GlobalAveragePooling2D(name=top)(x))

    def pool(self, x: Any, average: str | None = None, largest: str | None = None) -> Any:
        """What ``pooling`` asks for: the average of each channel, its largest value, or the channels as they are."""
        if self.pooling == "avg":
            return layers.GlobalAveragePooling2D(name=average)(x)
        if self.pooling == "max":
            return layers.GlobalMaxPooling2D(name=largest)(x)
        return x

    def finish(
        self, x: Any, image: Any, files: Files | None, load: Callable[[Model, str], None] | None = None
    ) -> Model:
        """The model from the images, or from where ``input_tensor`` comes from, to ``x``, with its weights."""
        model = Model(source_inputs(image), x, name=self.name)
        load = load or Model.load_weights
        if self.weights == "imagenet":
            if files is None:
                raise ValueError(f"{self.name}: no weights trained on ImageNet are known; pass weights=None")
            load(model, find(files[0 if self.include_top else 1]))
        elif self.weights is not None:
            load(model, os.fspath(self.weights))
        return model


def trained_size(options: Options, sizes: tuple[int, ...]) -> tuple[Any, int | None]:
    """The images of a network that was trained on several sizes, and for which of these its weights are.

    The size given is the default where it is one of ``sizes``; for others ImageNet's weights are those of 224.
    """
    options.check_weights()
    given = options.input_shape
    if given is None and isinstance(options.input_tensor, KerasTensor):
        given = options.input_tensor.shape[1:]
    default = given[0] if given is not None and given[0] == given[1] and given[0] in sizes else 224
    options.input_shape = input_shape(options.input_shape, default, 32, options.include_top, options.weights)
    rows, columns = options.input_shape[:2]
    if options.weights == "imagenet" and (rows != columns or rows not in sizes):
        rows = 224
        warnings.warn(
            f"`input_shape` is undefined or non-square, or `rows` is not in {list(sizes)}. Weights for input shape "
            "(224, 224) will be loaded as the default.",
            stacklevel=3,
        )
    return options.input_or_given(), rows


class Network(Protocol):
    """A function with the arguments that all networks take."""

    def __call__(
        self,
        include_top: bool = True,
        weights: Any = "imagenet",
        input_tensor: Any = None,
        input_shape: Any = None,
        pooling: str | None = None,
        classes: int = 1000,
        classifier_activation: Any = "softmax",
        name: str | None = ...,
    ) -> Model: ...


ARGUMENTS = """

    ``include_top``: with the classifier of ``classes`` outputs; without it ``pooling`` ("avg", "max") may follow, and
    ``input_shape`` (or ``input_tensor``, a symbolic one) is free. ``weights``: "imagenet", None for random ones, or the
    path of a file. Raises ValueError for arguments that do not fit together, FileNotFoundError where the weights
    cannot be had."""


def network(default_name: str) -> Callable[[Callable[[Options], Model]], Network]:
    """Turns a function of ``Options`` into one with Keras's arguments, the model's name ``default_name``."""

    def decorate(build: Callable[[Options], Model]) -> Network:
        def function(
            include_top: bool = True,
            weights: Any = "imagenet",
            input_tensor: Any = None,
            input_shape: Any = None,
            pooling: str | None = None,
            classes: int = 1000,
            classifier_activation: Any = "softmax",
            name: str | None = default_name,
        ) -> Model:
            return build(
                Options(include_top, weights, input_tensor, input_shape, pooling, classes, classifier_activation, name)
            )

        function.__name__, function.__qualname__, function.__module__ = build.__name__, build.__name__, build.__module__
        function.__doc__ = (build.__doc__ or "").rstrip() + ARGUMENTS
        return function

    return decorate


def input_shape(shape: Any, default_size: int, min_size: int, include_top: bool, weights: Any) -> Shape:
    """The shape (H, W, C) of the images: as given where it will do, else the default. Raises ValueError as Keras."""
    default: Shape = (default_size, default_size, 3)
    if weights != "imagenet" and shape and len(shape) == 3:
        if shape[-1] not in (1, 3):
            warnings.warn(
                "This model usually expects 1 or 3 input channels. However, it was passed an input_shape with "
                f"{shape[-1]} input channels.",
                stacklevel=4,
            )
        default = (default_size, default_size, shape[-1])
    if weights == "imagenet" and include_top:
        if shape is not None and tuple(shape) != default:
            raise ValueError(
                "When setting `include_top=True` and loading `imagenet` weights, `input_shape` should be "
                f"{default}.  Received: input_shape={shape}"
            )
        return default
    if not shape:
        return default if include_top else (None, None, 3)
    if len(shape) != 3:
        raise ValueError("`input_shape` must be a tuple of three integers.")
    if shape[-1] != 3 and weights == "imagenet":
        raise ValueError(f"The input must have 3 channels; Received `input_shape={shape}`")
    if any(size is not None and size < min_size for size in shape[:2]):
        raise ValueError(f"Input size must be at least {min_size}x{min_size}; Received: input_shape={shape}")
    if include_top and None in shape:
        raise ValueError(
            f"If `include_top` is True, you should specify a static `input_shape`. Received: input_shape={shape}"
        )
    return tuple(shape)


def source_inputs(tensor: KerasTensor) -> Any:
    """The symbolic inputs that a tensor follows from: itself, or those of the layers before it."""
    inputs: dict[int, KerasTensor] = {}
    seen: set[int] = set()
    stack = [tensor]
    while stack:
        one = stack.pop()
        if id(one) in seen:
            continue
        seen.add(id(one))
        if one.source is None or isinstance(one.source.layer, InputLayer):
            inputs[id(one)] = one
        else:
            stack.extend(reversed(one.source.inputs))
    found = list(inputs.values())
    return found[0] if len(found) == 1 else found


def correct_pad(x: Any, kernel_size: Any) -> tuple[tuple[int, int], tuple[int, int]]:
    """The zero padding before a strided "valid" convolution that makes it "same" as in TensorFlow, size by size."""
    sizes, kernel = x.shape[1:3], _tree.flatten(kernel_size)
    kernel = kernel if len(kernel) == 2 else kernel * 2
    adjust = (1, 1) if sizes[0] is None else (1 - sizes[0] % 2, 1 - sizes[1] % 2)
    (top, left), (rows, columns) = (kernel[0] // 2, kernel[1] // 2), adjust
    return (top - rows, top), (left - columns, left)
