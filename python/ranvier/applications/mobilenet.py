"""MobileNet: depthwise 3x3 and pointwise 1x1 convolutions in place of full ones (Howard et al. 2017)."""

from __future__ import annotations

from typing import Any

from ranvier import layers
from ranvier.applications.construction import Options, trained_size
from ranvier.applications.files import URL, PretrainedFile
from ranvier.applications.imagenet_utils import decode_predictions
from ranvier.applications.imagenet_utils import tf_input as preprocess_input
from ranvier.models import Model

__all__ = ["MobileNet", "decode_predictions", "preprocess_input"]

TRAINED_SIZES = (128, 160, 192, 224)  # of images, for which there are weights
TRAINED_ALPHAS = {0.25: "2_5", 0.5: "5_0", 0.75: "7_5", 1.0: "1_0"}
FILTERS = (64, 128, 128, 256, 256, 512, 512, 512, 512, 512, 512, 1024, 1024)
STRIDING = (2, 4, 6, 12)  # the blocks that halve the image


def MobileNet(
    input_shape: Any = None,
    alpha: float = 1.0,
    depth_multiplier: int = 1,
    dropout: float = 1e-3,
    include_top: bool = True,
    weights: Any = "imagenet",
    input_tensor: Any = None,
    pooling: str | None = None,
    classes: int = 1000,
    classifier_activation: Any = "softmax",
    name: str | None = None,
) -> Model:
    """28 layers, ``alpha`` times as wide: images (N, 224, 224, 3) to 1000 classes.

    ``depth_multiplier``: outputs of a depthwise convolution for each channel; ``dropout``: before the classifier. The
    other arguments are those of ``VGG16``. Raises ValueError for arguments that do not fit together. Source:
    arXiv:1704.04861, Keras ``MobileNet``.

    >>> import ranvier as rv
    >>> rv.applications.MobileNet(weights=None, alpha=0.5).count_params()
    1342536
    """
    options = Options(include_top, weights, input_tensor, input_shape, pooling, classes, classifier_activation, name)
    image, rows = trained_size(options, TRAINED_SIZES)
    if weights == "imagenet" and depth_multiplier != 1:
        raise ValueError(
            "If imagenet weights are being loaded, depth multiplier must be 1.  "
            f"Received depth_multiplier={depth_multiplier}"
        )
    if weights == "imagenet" and alpha not in TRAINED_ALPHAS:
        raise ValueError(
            "If imagenet weights are being loaded, alpha can be one of `0.25`, `0.50`, `0.75` or `1.0` only.  "
            f"Received alpha={alpha}"
        )
    x = layers.Conv2D(int(32 * alpha), 3, strides=2, padding="same", use_bias=False, name="conv1")(image)
    x = _normalised(x, "conv1")
    for i, filters in enumerate(FILTERS, start=1):
        x = _block(x, int(filters * alpha), depth_multiplier, i)
    if include_top:
        x = layers.GlobalAveragePooling2D(keepdims=True)(x)
        x = layers.Dropout(dropout, name="dropout")(x)
        x = layers.Conv2D(classes, 1, padding="same", name="conv_preds")(x)
        x = layers.Reshape((classes,), name="reshape_2")(x)
        options.check_activation()
        x = layers.Activation(classifier_activation, name="predictions")(x)
    else:
        x = options.pool(x)
    options.name = name or f"mobilenet_{alpha:0.2f}_{rows}"
    stem = f"mobilenet_{TRAINED_ALPHAS.get(alpha)}_{rows}_tf"
    url = URL + "mobilenet/"  # Keras publishes no hashes of these
    return options.finish(x, image, (PretrainedFile(f"{stem}.h5", url), PretrainedFile(f"{stem}_no_top.h5", url)))


def _normalised(x: Any, name: str) -> Any:
    x = layers.BatchNormalization(name=f"{name}_bn")(x)
    return layers.ReLU(6.0, name=f"{name}_relu")(x)


def _block(x: Any, filters: int, depth_multiplier: int, i: int) -> Any:
    """A depthwise convolution, of which some stride, and a pointwise one that mixes the channels."""
    strides, padding = (2, "valid") if i in STRIDING else (1, "same")
    if strides == 2:
        x = layers.ZeroPadding2D(((0, 1), (0, 1)), name=f"conv_pad_{i}")(x)
    x = layers.DepthwiseConv2D(
        3,
        padding=padding,
        depth_multiplier=depth_multiplier,
        strides=strides,
        use_bias=False,
        name=f"conv_dw_{i}",
    )(x)
    x = _normalised(x, f"conv_dw_{i}")
    x = layers.Conv2D(filters, 1, padding="same", use_bias=False, name=f"conv_pw_{i}")(x)
    return _normalised(x, f"conv_pw_{i}")
