"""ResNet with batch norm and activation before the convolutions (He et al. 2016)."""

from __future__ import annotations

from ranvier.applications.construction import Options, network
from ranvier.applications.imagenet_utils import decode_predictions
from ranvier.applications.imagenet_utils import tf_input as preprocess_input
from ranvier.applications.resnet import resnet
from ranvier.models import Model

__all__ = ["ResNet50V2", "ResNet101V2", "ResNet152V2", "decode_predictions", "preprocess_input"]


@network("resnet50v2")
def ResNet50V2(options: Options) -> Model:
    """50 layers in 3, 4, 6 and 3 blocks: images (N, 224, 224, 3) to 1000 classes. Source: arXiv:1603.05027."""
    return resnet("resnet50v2", (3, 4, 6, 3), options, activation_first=True)


@network("resnet101v2")
def ResNet101V2(options: Options) -> Model:
    """101 layers in 3, 4, 23 and 3 blocks: images (N, 224, 224, 3) to 1000 classes. Source: arXiv:1603.05027."""
    return resnet("resnet101v2", (3, 4, 23, 3), options, activation_first=True)


@network("resnet152v2")
def ResNet152V2(options: Options) -> Model:
    """152 layers in 3, 8, 36 and 3 blocks: images (N, 224, 224, 3) to 1000 classes. Source: arXiv:1603.05027."""
    return resnet("resnet152v2", (3, 8, 36, 3), options, activation_first=True)
