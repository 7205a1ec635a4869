"""MobileNetV2: blocks that widen, filter by channel and narrow again, with shortcuts between the narrow ends."""

from __future__ import annotations

from typing import Any

from ranvier import layers
from ranvier.applications.construction import Options, correct_pad, trained_size
from ranvier.applications.files import URL, PretrainedFile
from ranvier.applications.imagenet_utils import decode_predictions
from ranvier.applications.imagenet_utils import tf_input as preprocess_input
from ranvier.layers.symbolic import KerasTensor
from ranvier.models import Model

__all__ = ["MobileNetV2", "decode_predictions", "preprocess_input"]

TRAINED_SIZES = (96, 128, 160, 192, 224)  # of images, for which there are weights
TRAINED_ALPHAS = (0.35, 0.5, 0.75, 1.0, 1.3, 1.4)
STAGES = ((16, 1, 1), (24, 2, 2), (32, 3, 2), (64, 4, 2), (96, 3, 1), (160, 3, 2), (320, 1, 1))
# of each stage: filters, blocks, strides of its first block


def MobileNetV2(
    input_shape: Any = None,
    alpha: float = 1.0,
    include_top: bool = True,
    weights: Any = "imagenet",
    input_tensor: Any = None,
    pooling: str | None = None,
    classes: int = 1000,
    classifier_activation: Any = "softmax",
    name: str | None = None,
) -> Model:
    """53 layers, ``alpha`` times as wide: images (N, 224, 224, 3) to 1000 classes.

    The other arguments are those of ``VGG16``. Raises ValueError for arguments that do not fit together. Source:
    arXiv:1801.04381 (Sandler et al. 2018), Keras ``MobileNetV2``.

    >>> import ranvier as rv
    >>> rv.applications.MobileNetV2(weights=None).count_params()
    3538984
    """
    if input_shape is not None and isinstance(input_tensor, KerasTensor) and input_tensor.shape[2] != input_shape[1]:
        raise ValueError(
            "input_tensor.shape[2] must equal input_shape[1]; Received "
            f"`input_tensor.shape={input_tensor.shape}`, `input_shape={input_shape}`"
        )
    options = Options(include_top, weights, input_tensor, input_shape, pooling, classes, classifier_activation, name)
    image, rows = trained_size(options, TRAINED_SIZES)
    if weights == "imagenet" and alpha not in TRAINED_ALPHAS:
        raise ValueError(
            "If imagenet weights are being loaded, alpha must be one of `0.35`, `0.50`, `0.75`, `1.0`, `1.3` or `1.4` "
            f"only; Received `alpha={alpha}`"
        )
    x = layers.Conv2D(divisible(32 * alpha), 3, strides=2, padding="same", use_bias=False, name="Conv1")(image)
    x = _normalised(x, "bn_Conv1", "Conv1_relu")
    block = 0
    for filters, count, first_strides in STAGES:
        for i in range(count):
            x = _block(x, divisible(int(filters * alpha)), first_strides if i == 0 else 1, block)
            block += 1
    x = layers.Conv2D(divisible(1280 * alpha) if alpha > 1 else 1280, 1, use_bias=False, name="Conv_1")(x)
    x = _normalised(x, "Conv_1_bn", "out_relu")
    x = options.head(x, None)
    options.name = name or f"mobilenetv2_{alpha:0.2f}_{rows}"
    stem = f"mobilenet_v2_weights_tf_dim_ordering_tf_kernels_{float(alpha)}_{rows}"
    url = URL + "mobilenet_v2/"  # Keras publishes no hashes of these
    return options.finish(x, image, (PretrainedFile(f"{stem}.h5", url), PretrainedFile(f"{stem}_no_top.h5", url)))


def divisible(filters: float, by: int = 8) -> int:
    """A multiple of ``by`` near ``filters``, no less than nine tenths of it."""
    rounded = max(by, int(filters + by / 2) // by * by)
    return rounded if rounded >= 0.9 * filters else rounded + by


def _batch_norm(x: Any, name: str) -> Any:
    return layers.BatchNormalization(epsilon=1e-3, momentum=0.999, name=name)(x)


def _normalised(x: Any, norm: str, relu: str) -> Any:
    return layers.ReLU(6.0, name=relu)(_batch_norm(x, norm))


def _block(inputs: Any, filters: int, strides: int, number: int) -> Any:
    """Six times the channels (not in the first block), a depthwise convolution, ``filters`` channels without ReLU."""
    channels = inputs.shape[-1]
    prefix = f"block_{number}_" if number else "expanded_conv_"
    x = inputs
    if number:
        x = layers.Conv2D(6 * channels, 1, padding="same", use_bias=False, name=f"{prefix}expand")(x)
        x = _normalised(x, f"{prefix}expand_BN", f"{prefix}expand_relu")
    if strides == 2:
        x = layers.ZeroPadding2D(correct_pad(x, 3), name=f"{prefix}pad")(x)
    padding = "same" if strides == 1 else "valid"
    x = layers.DepthwiseConv2D(3, strides=strides, padding=padding, use_bias=False, name=f"{prefix}depthwise")(x)
    x = _normalised(x, f"{prefix}depthwise_BN", f"{prefix}depthwise_relu")
    x = layers.Conv2D(filters, 1, padding="same", use_bias=False, name=f"{prefix}project")(x)
    x = _batch_norm(x, f"{prefix}project_BN")
    if channels == filters and strides == 1:
        return layers.Add(name=f"{prefix}add")([inputs, x])
    return x
