"""NASNet: two kinds of cells found by search, stacked (Zoph et al. 2017)."""

from __future__ import annotations

from typing import Any

from ranvier import layers
from ranvier.applications.construction import Files, Options, correct_pad
from ranvier.applications.files import URL, PretrainedFile
from ranvier.applications.imagenet_utils import decode_predictions
from ranvier.applications.imagenet_utils import tf_input as preprocess_input
from ranvier.models import Model

__all__ = ["NASNetLarge", "NASNetMobile", "decode_predictions", "preprocess_input"]


def NASNetMobile(
    input_shape: Any = None,
    include_top: bool = True,
    weights: Any = "imagenet",
    input_tensor: Any = None,
    pooling: str | None = None,
    classes: int = 1000,
    classifier_activation: Any = "softmax",
    name: str | None = "nasnet_mobile",
) -> Model:
    """NASNet-A (4 @ 1056): images (N, 224, 224, 3) to 1000 classes; arguments of ``VGG16``. Source: arXiv:1707.07012.

    >>> import ranvier as rv
    >>> rv.applications.NASNetMobile(weights=None).count_params()
    5326716
    """
    if not include_top and input_shape is None:
        input_shape = (224, 224, 3)
    options = Options(include_top, weights, input_tensor, input_shape, pooling, classes, classifier_activation, name)
    files = (
        PretrainedFile("NASNet-mobile.h5", URL + "nasnet/", "020fb642bf7360b370c678b08e0adf61"),
        PretrainedFile("NASNet-mobile-no-top.h5", URL + "nasnet/", "1ed92395b5b598bdda52abe5c0dbfd63"),
    )
    return _nasnet(options, 224, 1056, blocks=4, stem=32, skip_reduction=False, files=files)


def NASNetLarge(
    input_shape: Any = None,
    include_top: bool = True,
    weights: Any = "imagenet",
    input_tensor: Any = None,
    pooling: str | None = None,
    classes: int = 1000,
    classifier_activation: Any = "softmax",
    name: str | None = "nasnet_large",
) -> Model:
    """NASNet-A (6 @ 4032): images (N, 331, 331, 3) to 1000 classes; arguments of ``VGG16``.

    Source: arXiv:1707.07012, Keras ``NASNetLarge``.
    """
    options = Options(include_top, weights, input_tensor, input_shape, pooling, classes, classifier_activation, name)
    files = (
        PretrainedFile("NASNet-large.h5", URL + "nasnet/", "11577c9a518f0070763c2b964a382f17"),
        PretrainedFile("NASNet-large-no-top.h5", URL + "nasnet/", "d81d89dc07e6e56530c4e77faddd61b5"),
    )
    return _nasnet(options, 331, 4032, blocks=6, stem=96, skip_reduction=True, files=files)


def _nasnet(
    options: Options, size: int, penultimate: int, blocks: int, stem: int, skip_reduction: bool, files: Files
) -> Model:
    """Three runs of ``blocks`` normal cells with a reduction between; a cell reads the two before it."""
    if options.weights == "imagenet" and isinstance(options.input_shape, tuple) and None in options.input_shape:
        raise ValueError(
            "When specifying the input shape of a NASNet and loading `ImageNet` weights, the input_shape argument "
            f"must be static (no None entries). Got: `input_shape={options.input_shape}`."
        )
    image = options.image(default_size=size, min_size=32)
    filters = penultimate // 24
    x = layers.Conv2D(stem, 3, strides=2, use_bias=False, name="stem_conv1", kernel_initializer="he_normal")(image)
    x = _batch_norm(x, "stem_bn1")
    before: Any = None
    x, before = _reduction(x, before, filters // 4, "stem_1")
    x, before = _reduction(x, before, filters // 2, "stem_2")
    for run in range(3):
        if run:
            x, reduced = _reduction(x, before, filters << run, f"reduce_{run * blocks}")
            before = before if skip_reduction else reduced
        for i in range(blocks):
            x, before = _normal(x, before, filters << run, str(run * blocks + i + (run > 0)))
    x = options.head(layers.Activation("relu")(x), None)
    return options.finish(x, image, files)


def _batch_norm(x: Any, name: str) -> Any:
    return layers.BatchNormalization(momentum=0.9997, epsilon=1e-3, name=name)(x)


def _pointwise(x: Any, filters: int, name: str) -> Any:
    layer = layers.Conv2D(filters, 1, padding="same", use_bias=False, kernel_initializer="he_normal", name=name)
    return layer(x)


def _separable(x: Any, filters: int, kernel: int, block: str, strides: int = 1) -> Any:
    """ReLU, separable convolution and batch norm, twice; the first may halve the image."""
    x = layers.Activation("relu")(x)
    if strides == 2:
        x = layers.ZeroPadding2D(correct_pad(x, kernel), name=f"separable_conv_1_pad_{block}")(x)
    x = layers.SeparableConv2D(
        filters,
        kernel,
        strides=strides,
        padding="valid" if strides == 2 else "same",
        use_bias=False,
        name=f"separable_conv_1_{block}",
    )(x)
    x = layers.Activation("relu")(_batch_norm(x, f"separable_conv_1_bn_{block}"))
    x = layers.SeparableConv2D(filters, kernel, padding="same", use_bias=False, name=f"separable_conv_2_{block}")(x)
    return _batch_norm(x, f"separable_conv_2_bn_{block}")


def _adjusted(before: Any, x: Any, filters: int, block: str) -> Any:
    """The output of the cell before the last, with the size of ``x`` and ``filters`` channels."""
    if before is None:
        return x
    if before.shape[2] != x.shape[2]:  # halved twice, from pixels one apart, and joined
        before = layers.Activation("relu", name=f"adjust_relu_1_{block}")(before)
        first = layers.AveragePooling2D(1, strides=2, name=f"adjust_avg_pool_1_{block}")(before)
        first = _pointwise(first, filters // 2, f"adjust_conv_1_{block}")
        second = layers.Cropping2D(((1, 0), (1, 0)))(layers.ZeroPadding2D(((0, 1), (0, 1)))(before))
        second = layers.AveragePooling2D(1, strides=2, name=f"adjust_avg_pool_2_{block}")(second)
        second = _pointwise(second, filters // 2, f"adjust_conv_2_{block}")
        return _batch_norm(layers.Concatenate()([first, second]), f"adjust_bn_{block}")
    if before.shape[-1] != filters:
        before = _pointwise(layers.Activation("relu")(before), filters, f"adjust_conv_projection_{block}")
        return _batch_norm(before, f"adjust_bn_{block}")
    return before


def _normal(x: Any, before: Any, filters: int, block: str) -> tuple[Any, Any]:
    """A cell that keeps the size (figure 4 of the paper), and its input, for the cell after the next."""
    p = _adjusted(before, x, filters, block)
    h = _pointwise(layers.Activation("relu")(x), filters, f"normal_conv_1_{block}")
    h = _batch_norm(h, f"normal_bn_1_{block}")

    def average(tensor: Any, name: str) -> Any:
        return layers.AveragePooling2D(3, strides=1, padding="same", name=f"normal_{name}_{block}")(tensor)

    def separable(tensor: Any, kernel: int, name: str) -> Any:
        return _separable(tensor, filters, kernel, f"normal_{name}_{block}")

    pairs = (
        [separable(h, 5, "left1"), separable(p, 3, "right1")],
        [separable(p, 5, "left2"), separable(p, 3, "right2")],
        [average(h, "left3"), p],
        [average(p, "left4"), average(p, "right4")],
        [separable(h, 3, "left5"), h],
    )
    sums = [layers.Add(name=f"normal_add_{i}_{block}")(pair) for i, pair in enumerate(pairs, start=1)]
    return layers.Concatenate(name=f"normal_concat_{block}")([p, *sums]), x


def _reduction(x: Any, before: Any, filters: int, block: str) -> tuple[Any, Any]:
    """A cell that halves the size (figure 4 of the paper), and its input, for the cell after the next."""
    p = _adjusted(before, x, filters, block)
    h = _pointwise(layers.Activation("relu")(x), filters, f"reduction_conv_1_{block}")
    h = _batch_norm(h, f"reduction_bn_1_{block}")
    padded = layers.ZeroPadding2D(correct_pad(h, 3), name=f"reduction_pad_1_{block}")(h)

    def add(name: str | None, *terms: Any) -> Any:
        return layers.Add(name=name and f"reduction_{name}_{block}")(list(terms))

    def pool(kind: Any, tensor: Any, name: str, **settings: Any) -> Any:
        return kind(3, **(settings or {"strides": 2}), name=f"reduction_{name}_{block}")(tensor)

    left = _separable(h, filters, 5, f"reduction_left1_{block}", 2)
    x1 = add("add_1", left, _separable(p, filters, 7, f"reduction_right1_{block}", 2))
    left = pool(layers.MaxPooling2D, padded, "left2")
    x2 = add("add_2", left, _separable(p, filters, 7, f"reduction_right2_{block}", 2))
    left = pool(layers.AveragePooling2D, padded, "left3")
    x3 = add("add3", left, _separable(p, filters, 5, f"reduction_right3_{block}", 2))
    x4 = add(None, x2, pool(layers.AveragePooling2D, x1, "left4", strides=1, padding="same"))
    left = _separable(x1, filters, 3, f"reduction_left4_{block}")
    x5 = add("add4", left, pool(layers.MaxPooling2D, padded, "right5"))
    return layers.Concatenate(name=f"reduction_concat_{block}")([x2, x3, x4, x5]), x
